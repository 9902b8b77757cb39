//! The collection of facts, in any order and in parts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::pod_groups::{Alike, PodGroups};
use super::pod_list::PodList;
use super::{Closed, Identity, Known, NewObject, PodGroup, PodShape, Related, Standing, TemplateFacts};
use crate::workload::{Kind, Kinds, Labels, ObjectKind, TypeMeta, Workload, WorkloadKind};

/// The facts that relations between some kinds need.
#[derive(Debug, Default)]
pub struct Facts {
    kinds: Kinds,
    /// The pods and templates.
    pub(super) pods: PodGroups,
    /// The pods by namespace and name, if a rule reads their use of resources.
    pub(super) by_name: PodList,
    pub(super) known: BTreeMap<Kind, Vec<Known>>,
    /// The namespaces with pods whose controller is of an unknown kind.
    pub(super) foreign_pods: HashSet<Arc<str>>,
    /// True if the input has a custom resource whose controller may make pods.
    pub(super) has_makers: bool,
    pub(super) closed: Closed,
}

/// The API groups whose custom resources make no pods.
const HARMLESS: [&str; 22] = [
    "acme.cert-manager.io",
    "cert-manager.io",
    "bitnami.com",
    "cilium.io",
    "crd.projectcalico.org",
    "projectcalico.org",
    "external-secrets.io",
    "keda.sh",
    "kyverno.io",
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "traefik.io",
    "traefik.containo.us",
    "gateway.envoyproxy.io",
    "kustomize.config.k8s.io",
    "kustomize.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
    "devops.stochastic.io",
    "policies.kubewarden.io",
    "constraints.gatekeeper.sh",
    "templates.gatekeeper.sh",
];
/// The kinds of a group with makers of pods that make none.
const HARMLESS_KINDS: [&str; 5] = ["ServiceMonitor", "PodMonitor", "PrometheusRule", "Probe", "AppProject"];

impl Facts {
    /// Starts a collection for relations between these kinds.
    pub fn new(kinds: Kinds) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// Returns true if no relation needs a fact.
    pub fn is_unneeded(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Returns the kinds that relations need.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// The kinds of which the input has every object.
    pub fn closed(&mut self) -> &mut Closed {
        &mut self.closed
    }

    /// Adds a pod or a template, unless another object stands for it or it has ended.
    pub fn add_workload(&mut self, workload: &Workload<'_>, object: &NewObject<'_>) {
        if workload.uses_template_of.is_some() || workload.is_managed() || workload.is_terminal() {
            return;
        }
        let none = Labels::default();
        let labels = self.pods.labels(workload.labels().unwrap_or(&none));
        let shape = self.pods.shape(&PodShape::of(workload, self.kinds));
        let created =
            workload.metadata.creation_timestamp.filter(|_| self.kinds.contains(Kind::EndpointSlice));
        let controller = workload.metadata.controller().filter(|_| workload.is_pod());
        let namespace = self.text(object.namespace);
        let owner = controller.map(|_| self.text(&workload.owner().to_string()));
        if workload.is_pod() && self.kinds.contains(Kind::PodMetrics) {
            let source = object.source.map(|(source, _)| self.text(source));
            self.by_name.add((&namespace, owner.as_ref(), source.as_ref()), object, &shape);
        }
        let (Some(controller), Some(owner)) = (controller, owner) else {
            let standing = if workload.is_pod() {
                Standing::Alone
            } else {
                Standing::Template(TemplateFacts::of(workload).into())
            };
            let identity = self.identity(object);
            return self.pods.push(PodGroup { identity, labels, shape, standing, youngest: created });
        };
        if !is_known(&controller.kind) && !self.foreign_pods.contains(&namespace) {
            self.foreign_pods.insert(Arc::clone(&namespace));
        }
        self.pods.add_managed(&Alike { namespace, owner, labels, shape }, object, created);
    }

    /// Adds an object of another kind.
    pub fn add_related(&mut self, related: Arc<Related>, identity: Identity) {
        if self.kinds.contains(related.kind) {
            self.known.entry(related.kind).or_default().push(Known { identity, related });
        }
    }

    /// Notes an object of a kind that no rule reads.
    pub fn add_unread(&mut self, types: &TypeMeta, holds_containers: bool) {
        let group = types.api_version.split_once('/').map_or("", |(group, _)| group);
        let is_custom = group.contains('.') && !group.ends_with(".k8s.io");
        let is_harmless = HARMLESS.contains(&group) || HARMLESS_KINDS.contains(&&*types.kind);
        self.has_makers |= holds_containers || is_custom && !is_harmless;
    }

    /// Adds the facts of another part.
    pub fn merge(&mut self, part: Self) {
        self.pods.merge(part.pods);
        self.by_name.merge(part.by_name);
        for (kind, known) in part.known {
            self.known.entry(kind).or_default().extend(known);
        }
        self.foreign_pods.extend(part.foreign_pods);
        self.has_makers |= part.has_makers;
        self.closed.merge(part.closed);
    }

    /// Returns a shared copy of a text.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        self.pods.text(text)
    }

    /// Keeps the identity of an object.
    pub fn identity(&mut self, object: &NewObject<'_>) -> Identity {
        self.pods.identity(object, None)
    }
}

/// Returns true for the kind of a controller whose template is read, and for a node, which runs static pods.
fn is_known(kind: &str) -> bool {
    let kinds = WorkloadKind::ADMITTED.into_iter().map(|kind| ObjectKind::Workload(kind).name());
    kinds.into_iter().chain(["Node", "CloneSet"]).any(|known| known == kind)
}
