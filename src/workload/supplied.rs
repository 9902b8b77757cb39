//! Fields that a platform fills in: Istio the image of its proxy, `OpenShift` the images of its image streams,
//! Knative the names of containers.

use serde::Deserialize;

use super::object_only::object_only;
use super::{Container, Labels, PodSpec, Text, VolumeContent};

object_only!(Trigger<'a>, ImageChange<'a>, AnnotatedTrigger);

/// Labels or annotations by their keys.
type Pairs<'a> = Option<Labels<'a>>;

/// The image that Istio replaces when it injects its proxy:
/// <https://istio.io/latest/docs/setup/additional-setup/gateway/>.
const ISTIO_IMAGE: &str = "auto";
/// The label, formerly an annotation, that turns injection on or off for a pod.
pub(super) const ISTIO_INJECT: &str = "sidecar.istio.io/inject";
/// The annotation that names the templates to inject.
pub(super) const ISTIO_TEMPLATES: &str = "inject.istio.io/templates";
/// The label that names the revision of Istio that injects.
const ISTIO_REVISION: &str = "istio.io/rev";
/// The annotation that asks for image triggers outside of a `DeploymentConfig`:
/// <https://docs.openshift.com/container-platform/4.6/openshift_images/triggering-updates-on-imagestream-changes.html>.
pub(super) const IMAGE_TRIGGERS: &str = "image.openshift.io/triggers";

/// A trigger of a `DeploymentConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a trigger")]
pub(super) struct Trigger<'a> {
    #[serde(borrow)]
    image_change_params: Option<ImageChange<'a>>,
}

/// The containers whose image a trigger sets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "parameters of an image trigger")]
struct ImageChange<'a> {
    #[serde(borrow)]
    container_names: Option<Vec<Text<'a>>>,
}

/// A trigger in the annotation.
#[derive(Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a trigger")]
struct AnnotatedTrigger {
    #[serde(default)]
    field_path: String,
}

/// Marks the images that Istio's injection supplies in a pod with these labels and annotations.
pub(super) fn mark_injected(pod: &mut PodSpec<'_>, labels: &Pairs<'_>, annotations: &Pairs<'_>) {
    let value = |pairs: &Pairs<'_>, key: &str| Some(pairs.as_ref()?.get(key)?.to_string());
    let inject = value(labels, ISTIO_INJECT).or_else(|| value(annotations, ISTIO_INJECT));
    let is_injected = match inject.map(|inject| inject.to_ascii_lowercase()).as_deref() {
        None | Some("") => [
            value(annotations, ISTIO_TEMPLATES),
            value(labels, ISTIO_TEMPLATES),
            value(labels, ISTIO_REVISION),
        ]
        .iter()
        .any(Option::is_some),
        Some(inject) => matches!(inject, "true" | "yes" | "y" | "on"),
    };
    if is_injected {
        for container in pod.init_containers.iter_mut().chain(pod.containers.iter_mut()) {
            container.image_is_supplied |= container.image.as_deref() == Some(ISTIO_IMAGE);
        }
    }
}

/// Marks the empty images that the triggers of a `DeploymentConfig` supply.
pub(super) fn mark_triggered(pod: &mut PodSpec<'_>, triggers: &[Trigger<'_>]) {
    let names: Vec<&Text<'_>> = triggers
        .iter()
        .filter_map(|trigger| trigger.image_change_params.as_ref()?.container_names.as_ref())
        .flatten()
        .collect();
    for container in pod.init_containers.iter_mut().chain(pod.containers.iter_mut()) {
        container.image_is_supplied |=
            container.image_is_blank() && names.iter().any(|name| **name == container.name);
    }
}

/// Marks the empty images that the triggers in an annotation supply; text that holds no triggers supplies none.
pub(super) fn mark_annotated(pod: &mut PodSpec<'_>, annotation: &str) {
    let Ok(triggers) = serde_json::from_str::<Vec<AnnotatedTrigger>>(annotation) else { return };
    let mark = |list: &str, containers: &mut [Container<'_>]| {
        for (index, container) in containers.iter_mut().enumerate() {
            let by_index = format!("spec.{list}[{index}].image");
            let by_name = ['"', '\'']
                .map(|quote| format!("spec.{list}[?(@.name=={quote}{}{quote})].image", container.name));
            let names =
                |path: &str| path.ends_with(&by_index) || by_name.iter().any(|name| path.ends_with(name));
            container.image_is_supplied |=
                container.image_is_blank() && triggers.iter().any(|trigger| names(&trigger.field_path));
        }
    };
    mark("initContainers", &mut pod.init_containers);
    mark("containers", &mut pod.containers);
}

/// Names the containers of a Knative Service that have no name, as
/// [Knative](https://github.com/knative/serving/blob/main/pkg/apis/serving/v1/revision_defaults.go) does.
pub(super) fn name_containers(pod: &mut PodSpec<'_>) {
    let several = pod.containers.len() > 1;
    for (index, container) in pod.containers.iter_mut().enumerate() {
        if container.name.is_empty() {
            let name = if several { format!("user-container-{index}") } else { "user-container".to_owned() };
            container.name = name.into();
        }
    }
}

/// The prefix of the volume with the token of a pod's account, before five random characters:
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.3/plugin/pkg/admission/serviceaccount/admission.go>.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// Takes the random part from the name of the volume with the token of the pod's account. Nothing else tells the specs
/// of two pods of one template apart. No volume of a user has such a name, which the API server refuses.
pub(super) fn name_token_volume(pod: &mut PodSpec<'_>) {
    let is_token = |name: &str| name.strip_prefix(TOKEN_VOLUME).is_some_and(|random| random.len() == 5);
    let Some(place) = pod
        .volumes
        .iter()
        .position(|volume| matches!(volume.content, VolumeContent::Projected(_)) && is_token(&volume.name))
    else {
        return;
    };
    let name = std::mem::replace(&mut pod.volumes[place].name, TOKEN_VOLUME.into());
    let lists = [&mut pod.init_containers, &mut pod.containers, &mut pod.ephemeral_containers];
    let containers = lists.into_iter().flat_map(|list| list.iter_mut());
    for mount in containers.flat_map(|container| &mut container.volume_mounts) {
        if mount.name == name {
            mount.name = TOKEN_VOLUME.into();
        }
    }
}
