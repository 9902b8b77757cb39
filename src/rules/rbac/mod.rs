//! Rules about accounts: nobody may do more than needed.

use super::Rule;

pub(super) static RULES: &[&Rule] = &[];
