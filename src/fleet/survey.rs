//! Does the same work in every cluster, a few at a time. Contexts of one cluster count once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
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
/// Two contexts have the same cluster if the uid of the namespace `kube-system` is the same, or, for an account that may
/// not read it, the address of the API server. If the work fails for one context of a cluster, the next one is tried.
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
    put_first(members, &mut results);
    let results = members.iter().zip(results);
    results
        .filter_map(|(member, result)| Some(Surveyed { name: member.name.clone(), result: result? }))
        .collect()
}

/// Gives the result of each cluster to the first of its contexts, whichever was the fastest.
fn put_first<T>(members: &[Member], results: &mut [Option<MemberResult<T>>]) {
    for first in 0..results.len() {
        let Some(Some(MemberResult::SameAs(owner))) = results.get(first) else { continue };
        let owner = owner.clone();
        let Some(place) =
            members.iter().position(|member| member.name == owner).filter(|place| *place > first)
        else {
            continue;
        };
        results.swap(first, place);
        let name = &members[first].name;
        for result in results.iter_mut() {
            if let Some(MemberResult::SameAs(of)) = result
                && *of == owner
            {
                of.clone_from(name);
            }
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
        let identity = match cluster.identity().await {
            Ok(uid) => uid,
            Err(CallError::Status(status)) if status.code == 403 => cluster.server.clone(),
            Err(error) => return Err(error.to_string()),
        };
        if let Some(other) = claims.claim(&identity, &member.name) {
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

/// The clusters that a context works in, by identity.
#[derive(Default)]
struct Claims(Mutex<BTreeMap<String, String>>);

impl Claims {
    /// Takes a cluster for a context. Returns the context that took it before, if another one did.
    fn claim(&self, identity: &str, name: &str) -> Option<String> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = taken.entry(identity.to_owned()).or_insert_with(|| name.to_owned());
        (owner != name).then(|| owner.clone())
    }

    fn release(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, owner| owner != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_context_of_a_cluster_has_its_result() {
        let member = |name: &str| Member { name: name.to_owned(), options: Ok(ConnectOptions::default()) };
        let members = ["a", "b", "c"].map(member);
        let same = || Some(MemberResult::SameAs("c".to_owned()));
        let reached = Reached { server: String::new(), version: String::new() };
        let mut results = [same(), same(), Some(MemberResult::Done(reached, 7))];
        put_first(&members, &mut results);
        let [
            Some(MemberResult::Done(_, 7)),
            Some(MemberResult::SameAs(one)),
            Some(MemberResult::SameAs(other)),
        ] = &results
        else {
            panic!("{results:?}")
        };
        assert_eq!((one.as_str(), other.as_str()), ("a", "a"));
    }

    #[test]
    fn a_cluster_belongs_to_the_first_context_until_it_is_released() {
        let claims = Claims::default();
        assert_eq!(claims.claim("uid", "a"), None);
        assert_eq!(claims.claim("uid", "a"), None);
        assert_eq!(claims.claim("uid", "b"), Some("a".to_owned()));
        assert_eq!(claims.claim("other", "b"), None);
        claims.release("a");
        assert_eq!(claims.claim("uid", "b"), None);
    }
}
