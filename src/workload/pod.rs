//! A pod's spec and status, reduced to the fields that rules read.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::fields::detail;
use super::object_only::object_only;
use super::status::{self, conditions};
use super::unread::{
    DnsConfig, HostAlias, ListOf, MapOf, ReadinessGate, SchedulingGate, Toleration, Unread, Words,
};
use super::{
    Affinity, Condition, ConditionType, Container, EnvFromRef, Fields, List, Os, Resources, SecurityContext,
    SpreadConstraint, Text, Volume,
};

object_only!(PodSpec<'a>, PodStatus<'a>, StatusFields<'a>, State<'a>, Terminated<'a>, Waiting<'a>);

/// The part of a pod spec that rules read. Pods and pod templates share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a pod spec")]
pub struct PodSpec<'a> {
    /// The containers, in the order of the object.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub containers: List<Container<'a>>,
    /// The init containers, sidecars among them, in the order of the object.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub init_containers: List<Container<'a>>,
    /// Requests and limits of the pod as a whole.
    pub resources: Option<Resources>,
    /// The ephemeral containers (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub ephemeral_containers: List<Container<'a>>,
    /// The security context of the pod as a whole (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub security_context: Option<Box<SecurityContext<'a>>>,
    /// True if the pod uses the node's network (a detail).
    #[serde(default, deserialize_with = "detail")]
    pub host_network: bool,
    /// True if the pod sees the node's processes (a detail).
    #[serde(rename = "hostPID", default, deserialize_with = "detail")]
    pub host_pid: bool,
    /// True if the pod shares the node's IPC (a detail).
    #[serde(rename = "hostIPC", default, deserialize_with = "detail")]
    pub host_ipc: bool,
    /// False, written out, for a pod in a user namespace of its own (a detail).
    #[serde(default, deserialize_with = "detail")]
    pub host_users: Option<bool>,
    /// The operating system (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub os: Option<Os<'a>>,
    /// The volumes (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub volumes: List<Volume<'a>>,
    /// The account that the pod runs as (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub service_account_name: Option<Text<'a>>,
    /// The former name of `serviceAccountName` (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub service_account: Option<Text<'a>>,
    /// False if no token of the account is mounted (a detail).
    #[serde(default, deserialize_with = "detail")]
    pub automount_service_account_token: Option<bool>,
    /// The restart policy of the containers (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub restart_policy: Option<Text<'a>>,
    /// The Secrets for pulling images (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub image_pull_secrets: Vec<EnvFromRef<'a>>,
    /// The topology spread constraints (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub topology_spread_constraints: Vec<SpreadConstraint<'a>>,
    /// The affinity (a detail).
    #[serde(default, deserialize_with = "detail")]
    pub affinity: Option<Affinity>,
    #[serde(default)]
    pub(super) active_deadline_seconds: Unread<i64>,
    #[serde(default)]
    pub(super) dns_config: Unread<DnsConfig>,
    #[serde(default)]
    pub(super) dns_policy: Unread<Words>,
    #[serde(default)]
    pub(super) enable_service_links: Unread<bool>,
    #[serde(default)]
    pub(super) host_aliases: Unread<ListOf<HostAlias>>,
    #[serde(default)]
    pub(super) hostname: Unread<Words>,
    #[serde(default)]
    pub(super) node_name: Unread<Words>,
    #[serde(default)]
    pub(super) node_selector: Unread<MapOf<Words>>,
    #[serde(default)]
    pub(super) preemption_policy: Unread<Words>,
    #[serde(default)]
    pub(super) priority: Unread<i32>,
    #[serde(default)]
    pub(super) priority_class_name: Unread<Words>,
    #[serde(default)]
    pub(super) readiness_gates: Unread<ListOf<ReadinessGate>>,
    #[serde(default)]
    pub(super) runtime_class_name: Unread<Words>,
    #[serde(default)]
    pub(super) scheduler_name: Unread<Words>,
    #[serde(default)]
    pub(super) scheduling_gates: Unread<ListOf<SchedulingGate>>,
    #[serde(rename = "setHostnameAsFQDN", default)]
    pub(super) set_hostname_as_fqdn: Unread<bool>,
    #[serde(default)]
    pub(super) share_process_namespace: Unread<bool>,
    #[serde(default)]
    pub(super) subdomain: Unread<Words>,
    #[serde(default)]
    pub(super) termination_grace_period_seconds: Unread<i64>,
    #[serde(default)]
    pub(super) tolerations: Unread<ListOf<Toleration>>,
}

impl PodSpec<'_> {
    /// Returns true if the pod says that it runs on Windows.
    pub fn is_windows(&self) -> bool {
        self.os.as_ref().is_some_and(|os| &*os.name == "windows")
    }

    /// Returns true if the pod says that it runs in a user namespace of its own.
    pub fn has_user_namespace(&self) -> bool {
        self.host_users == Some(false)
    }
}

/// The part of a pod's status that rules read.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a pod status")]
pub struct PodStatus<'a> {
    /// The phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(borrow)]
    pub phase: Option<Text<'a>>,
    /// One entry for each container that was started.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub container_statuses: List<ContainerStatus<'a>>,
    /// One entry for each init container, native sidecars included.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub init_container_statuses: List<ContainerStatus<'a>>,
    /// The conditions that rules read (a detail).
    #[serde(borrow, default, deserialize_with = "conditions")]
    pub conditions: Vec<Condition<'a>>,
}

