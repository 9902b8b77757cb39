//! The flag that chooses pods by their labels.

use anyhow::Context as _;

use crate::governance::{Selector, parse_selector};

/// A label selector.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct SelectorArgs {
    /// Only pods with these labels, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

impl SelectorArgs {
    /// Parses the selector.
    pub(in crate::commands) fn parsed(&self) -> anyhow::Result<Option<Selector>> {
        self.selector.as_deref().map(parse_selector).transpose().context("--selector")
    }

    /// Returns the selector as text for the API server; `None` if it selects everything.
    pub(in crate::commands) fn text(&self) -> Option<String> {
        self.selector.clone().filter(|selector| !selector.trim().is_empty())
    }
}
