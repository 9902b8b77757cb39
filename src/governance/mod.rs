//! The scoring core: the judgement of a workload, exact sums of judgements, score, compliance, report and gates.

mod analysis;
mod compliance;
mod costs;
mod evaluate;
mod gate;
mod report;
mod scope;
mod score;
mod segment;
mod selector;
mod tally;
mod violations;
mod workload_sums;

pub use analysis::Analysis;
pub use compliance::{Compliance, Percent, PercentError};
pub use evaluate::{Judgement, evaluate};
pub use gate::{Breach, Gap, GateResult, Thresholds};
pub use report::{
    NamespaceReport, Report, ReportError, ReportSummary, RuleCost, RuleFindings, Skipped, UnjudgedKind,
};
pub use scope::Scope;
pub use score::{Classification, Score};
pub use selector::{Selector, SelectorError, parse_selector};
pub use tally::Tally;
pub use violations::{Origin, ReportedViolation, SourceLine, ViolationList, ViolationRow};
pub use workload_sums::{Offender, Workloads};
