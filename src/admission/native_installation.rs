//! Compares the admission policies in a cluster with those of this version.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use kube::api::{ApiResource, GroupVersionKind};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::cluster::{self, CallError, Cluster, RawObject, Sink, WatchRequest, WatchSelector};
use crate::manifests::{
    AdmissionSettings, admission_policies, evaluates_natively, is_fence_of, is_installed_as,
};

const GROUP: &str = "admissionregistration.k8s.io";
const VERSION: &str = "admissionregistration.k8s.io/v1";

/// The pause after an API server without the kinds was asked for them. It may be updated.
const WITHOUT_KIND: Duration = Duration::from_mins(5);
/// The pause after a failed question.
const RETRY: Duration = Duration::from_secs(5);

/// An object of native admission as a cluster has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installed {
    /// As this version installs it.
    Right,
    /// In another way.
    Changed,
    /// Not at all.
    Absent,
    /// The permission to read it is missing.
    Unreadable,
}

/// The admission policies and bindings of a cluster, compared with those of this version.
#[derive(Debug, Default)]
pub struct NativeInstallation {
    /// The reasons why native admission is not in effect as it should be, each with its fix.
    pub problems: Vec<String>,
    /// True if the cluster has one of the policies that deny and warn, or a binding of them.
    pub is_there: bool,
}

/// Compares the admission policies, the fence, and their bindings. An object that may not be read is assumed to be
/// right.
pub async fn native_installation(
    cluster: &Cluster,
    settings: &AdmissionSettings,
) -> Result<NativeInstallation, CallError> {
    let mut found = NativeInstallation::default();
    if !has_kind(cluster).await? {
        let reason = "this API server has no ValidatingAdmissionPolicies, which Kubernetes has since 1.30: use the webhook";
        found.problems.push(reason.to_owned());
        return Ok(found);
    }
    let install = format!("run `kube-devops policy compile -n {} --apply`", settings.namespace);
    for object in wanted(settings) {
        let name = format!("{} {}", object["kind"].as_str().unwrap_or_default(), object["metadata"]["name"]);
        let installed = installed(cluster, settings, &object).await?;
        found.is_there |=
            evaluates_natively(&object) && matches!(installed, Installed::Right | Installed::Changed);
        match installed {
            Installed::Absent => found.problems.push(format!("there is no {name}: {install}")),
            Installed::Changed => found.problems.push(format!(
                "{name} is not the one of this version for the namespace {}: {install}",
                settings.namespace
            )),
            Installed::Right | Installed::Unreadable => {}
        }
    }
    Ok(found)
}

/// Follows the policies that deny and that warn, with their bindings; never returns. `in_effect` tells if the API server
/// has all of them as this version installs them.
pub(super) async fn follow_installation(
    cluster: &Cluster,
    settings: &AdmissionSettings,
    in_effect: &watch::Sender<bool>,
) -> Infallible {
    loop {
        let pause = match has_kind(cluster).await {
            Ok(true) => break,
            Ok(false) => WITHOUT_KIND,
            Err(error) => {
                warn!(%error, "failed to ask for the kinds of admission policies; will retry");
                RETRY
            }
        };
        sleep(pause).await;
    }
    let wanted: Vec<_> = wanted(settings).filter(evaluates_natively).collect();
    let rights: Vec<_> = wanted.iter().map(|_| AtomicBool::new(false)).collect();
    let sinks = wanted.iter().zip(&rights).map(|(wanted, is_right)| InstallationSink {
        wanted,
        is_right,
        rights: &rights,
        in_effect,
        is_listed: false,
    });
    join_all(sinks.map(|sink| follow_object(cluster, sink))).await;
    pending().await
}

async fn follow_object(cluster: &Cluster, sink: InstallationSink<'_>) {
    let text = |pointer| sink.wanted.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let request = WatchRequest {
        resource: ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", &kind)),
        namespace: None,
        selector: Some(WatchSelector::Name(name)),
        metadata_only: false,
    };
    let refused = |error: &CallError| {
        warn!(%error, "no permission to watch the admission policies, so the webhook evaluates every rule");
    };
    cluster::wait_until_permitted(cluster, &request, refused).await;
    cluster::follow(cluster, request, sink, ()).await;
}

