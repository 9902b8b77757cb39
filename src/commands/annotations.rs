//! Reads the annotations of the workloads and Namespaces above the pods of a cluster. They may exempt from rules.

mod owners;

use std::collections::BTreeSet;

use owners::{for_each, is_owner, objects};

use crate::cluster::{self, CallError, Cluster, ObjectList};
use crate::governance::{Analysis, AnnotatedExemptions, ReportError, Scope};
use crate::workload::{Kind, RESOURCES};

/// The annotations, and what could not be read of them.
#[derive(Default)]
pub(super) struct Annotations {
    /// The exemptions that they declare.
    pub(super) exemptions: AnnotatedExemptions,
    /// Notes about missing permissions.
    pub(super) notes: Vec<String>,
    /// Other failures.
    pub(super) errors: Vec<ReportError>,
}

/// Reads the metadata of the workloads of some kinds, and of their Namespaces. `namespaces` is empty for all.
///
/// Without the permission to read a kind, its annotations exempt nothing, and a note says so.
pub(super) async fn read(cluster: &Cluster, namespaces: &[String], kinds: &BTreeSet<String>) -> Annotations {
    let mut found = Annotations::default();
    let mut refused = BTreeSet::new();
    let places: Vec<Option<&str>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().map(|namespace| Some(&**namespace)).collect()
    };
    for resource in RESOURCES.iter().filter(|resource| is_owner(resource, kinds)) {
        for namespace in &places {
            match objects(cluster, resource, *namespace).await {
                Ok(exemptions) => found.exemptions.merge(exemptions),
                Err(error) if resource.is_custom && error.code() == Some(404) => {}
                Err(error) => found.fail(resource.plural, &error, &mut refused),
            }
        }
    }
    if let Err(error) = found.read_namespaces(cluster, namespaces).await {
        found.fail("namespaces", &error, &mut refused);
    }
    if !refused.is_empty() {
        let refused = refused.into_iter().collect::<Vec<_>>().join(", ");
        found.notes.push(format!(
            "no permission to read the annotations of {refused}, so they exempt nothing (`kube-devops check` names the \
             permissions)"
        ));
    }
    found
}

/// Reads the annotations that may exempt the pods with findings, and returns notes about missing permissions.
pub(super) async fn exempt(cluster: &Cluster, scope: &Scope, analysis: &mut Analysis<'_>) -> Vec<String> {
    let policy = analysis.policy();
    let mut kinds = analysis.kinds_with_findings();
    if kinds.is_empty() && policy.lists().is_empty() {
        return Vec::new();
    }
    if policy.lists().contains(Kind::Template) {
        // Their lists had the annotations.
        kinds.clear();
    }
    let found = read(cluster, &scope.namespaces, &kinds).await;
    analysis.exempt(found.exemptions);
    found.errors.into_iter().for_each(|error| analysis.fail(error));
    found.notes
}

impl Annotations {
    async fn read_namespaces(&mut self, cluster: &Cluster, namespaces: &[String]) -> Result<(), CallError> {
        for name in namespaces {
            if let Some(metadata) = cluster.namespace_metadata(name).await? {
                let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
                self.exemptions.add_namespace(name, annotation);
            }
        }
        if namespaces.is_empty() {
            let list = ObjectList { group: "", version: "v1", plural: "namespaces", namespace: None };
            let add = |exemptions: &mut AnnotatedExemptions, page: &str| {
                for_each(page, |metadata| {
                    let name = metadata.name.as_deref().unwrap_or_default();
                    exemptions.add_namespace(name, |key| metadata.annotation(key));
                })
            };
            let found = cluster::list_metadata(cluster, list, AnnotatedExemptions::default, add).await?;
            self.exemptions.merge(found);
        }
        Ok(())
    }

    fn fail(&mut self, plural: &'static str, error: &CallError, refused: &mut BTreeSet<&'static str>) {
        if error.code() == Some(403) {
            refused.insert(plural);
            return;
        }
        let source = format!("list the metadata of {plural}");
        self.errors.push(ReportError { source, document: None, line: None, message: error.to_string() });
    }
}
