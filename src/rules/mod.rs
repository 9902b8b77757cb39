//! The rules, one a file, and the registry from which everything else is generated.
//!
//! A rule is plain data with function pointers, in the folder of its category. To add one, write its file, and name it
//! in the `mod.rs` of its folder. Reports, `rules`, `explain`, policies, metrics and docs read it from [`RULES`].

mod api;
mod catalogue;
mod check;
mod container_place;
mod custom;
mod efficiency;
mod finding;
mod fix;
mod images;
mod networking;
mod parameter;
mod rbac;
mod relation;
mod reliability;
mod rule;
mod rule_id;
mod security;
mod severity;

pub use catalogue::{RULES, find, fix_of, of_peer};
pub use check::{Check, Context, ObjectContext, TypeContext};
pub use container_place::{ContainerList, ContainerPlace};
pub use custom::{at, custom, known, place};
pub use efficiency::missing_resources::{RULE as MISSING_RESOURCES, lacking, lacking_message};
pub use finding::{Finding, Violation, ViolationRef, Violations};
pub use fix::{Defaults, Fix, FixInput, FixOutcome, PartialContainer, ProbeDefaults, ResourceDefaults};
pub use images::latest_tag::RULE as LATEST_TAG;
pub use parameter::{Parameter, Parameters, Value};
pub use relation::{Findings, Relations};
pub use reliability::high_restarts::RULE as HIGH_RESTARTS;
pub use reliability::missing_liveness::RULE as MISSING_LIVENESS;
pub use reliability::missing_readiness::RULE as MISSING_READINESS;
pub use reliability::pending::RULE as PENDING;
pub use rule::{Category, Remedy, Rule};
pub use rule_id::RuleId;
pub use severity::{Severity, UnknownSeverity};

#[cfg(test)]
mod tests;
