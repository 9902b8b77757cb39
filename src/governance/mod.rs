//! The scoring core: one judgement of one workload, exact sums of judgements, a score, a report.

mod analysis;
mod evaluate;
mod report;
mod scope;
mod score;
mod segment;
mod selector;
mod tally;
mod violations;

pub use analysis::Analysis;
pub use evaluate::{Judgement, evaluate};
pub use report::{
    NamespaceReport, Offender, Report, ReportError, ReportSummary, ReportedViolation, RuleCost, Skipped,
};
pub use scope::Scope;
pub use score::{Classification, Score};
pub use selector::{Selector, SelectorError, parse_selector};
pub use tally::Tally;
pub use violations::{Origin, SourceLine, ViolationList, ViolationRow};
