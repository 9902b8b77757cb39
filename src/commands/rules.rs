//! `kube-devops rules`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::ExitStatus;
use crate::output::{Cell, table};
use crate::rules::{Category, RULES};
use crate::terminal::to_stdout;

/// List the rules by category, with their severity, the smallest set of --rules that has them, and their fix
///
/// A fix is by enforcement (a policy changes live workloads), in the manifest (one change always helps), or none.
/// `kube-devops explain` says which change it is.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Args {
    /// List only the rules of this category
    #[arg(value_parser = categories().try_map(|name| category(&name)))]
    category: Option<Category>,
}

/// Lists the categories, so that errors, help and completions name them.
fn categories() -> PossibleValuesParser {
    PossibleValuesParser::new(Category::ALL.map(Category::as_str))
}

fn category(name: &str) -> Result<Category, &'static str> {
    Category::ALL.into_iter().find(|category| category.as_str() == name).ok_or("there is no such category")
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let categories =
        Category::ALL.into_iter().filter(|category| args.category.is_none_or(|one| one == *category));
    let rules = categories.flat_map(|category| RULES.iter().filter(move |rule| rule.category == category));
    let rows = rules.map(|rule| {
        [
            Cell::from(rule.category.as_str()),
            rule.id.as_str().into(),
            Cell::severity(rule.severity),
            rule.points().to_string().into(),
            rule.set().into(),
            rule.remedy().as_str().into(),
            rule.summary.into(),
        ]
    });
    let header = ["CATEGORY", "RULE", "SEVERITY", "WEIGHT", "SET", "FIX", "SUMMARY"];
    to_stdout(|out| table(header, rows, out))?;
    Ok(ExitStatus::Clean)
}
