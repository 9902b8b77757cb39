//! What every long-running command shares: a health and metrics server, readiness, shutdown, and tasks that are watched.
//!
//! A shutdown has two phases. First writes stop, readiness goes false and the lease is released, while reads are still
//! answered; then the servers end what they have under way. All of it takes [`Tasks::GRACE`] at most.
//!
//! This module knows nothing of Kubernetes, nor of what a command does.

mod error;
mod index;
mod listen;
mod readiness;
mod server;
mod service;
mod shutdown;
mod tasks;

pub use error::ServerError;
pub use index::Index;
pub use listen::{Listen, ListenError};
pub use readiness::{Readiness, Unready};
pub use server::{Server, standard_routes};
pub use service::Service;
pub use shutdown::Shutdown;
pub use tasks::{Phase, TaskError, Tasks};
