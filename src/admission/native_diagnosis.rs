//! Examines native admission: the policies in the API server, and the verdicts on the Namespaces.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;

use super::doctor::Diagnosis;
use super::native_installation::native_installation;
use crate::cluster::{CallError, Cluster};
use crate::governance::AnnotatedExemptions;
use crate::manifests::AdmissionSettings;
use crate::policies;
use crate::policy::{
    ADMISSION_LABEL, AdmissionVerdict, BREAK_GLASS_ANNOTATION, CompiledPolicy, DENY_ANNOTATION,
    SystemNamespaces, VERDICT_ANNOTATION, WARN_ANNOTATION,
};

impl Diagnosis {
    /// Examines the verdicts of all Namespaces, and the admission policies if there is a verdict.
    pub(super) async fn native(
        &mut self,
        cluster: &Cluster,
        settings: &AdmissionSettings,
        now: Timestamp,
    ) -> Result<(), CallError> {
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let all = cluster.call(async |_| namespaces.list_metadata(&ListParams::default()).await).await?.items;
        let has_label =
            |namespace: &PartialObjectMeta<Namespace>| namespace.labels().contains_key(ADMISSION_LABEL);
        let (found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(has_label);
        let installation = native_installation(cluster, settings).await?;
        if found.is_empty() && !installation.is_there {
            self.notes.push("native admission evaluates in no namespace".to_owned());
            return Ok(());
        }
        self.problems.extend(installation.problems);
        let known = match policies::list(cluster, None).await {
            Ok(known) => known,
            // There are no policies without the CRD.
            Err(error) if error.code() == Some(404) => BTreeMap::new(),
            Err(error) => {
                self.notes.push(format!("the verdicts of native admission were not compared: {error}"));
                for namespace in &found {
                    self.suspension(&format!("namespace {}", namespace.name_any()), until(namespace), now);
                }
                return Ok(());
            }
        };
        let policies = |name: &str| known.get(name).map_or(&[][..], Vec::as_slice);
        for namespace in found {
            let (name, annotations) = (namespace.name_any(), namespace.annotations());
            let until = until(&namespace);
            let label = namespace.labels().get(ADMISSION_LABEL).map(String::as_str);
            let is_suspended = until.is_some_and(|until| until > now);
            let verdict = wanted_verdict(&name, annotations, policies(&name), now);
            let problem = stale(verdict, annotations, label, is_suspended);
            // Nobody removes the mark of a suspension that ended by itself.
            if problem.is_some() || is_suspended {
                self.suspension(&format!("namespace {name}"), until, now);
            }
            self.problems.extend(problem.map(|problem| format!("namespace {name}: {problem}")));
        }
        let system = settings.system_namespaces.iter().chain([&settings.namespace]).cloned();
        let system = SystemNamespaces::with(system.collect());
        let lacks_verdict = |namespace: &PartialObjectMeta<Namespace>| {
            let (name, annotations) = (namespace.name_any(), namespace.annotations());
            !system.contains(&name)
                && namespace.metadata.deletion_timestamp.is_none()
                && wanted_verdict(&name, annotations, policies(&name), now).is_some()
        };
        let without: Vec<_> =
            others.iter().filter(|one| lacks_verdict(one)).map(kube::ResourceExt::name_any).collect();
        if installation.is_there && !without.is_empty() {
            self.problems.push(format!(
                "native admission is installed, but these namespaces with policies have no verdict: {}: start \
                 `kube-devops reconcile --admission native`",
                without.join(", ")
            ));
        }
        Ok(())
    }
}

/// Returns the end of the suspension that a Namespace is marked with.
fn until(namespace: &PartialObjectMeta<Namespace>) -> Option<Timestamp> {
    let until = namespace.annotations().get(BREAK_GLASS_ANNOTATION);
    until.map(|until| until.parse().unwrap_or(Timestamp::MIN))
}

/// Returns the verdict that a Namespace should have at the time `now`; `None` if no policy is in effect.
fn wanted_verdict(
    namespace: &str,
    annotations: &BTreeMap<String, String>,
    policies: &[CompiledPolicy],
    now: Timestamp,
) -> Option<AdmissionVerdict> {
    AnnotatedExemptions::of_one_namespace(namespace, annotations).verdict(namespace, policies, now)
}

/// Returns the way in which the verdict on a Namespace differs from that of its policies, with the fix; `None` for the
/// right one.
fn stale(
    verdict: Option<AdmissionVerdict>,
    annotations: &BTreeMap<String, String>,
    label: Option<&str>,
    is_suspended: bool,
) -> Option<&'static str> {
    const RESTORE: &str = "its verdict of native admission is stale: start `kube-devops reconcile --admission native`, or \
                           clear it with `kube-devops policy release`";
    const LEFT: &str = "its verdict of native admission has no policy behind it: start `kube-devops reconcile --admission \
                        native`, or clear it with `kube-devops policy release`";
    let Some(verdict) = verdict else { return Some(LEFT) };
    let verdict = if is_suspended { verdict.suspended() } else { verdict };
    let wanted = verdict.annotations();
    let is_right = |key: &&str| annotations.get(*key) == wanted.get(*key);
    let is_held = label == Some(verdict.label())
        && [DENY_ANNOTATION, WARN_ANNOTATION, VERDICT_ANNOTATION].iter().all(is_right);
    (!is_held).then_some(RESTORE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::DevOpsPolicy;
    use crate::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL};

