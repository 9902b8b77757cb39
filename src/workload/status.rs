//! The conditions of objects, and the status of workloads beside their pods.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::fields::nullable;
use super::object_only::object_only;
use super::{Fields, Text};

object_only!(ConditionFields<'a>, WorkloadStatus<'a>);

/// The types of conditions that rules read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionType {
    /// All containers of a pod are ready.
    Ready,
    /// A pod has a node.
    PodScheduled,
    /// A Deployment makes progress.
    Progressing,
    /// Pods of a Deployment or `ReplicaSet` can't be created.
    ReplicaFailure,
    /// A Job has failed for good.
    Failed,
}

impl ConditionType {
    fn find(name: &str) -> Option<Self> {
        Some(match name {
            "Ready" => Self::Ready,
            "PodScheduled" => Self::PodScheduled,
            "Progressing" => Self::Progressing,
            "ReplicaFailure" => Self::ReplicaFailure,
            "Failed" => Self::Failed,
            _ => return None,
        })
    }

    /// Returns true if the condition of a pod names its reason. Those of workloads do.
    fn has_reason(self) -> bool {
        !matches!(self, Self::Ready | Self::PodScheduled)
    }
}

/// A condition of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition<'a> {
    /// The type.
    pub type_: ConditionType,
    /// True or false; `None` if the status is unknown.
    pub status: Option<bool>,
    /// The time at which the status changed last.
    pub since: Option<Timestamp>,
    /// The reason. That of a pod's condition is not kept.
    pub reason: Option<Text<'a>>,
}

/// Finds a condition by its type.
pub(super) fn find<'c, 'a>(
    conditions: &'c [Condition<'a>],
    type_: ConditionType,
) -> Option<&'c Condition<'a>> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a condition")]
struct ConditionFields<'a> {
    #[serde(borrow, rename = "type", default, deserialize_with = "nullable")]
    type_: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Text<'a>,
    last_transition_time: Option<Timestamp>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// Reads the conditions that rules read (a detail).
pub(super) fn conditions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Condition<'de>>, D::Error> {
    if !Fields::are_all() {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        return Ok(Vec::new());
    }
    let all = Option::<Vec<ConditionFields<'de>>>::deserialize(deserializer)?.unwrap_or_default();
    let known = all.into_iter().filter_map(|fields| {
        let type_ = ConditionType::find(&fields.type_)?;
        let status = match &*fields.status {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        let reason = fields.reason.filter(|_| type_.has_reason());
        Some(Condition { type_, status, since: fields.last_transition_time, reason })
    });
    Ok(known.collect())
}

/// The status of a Deployment, a `ReplicaSet`, a Job or a `CronJob`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a status")]
pub struct WorkloadStatus<'a> {
    /// The conditions.
    #[serde(borrow, default, deserialize_with = "conditions")]
    pub conditions: Vec<Condition<'a>>,
    /// The generation of the spec that the status is about.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// True if a Job of a `CronJob` is running.
    #[serde(rename = "active", default, deserialize_with = "has_items")]
    pub has_active_jobs: bool,
    /// The time for which a `CronJob` made its last Job.
    #[serde(default)]
    pub last_schedule_time: Option<Timestamp>,
    /// The time at which a Job of a `CronJob` last succeeded.
    #[serde(default)]
    pub last_successful_time: Option<Timestamp>,
}

impl<'a> WorkloadStatus<'a> {
    /// Returns a condition that is true.
    pub fn if_true(&self, type_: ConditionType) -> Option<&Condition<'a>> {
        find(&self.conditions, type_).filter(|condition| condition.status == Some(true))
    }

    /// Returns a condition that is false.
    pub fn if_false(&self, type_: ConditionType) -> Option<&Condition<'a>> {
        find(&self.conditions, type_).filter(|condition| condition.status == Some(false))
    }
}

/// Reads a list as true if it has an item. A Job has a number in this place.
fn has_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_array().is_some_and(|items| !items.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_conditions_that_rules_read_are_kept() {
        let json = r#"{"conditions": [
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady",
             "lastTransitionTime": "2026-01-02T03:04:05Z"},
            {"type": "Progressing", "status": "Unknown", "reason": "Paused", "lastTransitionTime": null}],
            "active": 2}"#;
        let read = || serde_json::from_str::<WorkloadStatus<'_>>(json).unwrap();
        let status = Fields::All.within(read);
        assert_eq!(status.conditions.len(), 2);
        let ready = status.if_false(ConditionType::Ready).unwrap();
        assert_eq!((ready.since, &ready.reason), ("2026-01-02T03:04:05Z".parse().ok(), &None));
        let progressing = find(&status.conditions, ConditionType::Progressing).unwrap();
        assert_eq!((progressing.status, progressing.reason.as_deref()), (None, Some("Paused")));
        assert!(!status.has_active_jobs && status.if_true(ConditionType::Progressing).is_none());
        assert!(read().conditions.is_empty(), "the default rules need none");
    }

    #[test]
    fn a_cron_job_lists_its_running_jobs() {
        let active = |json: &str| serde_json::from_str::<WorkloadStatus<'_>>(json).unwrap().has_active_jobs;
        assert!(active(r#"{"active": [{"name": "a"}]}"#));
        assert!(!active(r#"{"active": []}"#) && !active(r#"{"active": null}"#) && !active("{}"));
    }
}
