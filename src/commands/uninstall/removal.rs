//! Deletes objects, and reports each once it is gone.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Cluster, Removal};
use crate::manifests::Leftover;
use crate::terminal::{self, to_stdout};

/// The time that deleted objects with finalizers get to go. The API server deletes all objects of a CRD first.
const PATIENCE: Duration = Duration::from_mins(2);

/// Deletes objects in this order, and prints each that is gone, and each failure. Returns false after a failure.
pub(super) async fn remove_all(cluster: &Cluster, objects: Vec<Leftover>) -> io::Result<bool> {
    let mut clean = true;
    let mut pending = Vec::new();
    for object in objects {
        match remove(cluster, &object).await? {
            Some(Removal::Absent) => {}
            Some(Removal::Deleted) => deleted(&object)?,
            Some(Removal::Pending) => pending.push(object),
            None => clean = false,
        }
    }
    let deadline = Instant::now() + PATIENCE;
    for object in pending {
        clean &= is_gone(cluster, &object, deadline).await?;
    }
    Ok(clean)
}

/// Deletes an object. Prints a failure, and returns `None` then.
async fn remove(cluster: &Cluster, object: &Leftover) -> io::Result<Option<Removal>> {
    let Leftover { api_version, kind, namespace, name } = object;
    match cluster.remove(api_version, kind, namespace.as_deref(), name).await {
        Ok(removal) => Ok(Some(removal)),
        Err(error) => {
            terminal::error(format_args!("cannot delete {}: {error}", title(object)))?;
            Ok(None)
        }
    }
}

/// Waits for the end of a deleted object, and prints it. Returns false if the object still exists.
async fn is_gone(cluster: &Cluster, object: &Leftover, deadline: Instant) -> io::Result<bool> {
    let Leftover { api_version, kind, namespace, name } = object;
    match cluster.wait_until_gone(api_version, kind, namespace.as_deref(), name, deadline).await {
        Ok(true) => deleted(object).map(|()| true),
        Ok(false) => {
            terminal::error(format_args!(
                "{} is being deleted and still exists, because it or an object of its kind has a finalizer: see \
                 status.conditions of kubectl get {} -o yaml",
                title(object),
                title(object)
            ))?;
            Ok(false)
        }
        Err(error) => {
            terminal::error(format_args!("cannot tell if {} is gone: {error}", title(object)))?;
            Ok(false)
        }
    }
}

fn deleted(object: &Leftover) -> io::Result<()> {
    to_stdout(|out| writeln!(out, "{} deleted", title(object)))
}

fn title(object: &Leftover) -> String {
    format!("{} {}", object.kind.to_lowercase(), object.name)
}
