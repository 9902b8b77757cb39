//! Admission: the verdict on an object before the API server stores it, and the webhook that returns the verdict.
//!
//! [`decide()`] is pure: a request and the policies of its namespace give a decision. It knows neither HTTP nor a cluster.
//! [`mutate()`] is pure, too: it adds the defaults of enforcement to a new workload.
//! The verdict on an object is the one of `analyze` and of the operator, because all of them call the same engine. A
//! [`Reviewer`] answers the bodies of requests from the policies in memory, and [`routes()`] serve it.

mod actor;
pub mod certificates;
pub mod configuration;
mod decide;
mod decision;
mod doctor;
mod handshake;
mod message;
mod metrics;
mod mutate;
mod native;
mod native_diagnosis;
mod native_installation;
mod review;
mod reviewer;
mod routes;
mod surroundings;

pub use decide::{DecideError, decide};
pub use decision::{AdmissionDecision, NewViolation};
pub use doctor::{Diagnosis, examine};
pub use message::{denial, warnings};
pub use metrics::{AdmissionMetrics, CertificateCollector, RequestResult};
pub use mutate::{MutateError, mutate};
pub use native::NativeNamespaces;
pub use native_installation::{NativeInstallation, native_installation};
pub use review::{
    AdmissionRequest, Operation, RequestKind, ReviewAnswer, ReviewError, UserInfo, answer, parse_review,
};
pub use reviewer::{Reply, Reviewer};
pub use routes::routes;
pub use surroundings::NamespaceSurroundings;
