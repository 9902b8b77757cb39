//! Reading any Kubernetes object: as a [`Workload`] if its kind is evaluated, as items of a list, else by name only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::container_search::ContainerSearch;
use super::kind::PodPlace;
use super::object_key::Key;
use super::other_kind::OtherObject;
use super::raw::ValueSeed;
use super::supplied::{self, IMAGE_TRIGGERS, Trigger};
use super::template::{CronJobSpec, PodTemplate, TemplateMetadata, TemplateSpec};
use super::{
    Fields, Kind, Metadata, OwnerReference, PodSpec, PodStatus, Text, TypeMeta, Workload, WorkloadKind,
    WorkloadSpec, WorkloadStatus,
};

/// A Kubernetes object of any kind.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    /// The type that the object names.
    pub types: TypeMeta,
    /// The content, as far as it is read.
    pub parsed: Parsed<'a>,
}

/// The content of an object, as far as it is read.
#[derive(Debug, Clone)]
pub enum Parsed<'a> {
    /// An object that rules evaluate.
    Workload(Workload<'a>),
    /// The items of a list.
    List(Vec<Object<'a>>),
    /// An object of another kind that rules read.
    Related(Box<OtherObject>),
    /// An object of a kind that is not evaluated.
    Other {
        /// True where it holds a list of containers.
        holds_containers: bool,
        /// Its metadata (a detail, except that of a Namespace).
        metadata: Metadata<'a>,
    },
    /// No Kubernetes object: it has no `kind`.
    Foreign,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ObjectSeed::default().deserialize(deserializer)
    }
}

impl<'a> Workload<'a> {
    /// Reads the JSON of an object of a known kind, which it need not name itself, as an item of a list.
    pub fn from_json(kind: WorkloadKind, json: &'a str) -> serde_json::Result<Self> {
        Self::read(kind, &mut serde_json::Deserializer::from_str(json))
    }

    fn read<'de: 'a, D: Deserializer<'de>>(kind: WorkloadKind, json: D) -> Result<Self, D::Error> {
        let types = TypeMeta { api_version: kind.api_version().to_owned(), kind: kind.name().to_owned() };
        match (ObjectSeed { default: Some(&types), known: None }).deserialize(json)?.parsed {
            Parsed::Workload(workload) if workload.kind == kind => Ok(workload),
            _ => Err(D::Error::custom(format_args!("not a {}", kind.name()))),
        }
    }
}

impl Workload<'static> {
    /// Reads every field as [`Workload::from_json`] does, and borrows nothing, so that the object can be kept.
    pub fn from_json_owned(kind: WorkloadKind, json: &str) -> serde_json::Result<Self> {
        Self::from_json_with(Fields::All, kind, json)
    }

    /// Reads these fields as [`Workload::from_json_owned`] does. JSON is kept without managed fields.
    pub fn from_json_with(fields: Fields, kind: WorkloadKind, json: &str) -> serde_json::Result<Self> {
        let mut workload = fields
            .within(|| Self::read(kind, &mut serde_json::Deserializer::from_reader(json.as_bytes())))?;
        if let Some(metadata) =
            workload.raw.as_mut().and_then(Arc::get_mut).and_then(|raw| raw.get_mut("metadata"))
        {
            metadata.as_object_mut().map(|metadata| metadata.remove("managedFields"));
        }
        Ok(workload)
    }
}

