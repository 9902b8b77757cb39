//! Facts about the objects of an input, and how they select and name each other.
//!
//! Rules about one workload need nothing else. A rule about a Service and its pods needs both, and they can be anywhere
//! in the input. [`Facts`] collects what such rules read, in any order and in parts. [`Inventory`] sorts and indexes it
//! once everything was read, and answers questions such as "which pods does this selector match".
//!
//! An object that is missing proves nothing unless the input has all objects of its kind. So each kind is *closed* or
//! *open* in a namespace, and a rule about absence answers "unknown" where it is open.

mod access;
mod autoscaler;
mod budget;
mod closed;
mod cluster_state;
mod configuration;
mod facts;
mod identity;
mod ingress;
mod known;
mod limit_range;
mod lookup;
mod minimum;
mod network_policy;
mod pod_group;
mod pod_groups;
mod pod_index;
mod pod_list;
mod pod_shape;
mod read;
mod related;
mod secrets;
mod service;
mod shared;

pub use access::{Binding, PolicyRule, Role, RoleRef, ServiceAccount, Subject};
pub use autoscaler::Autoscaler;
pub use budget::{Amount, DisruptionBudget};
pub use closed::Closed;
pub use cluster_state::{ContainerUsage, EndpointSlice, Node, NodeCondition, PodUsage, Usage, VolumeClaim};
pub use configuration::Keys;
pub use facts::Facts;
pub use identity::{Identity, NewObject};
pub use ingress::{Backend, BackendPort, Ingress};
pub use known::Known;
pub use limit_range::{Amounts, LimitRange};
pub use lookup::{Inventory, Selected};
pub use minimum::Minimum;
pub use network_policy::{NetworkPolicy, Peer};
pub use pod_group::{PodGroup, Standing, TemplateFacts};
pub use pod_shape::{Limits, NamedPort, PodShape, Reference, ReferencePlace};
pub use related::{Content, Related};
pub use secrets::is_plaintext_secret;
pub use service::{Service, ServicePort, TargetPort};
