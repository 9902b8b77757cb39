//! The part of a pod spec that relations read.

use std::fmt;

use crate::workload::{Container, KeyPath, Kind, Kinds, PodSpec, Quantity, Text, VolumeContent, Workload};

/// The part of a pod spec that relations read. Pods of one template share it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodShape<'a> {
    /// The named ports of containers and sidecars.
    pub ports: Vec<NamedPort<'a>>,
    /// True if the pod uses the node's network.
    pub uses_host_network: bool,
    /// True if a container takes a port of the node.
    pub has_host_port: bool,
    /// True if the pod has a persistent volume.
    pub has_claim: bool,
    /// The account; `None` for `default`.
    pub account: Option<Text<'a>>,
    /// The pod's own word on the mount of its account's token.
    pub automounts_token: Option<bool>,
    /// The claims that the pod uses by name.
    pub claims: Vec<Text<'a>>,
    /// The limits of its containers.
    pub limits: Vec<Limits<'a>>,
    /// The objects that the pod needs.
    pub references: Vec<Reference<'a>>,
}

/// The limits of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limits<'a> {
    /// The container.
    pub container: Text<'a>,
    /// The limit of memory.
    pub memory: Option<Quantity>,
    /// The limit of CPU.
    pub cpu: Option<Quantity>,
}

/// A port with a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedPort<'a> {
    /// The name.
    pub name: Text<'a>,
    /// The protocol.
    pub protocol: Text<'a>,
}

/// A `ConfigMap` or Secret that a pod needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference<'a> {
    /// The kind.
    pub kind: Kind,
    /// The name.
    pub name: Text<'a>,
    /// The key; `None` for the object as a whole.
    pub key: Option<Text<'a>>,
    /// The place of the reference.
    pub place: ReferencePlace,
}

/// The place of a reference in a pod spec. It is written as its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferencePlace {
    /// A variable of a container: the list, the places of the container and of the variable, and the field.
    Env(&'static str, usize, usize, &'static str),
    /// All keys as variables of a container, by the same places.
    EnvFrom(&'static str, usize, usize, &'static str),
    /// A volume with the field of its source, and the place of the item with the key.
    Volume(usize, &'static str, Option<usize>),
    /// A source of a projected volume, by the places of both, and the place of the item with the key.
    Projected(usize, usize, Option<usize>),
    /// A Secret for pulling images.
    PullSecret(usize),
}

impl fmt::Display for ReferencePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = match *self {
            Self::Env(list, container, index, field) => {
                return write!(f, "{list}[{container}].env[{index}].valueFrom.{field}");
            }
            Self::EnvFrom(list, container, index, field) => {
                return write!(f, "{list}[{container}].envFrom[{index}].{field}");
            }
            Self::PullSecret(index) => return write!(f, "imagePullSecrets[{index}]"),
            Self::Volume(index, field, item) => {
                write!(f, "volumes[{index}].{field}")?;
                item
            }
            Self::Projected(index, source, item) => {
                write!(f, "volumes[{index}].projected.sources[{source}]")?;
                item
            }
        };
        item.map_or(Ok(()), |item| write!(f, ".items[{item}].key"))
    }
}

impl<'a> PodShape<'a> {
    /// Reads what relations between these kinds need.
    pub(super) fn of(workload: &Workload<'a>, kinds: Kinds) -> Self {
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
                .find(|name| !name.is_empty() && &***name != "default")
                .cloned(),
            automounts_token: pod.automount_service_account_token,
            ..Self::default()
        };
        if kinds.contains(Kind::Service) {
            let ports = pod.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
            let named = ports.filter(|port| !port.name.is_empty()).map(|port| NamedPort {
                name: port.name.clone(),
                protocol: if port.protocol.is_empty() { "TCP".into() } else { port.protocol.clone() },
            });
            shape.ports = named.collect();
        }
        if kinds.contains(Kind::PodMetrics) {
            let limits = pod.containers.iter().map(|container| {
                let resources = container.resources.unwrap_or_default();
                let (memory, cpu) = (resources.memory_limit(), resources.cpu_limit());
                Limits { container: container.name.clone(), memory, cpu }
            });
            shape.limits = limits.collect();
        }
        if kinds.contains(Kind::PersistentVolumeClaim) {
            let claims = pod.volumes.iter().filter_map(|volume| match &volume.content {
                VolumeContent::Claim(claim) => Some(claim.claim_name.clone()),
                _ => None,
            });
            shape.claims = claims.collect();
        }
        if kinds.contains(Kind::ConfigMap) || kinds.contains(Kind::Secret) {
            shape.references = references(pod);
        }
        shape
    }

    /// Copies the shape by a function that copies one text, so that it borrows nothing.
    pub(super) fn copied(&self, mut copy: impl FnMut(&str) -> Text<'static>) -> PodShape<'static> {
        let ports = self.ports.iter();
        let ports = ports.map(|one| NamedPort { name: copy(&one.name), protocol: copy(&one.protocol) });
        let ports = ports.collect();
        let limits = self.limits.iter();
        let limits =
            limits.map(|one| Limits { container: copy(&one.container), memory: one.memory, cpu: one.cpu });
        let limits = limits.collect();
        let references = self.references.iter().map(|one| Reference {
            kind: one.kind,
            name: copy(&one.name),
            key: one.key.as_ref().map(|key| copy(key)),
            place: one.place,
        });
        let references = references.collect();
        PodShape {
            ports,
            uses_host_network: self.uses_host_network,
            has_host_port: self.has_host_port,
            has_claim: self.has_claim,
            account: self.account.as_ref().map(|account| copy(account)),
            automounts_token: self.automounts_token,
            claims: self.claims.iter().map(|claim| copy(claim)).collect(),
            limits,
            references,
        }
    }
}

