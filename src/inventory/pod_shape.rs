//! The part of a pod spec that relations read.

use crate::workload::{Container, Kind, Kinds, PodSpec, Quantity, VolumeContent, Workload};

/// The part of a pod spec that relations read. Pods of one template share it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodShape {
    /// The named ports of containers and sidecars.
    pub ports: Vec<NamedPort>,
    /// True if the pod uses the node's network.
    pub uses_host_network: bool,
    /// True if a container takes a port of the node.
    pub has_host_port: bool,
    /// True if the pod has a persistent volume.
    pub has_claim: bool,
    /// The account; `None` for `default`.
    pub account: Option<String>,
    /// The pod's own word on the mount of its account's token.
    pub automounts_token: Option<bool>,
    /// The claims that the pod uses by name.
    pub claims: Vec<String>,
    /// The limits of its containers.
    pub limits: Vec<Limits>,
    /// The objects that the pod needs.
    pub references: Vec<Reference>,
}

/// The limits of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limits {
    /// The container.
    pub container: String,
    /// The limit of memory.
    pub memory: Option<Quantity>,
    /// The limit of CPU.
    pub cpu: Option<Quantity>,
}

/// A port with a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedPort {
    /// The name.
    pub name: String,
    /// The protocol.
    pub protocol: String,
}

/// A `ConfigMap` or Secret that a pod needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: String,
    /// The key; `None` for the object as a whole.
    pub key: Option<String>,
    /// The path of the reference, below the pod spec.
    pub path: String,
}

impl PodShape {
    /// Reads what relations between these kinds need.
    pub(super) fn of(workload: &Workload<'_>, kinds: Kinds) -> Self {
        let pod = &workload.pod;
        let sidecars = pod.init_containers.iter().filter(|container| container.is_sidecar());
        let mut shape = Self {
            uses_host_network: pod.host_network,
            has_host_port: pod.containers.iter().flat_map(|one| &one.ports).any(|port| port.host_port > 0),
            has_claim: workload.spec.as_ref().is_some_and(|spec| spec.has_claim_templates)
                || pod
                    .volumes
                    .iter()
                    .any(|volume| volume.has("persistentVolumeClaim") || volume.has("ephemeral")),
            account: [&pod.service_account_name, &pod.service_account]
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .find(|name| !name.is_empty() && name != "default"),
            automounts_token: pod.automount_service_account_token,
            ..Self::default()
        };
        if kinds.contains(Kind::Service) {
            let ports = pod.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
            let named = ports
                .filter(|port| !port.name.is_empty())
                .map(|port| NamedPort { name: port.name.to_string(), protocol: port.protocol().to_owned() });
            shape.ports = named.collect();
        }
        if kinds.contains(Kind::PodMetrics) {
            let limits = pod.containers.iter().map(|container| {
                let resources = container.resources.unwrap_or_default();
                let (memory, cpu) = (resources.memory_limit(), resources.cpu_limit());
                Limits { container: container.name.to_string(), memory, cpu }
            });
            shape.limits = limits.collect();
        }
        if kinds.contains(Kind::PersistentVolumeClaim) {
            let claims = pod.volumes.iter().filter_map(|volume| match &volume.content {
                VolumeContent::Claim(claim) => Some(claim.claim_name.to_string()),
                _ => None,
            });
            shape.claims = claims.collect();
        }
        if kinds.contains(Kind::ConfigMap) || kinds.contains(Kind::Secret) {
            shape.references = references(pod);
        }
        shape
    }
}

/// Returns the `ConfigMap`s and Secrets that a pod can't start without.
fn references(pod: &PodSpec<'_>) -> Vec<Reference> {
    let mut found = Vec::new();
    let lists = [("initContainers", &pod.init_containers), ("containers", &pod.containers)];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            of_container(container, &format!("{list}[{index}]"), &mut found);
        }
    }
    for (index, volume) in pod.volumes.iter().enumerate() {
        let path = format!("volumes[{index}]");
        match &volume.content {
            VolumeContent::ConfigMap(map) if !map.optional => {
                of_volume(Kind::ConfigMap, &map.name, &map.items, &format!("{path}.configMap"), &mut found);
            }
            VolumeContent::Secret(secret) if !secret.optional => {
                let path = format!("{path}.secret");
                of_volume(Kind::Secret, &secret.secret_name, &secret.items, &path, &mut found);
            }
            VolumeContent::Projected(projected) => {
                for (source, part) in projected.sources.iter().enumerate() {
                    let path = format!("{path}.projected.sources[{source}]");
                    for (kind, named) in [(Kind::ConfigMap, &part.config_map), (Kind::Secret, &part.secret)] {
                        if let Some(named) = named.as_ref().filter(|named| !named.optional) {
                            of_volume(kind, &named.name, &named.items, &path, &mut found);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    for (index, secret) in pod.image_pull_secrets.iter().enumerate() {
        let path = format!("imagePullSecrets[{index}]");
        found.push(Reference { kind: Kind::Secret, name: secret.name.to_string(), key: None, path });
    }
    found.retain(|reference| !reference.name.is_empty());
    found
}

fn of_container(container: &Container<'_>, path: &str, found: &mut Vec<Reference>) {
    for (index, variable) in container.env.iter().enumerate() {
        let Some(source) = &variable.value_from else { continue };
        for (kind, of, field) in [
            (Kind::ConfigMap, &source.config_map_key_ref, "configMapKeyRef"),
            (Kind::Secret, &source.secret_key_ref, "secretKeyRef"),
        ] {
            if let Some(of) = of.as_ref().filter(|of| !of.optional) {
                found.push(Reference {
                    kind,
                    name: of.name.to_string(),
                    key: Some(of.key.to_string()),
                    path: format!("{path}.env[{index}].valueFrom.{field}"),
                });
            }
        }
    }
    for (index, source) in container.env_from.iter().enumerate() {
        for (kind, of, field) in [
            (Kind::ConfigMap, &source.config_map_ref, "configMapRef"),
            (Kind::Secret, &source.secret_ref, "secretRef"),
        ] {
            if let Some(of) = of.as_ref().filter(|of| !of.optional) {
                let path = format!("{path}.envFrom[{index}].{field}");
                found.push(Reference { kind, name: of.name.to_string(), key: None, path });
            }
        }
    }
}

fn of_volume(
    kind: Kind,
    name: &str,
    items: &[crate::workload::KeyPath<'_>],
    path: &str,
    found: &mut Vec<Reference>,
) {
    let reference = |key: Option<String>, path: String| Reference { kind, name: name.to_owned(), key, path };
    if items.is_empty() {
        found.push(reference(None, path.to_owned()));
    }
    for (index, item) in items.iter().enumerate() {
        found.push(reference(Some(item.key.to_string()), format!("{path}.items[{index}].key")));
    }
}
