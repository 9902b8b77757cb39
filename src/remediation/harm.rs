//! Harm after a verified patch: evaluates the watches, reads evidence, and withdraws the harmful fields.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::apply_error::ApplyError;
use super::candidates::has_all;
use super::enforcer::Enforcer;
use super::error::RemediationError;
use super::harm_evidence::{events, node_events, steady_pod};
use super::planning::pause_for_room;
use super::workload_source::WorkloadSource;
use crate::enforcement::harm::{
    Course, Harm, Knowledge, PodSeen, Restart, Trouble, TroubleKind, WorkloadSeen, course, find_harm,
    in_turn, next_look, pods_in_turn, troubles,
};
use crate::enforcement::records::{self, has_patches, is_under_way, kind_of};
use crate::enforcement::{ContainerField, KINDS, Subject};
use crate::policy::{Remediation, RemediationReason};
use crate::workload::{Workload, WorkloadKind, WorkloadRef};

/// The minimum time between two checks of the evidence about a workload.
pub(super) const LOOK: SignedDuration = SignedDuration::from_secs(20);

/// The observations of the workloads of the cluster.
struct Survey {
    /// The trouble of all workloads.
    all: Vec<Trouble>,
    /// The patched workloads of the policy that are suspicious, each with its record.
    suspects: Vec<(Remediation, Trouble, WorkloadSeen)>,
    next: Option<Timestamp>,
}

