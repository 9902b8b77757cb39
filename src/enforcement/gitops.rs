//! Recognizes the tool that deploys a workload by its labels, annotations and field managers. Pure.
//!
//! The tool would revert a patch or conflict with it, so the fix belongs in the tool's source.

use std::collections::BTreeMap;
use std::fmt;

use super::subject::{Subject, owns_spec};

/// The tool that manages a workload, and the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// The tool's name.
    pub name: &'static str,
    /// The label, annotation or field manager that identifies it.
    pub evidence: String,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.evidence)
    }
}

const ARGO_CD: &str = "Argo CD";
const FLUX: &str = "Flux";
const HELM: &str = "Helm";

/// A mark that a tool leaves on the objects that it manages.
enum ToolMark {
    /// An annotation with any value.
    Annotation(&'static str),
    /// A label with any value.
    Label(&'static str),
    /// A label with this value, compared without regard to case.
    LabelValue(&'static str, &'static str),
    /// A field manager that owns part of the spec.
    FieldManager(&'static str),
}

/// The marks of each tool. Tools that install another tool's charts come first.
///
/// `app.kubernetes.io/instance`, by which Argo CD 2 tracks objects, is not in the list: most charts set it themselves.
const MARKS: &[(&str, ToolMark)] = &[
    (ARGO_CD, ToolMark::Annotation("argocd.argoproj.io/tracking-id")),
    (ARGO_CD, ToolMark::Label("argocd.argoproj.io/instance")),
    (ARGO_CD, ToolMark::FieldManager("argocd-controller")),
    (ARGO_CD, ToolMark::FieldManager("argocd-application-controller")),
    (FLUX, ToolMark::Label("kustomize.toolkit.fluxcd.io/name")),
    (FLUX, ToolMark::Label("helm.toolkit.fluxcd.io/name")),
    (FLUX, ToolMark::FieldManager("kustomize-controller")),
    (FLUX, ToolMark::FieldManager("helm-controller")),
    (HELM, ToolMark::Annotation("meta.helm.sh/release-name")),
    (HELM, ToolMark::LabelValue("app.kubernetes.io/managed-by", "helm")),
    (HELM, ToolMark::FieldManager("helm")),
];

/// Returns the tool that manages a workload, if there is one.
pub fn managed_by(subject: &Subject) -> Option<Manager> {
    MARKS.iter().find_map(|(name, mark)| Some(Manager { name, evidence: mark.on(subject)? }))
}

impl ToolMark {
    /// Describes the mark, if the workload carries it.
    fn on(&self, subject: &Subject) -> Option<String> {
        let metadata = subject.metadata();
        let value = |of: &Option<BTreeMap<String, String>>, key: &str| {
            of.as_ref().and_then(|of| of.get(key)).cloned()
        };
        match self {
            Self::Annotation(key) => {
                value(&metadata.annotations, key).map(|value| format!("annotation {key}: {value}"))
            }
            Self::Label(key) => value(&metadata.labels, key).map(|value| format!("label {key}: {value}")),
            Self::LabelValue(key, expected) => value(&metadata.labels, key)
                .filter(|value| value.eq_ignore_ascii_case(expected))
                .map(|value| format!("label {key}: {value}")),
            Self::FieldManager(name) => {
                let mut owners = subject.managers().filter(|entry| owns_spec(entry));
                owners
                    .any(|entry| entry.manager.as_deref() == Some(name))
                    .then(|| format!("field manager {name}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::enforcement::FIELD_MANAGER;
    use crate::workload::WorkloadKind;

    fn manager(metadata: &Value) -> Option<Manager> {
        let object = json!({
            "metadata": metadata,
            "spec": { "selector": {}, "template": { "spec": { "containers": [] } } },
        });
        managed_by(&Subject::read(WorkloadKind::Deployment, object).unwrap())
    }

    fn field_manager(name: &str, operation: &str, fields: &Value) -> Value {
        json!({ "managedFields": [{ "manager": name, "operation": operation, "fieldsV1": fields }] })
    }

    #[test]
    fn every_mark_names_its_tool() {
        let spec = json!({ "f:spec": { "f:template": {} } });
        for (metadata, name, evidence) in [
            (
                json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:n/web" } }),
                ARGO_CD,
                "annotation argocd.argoproj.io/tracking-id: shop:apps/Deployment:n/web",
            ),
            (
                json!({ "labels": { "argocd.argoproj.io/instance": "shop" } }),
                ARGO_CD,
                "label argocd.argoproj.io/instance: shop",
            ),
            (field_manager("argocd-controller", "Apply", &spec), ARGO_CD, "field manager argocd-controller"),
            (
                field_manager("argocd-application-controller", "Update", &spec),
                ARGO_CD,
                "field manager argocd-application-controller",
            ),
            (
                json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "apps" } }),
                FLUX,
                "label kustomize.toolkit.fluxcd.io/name: apps",
            ),
            (
                json!({ "labels": { "helm.toolkit.fluxcd.io/name": "web" } }),
                FLUX,
                "label helm.toolkit.fluxcd.io/name: web",
            ),
            (
                field_manager("kustomize-controller", "Apply", &spec),
                FLUX,
                "field manager kustomize-controller",
            ),
            (field_manager("helm-controller", "Update", &spec), FLUX, "field manager helm-controller"),
            (
                json!({ "annotations": { "meta.helm.sh/release-name": "web" } }),
                HELM,
                "annotation meta.helm.sh/release-name: web",
            ),
            (
                json!({ "labels": { "app.kubernetes.io/managed-by": "Helm" } }),
                HELM,
                "label app.kubernetes.io/managed-by: Helm",
            ),
            (field_manager("helm", "Update", &spec), HELM, "field manager helm"),
        ] {
            let found = manager(&metadata).unwrap();
            assert_eq!((found.name, found.evidence.as_str()), (name, evidence));
        }
    }

    #[test]
    fn a_chart_belongs_to_the_tool_that_installs_it() {
        let labels = |more: &str| json!({ "app.kubernetes.io/managed-by": "Helm", more: "web" });
        let flux = manager(&json!({ "labels": labels("helm.toolkit.fluxcd.io/name") }));
        assert_eq!(flux.unwrap().name, FLUX);
        let argo = manager(&json!({ "labels": labels("argocd.argoproj.io/instance") })).unwrap();
        assert_eq!(argo.to_string(), "Argo CD (label argocd.argoproj.io/instance: web)");
    }

    #[test]
    fn marks_of_people_and_their_own_tools_do_not_count() {
        let spec = json!({ "f:spec": {} });
        for metadata in [
            json!({}),
            json!({ "labels": { "app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "hand" } }),
            json!({ "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}" } }),
            field_manager("kubectl-edit", "Update", &spec),
            field_manager(FIELD_MANAGER, "Apply", &spec),
            field_manager("argocd-controller", "Update", &json!({ "f:metadata": { "f:labels": {} } })),
        ] {
            assert_eq!(manager(&metadata), None, "{metadata}");
        }
    }
}