    #[test]
    fn a_verdict_of_other_policies_is_stale() {
        let policy = |generation: i64| {
            let policy = json!({
                "metadata": { "name": "base", "namespace": "shop", "uid": "u", "generation": generation },
                "spec": { "enforcementMode": "enforce", "exemptions": "workload", "forbidLatestTag": true, "admission": { "denyAt": "low" } },
            });
            [CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())]
        };
        let owned = |verdict: AdmissionVerdict| -> BTreeMap<String, String> {
            verdict.annotations().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        };
        let exempt = BTreeMap::from(
            [(EXEMPT, "latest-tag"), (EXEMPT_REASON, "moves in spring"), (EXEMPT_UNTIL, "1970-01-01")]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let at = |second| Timestamp::from_second(second).unwrap();
        let wanted = |generation, annotations: &BTreeMap<String, String>, second| {
            wanted_verdict("shop", annotations, &policy(generation), at(second))
        };
        let none = BTreeMap::new();
        let verdict = wanted(1, &none, 0).unwrap();
        let (held, suspended) = (owned(verdict.clone()), owned(verdict.suspended()));
        assert_eq!(stale(wanted(1, &none, 0), &held, Some("deny"), false), None);
        assert_eq!(stale(wanted(1, &none, 0), &suspended, Some("warn"), true), None);
        let is_stale = |found: Option<&str>, text: &str| found.is_some_and(|found| found.contains(text));
        assert!(
            is_stale(stale(wanted(2, &none, 0), &held, Some("deny"), false), "is stale"),
            "another generation"
        );
        assert!(
            is_stale(stale(wanted(1, &none, 0), &held, Some("warn"), false), "is stale"),
            "another value of the label"
        );
        assert!(
            is_stale(stale(wanted(1, &none, 0), &suspended, Some("warn"), false), "is stale"),
            "a break-glass that is over"
        );
        assert!(
            is_stale(stale(wanted(1, &none, 86_400), &held, Some("deny"), false), "is stale"),
            "another day"
        );
        assert!(
            is_stale(stale(wanted(1, &exempt, 0), &held, Some("deny"), false), "is stale"),
            "an exempt Namespace"
        );
        let held = owned(wanted(1, &exempt, 0).unwrap());
        assert_eq!(stale(wanted(1, &exempt, 0), &held, Some("none"), false), None);
        assert!(
            is_stale(stale(wanted(1, &exempt, 86_400), &held, Some("none"), false), "is stale"),
            "it is over"
        );
        assert!(is_stale(stale(None, &held, Some("none"), false), "has no policy behind it"));
    }
}
