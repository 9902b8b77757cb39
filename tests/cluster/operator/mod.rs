//! `kube-devops reconcile` as a process of its own, with no more rights than it asks for.

mod audit;
mod life;
mod process;
mod release;
mod status;
mod world;
