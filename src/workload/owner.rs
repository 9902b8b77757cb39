//! The workload that owns a pod, derived from the pod alone.

use jiff::{SignedDuration, Timestamp};

use super::metadata::{DEPLOYMENT_CONFIG, DEPLOYMENT_HASH, KNATIVE_SERVICE, ROLLOUT_HASH};
use super::{Owner, Workload};

impl Workload<'_> {
    /// The workload that a user edits to change this pod: the object itself, or the one that manages it.
    pub fn owner(&self) -> Owner<'_> {
        let service = self.metadata.label(KNATIVE_SERVICE).filter(|_| self.is_pod());
        service.map_or_else(|| self.manager(), |name| Owner { kind: "Service", name })
    }

    /// The workload of Kubernetes or `OpenShift` that manages this pod; the object itself where none does.
    ///
    /// A Knative Service is above that: it manages a Deployment.
    pub fn manager(&self) -> Owner<'_> {
        let itself = Owner { kind: self.kind.name(), name: self.name() };
        let (true, Some(controller)) = (self.is_pod(), self.metadata.controller()) else { return itself };
        let behind_hash = |label| {
            let hash = self.metadata.label(label)?;
            controller.name.strip_suffix(hash)?.strip_suffix('-')
        };
        let above = match &*controller.kind {
            "ReplicaSet" => behind_hash(ROLLOUT_HASH)
                .map(|name| Owner { kind: "Rollout", name })
                .or_else(|| behind_hash(DEPLOYMENT_HASH).map(|name| Owner { kind: "Deployment", name })),
            "ReplicationController" => self
                .metadata
                .annotation(DEPLOYMENT_CONFIG)
                .map(|name| Owner { kind: "DeploymentConfig", name }),
            "Job" => cron_job_of(&controller.name, self.metadata.creation_timestamp)
                .map(|name| Owner { kind: "CronJob", name }),
            _ => None,
        };
        above.unwrap_or(Owner { kind: &controller.kind, name: &controller.name })
    }
}

/// The longest time between the scheduled time of a Job and the creation of its pods.
const NEAR: SignedDuration = SignedDuration::from_hours(24);

/// The name of the `CronJob` that made a Job of this name with a pod created at `created`; `None` for any other Job.
///
/// The [controller](https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/cronjob/utils.go) appends
/// the scheduled time in minutes since 1970. Any other number, such as the date 25122026, is far from the pod's time.
fn cron_job_of(job: &str, created: Option<Timestamp>) -> Option<&str> {
    let (name, minutes) = job.rsplit_once('-')?;
    let scheduled = Timestamp::from_second(i64::from(minutes.parse::<u32>().ok()?) * 60).ok()?;
    (created?.duration_since(scheduled).abs() <= NEAR).then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::workload::{Object, Parsed};

    fn owner_of(json: &str) -> String {
        let object: Object<'_> = serde_json::from_str(json).unwrap();
        let Parsed::Workload(workload) = object.parsed else { panic!("not evaluated") };
        workload.owner().to_string()
    }

    fn pod_owned_by(kind: &str, name: &str, labels: &str) -> String {
        owner_of(&format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p","labels":{labels},
            "ownerReferences":[{{"kind":"{kind}","name":"{name}","controller":true}}]}}}}"#
        ))
    }

    #[test]
    fn a_pod_of_a_deployment_is_named_by_it() {
        assert_eq!(pod_owned_by("ReplicaSet", "web-7f9", r#"{"pod-template-hash":"7f9"}"#), "Deployment/web");
    }

    #[test]
    fn a_pod_belongs_to_its_rollout_deployment_config_or_knative_service() {
        let rollout = r#"{"rollouts-pod-template-hash":"7f9"}"#;
        assert_eq!(pod_owned_by("ReplicaSet", "web-7f9", rollout), "Rollout/web");
        let knative = r#"{"pod-template-hash":"7f9","serving.knative.dev/service":"web"}"#;
        assert_eq!(pod_owned_by("ReplicaSet", "web-1-deployment-7f9", knative), "Service/web");
        let config = owner_of(
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p",
            "annotations":{"openshift.io/deployment-config.name":"web"},
            "ownerReferences":[{"kind":"ReplicationController","name":"web-3","controller":true}]}}"#,
        );
        assert_eq!(config, "DeploymentConfig/web");
        assert_eq!(pod_owned_by("ReplicationController", "web-3", "{}"), "ReplicationController/web-3");
        assert_eq!(pod_owned_by("CloneSet", "web", "{}"), "CloneSet/web");
    }

    #[test]
    fn a_pod_of_a_bare_replica_set_is_named_by_the_replica_set() {
        assert_eq!(pod_owned_by("ReplicaSet", "web-7f9", "{}"), "ReplicaSet/web-7f9");
        assert_eq!(pod_owned_by("ReplicaSet", "web", r#"{"pod-template-hash":"7f9"}"#), "ReplicaSet/web");
    }

    #[test]
    fn a_pod_belongs_to_a_cron_job_only_if_the_job_number_matches_its_time() {
        let owner_at = |job: &str, created: &str| {
            owner_of(&format!(
                r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p",{created}
                "ownerReferences":[{{"kind":"Job","name":"{job}","controller":true}}]}}}}"#
            ))
        };
        // 29712345 minutes after 1970.
        for created in ["2026-06-29T13:45:03Z", "2026-06-29T13:44:59Z", "2026-06-30T13:45:00Z"] {
            let created = format!(r#""creationTimestamp":"{created}","#);
            assert_eq!(owner_at("backup-29712345", &created), "CronJob/backup", "{created}");
            assert_eq!(owner_at("import-25122026", &created), "Job/import-25122026");
            assert_eq!(owner_at("import-20260629", &created), "Job/import-20260629");
            assert_eq!(owner_at("migrate", &created), "Job/migrate");
        }
        let late = r#""creationTimestamp":"2026-06-30T13:45:01Z","#;
        assert_eq!(owner_at("backup-29712345", late), "Job/backup-29712345");
        assert_eq!(owner_at("backup-29712345", ""), "Job/backup-29712345", "the pod has no time");
    }

    #[test]
    fn a_pod_without_an_owner_is_named_by_itself() {
        assert_eq!(owner_of(r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#), "Pod/p");
    }
}