/// Returns the `ConfigMap`s and Secrets that a pod can't start without.
fn references<'a>(pod: &PodSpec<'a>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    let lists = [("initContainers", &pod.init_containers), ("containers", &pod.containers)];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            of_container(container, (list, index), &mut found);
        }
    }
    for (index, volume) in pod.volumes.iter().enumerate() {
        match &volume.content {
            VolumeContent::ConfigMap(map) if !map.optional => {
                let place = |item| ReferencePlace::Volume(index, "configMap", item);
                of_volume((Kind::ConfigMap, &map.name), &map.items, place, &mut found);
            }
            VolumeContent::Secret(secret) if !secret.optional => {
                let place = |item| ReferencePlace::Volume(index, "secret", item);
                of_volume((Kind::Secret, &secret.secret_name), &secret.items, place, &mut found);
            }
            VolumeContent::Projected(projected) => {
                for (source, part) in projected.sources.iter().enumerate() {
                    let place = |item| ReferencePlace::Projected(index, source, item);
                    for (kind, named) in [(Kind::ConfigMap, &part.config_map), (Kind::Secret, &part.secret)] {
                        if let Some(named) = named.as_ref().filter(|named| !named.optional) {
                            of_volume((kind, &named.name), &named.items, place, &mut found);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    for (index, secret) in pod.image_pull_secrets.iter().enumerate() {
        let (name, place) = (secret.name.clone(), ReferencePlace::PullSecret(index));
        found.push(Reference { kind: Kind::Secret, name, key: None, place });
    }
    found.retain(|reference| !reference.name.is_empty());
    found
}

fn of_container<'a>(
    container: &Container<'a>,
    (list, place): (&'static str, usize),
    found: &mut Vec<Reference<'a>>,
) {
    for (index, variable) in container.env.iter().enumerate() {
        let Some(source) = &variable.value_from else { continue };
        for (kind, of, field) in [
            (Kind::ConfigMap, &source.config_map_key_ref, "configMapKeyRef"),
            (Kind::Secret, &source.secret_key_ref, "secretKeyRef"),
        ] {
            if let Some(of) = of.as_ref().filter(|of| !of.optional) {
                let place = ReferencePlace::Env(list, place, index, field);
                found.push(Reference { kind, name: of.name.clone(), key: Some(of.key.clone()), place });
            }
        }
    }
    for (index, source) in container.env_from.iter().enumerate() {
        for (kind, of, field) in [
            (Kind::ConfigMap, &source.config_map_ref, "configMapRef"),
            (Kind::Secret, &source.secret_ref, "secretRef"),
        ] {
            if let Some(of) = of.as_ref().filter(|of| !of.optional) {
                let place = ReferencePlace::EnvFrom(list, place, index, field);
                found.push(Reference { kind, name: of.name.clone(), key: None, place });
            }
        }
    }
}

fn of_volume<'a>(
    (kind, name): (Kind, &Text<'a>),
    items: &[KeyPath<'a>],
    place: impl Fn(Option<usize>) -> ReferencePlace,
    found: &mut Vec<Reference<'a>>,
) {
    let reference = |key, item| Reference { kind, name: name.clone(), key, place: place(item) };
    if items.is_empty() {
        found.push(reference(None, None));
    }
    found
        .extend(items.iter().enumerate().map(|(index, item)| reference(Some(item.key.clone()), Some(index))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_as_its_path() {
        for (place, expected) in [
            (
                ReferencePlace::Env("initContainers", 1, 2, "secretKeyRef"),
                "initContainers[1].env[2].valueFrom.secretKeyRef",
            ),
            (
                ReferencePlace::EnvFrom("containers", 0, 3, "configMapRef"),
                "containers[0].envFrom[3].configMapRef",
            ),
            (ReferencePlace::Volume(4, "secret", None), "volumes[4].secret"),
            (ReferencePlace::Volume(4, "configMap", Some(1)), "volumes[4].configMap.items[1].key"),
            (ReferencePlace::Projected(5, 2, Some(0)), "volumes[5].projected.sources[2].items[0].key"),
            (ReferencePlace::PullSecret(6), "imagePullSecrets[6]"),
        ] {
            assert_eq!(place.to_string(), expected);
        }
    }
}
