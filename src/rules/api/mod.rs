//! Rules about the API: what the API server refuses, or will.

use super::Rule;

mod deprecated_api;
mod deprecated_field;
mod identifiers;
mod invalid_identifier;
mod invalid_restart_policy;
mod lifecycle;
mod mismatched_selector;
mod missing_required_label;

pub(super) static RULES: &[&Rule] = &[
    &deprecated_api::RULE,
    &deprecated_field::RULE,
    &invalid_identifier::RULE,
    &invalid_restart_policy::RULE,
    &mismatched_selector::RULE,
    &missing_required_label::RULE,
];
