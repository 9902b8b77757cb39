//! The test of a port before a rollout that stops old pods first: selects the pod to connect to, and interprets the
//! response. Pure.
//!
//! A probe on a port without a listener would stop one pod after the other, until the patch is withdrawn.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ContainerStatus;

use super::eligibility::Ineligible;
use super::objects::Pod;
use super::rollout_progress::RolloutProgress;
use super::subject::Subject;
use super::symptoms::{ended_at, is_ready};

/// The time after the test connection within which a restart of the pod counts as its effect.
const WATCHED: SignedDuration = SignedDuration::from_secs(60);

/// The containers of proxies that respond in place of the server.
///
/// They are those of Istio, Linkerd, Kuma, Consul, and of App Mesh.
const PROXIES: [&str; 6] =
    ["istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "envoy-sidecar", "envoy"];
/// The labels and annotations with which a mesh injects such a proxy or marks the injection, each with the value that
/// disables it.
///
/// In the ambient mode of Istio, the node's ztunnel is that proxy.
const INJECTIONS: [(&str, &str); 11] = [
    ("sidecar.istio.io/inject", "false"),
    ("sidecar.istio.io/status", ""),
    ("linkerd.io/inject", "disabled"),
    ("linkerd.io/proxy-version", ""),
    ("istio.io/dataplane-mode", "none"),
    ("ambient.istio.io/redirection", "disabled"),
    ("kuma.io/sidecar-injection", "disabled"),
    ("kuma.io/sidecar-injected", "false"),
    ("consul.hashicorp.com/connect-inject", "false"),
    ("consul.hashicorp.com/connect-inject-status", ""),
    ("appmesh.k8s.aws/sidecarInjectorWebhook", "disabled"),
];

/// Returns the pod to connect to: a ready one, while another is ready too.
pub fn pod_to_connect<'p>(subject: &Subject, pods: &'p [Pod]) -> Result<&'p Pod, Ineligible> {
    if let Some(found) = answered_by_others(subject, pods) {
        return Err(found);
    }
    let mut ready = ready_pods(pods);
    match (ready.next(), ready.next()) {
        (Some(first), Some(_)) => Ok(first),
        _ => Err(Ineligible::LastPod),
    }
}

/// Returns the pod whose answer shows that a workload has recovered. `None` if no pod is ready yet, or if the rollout
/// is not complete, or if others answer for the pods.
pub fn recovered_pod<'p>(subject: &Subject, pods: &'p [Pod]) -> Option<&'p Pod> {
    let progress = RolloutProgress::of(subject);
    let has_pods = progress.wanted > 0 && progress.is_complete();
    if !has_pods || answered_by_others(subject, pods).is_some() {
        return None;
    }
    ready_pods(pods).next()
}

fn ready_pods(pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    pods.iter().filter(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none())
}

/// Returns the reason why an answer may not be from a pod's own containers.
fn answered_by_others(subject: &Subject, pods: &[Pod]) -> Option<Ineligible> {
    let template = subject.template();
    let spec = template.and_then(|template| template.spec.as_ref());
    if spec.and_then(|spec| spec.host_network) == Some(true) {
        return Some(Ineligible::AnswerUnknown("its pods use the node's network".to_owned()));
    }
    let metadata = template.and_then(|template| template.metadata.as_ref()).into_iter();
    let mut all = metadata.chain(pods.iter().map(|pod| &pod.metadata));
    let injected = all.find_map(|metadata| {
        let marks = [&metadata.labels, &metadata.annotations].into_iter().flatten();
        let mut marks = marks
            .flat_map(|marks| INJECTIONS.iter().filter_map(|(key, off)| Some((key, marks.get(*key)?, off))));
        marks.find(|(_, value, off)| value != *off).map(|(key, ..)| *key)
    });
    if let Some(mark) = injected {
        return Some(Ineligible::AnswerUnknown(format!(
            "{mark} adds a proxy that answers for its containers"
        )));
    }
    let proxy = pods.iter().flat_map(statuses).find(|status| PROXIES.contains(&status.name.as_str()))?;
    Some(Ineligible::AnswerUnknown(format!("{} answers for its containers", proxy.name)))
}

