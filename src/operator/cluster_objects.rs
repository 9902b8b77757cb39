//! Evaluates the objects without a namespace under a cluster policy.

use std::collections::BTreeSet;

use super::cluster_evaluations::{CLUSTER, EvaluatedNamespace};
use super::{NamespaceEvaluation, Operator, evaluate_cluster_objects};
use crate::policies::ClusterPolicy;
use crate::policy::{ClusterObjectViolation, ClusterObjects};

/// The most violations in a status.
const WORST: usize = 10;
/// The longest message in a status, in characters.
const MESSAGE: usize = 512;

/// Returns the namespaces of a cluster policy. [`CLUSTER`] is among them if a rule looks at objects without one.
pub(super) fn evaluated_places(policy: &ClusterPolicy) -> BTreeSet<String> {
    let mut places = policy.namespaces.clone();
    if policy.compiled.effective.as_ref().is_ok_and(|rules| rules.about_cluster().is_some()) {
        places.insert(CLUSTER.to_owned());
    }
    places
}

/// Evaluates the objects without a namespace, and keeps the figures. Returns nothing while the objects are not read.
pub(super) fn evaluate(operator: &Operator, policy: &ClusterPolicy) -> Option<NamespaceEvaluation> {
    let key = policy.policy.reference();
    let rules = policy.compiled.effective.as_ref().ok()?.about_cluster()?;
    operator.cluster_evaluations().begin(&key, CLUSTER);
    let evaluation = {
        let inventory = operator.inventory();
        let is_awaited = inventory.related.is_awaited(rules.reads(), CLUSTER);
        (!is_awaited).then(|| evaluate_cluster_objects(&rules, &inventory, operator.now()))
    };
    match &evaluation {
        Some(evaluation) => {
            let found = EvaluatedNamespace::of_cluster(evaluation, figures(evaluation));
            operator.cluster_evaluations().set(&key, CLUSTER, found);
        }
        None => operator.cluster_evaluations().drop_namespace(&key, CLUSTER),
    }
    evaluation
}

/// Returns the figures of the objects. An evaluation has its violations in order, the worst first.
fn figures(evaluation: &NamespaceEvaluation) -> ClusterObjects {
    let worst = evaluation.violations.iter().take(WORST).map(|violation| ClusterObjectViolation {
        kind: violation.kind.clone(),
        name: violation.name.clone(),
        rule: violation.rule.to_string(),
        severity: violation.severity,
        message: violation.message.chars().take(MESSAGE).collect(),
    });
    ClusterObjects { violations: evaluation.violations.len() as u64, worst: worst.collect() }
}
