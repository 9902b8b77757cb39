//! Flags that commands share, one group a file.

mod access;
mod admission;
mod audit;
mod boolean;
mod budget;
mod bundle;
mod connect;
mod duration;
mod installation;
mod label;
mod lease;
mod log;
mod login;
mod namespace;
mod scope;
mod selector;
mod tls;

pub(super) use access::AccessArgs;
pub(super) use admission::AdmissionMode;
pub(super) use audit::AuditArgs;
pub(super) use budget::BudgetArgs;
pub(super) use bundle::{bundle, bundle_at, bundles, is_bundle_path};
pub(super) use connect::ConnectArgs;
pub(super) use duration::duration;
pub(super) use installation::InstallationArgs;
pub(super) use label::{label_key, label_value};
pub(super) use lease::LeaseArgs;
pub(super) use log::LogArgs;
pub(super) use namespace::{NamespaceArgs, NamespacesArgs, SystemNamespaceArgs, namespace};
pub(super) use scope::ScopeArgs;
pub(super) use selector::SelectorArgs;
