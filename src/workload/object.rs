//! Reading any Kubernetes object: what is judged becomes a [`Workload`], a list its items, the rest is only named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::object_only::object_only;
use super::{Labels, Metadata, PodSpec, PodStatus, Text, Workload, WorkloadKind};

/// An object's `apiVersion` and `kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeMeta {
    /// The group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
}

impl TypeMeta {
    /// The type of the items of a typed list such as a `PodList`; `None` for anything but such a list.
    pub fn item(&self) -> Option<Self> {
        let kind = self.kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(Self { api_version: self.api_version.clone(), kind: kind.to_owned() })
    }
}

/// A Kubernetes object of any kind.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    /// What the object says that it is.
    pub types: TypeMeta,
    /// What was read of it.
    pub parsed: Parsed<'a>,
}

/// What is read of an object.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "an object is judged and dropped, so a box would only cost time"
)]
pub enum Parsed<'a> {
    /// Something that rules judge.
    Workload(Workload<'a>),
    /// The items of a list.
    List(Vec<Object<'a>>),
    /// Something that rules don't judge, of which nothing is kept.
    Other,
    /// No Kubernetes object: it has no `kind`.
    Foreign,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ObjectSeed::default().deserialize(deserializer)
    }
}

impl<'a> Workload<'a> {
    /// Reads the JSON of an object that is known to be of a kind: as an item of a list it needn't name its own.
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
    /// Reads as [`Workload::from_json`] does and borrows nothing, so that the object can be kept.
    pub fn from_json_owned(kind: WorkloadKind, json: &str) -> serde_json::Result<Self> {
        Self::read(kind, &mut serde_json::Deserializer::from_reader(json.as_bytes()))
    }
}

/// Reads an object whose type may stand above it, as that of the items of a typed list does.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObjectSeed<'t> {
    /// The type of an object that doesn't name its own.
    pub default: Option<&'t TypeMeta>,
    /// The type of the object itself, where it was read before: so even parts that stand before it are read in place,
    /// and an error in one names its field and its line.
    pub known: Option<&'t TypeMeta>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    ApiVersion,
    Kind,
    Metadata,
    Spec,
    Status,
    Items,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut own = self.known.map_or_else(Own::default, Own::known);
        let mut draft = Draft::default();
        // Parts that come before the object says what it is; only hand-written files have any.
        let mut early: BTreeMap<&'static str, serde_json::Value> = BTreeMap::new();
        while let Some(key) = map.next_key::<Key>()? {
            let part = match key {
                Key::ApiVersion => {
                    own.api_version = map.next_value()?;
                    continue;
                }
                Key::Kind => {
                    own.kind = map.next_value()?;
                    continue;
                }
                Key::Metadata => "metadata",
                Key::Spec => "spec",
                Key::Status => "status",
                Key::Items => "items",
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            match own.role(self.default) {
                Some(role) => map.next_value_seed(PartSeed { role, part, draft: &mut draft })?,
                None => {
                    early.insert(part, map.next_value()?);
                }
            }
        }
        if own.kind.is_none() && self.default.is_none() {
            return Ok(Object { types: TypeMeta::default(), parsed: Parsed::Foreign });
        }
        let Some(role) = own.role(self.default) else {
            return Err(A::Error::custom("not a Kubernetes object: `apiVersion` is missing"));
        };
        for (part, value) in early {
            PartSeed { role: role.clone(), part, draft: &mut draft }
                .deserialize(value)
                .map_err(|error| A::Error::custom(format_args!("{part}: {error}")))?;
        }
        Ok(draft.finish(role, own.types(self.default)))
    }
}

