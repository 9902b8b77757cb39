//! `kube-devops reconcile` as a process of its own, with no more rights than it asks for.

mod audit;
mod faults;
mod kills;
mod life;
mod release;
mod sample;
mod scale;
mod status;
pub(crate) mod world;
