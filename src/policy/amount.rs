//! An amount of CPU or memory, as users write it in a policy.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::workload::Quantity;

/// An amount of a resource, kept as written: `2`, `"0.5"`, `100m` or `128Mi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A whole number of cores or bytes.
    Number(i64),
    /// A Kubernetes quantity.
    Text(String),
}

impl Amount {
    /// Returns the amount, or `None` if the text is no quantity.
    pub fn quantity(&self) -> Option<Quantity> {
        Quantity::parse(&self.to_string())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    /// The length is bounded because the API server refuses a CEL check whose cost it cannot bound.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "x-kubernetes-validations": [
                { "rule": "isQuantity(string(self))", "message": NO_QUANTITY },
                {
                    "rule": "!isQuantity(string(self)) || quantity(string(self)).isGreaterThan(quantity('0'))",
                    "message": NOT_POSITIVE,
                },
            ],
        })
    }
}

/// The message of the API server, and of policies in files.
pub(super) const NO_QUANTITY: &str = "must be a quantity such as 100m, 2, \"0.5\" or 128Mi";
/// The message of the API server, and of policies in files.
pub(super) const NOT_POSITIVE: &str = "must be more than zero";
