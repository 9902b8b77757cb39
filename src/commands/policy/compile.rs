//! `kube-devops policy compile`: the admission policies of the API server, printed or installed.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cluster::{self, CallError, Cluster, HelmRelease};
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, SystemNamespaceArgs, namespace};
use crate::manifests::installation::DEFAULT_NAMESPACE;
use crate::manifests::{
    AdmissionSettings, OBJECT_MANAGER, RECONCILE_LEASE, admission_policies, is_installed_as,
};
use crate::output::ManifestFormat;
use crate::terminal::{note, to_stdout};

/// Print the admission policies of the API server, or install them with --apply.
///
/// These are the ValidatingAdmissionPolicies kube-devops-deny and kube-devops-warn, which evaluate objects in the
/// namespaces of policies while `reconcile --admission native` runs; the fence that restricts the operator's changes to
/// Namespaces; and the MutatingAdmissionPolicy kube-devops-yield, by which the fields of enforcement give way to other
/// writes.
///
/// The operator may only read them. Run this command again after each update of kube-devops. The Helm chart and `deploy
/// generate-all` install the same objects, so an installation by Helm is updated by an upgrade of the release instead.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Install the policies by server-side apply, without fields that others added, instead of printing them
    #[arg(long)]
    apply: bool,

    /// Namespace of the operator, in which nothing is evaluated
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_NAMESPACE, value_parser = namespace)]
    namespace: String,

    /// ServiceAccount of the operator, which the fence restricts
    #[arg(long, value_name = "NAME", default_value = RECONCILE_LEASE)]
    service_account: String,

    #[command(flatten)]
    system: SystemNamespaceArgs,

    /// Output format
    #[arg(short, long, value_enum, default_value_t, conflicts_with = "apply")]
    output: ManifestFormat,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let settings = AdmissionSettings {
        namespace: args.namespace.clone(),
        account: args.service_account.clone(),
        system_namespaces: args.system.names(),
    };
    let objects = admission_policies(&settings)?;
    if !args.apply {
        to_stdout(|out| args.output.write(&objects, out.exact()))?;
        return Ok(ExitStatus::Clean);
    }
    let cluster = cluster::connect(&args.connect.options()).await?;
    refuse_helm(&cluster, &objects).await?;
    for object in &objects {
        let (kind, name) = kind_and_name(object);
        match cluster.apply_exactly(object, OBJECT_MANAGER, is_installed_as).await {
            Ok(applied) => to_stdout(|out| writeln!(out, "{kind} {name} {applied}"))?,
            Err(error) if error.code() == Some(404) && kind.starts_with("mutating") => note(format_args!(
                "{kind} {name} left out: this API server does not have the kind, which Kubernetes has since 1.36; it \
                 will refuse writes that the fields of enforcement make invalid"
            ))?,
            Err(error) if error.code() == Some(404) => bail!(
                "cannot install the {kind} {name}: this API server does not have the kind, which Kubernetes has since \
                 1.30: use the webhook"
            ),
            Err(CallError::Status(status)) if status.code == 403 => bail!(
                "cannot install the {kind} {name}: {}: an administrator of the cluster can do it; without --apply this \
                 command prints what to apply",
                status.message
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot install the {kind} {name}")),
        }
    }
    Ok(ExitStatus::Clean)
}

/// Fails if Helm manages one of the objects: the next upgrade would find fields with another owner, which Helm 4 refuses.
async fn refuse_helm(cluster: &Cluster, objects: &[Value]) -> anyhow::Result<()> {
    for object in objects {
        let (kind, name) = kind_and_name(object);
        let stored = match cluster.get_object(object).await {
            // The apply says that the API server does not have the kind.
            Err(error) if error.code() == Some(404) => None,
            stored => stored.with_context(|| format!("cannot read the {kind} {name}"))?,
        };
        if let Some(release) = stored.as_ref().and_then(HelmRelease::of) {
            bail!(
                "{release} manages the {kind} {name}: upgrade the release, which installs these policies, instead"
            );
        }
    }
    Ok(())
}

/// Returns the kind and the name of an object, in lower case.
fn kind_and_name(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}
