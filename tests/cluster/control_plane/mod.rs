//! A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager, without nodes.
//!
//! It listens on 127.0.0.1 only, keeps all its state in one directory and ends with the test process.

mod audit;
mod etcd;
mod faults;
mod flags;
mod layout;
mod plane;
mod server;

pub(crate) use crate::kubeconfig::{client_of, config_of};
pub(crate) use crate::restricted::Reach;
pub(crate) use audit::{AuditEvent, Mark};
pub(crate) use etcd::Etcd;
pub(crate) use layout::free_port;
pub(crate) use plane::ControlPlane;
pub(crate) use server::Server;
