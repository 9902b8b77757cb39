//! `kube-devops reconcile` as a process of its own, with no more rights than it asks for.

mod life;
mod process;
mod world;
