//! Compares the admission policies in a cluster with those of this version.

use serde_json::Value;

use crate::cluster::{CallError, Cluster};
use crate::manifests::{
    AdmissionSettings, admission_policies, evaluates_natively, is_fence_of, is_installed_as,
};

const VERSION: &str = "admissionregistration.k8s.io/v1";

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

/// Returns true if the API server evaluates by the verdicts on Namespaces: it has the policies that deny and that warn,
/// with their bindings, as this version installs them.
pub(super) async fn is_in_effect(cluster: &Cluster, settings: &AdmissionSettings) -> Result<bool, CallError> {
    if !has_kind(cluster).await? {
        return Ok(false);
    }
    for object in wanted(settings).filter(evaluates_natively) {
        if installed(cluster, settings, &object).await? != Installed::Right {
            return Ok(false);
        }
    }
    Ok(true)
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
