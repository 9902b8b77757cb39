//! The second half of `policy diff --impact`: evaluates the objects of a cluster or of files under both sides.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::impact_files;
use super::impact_reader::{fields, merge};
use crate::cluster::{self, ConnectOptions, ListRequest};
use crate::commands::analyze::related;
use crate::commands::annotations;
use crate::governance::{Analysis, Impact, ImpactPolicies, Scope};
use crate::policy::EffectivePolicy;
use crate::terminal::note;
use crate::workload::{Fields, Kind, Kinds, Object};

/// The objects to evaluate.
pub(super) enum Objects<'a> {
    /// Manifests, with subdirectories or without.
    Files(&'a [PathBuf], bool),
    /// The pods of a cluster.
    Cluster(&'a ConnectOptions),
}

/// Evaluates objects under the policies of both sides, in one namespace or in all.
pub(super) async fn impact(
    policies: &ImpactPolicies,
    objects: Objects<'_>,
    namespace: Option<&str>,
) -> anyhow::Result<Impact> {
    let mut analyses = policies.analyses();
    let mut errors = Vec::new();
    match objects {
        Objects::Files(paths, recursive) => {
            errors.extend(impact_files::read(policies, &mut analyses, paths, recursive));
        }
        Objects::Cluster(options) => {
            let cluster = cluster::connect(options).await?;
            let namespaces = namespace.map(str::to_owned).into_iter().collect();
            let request = ListRequest { namespaces, selector: None };
            let namespaces = request.namespaces.clone();
            let scope = Scope::default();
            let skip = |name: &str| scope.leaves_out(name);
            let fields = fields(&analyses, EffectivePolicy::fields);
            let add = |part: &mut Vec<Analysis<'_>>, page: &str| add_page(part, page, fields);
            let listing = cluster::list_pods(&cluster, &request, skip, || policies.analyses(), add).await;
            listing.parts.into_iter().for_each(|part| merge(&mut analyses, part));
            if listing.unread.is_empty() && listing.skipped.is_empty() {
                for analysis in &mut analyses {
                    close_pods(analysis, &namespaces);
                }
            }
            errors.extend(listing.unread.iter().map(ToString::to_string));
            let related = related::read(&cluster, &namespaces, &mut analyses).await;
            errors.extend(related.errors.iter().map(ToString::to_string));
            related.notes.iter().try_for_each(note)?;
            let lists_workloads =
                |analysis: &Analysis<'_>| analysis.policy().lists().contains(Kind::Template);
            // The lists of workloads had their annotations.
            let kinds = if analyses.iter().any(lists_workloads) {
                BTreeSet::new()
            } else {
                analyses.iter().flat_map(Analysis::kinds_with_findings).collect()
            };
            let found = annotations::read(&cluster, &namespaces, &kinds).await;
            for analysis in &mut analyses {
                analysis.exempt(found.exemptions.clone());
            }
            errors.extend(found.errors.iter().map(ToString::to_string));
            found.notes.iter().try_for_each(note)?;
        }
    }
    Ok(policies.finish(analyses, errors))
}

/// Notes that all pods were read, of these namespaces or of the cluster.
fn close_pods(analysis: &mut Analysis<'_>, namespaces: &[String]) {
    if namespaces.is_empty() {
        analysis.close(Kinds::of(&[Kind::Pod]));
    }
    for namespace in namespaces {
        analysis.close_within(Kind::Pod, namespace);
    }
}

fn add_page(part: &mut Vec<Analysis<'_>>, page: &str, fields: Fields) -> Result<(), serde_json::Error> {
    fields.within(|| {
        let list: Object<'_> = serde_json::from_str(page)?;
        for analysis in part {
            analysis.add(&list, None);
        }
        Ok(())
    })
}
