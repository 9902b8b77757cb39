//! Keeps a `Report` of OpenReports for each policy: writes it when its content changes or when it is gone.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{ApiResource, ObjectMeta, PatchParams};
use kube::core::GroupVersionKind;
use serde::Deserialize;
use serde_json::json;
use tracing::{info, warn};

use super::audit::POLICY_UID;
use super::cluster_evaluations::CLUSTER;
use super::known_reports::{MANAGER, NextWrite, SeenReport};
use super::open_report::{CLUSTER_REPORT, Draft, FirstFound, REPORT, identity};
use super::{EvaluationOutcome, Operator, ReconcileError};
use crate::cluster::{ListMark, RawObject, Sink, WatchFailure, WatchRequest, WatchSelector};
use crate::policies::StatusError;
use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy};

/// Writes the report of a policy if it is not up to date, and returns the time at which a write is due. A report that
/// another client changed or deleted is restored, with growing pauses.
///
/// It writes nothing before the existing reports are listed, nor while the API server has no such resource.
pub(super) async fn keep_report(
    operator: &Operator,
    compiled: &CompiledPolicy,
    outcome: &EvaluationOutcome,
) -> Result<Option<Timestamp>, ReconcileError> {
    if operator.reports().is_none() {
        return Ok(None);
    }
    let Some(draft) = Draft::new(compiled, outcome) else { return Ok(None) };
    let policy = &*compiled.policy;
    let (uid, namespace) = (policy.uid().unwrap_or_default(), policy.namespace().unwrap_or_default());
    let now = operator.now();
    let next = operator.reports().and_then(|known| known.next_write(&uid, &draft, &namespace));
    let Some(next) = next.filter(|next| next.at <= now) else { return Ok(next.map(|next| next.at)) };
    let failed = |source| ReconcileError::Write { action: "write the Report", source };
    let before = operator.cluster.get_namespaced(&identity(policy)).await.map_err(failed)?;
    if let (Some(report), Some(mut known)) = (&before, operator.reports()) {
        known.see(&uid, &namespace, SeenReport::of(&report.metadata));
        if known.next_write(&uid, &draft, &namespace).is_none() {
            return Ok(None);
        }
    }
    if before.is_none()
        && !namespace.is_empty()
        && operator.cluster.is_terminating(&namespace).await.map_err(StatusError::Namespace)?
    {
        return Err(StatusError::NamespaceGoing.into());
    }
    let first_found = before.map(|report| FirstFound::of(&report.data)).unwrap_or_default();
    let report = json!(draft.finish(&first_found, now));
    match operator.cluster.apply_namespaced(&report, &PatchParams::apply(MANAGER).force()).await {
        Ok(written) => {
            operator.metrics.reports.inc();
            let write = NextWrite { at: now, ..next };
            if let Some(mut known) = operator.reports() {
                known.note_write(&uid, &namespace, write, SeenReport::of(&written.metadata));
            }
            if write.is_restoration {
                let report = written.name_any();
                warn!(namespace, report, "another client changed or deleted the Report; it is restored");
            }
            Ok(None)
        }
        // The CRD is gone. The watch finds the same, and wakes the policies when the CRD is back.
        Err(error) if error.code() == Some(404) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Deletes the report of a cluster policy in a namespace, or the one on objects without a namespace.
pub(super) async fn delete_report(
    operator: &Operator,
    policy: &ClusterDevOpsPolicy,
    namespace: &str,
) -> Result<(), ReconcileError> {
    let failed = |source| ReconcileError::Write { action: "delete a Report", source };
    let identity = identity(&policy.within(Some(namespace).filter(|namespace| !namespace.is_empty())));
    if let Some(report) = operator.cluster.get_namespaced(&identity).await.map_err(failed)? {
        match operator.cluster.delete_namespaced(&identity, &report, false).await {
            Err(error) if !matches!(error.code(), Some(404 | 409)) => return Err(failed(error)),
            _ => {}
        }
    }
    if let Some(mut known) = operator.reports() {
        known.remove(&policy.uid().unwrap_or_default(), namespace);
    }
    Ok(())
}

/// Returns the request for the metadata of our reports: those of a namespace or of all, or of [`CLUSTER`].
pub(super) fn request(within: Option<String>) -> WatchRequest {
    let kind = kind(within.as_deref());
    WatchRequest {
        resource: ApiResource::from_gvk(&GroupVersionKind::gvk("openreports.io", "v1alpha1", kind)),
        namespace: within.filter(|namespace| namespace != CLUSTER),
        selector: Some(WatchSelector::Labels(POLICY_UID.to_owned())),
        metadata_only: true,
    }
}

/// Returns the kind of the reports that a watch follows.
fn kind(within: Option<&str>) -> &'static str {
    if within == Some(CLUSTER) { CLUSTER_REPORT } else { REPORT }
}

/// Takes the metadata of our reports from a watch.
pub(super) struct ReportSink<'o> {
    operator: &'o Operator,
    /// The namespace that is followed; `None` for all of them, and [`CLUSTER`] for reports without one.
    within: Option<String>,
    mark: ListMark,
    is_missing: bool,
}

