//! Generated inputs of many shapes, the same for the same number, to compare an expensive shape with a cheap one.

#![allow(dead_code, reason = "nobody needs all of it")]

use std::io::{self, Write};
use std::path::Path;

/// Writes a `PodList` in which every pod breaks all five scored rules. Five pods make a workload.
pub(crate) fn write_bad_pods(out: &mut impl Write, pods: usize) -> io::Result<()> {
    out.write_all(br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#)?;
    for pod in 0..pods {
        let (comma, workload, namespace) = (if pod > 0 { "," } else { "" }, pod / 5, pod / 5 % 50);
        write!(
            out,
            r#"{comma}{{"metadata":{{"name":"shop-{workload}-6d4cf56db6-{pod:07}","namespace":"team-{namespace}","labels":{{"pod-template-hash":"6d4cf56db6"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"shop-{workload}-6d4cf56db6","controller":true}}]}},"spec":{{"containers":[{{"name":"shop","image":"registry.example.com/team-{namespace}/shop-{workload}"}}]}},"status":{{"phase":"Pending","containerStatuses":[{{"name":"shop","restartCount":{}}}]}}}}"#,
            4 + pod % 90
        )?;
    }
    out.write_all(b"]}\n")
}

/// A notation of a list of Deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// One `List`.
    List,
    /// One document a line, as in the output of `jq -c '.items[]'`.
    Lines,
    /// Indented documents, as in the output of `jq '.items[]'`.
    Documents,
    /// A typed list with sorted keys, as in the output of `jq -S`: its kind comes after its items.
    Sorted,
}

/// Writes Deployments in a notation.
pub(crate) fn write_deployments(out: &mut impl Write, count: usize, spelling: Spelling) -> io::Result<()> {
    match spelling {
        Spelling::List => out.write_all(br#"{"apiVersion":"v1","kind":"List","items":["#)?,
        Spelling::Sorted => out.write_all(br#"{"apiVersion":"apps/v1","items":["#)?,
        Spelling::Lines | Spelling::Documents => {}
    }
    for number in 0..count {
        let types =
            if spelling == Spelling::Sorted { "" } else { r#""apiVersion":"apps/v1","kind":"Deployment","# };
        let object = format!(
            r#"{{{types}"metadata":{{"name":"shop-{number}","namespace":"team-{}"}},"spec":{{"selector":{{"matchLabels":{{"app":"shop-{number}"}}}},"template":{{"metadata":{{"labels":{{"app":"shop-{number}"}}}},"spec":{{"containers":[{{"name":"shop","image":"registry.example.com/shop:1"}}]}}}}}}}}"#,
            number % 50
        );
        match spelling {
            Spelling::List | Spelling::Sorted => {
                write!(out, "{}{object}", if number > 0 { "," } else { "" })?;
            }
            Spelling::Lines => writeln!(out, "{object}")?,
            Spelling::Documents => {
                let value: serde_json::Value = serde_json::from_str(&object)?;
                writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
            }
        }
    }
    match spelling {
        Spelling::List => out.write_all(b"]}\n"),
        Spelling::Sorted => out.write_all(b"],\"kind\":\"DeploymentList\"}\n"),
        Spelling::Lines | Spelling::Documents => Ok(()),
    }
}

/// Creates nested directories, each with two links to the next, and one manifest in the last.
#[cfg(unix)]
pub(crate) fn make_links(directory: &Path, levels: usize) -> io::Result<()> {
    for level in 0..levels {
        let path = directory.join(format!("level-{level}"));
        std::fs::create_dir_all(&path)?;
        for link in ["a", "b"] {
            std::os::unix::fs::symlink(format!("../level-{}", level + 1), path.join(link))?;
        }
    }
    let last = directory.join(format!("level-{levels}"));
    std::fs::create_dir_all(&last)?;
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";
    std::fs::write(last.join("pod.yaml"), pod)
}
