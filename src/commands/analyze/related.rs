//! Lists the objects that rules read beside the pods of a live cluster.

use crate::cluster::{self, CallError, Cluster, ObjectList};
use crate::governance::{Analysis, ReportError, Scope};
use crate::workload::{Kind, Kinds, Object, Resource};

/// Lists the kinds that the rules of an analysis read, and returns notes about missing permissions.
///
/// A kind is closed where its list succeeded. Without the permission to list it, the answer of its rules is unknown.
pub(super) async fn read(cluster: &Cluster, scope: &Scope, analysis: &mut Analysis<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for kind in analysis.policy().reads().iter().filter(|kind| *kind != Kind::Pod) {
        let mut refused = Vec::new();
        for namespace in places(kind, scope) {
            let mut is_complete = true;
            for resource in kind.resources() {
                let namespace = namespace.filter(|_| resource.is_namespaced);
                match list(cluster, resource, namespace, analysis).await {
                    Ok(()) => {}
                    Err(error) if resource.is_custom && error.code() == Some(404) => {}
                    // The API is registered, and the server behind it does not answer.
                    Err(error) if kind == Kind::PodMetrics && error.code() == Some(503) => {
                        is_complete = false;
                    }
                    Err(error) => {
                        is_complete = false;
                        if error.code() == Some(403) {
                            refused.push(resource.plural);
                        } else {
                            let source = format!("list {}", resource.plural);
                            let message = error.to_string();
                            analysis.fail(ReportError { source, document: None, line: None, message });
                        }
                    }
                }
            }
            match (is_complete, namespace) {
                (true, None) => analysis.close(Kinds::of(&[kind])),
                (true, Some(namespace)) => analysis.close_within(kind, namespace),
                (false, _) => analysis.miss(kind),
            }
        }
        refused.sort_unstable();
        refused.dedup();
        if !refused.is_empty() {
            notes.push(unknown(&refused, kind, analysis));
        }
    }
    notes
}

/// Returns the namespaces to list; one `None` stands for the whole cluster.
fn places(kind: Kind, scope: &Scope) -> Vec<Option<&str>> {
    if scope.namespaces.is_empty() || !kind.is_namespaced() {
        vec![None]
    } else {
        scope.namespaces.iter().map(|namespace| Some(&**namespace)).collect()
    }
}

async fn list(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    analysis: &mut Analysis<'_>,
) -> Result<(), CallError> {
    let Resource { group, version, plural, .. } = *resource;
    let request = ObjectList { group, version, plural, namespace };
    let empty = analysis.part();
    let add = |part: &mut Analysis<'_>, page: &str| {
        part.policy().fields().within(|| {
            let list = serde_json::from_str::<Object<'_>>(page)?;
            part.add_facts(&list);
            Ok(())
        })
    };
    let part = cluster::list_objects(cluster, request, || empty.part(), add).await?;
    analysis.merge(part);
    Ok(())
}

/// Says which rules have no answer.
fn unknown(refused: &[&str], kind: Kind, analysis: &Analysis<'_>) -> String {
    let rules = analysis.policy().rules().iter().filter(|enabled| enabled.reads().contains(kind));
    let rules: Vec<_> = rules.map(|enabled| enabled.rule.id.as_str()).collect();
    format!(
        "no permission to list {}, so these rules can't tell: {} (`kube-devops check --rules` names the permissions)",
        refused.join(", "),
        rules.join(", ")
    )
}