/// The type that an object names itself.
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

    /// What the object is read as; `None` until that can be told.
    fn role(&self, default: Option<&TypeMeta>) -> Option<Role> {
        let (api_version, kind) = match (&self.api_version, &self.kind, default) {
            (Some(api_version), Some(kind), _) => (&**api_version, &**kind),
            (None, None, Some(default)) => (&*default.api_version, &*default.kind),
            _ => return None,
        };
        Some(match WorkloadKind::find(api_version, kind) {
            Some(kind) => Role::Workload(kind),
            None if kind == "List" => Role::List(None),
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

/// What an object is read as.
#[derive(Clone)]
enum Role {
    Workload(WorkloadKind),
    List(Option<TypeMeta>),
    Other,
}

/// The parts of an object read so far.
#[derive(Default)]
struct Draft<'a> {
    metadata: Metadata<'a>,
    template_labels: Option<Labels<'a>>,
    pod: PodSpec<'a>,
    status: Option<PodStatus<'a>>,
    items: Option<Vec<Object<'a>>>,
}

impl<'a> Draft<'a> {
    fn template(&mut self, template: Option<PodTemplate<'a>>) {
        let template = template.unwrap_or_default();
        self.template_labels = template.metadata.and_then(|metadata| metadata.labels);
        self.pod = template.spec.unwrap_or_default();
    }

    fn finish(self, role: Role, types: TypeMeta) -> Object<'a> {
        let parsed = match (role, self.items) {
            (Role::Workload(kind), _) => Parsed::Workload(Workload {
                kind,
                metadata: self.metadata,
                template_labels: self.template_labels,
                pod: Arc::new(self.pod),
                status: self.status,
            }),
            (Role::List(_), Some(items)) => Parsed::List(items),
            // A custom resource's kind may end in "List" without being one.
            (Role::List(None), None) => Parsed::List(Vec::new()),
            (Role::List(Some(_)) | Role::Other, _) => Parsed::Other,
        };
        Object { types, parsed }
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
            (Role::Workload(WorkloadKind::Pod), "spec") => {
                draft.pod = Option::deserialize(deserializer)?.unwrap_or_default();
            }
            (Role::Workload(WorkloadKind::Pod), "status") => {
                draft.status = Option::deserialize(deserializer)?;
            }
            (Role::Workload(WorkloadKind::CronJob), "spec") => {
                let spec: CronJobSpec<'_> = Option::deserialize(deserializer)?.unwrap_or_default();
                let job = spec.job_template.and_then(|job| job.spec).unwrap_or_default();
                draft.template(job.template);
            }
            (Role::Workload(_), "spec") => {
                let spec: TemplateSpec<'_> = Option::deserialize(deserializer)?.unwrap_or_default();
                draft.template(spec.template);
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

object_only!(TemplateSpec<'a>, PodTemplate<'a>, TemplateMetadata<'a>, CronJobSpec<'a>, JobTemplate<'a>);

#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "a spec with a pod template")]
struct TemplateSpec<'a> {
    #[serde(borrow)]
    template: Option<PodTemplate<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "a pod template")]
struct PodTemplate<'a> {
    #[serde(borrow)]
    metadata: Option<TemplateMetadata<'a>>,
    #[serde(borrow)]
    spec: Option<PodSpec<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "metadata")]
struct TemplateMetadata<'a> {
    #[serde(borrow)]
    labels: Option<Labels<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "the spec of a CronJob")]
struct CronJobSpec<'a> {
    #[serde(borrow)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(remote = "Self", expecting = "a Job template")]
