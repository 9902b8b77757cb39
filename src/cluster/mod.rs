//! A live cluster: connections, paged lists, watches, access reviews and installation.
//!
//! Every failure is reported with its fix. A failure never counts as an empty answer.

mod access;
mod api_requests;
mod apply;
mod call;
mod category;
mod connect;
mod events;
mod follow;
mod helm_release;
mod lease_holders;
mod list;
mod list_objects;
mod namespace;
mod namespaced;
mod pace;
mod paging;
mod permitted;
mod profiles;
mod remove;
mod request_log;
mod retry;
#[cfg(test)]
mod scripted;
mod stop;
mod store;
mod table;
mod version;
mod watch;

pub use access::{Access, AccessDecision};
pub use api_requests::ApiRequests;
pub use apply::{Applied, EstablishError};
pub use call::CallError;
pub use category::category;
pub use connect::{
    AccessProviders, Cluster, ConnectError, ConnectOptions, KubeContext, Overrides, Place, ProfileAccess,
    ProviderFileError, SharedPlugins, connect, contexts,
};
pub use events::Events;
pub use follow::{Sink, follow};
pub use helm_release::HelmRelease;
pub use lease_holders::LeaseHolder;
pub use list::{ListFailure, ListRequest, Listing, is_namespace_name, list_pods};
pub use list_objects::{ObjectList, list_metadata, list_objects};
pub use namespace::poll_namespaces;
pub use paging::Paging;
pub use permitted::wait_until_permitted;
pub use profiles::ClusterProfile;
pub use remove::Removal;
pub use retry::retry_on_conflict;
pub use stop::StopError;
pub(crate) use store::shrink;
pub use store::{ListMark, Store};
pub use table::{Table, TableRow, table};
pub use version::ServerVersion;
pub use watch::{Changes, Event, RawObject, WatchFailure, WatchRequest, WatchSelector, watch};
