//! Rules about traffic: it arrives where it should, and nowhere else.

use super::Rule;

pub(super) static RULES: &[&Rule] = &[];
