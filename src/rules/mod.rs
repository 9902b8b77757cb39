//! The rules, one a file, and the registry from which everything else is generated.
//!
//! A rule is plain data with function pointers. To add one, write its file and its line in [`RULES`]: reports,
//! `explain`, policies and metrics read it from there.

mod fix;
mod high_restarts;
mod latest_tag;
mod missing_liveness;
mod missing_readiness;
mod missing_resources;
mod pending;
mod rule;

pub use fix::{Broken, Defaults, Fix, Mend, PartialContainer, ProbeDefaults, ResourceDefaults};
pub use high_restarts::HIGH_RESTARTS;
pub use latest_tag::LATEST_TAG;
pub use missing_liveness::MISSING_LIVENESS;
pub use missing_readiness::MISSING_READINESS;
pub use missing_resources::MISSING_RESOURCES;
pub use pending::PENDING;
pub use rule::{
    Category, Context, Finding, Parameter, Rule, RuleId, Severity, UnknownSeverity, Value, Violation,
    Violations,
};

/// Every rule, sorted by id.
pub static RULES: [&Rule; 6] =
    [&HIGH_RESTARTS, &LATEST_TAG, &MISSING_LIVENESS, &MISSING_READINESS, &MISSING_RESOURCES, &PENDING];

/// Finds a rule by its id.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id.as_str() == id)
}

/// Returns the fix of a rule; `None` for a rule without one.
pub fn fix_of(id: RuleId) -> Option<&'static Fix> {
    find(id.as_str())?.fix.as_ref()
}

#[cfg(test)]
mod tests;