/// Reads an object that may inherit its type, as the items of a typed list do.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObjectSeed<'t> {
    /// The type of an object that doesn't name its own.
    pub default: Option<&'t TypeMeta>,
    /// The object's own type, if it was read before. An error in front of the type then names its field and line.
    pub known: Option<&'t TypeMeta>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        if Fields::raw().is_empty() {
            return deserializer.deserialize_map(self);
        }
        with_raw(self, deserializer)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut own = self.known.map_or_else(Own::default, Own::known);
        let mut role = own.role(self.default);
        let mut draft = Draft::default();
        // Parts in front of the type. They are rare, except in objects with sorted keys.
        let mut early = EarlyParts::new();
        // A bit for each key.
        let mut seen = 0_u8;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if let Some((name, bit)) = key.name() {
                if seen & bit != 0 {
                    return Err(A::Error::duplicate_field(name));
                }
                seen |= bit;
            }
            match key {
                Key::ApiVersion => {
                    own.api_version = map.next_value::<Option<Text<'de>>>()?.filter(|text| !text.is_empty());
                    role = own.role(self.default);
                    continue;
                }
                Key::Kind => {
                    own.kind = map.next_value::<Option<Text<'de>>>()?.filter(|text| !text.is_empty());
                    role = own.role(self.default);
                    continue;
                }
                _ => {}
            }
            match (&role, key) {
                (Some(Role::Related(_)), key) => {
                    draft.content.insert(key.into_text(), map.next_value()?);
                }
                (Some(role), Key::Part(part)) => {
                    let is_stored = draft.metadata.uid.as_deref().is_some_and(|uid| !uid.is_empty());
                    let reader = PartSeed { role: role.clone(), part, draft: &mut draft };
                    if is_stored {
                        Fields::of_stored(|| map.next_value_seed(reader))?;
                    } else {
                        map.next_value_seed(reader)?;
                    }
                }
                (None, Key::Part(part)) => {
                    early.insert(part.into(), map.next_value()?);
                }
                (None, key) if !Fields::kinds().is_empty() => {
                    early.insert(key.into_text().into(), map.next_value()?);
                }
                (Some(Role::Workload(_) | Role::List(_)), _) => {
                    map.next_value::<IgnoredAny>()?;
                }
                (Some(Role::Namespace | Role::Other) | None, _) => {
                    draft.holds_containers |= map.next_value_seed(ContainerSearch::of_lists())?;
                }
            }
        }
        if own.kind.is_none() && self.default.is_none() {
            return Ok(Object { types: TypeMeta::default(), parsed: Parsed::Foreign });
        }
        let Some(role) = role else {
            return Err(A::Error::custom("not a Kubernetes object: `apiVersion` is missing"));
        };
        draft.add_early(&role, early).map_err(A::Error::custom)?;
        Ok(draft.finish(role, own.types(self.default)))
    }
}

/// Reads the JSON first, and the object from it.
fn with_raw<'de, D: Deserializer<'de>>(
    seed: ObjectSeed<'_>,
    deserializer: D,
) -> Result<Object<'de>, D::Error> {
    let value = ValueSeed.deserialize(deserializer)?;
    let kept = value.clone();
    // The items of a list take their JSON from that of the list.
    let mut object = Fields::kept_without_raw(|| seed.deserialize(value)).map_err(D::Error::custom)?;
    attach(&mut object, kept);
    Ok(object)
}

/// Gives the JSON to an object, or to the items of a list.
fn attach(object: &mut Object<'_>, mut value: serde_json::Value) {
    match &mut object.parsed {
        Parsed::Workload(workload) if Fields::raw().contains(workload.kind) => {
            name_type(&mut value, &object.types);
            workload.raw = Some(Arc::new(value));
        }
        Parsed::List(items) => {
            let serde_json::Value::Array(values) = value["items"].take() else { return };
            for (item, value) in items.iter_mut().zip(values) {
                attach(item, value);
            }
        }
        _ => {}
    }
}

/// Writes the type into an object that took it from its list, as an expression may read it.
fn name_type(value: &mut serde_json::Value, types: &TypeMeta) {
    if let serde_json::Value::Object(fields) = value {
        fields.entry("apiVersion").or_insert_with(|| types.api_version.clone().into());
        fields.entry("kind").or_insert_with(|| types.kind.clone().into());
    }
}

/// The type that an object names.
#[derive(Default)]
struct Own<'a> {
    api_version: Option<Text<'a>>,
    kind: Option<Text<'a>>,
}

impl Own<'_> {
    fn known(types: &TypeMeta) -> Self {
        let text = |text: &String| Some(Text::from(text.clone()));
        Self { api_version: text(&types.api_version), kind: text(&types.kind) }
    }

    /// The way to read the object; `None` until its type is known.
    fn role(&self, default: Option<&TypeMeta>) -> Option<Role> {
        let (api_version, kind) = match (&self.api_version, &self.kind, default) {
            (Some(api_version), Some(kind), _) => (&**api_version, &**kind),
            (None, None, Some(default)) => (&*default.api_version, &*default.kind),
            _ => return None,
        };
        Some(match WorkloadKind::find(api_version, kind) {
            Some(kind) => Role::Workload(kind),
            None if kind == "List" => Role::List(None),
            None if let Some(kind) = related(api_version, kind) => Role::Related(kind),
            None if (api_version, kind) == ("v1", "Namespace") => Role::Namespace,
            None => TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() }
                .item()
                .map_or(Role::Other, |item| Role::List(Some(item))),
        })
    }

    fn types(&self, default: Option<&TypeMeta>) -> TypeMeta {
        match (&self.api_version, &self.kind, default) {
            (Some(api_version), Some(kind), _) => {
                TypeMeta { api_version: api_version.to_string(), kind: kind.to_string() }
            }
            (_, _, default) => default.cloned().unwrap_or_default(),
        }
    }
}