impl Enforcer<'_> {
    /// Withdraws harmful fields from verified workloads, and returns the time of the next check. Without a suspicion it
    /// sends no request.
    pub(super) async fn notice_harm(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        if !self.records().iter().any(|record| has_patches(record) && !is_under_way(record)) {
            return Ok(None);
        }
        let Some(survey) = self.survey_harm() else { return Ok(None) };
        let mut next = survey.next;
        let mut incident = None;
        for (record, trouble, seen) in in_turn(&survey.suspects, |(_, of, _)| &of.workload, LOOK, self.now())
        {
            if let Some(again) = self.remediator.looked_at(&trouble.workload, LOOK) {
                next = [next, Some(again)].into_iter().flatten().min();
                continue;
            }
            next = [next, Some(self.after(LOOK))].into_iter().flatten().min();
            let harm = match self.look_into(record, trouble, seen).await {
                Ok(harm) => harm,
                Err(error) => {
                    self.unread(record, &error);
                    continue;
                }
            };
            let Some((harm, subject)) = harm else { continue };
            let again = self.act(record, (trouble, &harm), &subject, &survey.all, &mut incident).await?;
            next = [next, again].into_iter().flatten().min();
        }
        if survey.suspects.is_empty() || incident.is_some() {
            self.remediator.note_incident(&self.key, incident);
        }
        Ok(next)
    }

    /// Responds to harm.
    async fn act(
        &mut self,
        record: &Remediation,
        (trouble, harm): (&Trouble, &Harm),
        subject: &Subject,
        all: &[Trouble],
        incident: &mut Option<String>,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let (verify, now) = (self.verify(), self.now());
        let trial = self.remediator.ledger.trial();
        let mut course = course(trouble, all, verify, trial.as_ref(), now);
        if let (Course::Ask, Some(trial)) = (course, &trial) {
            course = if self.has_helped(trial).await { Course::Follow } else { Course::Hold };
        }
        info!(workload = %trouble.workload, ?course, harm = harm.message, "a verified patch does harm");
        let words =
            |rest: &str| Some(format!("many workloads are in trouble at once, {}: {rest}", trouble.workload));
        let (reason, message) = match course {
            Course::Withdraw => (harm.reason, harm.message.clone()),
            Course::Try => {
                let ports = harm.silent_ports(&subject.owned());
                if !self.begin_trial(trouble, ports, trial.as_ref()).await {
                    return Ok(Some(self.after(LOOK)));
                }
                *incident = words("its patch is withdrawn to see if that helps");
                (RemediationReason::Incident, format!("to see if it helps: {}", harm.message))
            }
            Course::Follow if self.waits_for_room(record).await => {
                return Ok(Some(self.after(pause_for_room())));
            }
            Course::Follow => {
                *incident = words("a withdrawal helped, and others follow");
                (RemediationReason::Incident, format!("the withdrawal from another helped: {}", harm.message))
            }
            Course::Ask | Course::Hold => {
                *incident = words("no further patch is withdrawn unless the trial helps");
                return Ok(Some(self.after(LOOK)));
            }
        };
        let part = Remediation {
            causes_hash: Some(self.causes_hash(subject)),
            ..records::of_fields(record, &harm.fields)
        };
        self.begin_late_withdrawal(&part, reason, &message).await
    }

    /// Reads the evidence: a GET of the workload, one of the node of a pod in trouble, or of three nodes if the first are
    /// not well, and a list of the events about one object.
    async fn look_into(
        &self,
        record: &Remediation,
        trouble: &Trouble,
        seen: &WorkloadSeen,
    ) -> Result<Option<(Harm, Subject)>, ApplyError> {
        let cluster = &self.remediator.cluster;
        let Some(subject) = self.fetch(record).await? else { return Ok(None) };
        let set = records::set_by(record);
        let mut owned = subject.owned();
        owned.retain(|of, _| set.contains(of));
        if owned.is_empty() {
            return Ok(None);
        }
        let (workload, now) = (&trouble.workload, self.now());
        let pod = steady_pod(cluster, &pods_in_turn(trouble, &seen.pods, now), now).await?;
        let events = match (trouble.kind, &pod) {
            (TroubleKind::Refused, _) => {
                events(cluster, &workload.namespace, &workload.kind, &workload.name).await?
            }
            (_, None) => return Ok(None),
            (TroubleKind::OutOfMemory, Some(pod)) => node_events(cluster, &pod.node).await?,
            (_, Some(pod)) => events(cluster, &workload.namespace, "Pod", &pod.name).await?,
        };
        let steady = pod.map(|pod| (pod.node, pod.since)).into_iter().collect();
        let verified = record.time.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let known = Knowledge {
            owned,
            events,
            steady,
            usual_restarts: record.usual_restarts.and_then(|count| u32::try_from(count).ok()),
            pods: seen.pods.clone(),
            others_changed: subject.others_changed_template(record.generation, verified),
            refusal: refusal(&subject),
        };
        Ok(find_harm(trouble, &known, now).map(|harm| (harm, subject)))
    }

    /// Returns the observations of all workloads in namespaces without a gap; `None` during a gap in the policy's.
    fn survey_harm(&self) -> Option<Survey> {
        let now = self.now();
        let patched = self.remediator.patched();
        let own = self.records();
        let workloads = self.remediator.workloads();
        workloads.seen_since(&self.namespace)?;
        let mut survey = Survey { all: Vec::new(), suspects: Vec::new(), next: None };
        for namespace in workloads.namespaces() {
            let Some(seen_since) = workloads.seen_since(&namespace) else { continue };
            for mut seen in observe(&*workloads, &namespace, self.verify()) {
                let fields = patched.get(&seen.workload);
                seen.patched = fields.is_some();
                let record = own.iter().find(|record| {
                    let is_own = namespace == self.namespace
                        && has_patches(record)
                        && !is_under_way(record)
                        && !self.is_withdrawn_by_note(record);
                    is_own && record.workload().within(&namespace) == seen.workload
                });
                let pod = |name: &str| workloads.get(WorkloadKind::Pod, &namespace, name);
                if let Some(record) = record {
                    let trace =
                        kind_of(record).and_then(|kind| workloads.trace(kind, &namespace, &record.name));
                    let fields = trace.map(|trace| records::left_in_place(record, &trace.owned));
                    mark_patched(&mut seen, &fields.unwrap_or_default(), pod);
                    let next = next_look(&seen, seen_since, now);
                    survey.next = [survey.next, next].into_iter().flatten().min();
                } else if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                    // The workload of another policy can be part of the same incident.
                    mark_patched(&mut seen, fields, pod);
                }
                for trouble in troubles(&seen, seen_since, now) {
                    let suspect = record
                        .filter(|of| trouble.suspicious && may_be_ours(&trouble, &seen, of, &*workloads));
                    if let Some(record) = suspect {
                        survey.suspects.push((record.clone(), trouble.clone(), seen.clone()));
                    }
                    survey.all.push(trouble);
                }
            }
        }
        Some(survey)
    }
}

/// Returns the workloads of a namespace with their pods, if they are patched or may show trouble.
fn observe(workloads: &dyn WorkloadSource, namespace: &str, verify: SignedDuration) -> Vec<WorkloadSeen> {
    let mut found: BTreeMap<WorkloadRef, WorkloadSeen> = BTreeMap::new();
    let unseen =
        |workload| WorkloadSeen { workload, patched: false, verify, pods: Vec::new(), refused: None };
    for object in workloads.objects(namespace).filter(|object| object.is_pod()) {
        let Some(pod) = pod_seen(workloads, namespace, object) else { continue };
        let workload = object.manager().within(namespace);
        found.entry(workload.clone()).or_insert_with(|| unseen(workload)).pods.push(pod);
    }
    for object in workloads.objects(namespace).filter(|object| KINDS.contains(&object.kind)) {
        let Some(since) = workloads.refused(object.kind, namespace, object.name()) else { continue };
        let workload = object.owner().within(namespace);
        found.entry(workload.clone()).or_insert_with(|| unseen(workload)).refused = Some(since);
    }
    found.into_values().collect()
}

