//! The generated files of the Helm chart: everything except placement and replica counts.
//!
//! The CRDs, the rules of roles, the admission policies, the alerts and the dashboards come from the same model as
//! `deploy` and `observability`. The other templates are written by hand in `deploy/helm/kube-devops`. A test with
//! real Helm compares both with the model.

mod files;
mod readme;
mod template;

pub use files::{ChartError, files};
pub use readme::{ReadmeError, readme};
