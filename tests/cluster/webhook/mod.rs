//! The real API server calls `kube-devops webhook serve` over TLS.

mod beside_native;
mod fixture;
mod life;
mod load;
mod mutate;
mod registration;
mod verdicts;

pub(crate) use fixture::WebhookFixture;
