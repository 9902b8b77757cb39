//! The scoring core: the evaluation of a workload, exact sums of evaluations, score, compliance, report and gates.

mod analysis;
mod annotated;
mod baseline;
mod comparison;
mod compliance;
mod costs;
mod evaluate;
mod exemptions;
mod fleet;
mod fleet_status;
mod gate;
mod impact;
mod new_findings;
mod other_sums;
mod report;
mod scope;
mod score;
mod segment;
mod selector;
mod tally;
mod violations;
mod workload_sums;

pub use analysis::Analysis;
pub use annotated::{AnnotatedExemptions, Declared};
pub use baseline::{
    BASELINE_API_VERSION, BASELINE_KIND, Baseline, BaselineError, Identity, KnownFinding, NewFindings,
    identities,
};
pub use comparison::{ChangedFinding, ComparedFigures, ComparedReport, Comparison, ComparisonError};
pub use compliance::{Compliance, Percent, PercentError};
pub use evaluate::{
    Evaluation, breaches, evaluate, evaluate_custom, evaluate_for_admission, evaluate_workload,
};
pub use exemptions::{ExemptFindings, Exemption, ExemptionPlace, Exemptions};
pub use fleet::{ClusterFigures, ClusterNamespace, ClusterReport, ClusterResult, FleetReport, FleetSummary};
pub use fleet_status::{ClusterPolicy, ClusterStatus, FleetStatus, FleetStatusSummary, PolicyFigures};
pub use gate::{Breach, Gap, GateResult, Only, Thresholds};
pub use impact::{Impact, ImpactPolicies, NamespaceImpact, WorkloadImpact};
pub use new_findings::compare;
pub use report::{
    NamespaceReport, RawFigures, Report, ReportError, ReportSummary, RuleCost, RuleFindings, Skipped,
    UnevaluatedKind,
};
pub use scope::Scope;
pub use score::{Classification, Score};
pub use selector::{Selector, SelectorError, parse_selector};
pub use tally::Tally;
pub use violations::{Origin, ReportedViolation, SourceLine, ViolationList, ViolationRow};
pub use workload_sums::{Offender, Workloads};