/// Takes one policy or binding from a watch.
struct InstallationSink<'i> {
    wanted: &'i Value,
    /// True while the API server has this object as it is wanted.
    is_right: &'i AtomicBool,
    /// The same of all objects.
    rights: &'i [AtomicBool],
    in_effect: &'i watch::Sender<bool>,
    /// True if the list under way has the object as it is wanted.
    is_listed: bool,
}

impl InstallationSink<'_> {
    fn is_right(&self, object: &RawObject) -> Result<bool, String> {
        let installed: Value = serde_json::from_str(object.json()).map_err(|error| error.to_string())?;
        Ok(is_installed_as(&installed, self.wanted))
    }

    fn set(&self, is_right: bool) {
        self.is_right.store(is_right, Ordering::SeqCst);
        let all = self.rights.iter().all(|is_right| is_right.load(Ordering::SeqCst));
        self.in_effect.send_if_modified(|in_effect| std::mem::replace(in_effect, all) != all);
    }
}

impl Sink for InstallationSink<'_> {
    fn begin_list(&mut self) {
        self.is_listed = false;
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.is_listed = self.is_right(object)?;
        Ok(())
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let is_right = self.is_right(object);
        self.set(matches!(is_right, Ok(true)));
        is_right.map(drop)
    }

    fn delete(&mut self, _: &RawObject) {
        self.set(false);
    }

    fn end_list(&mut self) {
        self.set(self.is_listed);
    }
}

async fn has_kind(cluster: &Cluster) -> Result<bool, CallError> {
    Ok(cluster.serves(VERSION, &["validatingadmissionpolicies"]).await? == [true])
}

/// Returns the policies of native admission, the fence, and their bindings.
fn wanted(settings: &AdmissionSettings) -> impl Iterator<Item = Value> {
    let all = admission_policies(settings).unwrap_or_default().into_iter();
    all.filter(|object| object["kind"].as_str().is_some_and(|kind| kind.starts_with("Valid")))
}

async fn installed(
    cluster: &Cluster,
    settings: &AdmissionSettings,
    wanted: &Value,
) -> Result<Installed, CallError> {
    match cluster.get_object(wanted).await {
        Ok(None) => Ok(Installed::Absent),
        // The fence names an account, which an installation may have chosen.
        Ok(Some(installed))
            if is_installed_as(&installed.data, wanted) || is_fence_of(settings, wanted, &installed.data) =>
        {
            Ok(Installed::Right)
        }
        Ok(Some(_)) => Ok(Installed::Changed),
        Err(error) if error.code() == Some(403) => Ok(Installed::Unreadable),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_in_effect_only_while_each_is_as_this_version_installs_it() {
        let settings = AdmissionSettings {
            namespace: "kube-devops".to_owned(),
            account: "kube-devops-reconcile".to_owned(),
            system_namespaces: Vec::new(),
        };
        let wanted: Vec<_> = wanted(&settings).filter(evaluates_natively).collect();
        assert_eq!(wanted.len(), 4);
        let rights: Vec<_> = wanted.iter().map(|_| AtomicBool::new(false)).collect();
        let (sender, in_effect) = watch::channel(false);
        let mut sinks: Vec<_> = wanted
            .iter()
            .zip(&rights)
            .map(|(wanted, is_right)| InstallationSink {
                wanted,
                is_right,
                rights: &rights,
                in_effect: &sender,
                is_listed: false,
            })
            .collect();
        let object = |value: &Value| serde_json::from_value::<RawObject>(value.clone()).unwrap();
        for (at, sink) in sinks.iter_mut().enumerate() {
            assert!(!*in_effect.borrow(), "{at} of 4 are there");
            sink.begin_list();
            sink.list(&object(&wanted[at])).unwrap();
            sink.end_list();
        }
        assert!(*in_effect.borrow());
        let mut changed = wanted[0].clone();
        changed["spec"]["failurePolicy"] = "Ignore".into();
        sinks[0].apply(&object(&changed)).unwrap();
        assert!(!*in_effect.borrow(), "a policy was changed");
        sinks[0].apply(&object(&wanted[0])).unwrap();
        assert!(*in_effect.borrow());
        sinks[3].delete(&object(&wanted[3]));
        assert!(!*in_effect.borrow(), "a binding is gone");
        sinks[3].apply(&object(&wanted[3])).unwrap();
        sinks[2].begin_list();
        sinks[2].end_list();
        assert!(!*in_effect.borrow(), "a policy went while the watch was interrupted");
    }
}
