//! The requests and limits that a `LimitRange` supplies to new containers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::workload::{Quantity, nullable};

/// Requests and limits of a container, by their places in [`Amounts::NAMES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Amounts(pub [bool; 4]);

impl Amounts {
    /// The names in sentences.
    pub const NAMES: [&'static str; 4] = ["CPU request", "memory request", "CPU limit", "memory limit"];

    /// Returns true if there is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Returns those that are not among others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place] && !others.0[place]))
    }

    /// Returns those of both.
    #[must_use]
    pub fn union(self, others: Self) -> Self {
        Self(std::array::from_fn(|place| self.0[place] || others.0[place]))
    }

    /// Returns the names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().zip(self.0).filter(|(_, is_there)| *is_there).map(|(name, _)| name)
    }
}

/// A `LimitRange`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LimitRange {
    #[serde(default, deserialize_with = "nullable")]
    limits: Vec<Item>,
}

/// The limits of one type of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    type_: String,
    #[serde(default, deserialize_with = "nullable")]
    default: Resources,
    #[serde(default, deserialize_with = "nullable")]
    default_request: Resources,
    #[serde(default, deserialize_with = "nullable")]
    max: Resources,
    #[serde(default, deserialize_with = "nullable")]
    min: Resources,
}

type Resources = BTreeMap<String, Option<Quantity>>;

impl LimitRange {
    /// Returns the amounts that a container gets if it has none.
    ///
    /// The API server completes a range: a maximum is a default limit, and a default limit or a minimum is a default
    /// request (`SetDefaults_LimitRangeItem` in `pkg/apis/core/v1/defaults.go` of Kubernetes).
    pub fn supplied(&self) -> Amounts {
        let items = self.limits.iter().filter(|item| item.type_ == "Container");
        items.fold(Amounts::default(), |amounts, item| amounts.union(item.supplied()))
    }
}

impl Item {
    fn supplied(&self) -> Amounts {
        let has = |lists: &[&Resources], resource: &str| {
            // The first list with the resource counts. Zero supplies nothing.
            let amount = lists.iter().find_map(|list| list.get(resource)).copied().flatten();
            amount.is_some_and(Quantity::is_positive)
        };
        let limits = [&self.default, &self.max];
        let requests = [&self.default_request, &self.default, &self.max, &self.min];
        Amounts([
            has(&requests, "cpu"),
            has(&requests, "memory"),
            has(&limits, "cpu"),
            has(&limits, "memory"),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_supplies_what_the_api_server_completes() {
        for (yaml, expected) in [
            ("[]", ""),
            ("[{type: Pod, default: {cpu: 1}}]", ""),
            ("[{type: Container, default: {memory: 1Gi}}]", "memory request, memory limit"),
            ("[{type: Container, defaultRequest: {cpu: 100m, memory: 0}}]", "CPU request"),
            ("[{type: Container, max: {cpu: 2}}]", "CPU request, CPU limit"),
            ("[{type: Container, min: {memory: 1Mi}}]", "memory request"),
            (
                "[{type: Container, min: {cpu: 1m}}, {type: Container, default: {memory: 1Gi}}]",
                "CPU request, memory request, memory limit",
            ),
        ] {
            let range: LimitRange = yaml_serde::from_str(&format!("limits: {yaml}")).unwrap();
            assert_eq!(range.supplied().names().collect::<Vec<_>>().join(", "), expected, "{yaml}");
        }
    }
}
