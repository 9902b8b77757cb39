//! Rules about resources: requests, limits and use.

use super::Rule;

pub(super) mod missing_resources;
mod usage_near_limit;

pub(super) static RULES: &[&Rule] = &[&missing_resources::RULE, &usage_near_limit::RULE];
