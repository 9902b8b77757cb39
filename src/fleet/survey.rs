//! Does the same work in every cluster, a few at a time. Contexts of one cluster count once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::cluster::{self, CallError, Cluster, ConnectOptions};

/// A context, and the way to connect to its cluster.
#[derive(Debug, Clone)]
pub struct Member {
    /// The name that reports use.
    pub name: String,
    /// The options of the connection, or the reason for which there are none.
    pub options: Result<ConnectOptions, String>,
}

/// The bounds of a survey.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most clusters at the same time, at least 1.
    pub concurrent: usize,
    /// The time limit of one cluster, from the connection to the last answer.
    pub timeout: Duration,
}

/// A cluster that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The address of the API server.
    pub server: String,
    /// The version of the API server.
    pub version: String,
}

/// The result of one context.
#[derive(Debug)]
pub enum MemberResult<T> {
    /// The work was done.
    Done(Reached, T),
    /// The cluster is that of another context, which is named.
    SameAs(String),
    /// The work was not done. The reason names the next step.
    Failed(String),
}

/// A context with its result.
#[derive(Debug)]
pub struct Surveyed<T> {
    /// The context's name.
    pub name: String,
    /// Its result.
    pub result: MemberResult<T>,
}

/// Does `work` once in every cluster and returns the results in the order of the contexts.
///
/// Two contexts have the same cluster if the address of the API server is the same, or the uid of the namespace
/// `kube-system`, which some accounts may not read. If the work fails for one context of a cluster, the next one is
/// tried, and the failure does not count if that one succeeds.
pub async fn survey<T>(
    members: &[Member],
    limits: Limits,
    work: impl AsyncFn(&Member, &Cluster) -> Result<T, String>,
) -> Vec<Surveyed<T>> {
    let claims = Claims::default();
    let mut results: Vec<Option<MemberResult<T>>> = members.iter().map(|_| None).collect();
    loop {
        let open = results.iter().enumerate().filter(|(_, result)| result.is_none()).map(|(index, _)| index);
        let open: Vec<_> = open.filter_map(|index| Some((index, members.get(index)?))).collect();
        if open.is_empty() {
            break;
        }
        let mut running = stream::iter(open)
            .map(async |(index, member)| (index, one(member, limits, &claims, &work).await))
            .buffer_unordered(limits.concurrent.max(1));
        while let Some((index, result)) = running.next().await {
            if let Some(place) = results.get_mut(index) {
                *place = Some(result);
            }
        }
        drop(running);
        // A context that waited for another one of its cluster gets its turn when that one failed.
        let failed: Vec<String> = members
            .iter()
            .zip(&results)
            .filter(|(_, result)| matches!(result, Some(MemberResult::Failed(_))))
            .map(|(member, _)| member.name.clone())
            .collect();
        let mut freed = Vec::new();
        for result in &mut results {
            if let Some(MemberResult::SameAs(other)) = result
                && failed.contains(other)
            {
                if !freed.contains(other) {
                    freed.push(other.clone());
                }
                *result = None;
            }
        }
        for name in &freed {
            claims.release(name);
        }
    }
    unite(members, &claims.groups(), &mut results);
    let results = members.iter().zip(results);
    results
        .filter_map(|(member, result)| Some(Surveyed { name: member.name.clone(), result: result? }))
        .collect()
}

/// Gives the result of each cluster to the first of its contexts, whichever did the work. The others count as that one,
/// also those that failed or that were not yet known to have the same cluster.
fn unite<T>(members: &[Member], groups: &[Vec<String>], results: &mut [Option<MemberResult<T>>]) {
    for group in groups {
        let places: Vec<usize> =
            (0..members.len()).filter(|place| group.contains(&members[*place].name)).collect();
        let is_done = |place: &usize| matches!(results.get(*place), Some(Some(MemberResult::Done(..))));
        let Some((first, done)) = places.first().copied().zip(places.iter().copied().find(is_done)) else {
            continue;
        };
        results.swap(first, done);
        for place in places.into_iter().skip(1) {
            results[place] = Some(MemberResult::SameAs(members[first].name.clone()));
        }
    }
}

async fn one<T>(
    member: &Member,
    limits: Limits,
    claims: &Claims,
    work: &impl AsyncFn(&Member, &Cluster) -> Result<T, String>,
) -> MemberResult<T> {
    let attempt = async {
        let options = member.options.as_ref().map_err(Clone::clone)?;
        let cluster = cluster::connect(options).await.map_err(|error| error.to_string())?;
        let version = cluster.version().await.map_err(|error| error.to_string())?.version;
        let mut identities = vec![cluster.server.clone()];
        match cluster.identity().await {
            Ok(uid) => identities.push(uid),
            Err(CallError::Status(status)) if status.code == 403 => {}
            Err(error) => return Err(error.to_string()),
        }
        if let Some(other) = claims.claim(identities, &member.name) {
            return Ok(MemberResult::SameAs(other));
        }
        let result = work(member, &cluster).await?;
        Ok(MemberResult::Done(Reached { server: cluster.server.clone(), version }, result))
    };
    match timeout(limits.timeout, attempt).await {
        Ok(Ok(result)) => result,
        Ok(Err(reason)) => MemberResult::Failed(reason),
        Err(_) => MemberResult::Failed(format!(
            "no result within {:?}: check that the cluster is up, or allow more time with --timeout",
            limits.timeout
        )),
    }
}