/// Returns the kind of an object that is no workload, if rules read it.
fn related(api_version: &str, kind: &str) -> Option<Kind> {
    let kinds = Fields::kinds();
    if kinds.is_empty() {
        return None;
    }
    Kind::find(api_version, kind).filter(|kind| kinds.contains(*kind))
}

/// The way to read an object.
#[derive(Clone)]
enum Role {
    Workload(WorkloadKind),
    Related(Kind),
    List(Option<TypeMeta>),
    /// A Namespace that no rule reads. Its annotations count for the objects in it.
    Namespace,
    Other,
}

/// The parts of an object that stand in front of its type, by their names. A name of a known part is borrowed.
type EarlyParts = BTreeMap<Cow<'static, str>, serde_json::Value>;

/// The parts of an object read so far.
#[derive(Default)]
struct Draft<'a> {
    metadata: Metadata<'a>,
    template: TemplateMetadata<'a>,
    has_selector: bool,
    spec: Option<Box<WorkloadSpec<'a>>>,
    triggers: Vec<Trigger<'a>>,
    uses_template_of: Option<OwnerReference<'a>>,
    pod: PodSpec<'a>,
    status: Option<PodStatus<'a>>,
    own_status: Option<Box<WorkloadStatus<'a>>>,
    items: Option<Vec<Object<'a>>>,
    /// The content of an object that is no workload.
    content: serde_json::Map<String, serde_json::Value>,
    holds_containers: bool,
}

impl<'a> Draft<'a> {
    fn template(&mut self, template: Option<PodTemplate<'a>>) {
        let template = template.unwrap_or_default();
        self.template = template.metadata.unwrap_or_default();
        self.pod = template.spec.unwrap_or_default();
    }

    fn spec(&mut self, spec: TemplateSpec<'a>) {
        self.has_selector = spec.selector.is_some();
        if Fields::are_all() {
            self.spec = Some(Box::new(WorkloadSpec {
                replicas: spec.replicas,
                selector: spec.selector.and_then(|selector| selector.0),
                strategy: spec.strategy,
                service_name: spec.service_name,
                starting_deadline_seconds: None,
                ttl_seconds_after_finished: spec.ttl_seconds_after_finished,
                manual_selector: spec.manual_selector,
                suspend: spec.suspend,
                has_claim_templates: !spec.volume_claim_templates.is_empty(),
            }));
        }
        self.triggers = spec.triggers.unwrap_or_default();
        self.uses_template_of = spec.workload_ref;
        self.template(spec.template);
    }

    /// Adds the parts that were read before the type was known.
    fn add_early(&mut self, role: &Role, early: EarlyParts) -> Result<(), serde_json::Error> {
        for (part, value) in early {
            match (role, part) {
                (Role::Related(_), part) => {
                    self.content.insert(part.into_owned(), value);
                }
                (role, Cow::Borrowed(part)) => PartSeed { role: role.clone(), part, draft: self }
                    .deserialize(value)
                    .map_err(|error| serde_json::Error::custom(format_args!("{part}: {error}")))?,
                (Role::Namespace | Role::Other, Cow::Owned(_)) => {
                    self.holds_containers |= ContainerSearch::of_lists().deserialize(value)?;
                }
                (Role::Workload(_) | Role::List(_), Cow::Owned(_)) => {}
            }
        }
        Ok(())
    }