struct JobTemplate<'a> {
    #[serde(borrow)]
    spec: Option<TemplateSpec<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Object<'static> {
        let value: serde_json::Value = yaml_serde::from_str(yaml).unwrap();
        Object::deserialize(value).unwrap()
    }

    fn image(object: &Object<'_>) -> Option<String> {
        match &object.parsed {
            Parsed::Workload(workload) => {
                workload.pod.containers.first()?.image.as_ref().map(ToString::to_string)
            }
            _ => None,
        }
    }

    #[test]
    fn the_pod_spec_of_every_judged_kind_is_found() {
        for (api_version, kind, path) in [
            ("v1", "Pod", ""),
            ("v1", "ReplicationController", "template"),
            ("apps/v1", "Deployment", "template"),
            ("apps/v1", "StatefulSet", "template"),
            ("apps/v1", "DaemonSet", "template"),
            ("apps/v1", "ReplicaSet", "template"),
            ("batch/v1", "Job", "template"),
            ("batch/v1", "CronJob", "jobTemplate.spec.template"),
        ] {
            let mut spec = serde_json::json!({"containers": [{"name": "a", "image": "b:1"}]});
            if !path.is_empty() {
                spec = serde_json::json!({ "spec": spec });
                for step in path.split('.').rev() {
                    spec = serde_json::json!({ step: spec });
                }
            }
            let object = serde_json::json!({"apiVersion": api_version, "kind": kind, "spec": spec});
            assert_eq!(image(&Object::deserialize(object).unwrap()).as_deref(), Some("b:1"), "{kind}");
        }
    }

    #[test]
    fn an_object_reads_the_same_in_any_order_of_its_fields() {
        let object = read(
            "spec: {containers: [{name: a, image: b:1}]}\nmetadata: {name: p}\nkind: Pod\napiVersion: v1",
        );
        assert_eq!(image(&object).as_deref(), Some("b:1"));
        let list =
            read("items: [{spec: {containers: [{name: a, image: b:1}]}}]\nkind: PodList\napiVersion: v1");
        let Parsed::List(items) = list.parsed else { panic!("no list") };
        assert_eq!(image(&items[0]).as_deref(), Some("b:1"));
    }

    #[test]
    fn items_of_a_typed_list_need_not_name_their_type() {
        let list = read("{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: d}}]}");
        let Parsed::List(items) = list.parsed else { panic!("no list") };
        assert_eq!(items[0].types.kind, "Deployment");
    }

    #[test]
    fn a_kind_that_is_not_judged_may_hold_anything() {
        for yaml in [
            "{apiVersion: v1, kind: Service, spec: [1, 2]}",
            "{apiVersion: example.com/v1, kind: Pod, spec: text, metadata: 1}",
            "{apiVersion: example.com/v1, kind: AllowList, spec: text}",
        ] {
            assert!(matches!(read(yaml).parsed, Parsed::Other), "{yaml}");
        }
    }

    #[test]
    fn a_sequence_is_no_object() {
        let containers = "containers: [{name: c}]";
        for (kind, part, expected) in [
            ("Pod", "metadata: [p]", "metadata: invalid type: sequence, expected metadata"),
            ("Pod", "metadata: {ownerReferences: [[Job, j, true]]}", "expected an owner reference"),
            ("Pod", "spec: [[]]", "expected a pod spec"),
            ("Pod", "spec: {containers: [[c, image]]}", "expected a container"),
            ("Pod", "status: [Pending]", "status: invalid type: sequence, expected a pod status"),
            ("Pod", "status: {containerStatuses: [[c, 5]]}", "expected the status of a container"),
            (
                "Pod",
                &format!("spec: {{{containers}, resources: [{{cpu: 1}}]}}"),
                "expected requests and limits",
            ),
            (
                "Pod",
                &format!("spec: {{{containers}, resources: {{requests: [1]}}}}"),
                "expected amounts by resource",
            ),
            ("Job", "spec: [{}]", "expected a spec with a pod template"),
            ("Job", "spec: {template: [{}]}", "expected a pod template"),
            ("Job", "spec: {template: {metadata: [{}]}}", "expected metadata"),
            ("CronJob", "spec: [{}]", "expected the spec of a CronJob"),
            ("CronJob", "spec: {jobTemplate: [{}]}", "expected a Job template"),
        ] {
            let version = if kind == "Pod" { "v1" } else { "batch/v1" };
            let yaml = format!("{{apiVersion: {version}, kind: {kind}, {part}}}");
            let value: serde_json::Value = yaml_serde::from_str(&yaml).unwrap();
            let by_value = Object::deserialize(&value).unwrap_err().to_string();
            let by_text = serde_json::from_str::<Object<'_>>(&value.to_string()).unwrap_err().to_string();
            let by_yaml = yaml_serde::from_str::<Object<'_>>(&yaml).unwrap_err().to_string();
            let end = expected.rsplit(": ").next().unwrap();
            for error in [by_value, by_text, by_yaml] {
                assert!(error.contains("invalid type: sequence") && error.contains(end), "{part}: {error}");
            }
        }
    }

    #[test]
    fn numbers_that_the_api_server_refuses_are_refused() {
        let error = |part: &str| {
            let yaml = format!("{{apiVersion: v1, kind: Pod, {part}}}");
            yaml_serde::from_str::<Object<'_>>(&yaml).map(|_| ()).unwrap_err().to_string()
        };
        for amount in ["-1", "'-100m'", "-0.5"] {
            let spec =
                format!("spec: {{containers: [{{name: c, resources: {{limits: {{cpu: {amount}}}}}}}]}}");
            assert!(error(&spec).contains("an amount can't be negative"), "{}", error(&spec));
        }
        for count in ["x", "-1", "1.5", "5000000000"] {
            let status = format!("status: {{containerStatuses: [{{name: c, restartCount: {count}}}]}}");
            assert!(error(&status).contains("expected a whole number"), "{}", error(&status));
        }
        read("{apiVersion: v1, kind: Pod, status: {containerStatuses: [{name: c, restartCount: null}]}}");
    }

    #[test]
    fn what_names_no_type_is_refused() {
        let error = |json| serde_json::from_str::<Object<'_>>(json).unwrap_err().to_string();
        assert!(matches!(read("a: 1").parsed, Parsed::Foreign));
        assert!(matches!(read("{apiVersion: v2, name: chart}").parsed, Parsed::Foreign));
        assert!(error(r#"{"kind": "Pod"}"#).starts_with("not a Kubernetes object: `apiVersion` is missing"));
        assert!(error("[]").contains("expected a Kubernetes object"));
    }

    #[test]
    fn a_workload_of_a_known_kind_needs_no_type_and_has_no_other() {
        let item = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"b:1"}]}}"#;
        let pod = Workload::from_json(WorkloadKind::Pod, item).unwrap();
        assert_eq!((pod.kind, pod.name()), (WorkloadKind::Pod, "p"));
        assert_eq!(Workload::from_json_owned(WorkloadKind::Pod, item).unwrap(), pod);
        let job = Workload::from_json(WorkloadKind::Job, item).unwrap();
        assert_eq!((job.kind, job.pod.containers.len()), (WorkloadKind::Job, 0));
        let other = r#"{"apiVersion":"v1","kind":"Secret"}"#;
        assert!(
            Workload::from_json(WorkloadKind::Pod, other).unwrap_err().to_string().starts_with("not a Pod")
        );
    }

    #[test]
    fn text_is_borrowed_from_the_input() {
        let json = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","image":"b:1"}]}}"#;
        let object: Object<'_> = serde_json::from_str(json).unwrap();
        let Parsed::Workload(workload) = &object.parsed else { panic!("not judged") };
        let image = workload.pod.containers[0].image.as_deref().unwrap();
        assert!(json.as_bytes().as_ptr_range().contains(&image.as_ptr()));
    }
}
