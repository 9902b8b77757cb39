//! The error of a server that did not start.

use std::io;

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: choose another address with --listen")]
    Bind {
        /// The address, as it was given.
        listen: String,
        /// The error of the system.
        source: io::Error,
    },
}
