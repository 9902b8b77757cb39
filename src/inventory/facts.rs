//! The collection of facts, in any order and in parts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Closed, Identity, Known, PodGroup, PodShape, Related, Standing, TemplateFacts};
use crate::workload::{Kind, Kinds, Labels, ObjectKind, TypeMeta, Workload, WorkloadKind};

/// Pods by namespace and name.
pub(super) type Pods = HashMap<(Arc<str>, Arc<str>), (Identity, Arc<PodShape>)>;

/// The facts that relations between some kinds need.
#[derive(Debug, Default)]
pub struct Facts {
    kinds: Kinds,
    /// Pods with a controller, by what they have in common. The value is the first of them by name, and the
    /// time of the youngest.
    pub(super) managed: HashMap<Managed, (Identity, Option<Timestamp>)>,
    /// Templates, and pods without a controller.
    pub(super) groups: Vec<PodGroup>,
    /// The pods by namespace and name, if a rule reads their use of resources.
    pub(super) pods: Pods,
    pub(super) known: BTreeMap<Kind, Vec<Known>>,
    /// The namespaces with pods whose controller is of an unknown kind.
    pub(super) foreign_pods: HashSet<Arc<str>>,
    /// True if the input has a custom resource whose controller may make pods.
    pub(super) has_makers: bool,
    pub(super) closed: Closed,
    labels: Shared<Labels<'static>>,
    shapes: Shared<PodShape>,
    texts: HashSet<Arc<str>>,
}

/// The properties that all pods of a controller share.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Managed {
    pub(super) namespace: Arc<str>,
    pub(super) owner: Arc<str>,
    pub(super) labels: Arc<Labels<'static>>,
    pub(super) shape: Arc<PodShape>,
}

/// Equal values that are kept once.
#[derive(Debug)]
struct Shared<T> {
    places: HashMap<Arc<T>, usize>,
    values: Vec<Arc<T>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), values: Vec::new() }
    }
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
    pub fn add_workload(&mut self, workload: &Workload<'_>, mut identity: Identity) {
        if workload.uses_template_of.is_some() || workload.is_managed() || workload.is_terminal() {
            return;
        }
        let none = Labels::default();
        let labels = workload.labels().unwrap_or(&none);
        let labels = self.labels(labels);
        let shape = self.shapes.share(PodShape::of(workload, self.kinds));
        let created =
            workload.metadata.creation_timestamp.filter(|_| self.kinds.contains(Kind::EndpointSlice));
        let controller = workload.metadata.controller().filter(|_| workload.is_pod());
        let Some(controller) = controller else {
            let standing = if workload.is_pod() {
                Standing::Alone
            } else {
                Standing::Template(TemplateFacts::of(workload))
            };
            if workload.is_pod() && self.kinds.contains(Kind::PodMetrics) {
                let place = (Arc::clone(&identity.namespace), Arc::clone(&identity.name));
                add_pod(&mut self.pods, place, (identity.clone(), Arc::clone(&shape)));
            }
            self.groups.push(PodGroup { identity, labels, shape, standing, youngest: created });
            return;
        };
        let namespace = Arc::clone(&identity.namespace);
        if !is_known(&controller.kind) {
            self.foreign_pods.insert(Arc::clone(&namespace));
        }
        let owner = self.text(&workload.owner().to_string());
        identity.owner = Some(Arc::clone(&owner));
        if self.kinds.contains(Kind::PodMetrics) {
            let place = (Arc::clone(&namespace), Arc::clone(&identity.name));
            add_pod(&mut self.pods, place, (identity.clone(), Arc::clone(&shape)));
        }
        let key = Managed { namespace, owner, labels, shape };
        add_managed(&mut self.managed, key, (identity, created));
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
        for (key, pods) in part.managed {
            add_managed(&mut self.managed, key, pods);
        }
        self.groups.extend(part.groups);
        for (place, pod) in part.pods {
            add_pod(&mut self.pods, place, pod);
        }
        for (kind, known) in part.known {
            self.known.entry(kind).or_default().extend(known);
        }
        self.foreign_pods.extend(part.foreign_pods);
        self.has_makers |= part.has_makers;
        self.closed.merge(part.closed);
    }

    /// Returns a shared copy of a text.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }

    /// Returns a shared copy of labels. It is looked up before anything is copied.
    fn labels<'a>(&mut self, labels: &Labels<'a>) -> Arc<Labels<'static>> {
        let places: &HashMap<Arc<Labels<'a>>, usize> = &self.labels.places;
        let place = places.get(labels).copied();
        match place.and_then(|place| self.labels.values.get(place)) {
            Some(known) => Arc::clone(known),
            None => self.labels.share(labels.to_static()),
        }
    }
}

impl<T: std::hash::Hash + Eq> Shared<T> {
    fn share(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.places.get(&value).and_then(|place| self.values.get(*place)) {
            return Arc::clone(known);
        }
        let shared = Arc::new(value);
        self.places.insert(Arc::clone(&shared), self.values.len());
        self.values.push(Arc::clone(&shared));
        shared
    }
}

/// Adds a pod. Files can have several of one name: the first by its source counts, in any order of the input.
fn add_pod(pods: &mut Pods, place: (Arc<str>, Arc<str>), pod: (Identity, Arc<PodShape>)) {
    match pods.get_mut(&place) {
        Some(known) if pod < *known => *known = pod,
        Some(_) => {}
        None => {
            pods.insert(place, pod);
        }
    }
}

fn add_managed(
    managed: &mut HashMap<Managed, (Identity, Option<Timestamp>)>,
    key: Managed,
    (identity, created): (Identity, Option<Timestamp>),
) {
    match managed.get_mut(&key) {
        Some((known, youngest)) => {
            *youngest = (*youngest).max(created);
            // A pod that was asked for stands for the others.
            if (!identity.is_asked, &identity) < (!known.is_asked, &*known) {
                *known = identity;
            }
        }
        None => {
            managed.insert(key, (identity, created));
        }
    }
}

/// Returns true for the kind of a controller whose template is read, and for a node, which runs static pods.
fn is_known(kind: &str) -> bool {
    let kinds = WorkloadKind::ADMITTED.into_iter().map(|kind| ObjectKind::Workload(kind).name());
    kinds.into_iter().chain(["Node", "CloneSet"]).any(|known| known == kind)
}
