//! Incidents: a node, DNS, a database or the network fails, and many workloads show the same trouble. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::trouble::{Trouble, TroubleKind};
use crate::workload::WorkloadRef;

/// The maximum number of workloads with the same trouble that is not yet an incident.
const MOST: usize = 3;
/// The least time for which a trial is watched. A server that exits shows its trouble at the second restart, and the
/// kubelet waits 10 s before it.
const LEAST_TRIAL: SignedDuration = SignedDuration::from_secs(60);
/// The time after which a trial without a result is replaced by another.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// The first withdrawal of an incident, which shows if others would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's kind.
    pub kind: String,
    /// The workload's name.
    pub name: String,
    /// The time of the withdrawal.
    pub time: Timestamp,
    /// The sort of its trouble.
    pub trouble: TroubleKind,
    /// The start of its trouble.
    pub since: Timestamp,
    /// The ports of the withdrawn probes that failed. Without the probes, the kubelet calls every pod ready.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
    /// True once its pods were seen to have recovered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub helped: bool,
}

/// The response to harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// The trouble concerns this workload only, so its fields are withdrawn.
    Withdraw,
    /// It is an incident, and this withdrawal is the trial.
    Try,
    /// It is an incident whose trial had its time and shows no trouble: if its pods have recovered, others follow.
    Ask,
    /// It is an incident in which the trial helped, so its fields are withdrawn.
    Follow,
    /// It is an incident, and no more fields are withdrawn now.
    Hold,
}

impl Trial {
    /// Creates the trial of a workload in trouble, in whole seconds.
    pub fn new(trouble: &Trouble, ports: BTreeSet<u16>, now: Timestamp) -> Self {
        let workload = &trouble.workload;
        Self {
            namespace: workload.namespace.clone(),
            kind: workload.kind.clone().into_owned(),
            name: workload.name.clone(),
            time: Timestamp::from_second(now.as_second()).unwrap_or(now),
            trouble: trouble.kind,
            since: trouble.since,
            ports,
            helped: false,
        }
    }

    fn is_of(&self, workload: &WorkloadRef) -> bool {
        let own = (self.namespace.as_str(), self.kind.as_str(), self.name.as_str());
        own == (workload.namespace.as_str(), &*workload.kind, workload.name.as_str())
    }
}

/// Decides the response to the harm of a suspect, from the trouble of all workloads of the cluster.
///
/// The same trouble of many workloads within `verify` is one incident. A trial must help within that time, or within a
/// minute if that is longer. The trial of an incident bears on no workload whose trouble is its own.
pub fn course(
    suspect: &Trouble,
    all: &[Trouble],
    verify: SignedDuration,
    trial: Option<&Trial>,
    now: Timestamp,
) -> Course {
    let alike = all.iter().filter(|other| {
        other.kind == suspect.kind
            && other.workload != suspect.workload
            && other.since.duration_since(suspect.since).abs() <= verify
    });
    let (mut patched, mut others) = (BTreeSet::from([&suspect.workload]), false);
    for other in alike {
        if other.patched {
            patched.insert(&other.workload);
        } else {
            others = true;
        }
    }
    let is_incident = others || patched.len() > MOST;
    let is_in_trouble = |trial: &Trial| all.iter().any(|trouble| trial.is_of(&trouble.workload));
    let trial = trial.filter(|trial| {
        let began_before = suspect.since <= trial.time;
        // After withdrawals fewer workloads have trouble, but it is still the same incident.
        let began_with_it =
            suspect.kind == trial.trouble && trial.since.duration_since(suspect.since) <= verify;
        let is_same = (is_incident || began_with_it) && began_before || is_incident && is_in_trouble(trial);
        is_same && now.duration_since(trial.time) <= FORGOTTEN
    });
    match trial {
        None if is_incident => Course::Try,
        None => Course::Withdraw,
        Some(trial) if trial.is_of(&suspect.workload) => Course::Follow,
        Some(trial) if now.duration_since(trial.time) < verify.max(LEAST_TRIAL) || is_in_trouble(trial) => {
            Course::Hold
        }
        Some(trial) if trial.helped => Course::Follow,
        Some(_) => Course::Ask,
    }
}
