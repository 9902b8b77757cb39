//! The check of a rule, and the workload and parameters that it gets.

use jiff::Timestamp;

use super::{ContainerList, ContainerPlace, Findings, Parameters, Relations, Violations};
use crate::inventory::Related;
use crate::workload::{Kind, Kinds, Metadata, SecurityContext, TypeMeta, Workload};

/// The function of a rule, by the objects that it looks at.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Looks at one pod or template.
    Pod(fn(&Context<'_>, &mut Violations)),
    /// Looks at the status of one pod. Templates have none.
    Live(fn(&Context<'_>, &mut Violations)),
    /// Looks at one workload itself, whether its pods are known or not. A pod without a controller is a workload.
    Workload(fn(&Context<'_>, &mut Violations)),
    /// Looks at the type of an object of any kind, as its author wrote it.
    Type(fn(&TypeContext<'_>, &mut Violations)),
    /// Looks at one object that is no workload.
    Object {
        /// The kinds to look at.
        reads: &'static [Kind],
        /// The check.
        check: fn(&ObjectContext<'_>, &mut Violations),
    },
    /// Evaluates an expression of a user, which the policy holds, over one object.
    Custom,
    /// Looks at how objects fit together, once all of them were read.
    Relation {
        /// The kinds to read.
        reads: &'static [Kind],
        /// The check.
        check: fn(&Relations<'_>, &mut Findings),
    },
}

impl Check {
    /// Returns the kinds that the check reads beside the pod or workload that it looks at.
    pub fn reads(self) -> Kinds {
        match self {
            Self::Object { reads, .. } | Self::Relation { reads, .. } => Kinds::of(reads),
            Self::Pod(_) | Self::Live(_) | Self::Workload(_) | Self::Type(_) | Self::Custom => {
                Kinds::default()
            }
        }
    }

    /// Returns the kinds that the check looks at or reads, beside pods.
    pub fn needs(self) -> Kinds {
        match self {
            Self::Workload(_) | Self::Type(_) => Kinds::of(&[Kind::Template]),
            check => check.reads(),
        }
    }
}

/// The input of a rule about types.
#[derive(Debug)]
pub struct TypeContext<'a> {
    /// The group and version as they were written.
    pub api_version: &'a str,
    /// The kind as it was written.
    pub kind: &'a str,
    /// The place of the type in the object.
    pub path: &'static str,
    /// The rule's parameters.
    pub parameters: &'a Parameters,
}

/// The input of a rule about an object that is no workload.
#[derive(Debug)]
pub struct ObjectContext<'a> {
    /// The object to look at.
    pub object: &'a Related,
    /// The rule's parameters.
    pub parameters: &'a Parameters,
    /// The time of the evaluation.
    pub now: Timestamp,
}

/// The input of a rule.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workload to look at.
    pub workload: &'a Workload<'a>,
    /// The rule's parameters.
    pub parameters: &'a Parameters,
    /// The time of the evaluation.
    pub now: Timestamp,
}

impl<'a> TypeContext<'a> {
    /// Finds the type of an object as its author wrote it; `None` if it is unknown.
    ///
    /// The API server returns an object in the version that a client asks for. So a live object, which has a uid, has
    /// the type under which kubectl last applied it, and any other one has that of the manifest.
    pub fn of(
        types: Option<&'a TypeMeta>,
        metadata: &'a Metadata<'_>,
        parameters: &'a Parameters,
    ) -> Option<Self> {
        let ((api_version, kind), path) = if metadata.uid.is_some() {
            (
                metadata.last_applied()?,
                "metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']",
            )
        } else {
            let types = types?;
            ((&*types.api_version, &*types.kind), "apiVersion")
        };
        Some(Self { api_version, kind, path, parameters })
    }
}

impl<'a> Context<'a> {
    /// Iterates over every container. Ephemeral ones are there only for a rule that reads details.
    pub fn containers(&self) -> impl Iterator<Item = ContainerPlace<'a>> + use<'a> {
        let pod = &self.workload.pod;
        let pod_path = self.workload.pod_path();
        let lists = [
            (ContainerList::Init, &pod.init_containers),
            (ContainerList::Main, &pod.containers),
            (ContainerList::Ephemeral, &pod.ephemeral_containers),
        ];
        lists.into_iter().flat_map(move |(list, containers)| {
            let place = move |(index, container)| ContainerPlace { container, list, index, pod_path };
            containers.iter().enumerate().map(place)
        })
    }

    /// Iterates over the main containers, and over init containers.
    pub fn declared_containers(&self) -> impl Iterator<Item = ContainerPlace<'a>> + use<'a> {
        self.containers().filter(|place| place.list != ContainerList::Ephemeral)
    }

    /// Iterates over the main containers.
    pub fn main_containers(&self) -> impl Iterator<Item = ContainerPlace<'a>> + use<'a> {
        self.containers().filter(|place| place.list == ContainerList::Main)
    }

    /// The security context of the pod as a whole.
    pub fn pod_security(&self) -> Option<&'a SecurityContext<'a>> {
        self.workload.pod.security_context.as_deref()
    }

    /// The path of the pod's spec in the object.
    pub fn pod_path(&self) -> &'static str {
        self.workload.pod_path()
    }
}
