//! Objects that can't be evaluated although they can be read: the API server refuses them as they are.

use std::fmt;

use super::Workload;

/// The reason why an object can't be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// The path of the field in the object.
    pub path: String,
    /// The problem and its remedy.
    pub message: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Workload<'_> {
    /// Returns true if the object is only a patch for a workload, as kustomize merges it: it has no selector, and no
    /// container at all or one without an image.
    pub fn is_patch(&self) -> bool {
        let pod = &self.pod;
        let mut containers = pod.init_containers.iter().chain(&pod.containers);
        !self.is_pod()
            && !self.has_selector
            && self.uses_template_of.is_none()
            && (pod.containers.is_empty() || containers.any(super::Container::lacks_image))
    }

    /// Returns the reason why rules can't evaluate the object; `None` where they can.
    ///
    /// Only the fields that rules depend on are checked. All others are left to the API server.
    pub fn defect(&self) -> Option<Defect> {
        let metadata = &self.metadata;
        let names = [
            ("name", &metadata.name),
            ("generateName", &metadata.generate_name),
            ("namespace", &metadata.namespace),
        ];
        let unrendered = names.into_iter().find_map(|(field, text)| {
            let message = unrendered(text.as_deref()?)?;
            Some(defect(format!("metadata.{field}"), message))
        });
        unrendered.or_else(|| self.container_defect())
    }

    fn container_defect(&self) -> Option<Defect> {
        if self.uses_template_of.is_some() {
            return None;
        }
        let path = self.pod_path();
        let hint = if self.is_patch() {
            "; without a selector this looks like a patch: evaluate the output of `kubectl kustomize` instead"
        } else {
            ""
        };
        if self.pod.containers.is_empty() {
            let message = format!("give the pod at least one container{hint}");
            return Some(defect(format!("{path}.containers"), message));
        }
        let lists = [
            ("initContainers", &self.pod.init_containers),
            ("containers", &self.pod.containers),
            ("ephemeralContainers", &self.pod.ephemeral_containers),
        ];
        lists.into_iter().find_map(|(list, containers)| {
            containers.iter().enumerate().find_map(|(index, container)| {
                let field = |field: &str, message| defect(format!("{path}.{list}[{index}].{field}"), message);
                if container.name.trim().is_empty() {
                    return Some(field("name", "the container has no name: give it one".to_owned()));
                }
                if container.lacks_image() {
                    let message =
                        format!("container {} has no image: name one{hint}", container.name.escape_debug());
                    return Some(field("image", message));
                }
                let image = container.image.as_deref().unwrap_or_default();
                unrendered(&container.name)
                    .map(|message| field("name", message))
                    .or_else(|| unrendered(image).map(|message| field("image", message)))
            })
        })
    }
}

fn defect(path: String, message: String) -> Defect {
    Defect { path, message }
}

