//! Kubernetes workloads, reduced to the fields that rules read.
//!
//! Every type here is lean: fields that no rule reads are skipped while parsing. Text is borrowed from the input
//! where possible, so that an object can be judged and dropped without a copy. This module does no I/O.

mod container;
mod container_search;
mod count;
mod defect;
mod digest;
mod identity;
mod image;
mod interner;
mod judged;
mod kind;
mod labels;
mod metadata;
mod object;
mod object_only;
mod owner;
mod pod;
mod quantity;
mod supplied;
mod text;

pub use container::{Container, Present, ResourceList, Resources};
pub use count::count;
pub use defect::Defect;
pub use digest::short_digest;
pub use identity::{IdentityError, Owner, PolicyRef, WorkloadKey, WorkloadRef};
pub use image::ImageReference;
pub use interner::Interner;
pub use judged::Workload;
pub use kind::WorkloadKind;
pub use labels::Labels;
pub use metadata::{Metadata, OwnerReference};
pub use object::{Object, ObjectSeed, Parsed, TypeMeta};
pub use pod::{ContainerStatus, PodSpec, PodStatus};
pub use quantity::Quantity;
pub use text::Text;