/// The restarts of each container of a pod, and its last end by the node's clock. A server that ends within the second
/// of the connect changes them too.
pub type Ends = BTreeMap<String, (i32, Option<Timestamp>)>;

/// Returns the ends of a pod's containers so far.
pub fn ends(pod: &Pod) -> Ends {
    statuses(pod).map(|status| (status.name.clone(), (status.restart_count, ended_at(status)))).collect()
}

/// Returns the reason why a workload is not patched, or not yet, after the test connection to a pod at `asked`;
/// `before` are the ends of its containers before that.
pub fn after_connect(
    pods: &[Pod],
    uid: &str,
    before: &Ends,
    asked: Timestamp,
    now: Timestamp,
) -> Option<Ineligible> {
    let until = asked.saturating_add(WATCHED).unwrap_or(Timestamp::MAX);
    let Some(pod) = pods.iter().find(|pod| pod.metadata.uid.as_deref() == Some(uid)) else {
        return Some(Ineligible::ConnectHarmed { pod: "the pod".to_owned() });
    };
    if ends(pod) != *before {
        return Some(Ineligible::ConnectHarmed { pod: pod.name().to_owned() });
    }
    (now < until).then(|| Ineligible::ConnectWatched { pod: pod.name().to_owned() })
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status
        .flat_map(|status| [&status.container_statuses, &status.init_container_statuses])
        .flatten()
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::SkipReason;
    use crate::workload::WorkloadKind;

    fn subject(template: &Value) -> Subject {
        let spec = json!({ "selector": {}, "template": template });
        Subject::read(WorkloadKind::StatefulSet, json!({ "metadata": { "name": "db" }, "spec": spec }))
            .unwrap()
    }

    fn pod(name: &str, ready: &str, annotations: &Value, containers: &Value) -> Pod {
        let conditions = json!([{ "type": "Ready", "status": ready }]);
        let status = json!({ "conditions": conditions, "containerStatuses": containers });
        let metadata = json!({ "name": name, "uid": name, "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    fn container(name: &str, ended: Option<&str>) -> Value {
        restarted(name, 0, ended)
    }

    fn restarted(name: &str, count: i32, ended: Option<&str>) -> Value {
        let last = ended.map(|at| json!({ "terminated": { "exitCode": 1, "finishedAt": at } }));
        json!([{ "name": name, "image": "x", "imageID": "", "ready": true, "restartCount": count, "lastState": last }])
    }

    #[test]
    fn the_tested_pod_is_ready_and_not_the_last_and_has_no_proxy() {
        let (none, main) = (json!({}), container("main", None));
        let ready = |name: &str| pod(name, "True", &none, &main);
        let two = vec![ready("a"), ready("b")];
        let plain = json!({ "spec": { "containers": [] } });
        let annotated = |annotations: Value| json!({ "metadata": { "annotations": annotations } });
        for (template, pods, expected) in [
            (&plain, two.clone(), Ok("a")),
            (&plain, vec![ready("a")], Err(SkipReason::LastPod)),
            (&plain, vec![ready("a"), pod("b", "False", &none, &main)], Err(SkipReason::LastPod)),
            (
                &plain,
                vec![ready("a"), pod("b", "True", &none, &container("istio-proxy", None))],
                Err(SkipReason::AnswerUnknown),
            ),
            (
                &plain,
                vec![ready("a"), pod("b", "True", &json!({ "linkerd.io/proxy-version": "2" }), &main)],
                Err(SkipReason::AnswerUnknown),
            ),
            (&json!({ "spec": { "hostNetwork": true } }), two.clone(), Err(SkipReason::AnswerUnknown)),
            (
                &annotated(json!({ "linkerd.io/inject": "enabled" })),
                two.clone(),
                Err(SkipReason::AnswerUnknown),
            ),
            (&annotated(json!({ "linkerd.io/inject": "disabled" })), two.clone(), Ok("a")),
            (
                &plain,
                vec![
                    pod("a", "True", &json!({ "ambient.istio.io/redirection": "enabled" }), &main),
                    ready("b"),
                ],
                Err(SkipReason::AnswerUnknown),
            ),
            (
                &json!({ "metadata": { "labels": { "kuma.io/sidecar-injection": "enabled" } } }),
                two.clone(),
                Err(SkipReason::AnswerUnknown),
            ),
            (
                &plain,
                vec![ready("a"), pod("b", "True", &none, &container("consul-dataplane", None))],
                Err(SkipReason::AnswerUnknown),
            ),
            (
                &json!({ "metadata": { "labels": { "sidecar.istio.io/inject": "true" } } }),
                two.clone(),
                Err(SkipReason::AnswerUnknown),
            ),
        ] {
            let chosen = pod_to_connect(&subject(template), &pods);
            let chosen = chosen.map(|pod| pod.name().to_owned()).map_err(|why| why.reason());
            assert_eq!(chosen, expected.map(str::to_owned), "{template}");
        }
    }

    #[test]
    fn a_workload_has_recovered_once_its_rollout_is_complete_and_a_pod_of_its_own_is_ready() {
        let (none, main) = (json!({}), container("main", None));
        let ready = [pod("a", "False", &none, &main), pod("b", "True", &none, &main)];
        let recovered = |wanted: i32, updated: i32, host_network: bool, pods: &[Pod]| {
            let template = json!({ "spec": { "hostNetwork": host_network } });
            let spec = json!({ "replicas": wanted, "selector": {}, "template": template });
            let status = json!({ "observedGeneration": 2, "replicas": wanted, "updatedReplicas": updated,
                "availableReplicas": updated });
            let metadata = json!({ "name": "web", "generation": 2 });
            let object = json!({ "metadata": metadata, "spec": spec, "status": status });
            let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
            recovered_pod(&subject, pods).map(|pod| pod.name().to_owned())
        };
        assert_eq!(recovered(2, 2, false, &ready), Some("b".to_owned()));
        for (what, wanted, updated, host_network, pods) in [
            ("a new pod is missing, or pending", 2, 1, false, &ready[..]),
            ("it was scaled to 0", 0, 0, false, &ready[..]),
            ("others may answer on the node", 2, 2, true, &ready[..]),
            ("no pod is ready", 2, 2, false, &ready[..1]),
            ("no pod exists", 2, 2, false, &[]),
        ] {
            assert_eq!(recovered(wanted, updated, host_network, pods), None, "{what}");
        }
    }

    #[test]
    fn a_pod_is_watched_for_a_minute_after_the_connect() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let asked = at("2026-01-01T12:00:00.4Z");
        let earlier = Some("2026-01-01T11:59:59Z");
        // The kubelet writes whole seconds.
        let same = Some("2026-01-01T12:00:00Z");
        let soon = Some("2026-01-01T12:00:30Z");
        for (before, after, now, expected) in [
            ((0, None), (0, None), "2026-01-01T12:01:00Z", Some(SkipReason::ConnectWatched)),
            ((0, None), (0, None), "2026-01-01T12:01:01Z", None),
            ((3, earlier), (3, earlier), "2026-01-01T12:01:01Z", None),
            ((0, None), (1, same), "2026-01-01T12:00:01Z", Some(SkipReason::ConnectHarmed)),
            ((0, None), (0, same), "2026-01-01T12:00:01Z", Some(SkipReason::ConnectHarmed)),
            ((3, same), (4, same), "2026-01-01T12:00:01Z", Some(SkipReason::ConnectHarmed)),
            ((3, earlier), (3, soon), "2026-01-01T12:00:31Z", Some(SkipReason::ConnectHarmed)),
            ((3, earlier), (4, soon), "2026-01-01T12:02:00Z", Some(SkipReason::ConnectHarmed)),
        ] {
            let pod = |(count, ended)| pod("a", "True", &json!({}), &restarted("main", count, ended));
            let found = after_connect(&[pod(after)], "a", &ends(&pod(before)), asked, at(now));
            assert_eq!(found.map(|found| found.reason()), expected, "{before:?} {after:?} {now}");
        }
        let gone = after_connect(&[], "a", &Ends::new(), asked, asked).map(|found| found.reason());
        assert_eq!(gone, Some(SkipReason::ConnectHarmed), "it was replaced");
    }
}