/// The clusters that contexts work in, by the identities of each: its address, and its uid if the account may read it.
#[derive(Default)]
struct Claims(Mutex<Claimed>);

#[derive(Default)]
struct Claimed {
    /// The context that works in the cluster of an identity.
    owners: BTreeMap<String, String>,
    /// The identities that each context found.
    identities: BTreeMap<String, Vec<String>>,
}

impl Claims {
    /// Takes a cluster for a context. Returns the context that took it before, if another one did.
    fn claim(&self, identities: Vec<String>, name: &str) -> Option<String> {
        let Claimed { owners, identities: known } = &mut *self.lock();
        let other =
            identities.iter().filter_map(|identity| owners.get(identity)).find(|owner| *owner != name);
        let other = other.cloned();
        for identity in &identities {
            owners.entry(identity.clone()).or_insert_with(|| other.as_deref().unwrap_or(name).to_owned());
        }
        known.insert(name.to_owned(), identities);
        other
    }

    fn release(&self, name: &str) {
        self.lock().owners.retain(|_, owner| owner != name);
    }

    /// Returns the contexts of each cluster. Two that share an identity with a third one have the same cluster, too.
    fn groups(&self) -> Vec<Vec<String>> {
        let mut groups: Vec<(BTreeSet<String>, Vec<String>)> = Vec::new();
        for (name, identities) in &self.lock().identities {
            let own: BTreeSet<String> = identities.iter().cloned().collect();
            let mut group = (own.clone(), vec![name.clone()]);
            for (identities, names) in groups.extract_if(.., |(other, _)| !own.is_disjoint(other)) {
                group.0.extend(identities);
                group.1.extend(names);
            }
            groups.push(group);
        }
        groups.into_iter().map(|(_, names)| names).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Claimed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn the_first_context_of_a_cluster_has_its_result() {
        let member = |name: &str| Member { name: name.to_owned(), options: Ok(ConnectOptions::default()) };
        let members = ["a", "b", "c", "d", "e"].map(member);
        let done = |result| {
            let reached = Reached { server: String::new(), version: String::new() };
            Some(MemberResult::Done(reached, result))
        };
        let same = || Some(MemberResult::SameAs("c".to_owned()));
        let failed = || Some(MemberResult::Failed("it may not".to_owned()));
        let mut results = [same(), failed(), done(7), failed(), done(8)];
        unite(&members, &[ids(&["c", "a", "b"]), ids(&["d"])], &mut results);
        let [
            Some(MemberResult::Done(_, 7)),
            Some(MemberResult::SameAs(one)),
            Some(MemberResult::SameAs(other)),
            Some(MemberResult::Failed(_)),
            Some(MemberResult::Done(_, 8)),
        ] = &results
        else {
            panic!("{results:?}")
        };
        assert_eq!((one.as_str(), other.as_str()), ("a", "a"));
    }

    #[test]
    fn a_cluster_belongs_to_the_first_context_until_it_is_released() {
        let claims = Claims::default();
        assert_eq!(claims.claim(ids(&["https://a", "uid"]), "a"), None);
        assert_eq!(claims.claim(ids(&["https://a", "uid"]), "a"), None);
        assert_eq!(claims.claim(ids(&["https://b", "uid"]), "b"), Some("a".to_owned()));
        assert_eq!(
            claims.claim(ids(&["https://a"]), "weak"),
            Some("a".to_owned()),
            "it may not read the uid"
        );
        assert_eq!(claims.claim(ids(&["https://b"]), "weaker"), Some("a".to_owned()), "b led there, too");
        assert_eq!(claims.claim(ids(&["https://c", "other"]), "c"), None);
        assert_eq!(claims.groups(), [ids(&["c"]), ids(&["weaker", "weak", "b", "a"])]);
        claims.release("a");
        assert_eq!(claims.claim(ids(&["https://b", "uid"]), "b"), None);
    }

    #[test]
    fn two_contexts_are_united_by_a_third_one_that_was_slower() {
        let claims = Claims::default();
        assert_eq!(claims.claim(ids(&["https://a", "uid"]), "a"), None);
        assert_eq!(claims.claim(ids(&["https://b"]), "weak"), None);
        assert_eq!(claims.claim(ids(&["https://b", "uid"]), "b"), Some("weak".to_owned()));
        assert_eq!(claims.groups().len(), 1);
    }
}
