//! The shared parts of long-running commands: a health and metrics server, readiness, shutdown and supervised tasks.
//!
//! A shutdown has two phases. First, writes stop, readiness goes false and the lease is released, while reads are still
//! answered. Then the servers finish their running requests. Both take [`Tasks::GRACE`] at most,
//! unless a command needs more time for running requests.
//!
//! This module does not know Kubernetes, or what a command does.

mod activity;
mod certificate;
mod error;
mod index;
mod listen;
mod readiness;
mod secure_server;
mod server;
mod service;
mod shutdown;
mod tasks;

pub use certificate::{CertificateError, ServingCertificate};
pub use error::ServerError;
pub use index::Index;
pub use listen::{Listen, ListenError};
pub use readiness::{Readiness, Unready};
pub use secure_server::SecureServer;
pub use server::{Server, standard_routes};
pub use service::Service;
pub use shutdown::Shutdown;
pub use tasks::{Phase, TaskError, Tasks};
