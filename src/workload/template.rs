//! The specs around a pod template.

use serde::Deserialize;

use super::fields::detail;
use super::label_selector::SpecSelector;
use super::metadata::annotations;
use super::object_only::object_only;
use super::supplied::Trigger;
use super::unread::{Unread, Words};
use super::{Labels, OwnerReference, PodSpec, Present, Strategy, Text};

object_only!(TemplateSpec<'a>, PodTemplate<'a>, TemplateMetadata<'a>, CronJobSpec<'a>, JobTemplate<'a>);

/// The spec of a workload with a pod template.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a spec with a pod template")]
pub(super) struct TemplateSpec<'a> {
    #[serde(borrow)]
    pub(super) template: Option<PodTemplate<'a>>,
    #[serde(borrow)]
    pub(super) selector: Option<SpecSelector<'a>>,
    #[serde(borrow, alias = "updateStrategy", default, deserialize_with = "detail")]
    pub(super) strategy: Option<Strategy<'a>>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) replicas: Option<i64>,
    #[serde(borrow, default, deserialize_with = "detail")]
    pub(super) service_name: Text<'a>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) ttl_seconds_after_finished: Option<i64>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) manual_selector: bool,
    #[serde(default, deserialize_with = "detail")]
    pub(super) volume_claim_templates: Vec<Present>,
    #[serde(borrow)]
    pub(super) triggers: Option<Vec<Trigger<'a>>>,
    #[serde(borrow)]
    pub(super) workload_ref: Option<OwnerReference<'a>>,
    #[serde(default)]
    pub(super) min_ready_seconds: Unread<i64>,
    #[serde(default)]
    pub(super) revision_history_limit: Unread<i64>,
    #[serde(default)]
    pub(super) progress_deadline_seconds: Unread<i64>,
    #[serde(default)]
    pub(super) paused: Unread<bool>,
    #[serde(default)]
    pub(super) parallelism: Unread<i64>,
    #[serde(default)]
    pub(super) completions: Unread<i64>,
    #[serde(default)]
    pub(super) backoff_limit: Unread<i64>,
    #[serde(default)]
    pub(super) active_deadline_seconds: Unread<i64>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) suspend: bool,
}

/// A pod template.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "a pod template")]
pub(super) struct PodTemplate<'a> {
    #[serde(borrow)]
    pub(super) metadata: Option<TemplateMetadata<'a>>,
    #[serde(borrow)]
    pub(super) spec: Option<PodSpec<'a>>,
}

/// The metadata of a pod template.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "metadata")]
pub(super) struct TemplateMetadata<'a> {
    #[serde(borrow)]
    pub(super) labels: Option<Labels<'a>>,
    #[serde(borrow, default, deserialize_with = "annotations")]
    pub(super) annotations: Option<Labels<'a>>,
}

/// The spec of a `CronJob`.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "the spec of a CronJob")]
pub(super) struct CronJobSpec<'a> {
    #[serde(borrow)]
    pub(super) job_template: Option<JobTemplate<'a>>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) starting_deadline_seconds: Option<i64>,
    #[serde(default)]
    pub(super) schedule: Unread<Words>,
    #[serde(default)]
    pub(super) time_zone: Unread<Words>,
    #[serde(default)]
    pub(super) concurrency_policy: Unread<Words>,
    #[serde(default, deserialize_with = "detail")]
    pub(super) suspend: bool,
    #[serde(default)]
    pub(super) successful_jobs_history_limit: Unread<i64>,
    #[serde(default)]
    pub(super) failed_jobs_history_limit: Unread<i64>,
}

/// The template of a Job.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "a Job template")]
pub(super) struct JobTemplate<'a> {
    #[serde(borrow)]
    pub(super) spec: Option<TemplateSpec<'a>>,
}