fn pod_seen(workloads: &dyn WorkloadSource, namespace: &str, pod: &Workload<'_>) -> Option<PodSeen> {
    let health = workloads.health(namespace, pod.name())?;
    Some(PodSeen {
        name: pod.name().to_owned(),
        node: health.node.to_string(),
        revision: health.revision.to_string(),
        started: health.started,
        ready: health.ready,
        since: health.since,
        restarts: health.restarts.to_vec(),
        unready: health.unready.to_vec(),
        out_of_memory: out_of_memory(pod),
        terminating: health.terminating,
        patched: false,
    })
}

/// Returns false for a container that ran out of memory under a limit that is not ours: no request is sent about it, and
/// its status shows that end for a long time.
fn may_be_ours(
    trouble: &Trouble,
    seen: &WorkloadSeen,
    record: &Remediation,
    workloads: &dyn WorkloadSource,
) -> bool {
    if trouble.kind != TroubleKind::OutOfMemory {
        return true;
    }
    let trace =
        kind_of(record).and_then(|kind| workloads.trace(kind, &seen.workload.namespace, &record.name));
    let mut pods = seen.pods.iter().filter(|pod| trouble.pods.contains_key(&pod.name));
    trace.is_some_and(|trace| pods.any(|pod| pod.ran_out_of_memory(&trace.owned)))
}

/// Returns the containers of a pod whose last end was for want of memory.
fn out_of_memory(pod: &Workload<'_>) -> Vec<Restart> {
    let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
    let ends = statuses
        .filter_map(|status| Some(Restart { container: status.name.to_string(), at: status.oom_killed? }));
    ends.collect()
}

/// Marks the pods that have these fields, which enforcement still owns.
fn mark_patched<'w>(
    seen: &mut WorkloadSeen,
    fields: &BTreeSet<ContainerField>,
    pod_of: impl Fn(&str) -> Option<&'w Workload<'static>>,
) {
    seen.patched = !fields.is_empty();
    for pod in &mut seen.pods {
        pod.patched = seen.patched && pod_of(&pod.name).is_some_and(|object| has_all(object, fields));
    }
}

/// Returns the message of a Deployment's controller that cannot create pods.
fn refusal(subject: &Subject) -> Option<String> {
    let mut conditions = subject.object.pointer("/status/conditions")?.as_array()?.iter();
    let failing =
        conditions.find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    failing?["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, probes: &Value) -> Workload<'static> {
        let mut container = json!({ "name": "main", "image": "x" });
        container.as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
        let object = json!({ "metadata": { "name": name }, "spec": { "containers": [container] } });
        Workload::from_json_owned(WorkloadKind::Pod, &object.to_string()).unwrap()
    }

    fn seen(pods: &[&str]) -> WorkloadSeen {
        let pod = |name: &&str| PodSeen {
            name: (*name).to_owned(),
            node: "node".to_owned(),
            revision: String::new(),
            started: None,
            ready: false,
            since: Timestamp::UNIX_EPOCH,
            restarts: Vec::new(),
            unready: Vec::new(),
            out_of_memory: Vec::new(),
            terminating: false,
            patched: false,
        };
        WorkloadSeen {
            workload: WorkloadRef::new("n", "Deployment", "web"),
            patched: true,
            verify: LOOK,
            pods: pods.iter().map(pod).collect(),
            refused: None,
        }
    }

    #[test]
    fn a_pod_is_patched_if_it_has_the_fields_that_are_left_of_the_patch() {
        let pods = [
            pod("before", &json!({})),
            pod("whole", &json!({ "livenessProbe": {}, "readinessProbe": {} })),
            pod("after", &json!({ "readinessProbe": {} })),
        ];
        let pod_of = |name: &str| pods.iter().find(|pod| pod.name() == name);
        let marked = |fields: &[&str]| {
            let mut seen = seen(&["before", "whole", "after", "gone"]);
            mark_patched(&mut seen, &fields.iter().map(|of| of.parse().unwrap()).collect(), pod_of);
            (seen.patched, seen.pods.iter().map(|pod| pod.patched).collect::<Vec<_>>())
        };
        let all = ["main/livenessProbe", "main/readinessProbe"];
        assert_eq!(marked(&all), (true, vec![false, true, false, false]));
        assert_eq!(marked(&all[1..]), (true, vec![false, true, true, false]));
        assert_eq!(marked(&[]), (false, vec![false; 4]), "nothing is left of the patch");
    }
}
