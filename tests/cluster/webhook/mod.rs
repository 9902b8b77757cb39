//! The real API server calls `kube-devops webhook serve` over TLS.

mod life;
mod load;
mod scene;
mod verdicts;

pub(crate) use scene::Scene;
