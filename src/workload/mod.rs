//! Kubernetes workloads, reduced to the fields that rules read.
//!
//! Every type here is lean: fields that no rule reads are skipped while parsing, and [`Fields`] skips those that only
//! rules outside the default score read. Text is borrowed from the input
//! where possible, so that an object can be evaluated and dropped without a copy. This module does no I/O.

mod container;
mod container_search;
mod count;
mod defect;
mod digest;
mod environment;
mod evaluated;
mod fields;
mod identity;
mod image;
mod interner;
mod kind;
mod label_selector;
mod labels;
mod list;
mod metadata;
mod object;
mod object_key;
mod object_only;
mod other_kind;
mod owner;
mod placement;
mod pod;
mod present;
mod probe;
mod quantity;
mod raw;
mod security;
mod spec;
mod status;
mod supplied;
mod template;
mod text;
mod texts;
mod type_meta;
mod unread;
mod volume;

pub use container::{Container, ResourceList, Resources};
pub use count::count;
pub use defect::Defect;
pub use digest::short_digest;
pub use environment::{ContainerPort, EnvFrom, EnvFromRef, EnvSource, EnvVar, KeyRef};
pub use evaluated::Workload;
pub use fields::Fields;
pub(crate) use fields::nullable;
pub use identity::{IdentityError, Owner, PolicyRef, WorkloadKey, WorkloadRef, cluster_name};
pub use image::ImageReference;
pub use interner::Interner;
pub use kind::{WorkloadKind, WorkloadKinds};
pub use label_selector::{LabelSelector, Requirement};
pub use labels::Labels;
pub use list::List;
pub use metadata::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL, Metadata, OwnerReference};
pub use object::{Object, ObjectSeed, Parsed};
pub use other_kind::{Kind, Kinds, ObjectKind, OtherObject, RESOURCES, Resource};
pub use placement::{Affinity, Os, SpreadConstraint};
pub use pod::{ContainerStatus, PodSpec, PodStatus};
pub use present::Present;
pub use probe::{Exec, Grpc, Handler, Header, HttpGet, Lifecycle, Port, Probe, TcpSocket};
pub use quantity::Quantity;
pub use security::{Capabilities, Profile, SeLinuxOptions, SecurityContext, Sysctl, WindowsOptions};
pub use spec::{Strategy, WorkloadSpec};
pub use status::{Condition, ConditionType, WorkloadStatus};
pub use text::Text;
pub use type_meta::TypeMeta;
pub use volume::{
    ClaimSource, HostPath, KeyPath, NamedSource, Projected, ProjectedSource, SecretVolume, Volume,
    VolumeContent, VolumeMount,
};
