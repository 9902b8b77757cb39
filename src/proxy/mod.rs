//! Addresses of servers, and the choice of a proxy for them, by the rules of Go's standard library.
//!
//! Kubernetes' tools are written in Go, so its rules are the ones that users' environments are made for. This module
//! opens no connection.

mod address;
mod choice;
mod variables;

pub use address::{Address, Login, split_port};
pub use choice::{Proxy, ProxyScheme};
pub use variables::{ProxyVariables, VariableError};
