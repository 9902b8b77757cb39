//! A live cluster: connecting to it, reading it in pages, asking what is allowed there, and installing.
//!
//! Whatever can't be read is said, with what to do about it: nothing here takes a failure for an empty answer.

mod access;
mod apply;
mod call;
mod connect;
mod events;
mod follow;
mod list;
mod namespace;
mod pace;
mod proxy;
mod request_log;
#[cfg(test)]
mod scripted;
mod store;
mod version;
mod watch;

pub use access::{Access, Decision};
pub use apply::{Applied, EstablishError};
pub use call::CallError;
pub use connect::{Cluster, ConnectError, ConnectOptions, connect};
pub use events::Events;
pub use follow::{Sink, follow};
pub use list::{ListRequest, Listing, Unread, is_namespace_name, list_pods};
pub(crate) use store::shrink;
pub use store::{Mark, Store};
pub use version::ServerVersion;
pub use watch::{Changes, Event, RawObject, WatchFailure, WatchRequest, watch};