impl<'o> ReportSink<'o> {
    pub(super) fn new(operator: &'o Operator, within: Option<String>) -> Self {
        Self { operator, within, mark: ListMark::default(), is_missing: false }
    }
}

impl Sink for ReportSink<'_> {
    fn begin_list(&mut self) {
        if let Some(mut known) = self.operator.reports() {
            self.mark = known.begin_list();
        }
    }

    fn apply(&mut self, report: &RawObject) -> Result<(), String> {
        let (uid, metadata) = read(report)?;
        let seen = SeenReport::of(&metadata);
        let is_edited =
            self.operator.reports().is_some_and(|mut known| known.see(&uid, report.namespace(), seen));
        if is_edited {
            self.operator.wake_policies(report.namespace());
        }
        self.operator.wake_owner_elsewhere(&metadata);
        Ok(())
    }

    fn delete(&mut self, report: &RawObject) {
        if let (Ok((uid, _)), Some(mut known)) = (read(report), self.operator.reports()) {
            known.note_deletion(&uid, report.namespace(), self.operator.now());
        }
        self.operator.wake_policies(report.namespace());
    }

    fn end_list(&mut self) {
        if let Some(mut known) = self.operator.reports() {
            known.end_list(self.mark, self.within.as_deref());
        }
        if std::mem::take(&mut self.is_missing) {
            let kind = kind(self.within.as_deref());
            info!("the API server has the {kind}s of OpenReports; they are kept from now on");
        }
        self.operator.wake_policies(CLUSTER);
        for policy in self.operator.policies.all() {
            self.operator.wake_policies(&policy.policy.namespace().unwrap_or_default());
        }
    }

    fn explains(&self, failure: &WatchFailure) -> bool {
        failure.error.code() == Some(404)
    }

    fn interrupted(&mut self, failure: &WatchFailure) {
        if !self.explains(failure) {
            return;
        }
        if let Some(mut known) = self.operator.reports() {
            known.miss(self.within.as_deref());
        }
        if !std::mem::replace(&mut self.is_missing, true) {
            let kind = kind(self.within.as_deref());
            warn!(
                "--reports openreports: the API server has no {kind}s (openreports.io/v1alpha1): install the CRDs of \
                 OpenReports; none are kept until then"
            );
        }
    }
}

/// Reads the uid of a report's policy, and the metadata.
fn read(report: &RawObject) -> Result<(String, ObjectMeta), String> {
    #[derive(Deserialize)]
    struct Head {
        metadata: ObjectMeta,
    }
    let Head { metadata } = serde_json::from_str(report.json()).map_err(|error| error.to_string())?;
    let uid = metadata.labels.as_ref().and_then(|labels| labels.get(POLICY_UID)).cloned();
    Ok((uid.unwrap_or_default(), metadata))
}
