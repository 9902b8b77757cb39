//! A container with its place in an object.

use std::fmt;

use crate::workload::{Container, SecurityContext};

/// A list of containers in a pod spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerList {
    /// Init containers, native sidecars among them.
    Init,
    /// The main containers.
    Main,
    /// Ephemeral containers, which are added for debugging.
    Ephemeral,
}

/// A container with its place. It is written as its path in the object.
#[derive(Debug, Clone, Copy)]
pub struct ContainerPlace<'a> {
    /// The container.
    pub container: &'a Container<'a>,
    /// The list that has it.
    pub list: ContainerList,
    /// Its place in the list.
    pub index: usize,
    /// The path of the pod spec.
    pub pod_path: &'static str,
}

impl<'a> ContainerPlace<'a> {
    /// The container's own security context.
    pub fn security(&self) -> Option<&'a SecurityContext<'a>> {
        self.container.security_context.as_deref()
    }
}

impl ContainerList {
    /// The name of the list in a pod spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

impl fmt::Display for ContainerPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most paths in a large report begin so, and the macro would take longer.
        f.write_str(self.pod_path)?;
        f.write_str(".")?;
        f.write_str(self.list.as_str())?;
        f.write_str("[")?;
        self.index.fmt(f)?;
        f.write_str("]")
    }
}