impl<'a> PodStatus<'a> {
    /// Finds a condition that is read.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition<'a>> {
        status::find(&self.conditions, type_)
    }

    /// Returns true if the pod is in a terminal phase: `Succeeded` or `Failed`.
    pub fn is_terminal(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }
}

/// The status of one container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "StatusFields<'a>")]
pub struct ContainerStatus<'a> {
    /// The container's name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The restarts since the pod was created.
    pub restart_count: u32,
    /// The time of the container's last end, if it was killed for exceeding its memory limit.
    pub oom_killed: Option<Timestamp>,
    /// The reason why the container waits, or has ended (a detail).
    pub reason: Option<Text<'a>>,
}

/// The fields of a container's status.
#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "the status of a container")]
struct StatusFields<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default, deserialize_with = "count")]
    restart_count: u32,
    #[serde(borrow)]
    state: Option<State<'a>>,
    #[serde(borrow)]
    last_state: Option<State<'a>>,
}

/// The state of a container; that of a running one has nothing to read.
#[derive(Deserialize)]
#[serde(remote = "Self", expecting = "the state of a container")]
struct State<'a> {
    #[serde(borrow)]
    terminated: Option<Terminated<'a>>,
    #[serde(borrow, default, deserialize_with = "detail")]
    waiting: Option<Waiting<'a>>,
}

/// The wait of a container.
#[derive(Deserialize)]
#[serde(remote = "Self", expecting = "why a container waits")]
struct Waiting<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

/// The end of a container.
#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "how a container ended")]
struct Terminated<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    finished_at: Option<Text<'a>>,
}

impl<'a> TryFrom<StatusFields<'a>> for ContainerStatus<'a> {
    type Error = jiff::Error;

    fn try_from(fields: StatusFields<'a>) -> Result<Self, jiff::Error> {
        let now = fields.state.as_ref().filter(|_| Fields::are_all());
        let waiting = now.and_then(|state| state.waiting.as_ref()?.reason.clone());
        let reason = waiting.or_else(|| now.and_then(|state| state.terminated.as_ref()?.reason.clone()));
        // The last end of a container that runs or waits again is in `lastState`.
        let ended =
            [fields.state, fields.last_state].into_iter().flatten().find_map(|state| state.terminated);
        let killed = ended.filter(|ended| ended.reason.as_deref() == Some("OOMKilled"));
        let oom_killed = killed.and_then(|ended| ended.finished_at).map(|at| at.parse()).transpose()?;
        Ok(Self { name: fields.name, restart_count: fields.restart_count, oom_killed, reason })
    }
}

/// Reads a list. An absent list and null are empty, as they are for the API server.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<List<T>, D::Error> {
    Ok(Option::<List<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a count. Null is zero, as it is for the API server.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct CountVisitor;

    impl Visitor<'_> for CountVisitor {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_unit<E: Error>(self) -> Result<u32, E> {
            Ok(0)
        }
    }

    deserializer.deserialize_any(CountVisitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(states: &str) -> Result<ContainerStatus<'_>, serde_json::Error> {
        serde_json::from_str(states)
    }

    #[test]
    fn the_time_of_an_oom_kill_is_read() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (states, expected) in [
            (r#"{"name":"a"}"#, None),
            (r#"{"name":"a","state":null,"lastState":{}}"#, None),
            (r#"{"name":"a","state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}},"lastState":{}}"#, None),
            (
                r#"{"name":"a","state":{"running":{}},"lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-01-02T03:04:05Z"}}}"#,
                Some(at),
            ),
            (
                r#"{"name":"a","state":{"terminated":{"finishedAt":"2026-01-02T03:04:05Z","reason":"OOMKilled"}}}"#,
                Some(at),
            ),
            (r#"{"name":"a","state":{"terminated":{"reason":"OOMKilled"}}}"#, None),
            (
                r#"{"name":"a","lastState":{"terminated":{"reason":"Error","finishedAt":"2026-01-02T03:04:05Z"}}}"#,
                None,
            ),
        ] {
            assert_eq!(read(states).unwrap().oom_killed, expected, "{states}");
        }
    }

    #[test]
    fn only_the_last_end_of_a_container_counts() {
        let text = r#"{"name":"a","restartCount":1,
            "state":{"terminated":{"reason":"Completed","finishedAt":"2026-01-02T04:00:00Z"}},
            "lastState":{"terminated":{"reason":"OOMKilled","finishedAt":"2026-01-02T03:00:00Z"}}}"#;
        let status = read(text).unwrap();
        assert_eq!((status.restart_count, status.oom_killed), (1, None));
    }

    #[test]
    fn the_time_of_any_other_end_is_not_read() {
        let killed = r#"{"name":"a","lastState":{"terminated":{"reason":"OOMKilled","finishedAt":"soon"}}}"#;
        assert!(read(killed).is_err());
        let other = r#"{"name":"a","lastState":{"terminated":{"reason":"Error","finishedAt":"soon"}}}"#;
        assert_eq!(read(other).unwrap().oom_killed, None);
        for wrong in [r#"["a"]"#, r#"{"name":"a","state":[]}"#, r#"{"name":"a","state":{"terminated":[]}}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
