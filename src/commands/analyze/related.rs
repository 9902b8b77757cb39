//! Lists the objects beside pods that the rules of a live cluster look at or read: workloads and other kinds.

use crate::cluster::{self, CallError, Cluster, ObjectList};
use crate::governance::{Analysis, ReportError};
use crate::policy::EnabledRule;
use crate::workload::{Fields, Kind, Kinds, Object, Resource};

/// The lists that failed.
#[derive(Default)]
pub(in crate::commands) struct Unread {
    /// Notes about missing permissions.
    pub(in crate::commands) notes: Vec<String>,
    /// Other failures.
    pub(in crate::commands) errors: Vec<ReportError>,
}

/// Lists the kinds that the rules of the analyses need, each kind once, and adds the objects to every analysis.
///
/// Workloads are evaluated as those of manifests are: a template counts unless one of its pods is evaluated. A kind is closed
/// where its list succeeded. Without the permission to list it, the rules that need it can't tell. `namespaces` is empty for
/// all.
pub(in crate::commands) async fn read(
    cluster: &Cluster,
    namespaces: &[String],
    analyses: &mut [Analysis<'_>],
) -> Unread {
    let mut unread = Unread::default();
    let all = analyses.iter().map(|analysis| analysis.policy().lists());
    let kinds = all.fold(Kinds::default(), Kinds::union);
    for kind in kinds.iter().filter(|kind| *kind != Kind::Pod) {
        let mut refused = Vec::new();
        for namespace in places(kind, namespaces) {
            let mut is_complete = true;
            for resource in kind.resources() {
                let namespace = namespace.filter(|_| resource.is_namespaced);
                match list(cluster, resource, namespace, analyses).await {
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
                            unread.errors.push(ReportError { source, document: None, line: None, message });
                        }
                    }
                }
            }
            for analysis in &mut *analyses {
                match (is_complete, namespace) {
                    (true, None) => analysis.close(Kinds::of(&[kind])),
                    (true, Some(namespace)) => analysis.close_within(kind, namespace),
                    (false, _) => analysis.miss(kind),
                }
            }
        }
        refused.sort_unstable();
        refused.dedup();
        if !refused.is_empty() {
            unread.notes.push(unknown(&refused, kind, analyses));
        }
    }
    unread
}

/// Returns the namespaces to list; one `None` stands for the whole cluster.
fn places(kind: Kind, namespaces: &[String]) -> Vec<Option<&str>> {
    if namespaces.is_empty() || !kind.is_namespaced() {
        vec![None]
    } else {
        namespaces.iter().map(|namespace| Some(&**namespace)).collect()
    }
}

async fn list(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
    analyses: &mut [Analysis<'_>],
) -> Result<(), CallError> {
    let Resource { group, version, plural, .. } = *resource;
    let request = ObjectList { group, version, plural, namespace };
    let all = analyses.iter().map(|analysis| analysis.policy().fields_of_manifests());
    let fields = all.fold(Fields::Default, Fields::union);
    let empty: Vec<_> = analyses.iter().map(Analysis::part).collect();
    let parts = || empty.iter().map(Analysis::part).collect::<Vec<_>>();
    let add = |parts: &mut Vec<Analysis<'_>>, page: &str| {
        fields.within(|| {
            let list = serde_json::from_str::<Object<'_>>(page)?;
            for part in parts.iter_mut() {
                part.add(&list, None);
            }
            Ok(())
        })
    };
    let parts = cluster::list_objects(cluster, request, parts, add).await?;
    analyses.iter_mut().zip(parts).for_each(|(analysis, part)| analysis.merge(part));
    Ok(())
}

/// Says which rules have no answer.
fn unknown(refused: &[&str], kind: Kind, analyses: &[Analysis<'_>]) -> String {
    let rules = analyses.iter().flat_map(|analysis| analysis.policy().rules());
    let needing = rules.filter(|enabled: &&EnabledRule| enabled.needs().contains(kind));
    let mut rules: Vec<_> = needing.map(|enabled| enabled.rule.id.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    format!(
        "no permission to list {}, so these rules can't tell: {} (`kube-devops check --rules` names the permissions)",
        refused.join(", "),
        rules.join(", ")
    )
}