    fn finish(self, role: Role, types: TypeMeta) -> Object<'a> {
        let parsed = match (role, self.items) {
            (Role::Workload(kind), items) => Parsed::Workload(Draft { items, ..self }.workload(kind)),
            (Role::Related(kind), _) => {
                Parsed::Related(Box::new(OtherObject { kind, content: self.content }))
            }
            (Role::List(_), Some(items)) => Parsed::List(items),
            (Role::List(None), None) => Parsed::List(Vec::new()),
            // A custom resource's kind may end in "List" without being a list.
            (Role::List(Some(_)) | Role::Namespace | Role::Other, _) => {
                Parsed::Other { holds_containers: self.holds_containers, metadata: self.metadata }
            }
        };
        Object { types, parsed }
    }

    fn workload(mut self, kind: WorkloadKind) -> Workload<'a> {
        let of_pod = match kind.pod_place() {
            PodPlace::Spec => (&self.metadata.labels, &self.metadata.annotations),
            _ => (&self.template.labels, &self.template.annotations),
        };
        supplied::mark_injected(&mut self.pod, of_pod.0, of_pod.1);
        supplied::mark_triggered(&mut self.pod, &self.triggers);
        if let Some(triggers) = self.metadata.annotation(IMAGE_TRIGGERS) {
            supplied::mark_annotated(&mut self.pod, triggers);
        }
        if kind == WorkloadKind::KnativeService {
            supplied::name_containers(&mut self.pod);
        }
        Workload {
            kind,
            metadata: self.metadata,
            template_labels: self.template.labels,
            has_selector: self.has_selector,
            has_details: Fields::are_all(),
            has_annotations: Fields::have_annotations(),
            spec: self.spec,
            template_annotations: self.template.annotations.filter(|_| Fields::are_all()),
            uses_template_of: self.uses_template_of.filter(|_| kind == WorkloadKind::Rollout).map(Box::new),
            pod: Arc::new(self.pod),
            status: self.status,
            own_status: self.own_status,
            raw: None,
        }
    }
}

/// Reads one top-level field of an object into its draft.
struct PartSeed<'d, 'a> {
    role: Role,
    part: &'static str,
    draft: &'d mut Draft<'a>,
}

impl<'de> DeserializeSeed<'de> for PartSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let draft = self.draft;
        match (self.role, self.part) {
            (Role::Workload(_), "metadata") => {
                draft.metadata = Option::deserialize(deserializer)?.unwrap_or_default();
            }
            (Role::Workload(kind), part) => match (kind.pod_place(), part) {
                (PodPlace::Spec, "spec") => {
                    draft.pod = Option::deserialize(deserializer)?.unwrap_or_default();
                }
                (PodPlace::Spec, "status") => draft.status = Option::deserialize(deserializer)?,
                (PodPlace::Template, "template") => draft.template(Option::deserialize(deserializer)?),
                (PodPlace::SpecTemplate | PodPlace::SpecJobTemplate, "status")
                    if Fields::are_all() && kind.has_known_status() =>
                {
                    draft.own_status = Option::deserialize(deserializer)?;
                }
                (PodPlace::SpecTemplate, "spec") => {
                    draft.spec(Option::deserialize(deserializer)?.unwrap_or_default());
                }
                (PodPlace::SpecJobTemplate, "spec") => {
                    let spec: CronJobSpec<'_> = Option::deserialize(deserializer)?.unwrap_or_default();
                    draft.spec(spec.job_template.and_then(|job| job.spec).unwrap_or_default());
                    if let Some(own) = &mut draft.spec {
                        own.starting_deadline_seconds = spec.starting_deadline_seconds;
                        own.suspend = spec.suspend;
                    }
                }
                _ => {
                    IgnoredAny::deserialize(deserializer)?;
                }
            },
            (role @ (Role::Namespace | Role::Other), "metadata")
                if Fields::are_all() || matches!(role, Role::Namespace) =>
            {
                // A custom resource is free to have metadata of another form.
                let metadata = serde_json::Value::deserialize(deserializer)?;
                draft.metadata = Metadata::deserialize(metadata).unwrap_or_default();
            }
            (Role::Namespace | Role::Other, "spec" | "template" | "items") => {
                draft.holds_containers |= ContainerSearch::new().deserialize(deserializer)?;
            }
            (Role::List(item), "items") => {
                draft.items = Some(deserializer.deserialize_any(ItemsVisitor { default: item.as_ref() })?);
            }
            _ => {
                IgnoredAny::deserialize(deserializer)?;
            }
        }
        Ok(())
    }
}

struct ItemsVisitor<'t> {
    default: Option<&'t TypeMeta>,
}

impl<'de> Visitor<'de> for ItemsVisitor<'_> {
    type Value = Vec<Object<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of Kubernetes objects")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = items.next_element_seed(ObjectSeed { default: self.default, known: None })? {
            objects.push(object);
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests;
