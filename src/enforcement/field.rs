//! The fields that enforcement sets on a container. Patches are planned, recorded and withdrawn field by field. Has no
//! dependency on policies or the API.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// A resource with a request and a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compute {
    /// Processor time, in cores.
    Cpu,
    /// Memory, in bytes.
    Memory,
}

impl Compute {
    /// Both resources.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Memory];

    /// The resource's name in the Kubernetes API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// A field of a container that enforcement may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `livenessProbe`, as a whole.
    LivenessProbe,
    /// `readinessProbe`, as a whole.
    ReadinessProbe,
    /// `startupProbe`, as a whole.
    StartupProbe,
    /// An amount below `resources.requests`.
    Request(Compute),
    /// An amount below `resources.limits`.
    Limit(Compute),
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 7] = [
        Self::LivenessProbe,
        Self::ReadinessProbe,
        Self::StartupProbe,
        Self::Request(Compute::Cpu),
        Self::Request(Compute::Memory),
        Self::Limit(Compute::Cpu),
        Self::Limit(Compute::Memory),
    ];

    /// Returns the path of the field within its container.
    pub fn path(self) -> Vec<&'static str> {
        match self {
            Self::LivenessProbe => vec!["livenessProbe"],
            Self::ReadinessProbe => vec!["readinessProbe"],
            Self::StartupProbe => vec!["startupProbe"],
            Self::Request(compute) => vec!["resources", "requests", compute.as_str()],
            Self::Limit(compute) => vec!["resources", "limits", compute.as_str()],
        }
    }

    /// Returns true if it is a probe.
    pub fn is_probe(self) -> bool {
        matches!(self, Self::LivenessProbe | Self::ReadinessProbe | Self::StartupProbe)
    }
}

/// The effects of a limit that no verdict covers, in one sentence without a full stop.
pub const NOT_EVALUATED: &str =
    "not evaluated after a limit: latency, and child processes that are killed for memory";

impl fmt::Display for Compute {
    /// Writes the resource's name for use in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
        })
    }
}

impl fmt::Display for Field {
    /// Writes the field's path from its container, such as `resources.limits.memory`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path().join("."))
    }
}

/// A field of one container of a workload, written `container/field`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerField {
    /// The container's name.
    pub container: String,
    /// The field.
    pub field: Field,
}

impl ContainerField {
    /// Names a field of a container.
    pub fn new(container: &str, field: Field) -> Self {
        Self { container: container.to_owned(), field }
    }
}

impl fmt::Display for ContainerField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container, self.field)
    }
}

/// The error for a text that is not `container/field`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no field that enforcement sets, such as web/livenessProbe")]
pub struct UnknownField(String);

impl FromStr for ContainerField {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let unknown = || UnknownField(text.to_owned());
        let (container, name) = text.split_once('/').ok_or_else(unknown)?;
        let field = Field::ALL.into_iter().find(|field| field.to_string() == name).ok_or_else(unknown)?;
        Ok(Self::new(container, field))
    }
}

/// Fields with their values: a probe as an object, an amount as a quantity.
pub type Fields = BTreeMap<ContainerField, Value>;

/// Returns partial containers that have only these fields, sorted by name.
pub fn containers(fields: &Fields) -> Vec<Value> {
    let mut containers: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (of, value) in fields {
        let container = containers
            .entry(&of.container)
            .or_insert_with(|| Map::from_iter([("name".to_owned(), json!(of.container))]));
        set(container, &of.field.path(), value.clone());
    }
    containers.into_values().map(Value::Object).collect()
}

/// Returns the value at a path.
pub(super) fn read<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Writes a value at a path of an object.
pub(super) fn set(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            object.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = object.entry(*first).or_insert(Value::Null);
            if inner.is_null() {
                *inner = json!({});
            }
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_parses_its_own_text() {
        for field in Field::ALL {
            let written = ContainerField::new("web", field);
            assert_eq!(written.to_string().parse(), Ok(written));
        }
        for wrong in ["web", "web/image", "/", ""] {
            assert!(wrong.parse::<ContainerField>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_become_partial_containers() {
        let fields = Fields::from([
            (ContainerField::new("b", Field::Limit(Compute::Memory)), json!("1Gi")),
            (ContainerField::new("b", Field::Request(Compute::Cpu)), json!("1")),
            (ContainerField::new("a", Field::LivenessProbe), json!({ "tcpSocket": { "port": 80 } })),
        ]);
        let expected = json!([
            { "name": "a", "livenessProbe": { "tcpSocket": { "port": 80 } } },
            { "name": "b", "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "1" } } },
        ]);
        assert_eq!(json!(containers(&fields)), expected);
    }
}