/// Says what is wrong with a text that holds an action of a template, such as `{{ .Values.tag }}`.
fn unrendered(text: &str) -> Option<String> {
    let (_, action) = text.split_once("{{")?;
    action.contains("}}").then(|| {
        format!("{text:?} holds an unrendered template: render it first, for example with `helm template`")
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use crate::workload::{Object, Parsed};

    /// The defect of an object, and whether it is a patch.
    fn evaluated(yaml: &str) -> (Option<String>, bool) {
        let value: serde_json::Value = yaml_serde::from_str(yaml).unwrap();
        let Parsed::Workload(workload) = Object::deserialize(value).unwrap().parsed else { panic!("{yaml}") };
        (workload.defect().map(|defect| defect.to_string()), workload.is_patch())
    }

    fn deployment(selector: &str, containers: &str) -> String {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, \
             spec: {{{selector} template: {{spec: {{containers: {containers}}}}}}}}}"
        )
    }

    const SELECTOR: &str = "selector: {matchLabels: {a: b}},";

    #[test]
    fn a_template_without_selector_and_image_is_a_patch() {
        let hint = "; without a selector this looks like a patch: evaluate the output of `kubectl kustomize` instead";
        let image = "spec.template.spec.containers[0].image: container c has no image: name one";
        for (containers, message) in [
            ("[{name: c, args: [a]}]", image),
            ("[{name: c, image: ''}]", image),
            ("[{name: c, image: ' '}, {name: d, image: e}]", image),
            ("[]", "spec.template.spec.containers: give the pod at least one container"),
        ] {
            assert_eq!(
                evaluated(&deployment("", containers)),
                (Some(format!("{message}{hint}")), true),
                "{containers}"
            );
            let whole = evaluated(&deployment(SELECTOR, containers));
            assert_eq!(whole, (Some(message.to_owned()), false), "{containers}");
        }
        let init = "{apiVersion: batch/v1, kind: Job, spec: {template: {spec: {initContainers: [{name: i}], \
                    containers: [{name: c, image: d}]}}}}";
        assert!(evaluated(init).1);
    }

    #[test]
    fn a_rollout_that_uses_another_template_needs_no_container() {
        for selector in ["", SELECTOR] {
            let rollout = format!(
                "{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {{name: r}}, \
                 spec: {{{selector} workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}}}}}"
            );
            assert_eq!(evaluated(&rollout), (None, false));
        }
    }

    #[test]
    fn a_pod_is_never_a_patch() {
        let (defect, is_patch) = evaluated("{apiVersion: v1, kind: Pod, spec: {containers: [{name: c}]}}");
        assert_eq!(defect.unwrap(), "spec.containers[0].image: container c has no image: name one");
        assert!(!is_patch);
    }

    #[test]
    fn a_container_without_a_name_is_a_defect() {
        for containers in ["[{image: a}]", "[{name: '', image: a}]", "[{name: ' ', image: a}]"] {
            let (defect, _) = evaluated(&deployment(SELECTOR, containers));
            let expected = "spec.template.spec.containers[0].name: the container has no name: give it one";
            assert_eq!(defect.as_deref(), Some(expected), "{containers}");
        }
    }

    #[test]
    fn an_unrendered_template_in_a_name_or_an_image_is_a_defect() {
        let render = "holds an unrendered template: render it first, for example with `helm template`";
        for (containers, field, text) in [
            ("[{name: c, image: 'a:{{ .Values.tag }}'}]", "image", "a:{{ .Values.tag }}"),
            ("[{name: '{{name}}', image: a}]", "name", "{{name}}"),
        ] {
            let (defect, _) = evaluated(&deployment(SELECTOR, containers));
            let expected = format!("spec.template.spec.containers[0].{field}: {text:?} {render}");
            assert_eq!(defect, Some(expected));
        }
        let named = deployment(SELECTOR, "[{name: c, image: a}]")
            .replace("name: d", "name: '{{ .Release.Name }}-web'");
        let expected = format!("metadata.name: \"{{{{ .Release.Name }}}}-web\" {render}");
        assert_eq!(evaluated(&named).0, Some(expected));
    }

    #[test]
    fn an_image_that_the_platform_supplies_is_no_defect() {
        let config = |containers: &str, name: &str| {
            format!(
                "{{apiVersion: apps.openshift.io/v1, kind: DeploymentConfig, spec: {{selector: {{a: b}}, \
                 template: {{spec: {{containers: {containers}}}}}, triggers: [{{type: ConfigChange}}, \
                 {{type: ImageChange, imageChangeParams: {{containerNames: [{name}]}}}}]}}}}"
            )
        };
        for image in ["image: ' '", "image: ''", "env: []"] {
            let containers = format!("[{{name: web, {image}}}]");
            assert_eq!(evaluated(&config(&containers, "web")), (None, false), "{image}");
            assert!(evaluated(&config(&containers, "other")).0.is_some(), "{image}");
        }
        for path in ["[?(@.name==\\\"web\\\")]", "[0]"] {
            let annotation = format!("[{{\"fieldPath\": \"spec.template.spec.containers{path}.image\"}}]");
            let triggered = deployment(SELECTOR, "[{name: web, image: ' '}]").replace(
                "metadata: {name: d}",
                &format!(
                    "metadata: {{name: d, annotations: {{image.openshift.io/triggers: '{annotation}'}}}}"
                ),
            );
            assert_eq!(evaluated(&triggered), (None, false), "{path}");
        }
    }

    #[test]
    fn a_container_of_a_knative_service_needs_no_name() {
        let service = |containers: &str| {
            format!(
                "{{apiVersion: serving.knative.dev/v1, kind: Service, \
                 spec: {{template: {{spec: {{containers: {containers}}}}}}}}}"
            )
        };
        assert_eq!(evaluated(&service("[{image: a}]")), (None, false));
        assert!(evaluated(&service("[{env: []}]")).1);
    }
}
