//! Compares the admission policies in a cluster with those of this version.

use serde_json::Value;

use crate::cluster::{CallError, Cluster};
use crate::manifests::{AdmissionSettings, NAMESPACE_FENCE, admission_policies, sets_all_of};

const VERSION: &str = "admissionregistration.k8s.io/v1";

/// Returns the reasons why native admission is not in effect, each with its fix; none if it is. An object that may not be
/// read is assumed to be there.
pub async fn missing_policies(
    cluster: &Cluster,
    settings: &AdmissionSettings,
) -> Result<Vec<String>, CallError> {
    if cluster.serves(VERSION, &["validatingadmissionpolicies"]).await? != [true] {
        let reason = "this API server has no ValidatingAdmissionPolicies, which Kubernetes has since 1.30: use the webhook";
        return Ok(vec![reason.to_owned()]);
    }
    let wanted = admission_policies(settings).unwrap_or_default();
    let install = format!("run `kube-devops policy compile -n {} --apply`", settings.namespace);
    // The fence names an account, which an installation may have chosen: it only has to be there.
    let is_right = |installed: &Value, wanted: &Value| {
        wanted["metadata"]["name"] == NAMESPACE_FENCE || sets_all_of(&installed["spec"], &wanted["spec"])
    };
    let mut missing = Vec::new();
    for object in
        wanted.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.starts_with("Valid")))
    {
        let name = format!("{} {}", object["kind"].as_str().unwrap_or_default(), object["metadata"]["name"]);
        match cluster.get_object(object).await {
            Ok(None) => missing.push(format!("there is no {name}: {install}")),
            Ok(Some(installed)) if !is_right(&installed.data, object) => {
                missing.push(format!(
                    "{name} is not the one of this version for the namespace {}: {install}",
                    settings.namespace
                ));
            }
            Ok(Some(_)) => {}
            Err(error) if error.code() == Some(403) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
