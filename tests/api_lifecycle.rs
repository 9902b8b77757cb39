//! Compares the table behind `deprecated-api`, and the rule's verdicts, with the API packages of Kubernetes.
//!
//! `UPDATE=1 cargo test --test api_lifecycle` writes the table anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use jiff::Timestamp;
use kube_devops::governance::{Analysis, ReportedViolation, Scope};
use kube_devops::policy::EffectivePolicy;
use kube_devops::rules::{self, Value};
use kube_devops::workload::{Fields, Object, TypeMeta};
use serde::Deserialize;
use serde_json::json;

/// The modules with API packages: those of the newest release first, and then older ones, for kinds that are gone.
const MODULES: [&str; 5] = [
    "k8s.io/api",
    "k8s.io/apiextensions-apiserver",
    "k8s.io/kube-aggregator",
    "kube-devops/older/api-1-32",
    "kube-devops/older/api-1-24",
];

/// The path of the table in this package.
const TABLE: &str = "src/rules/api/lifecycle.tsv";

/// A kind of a version of an API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct VersionedKind {
    group: String,
    version: String,
    kind: String,
}

impl VersionedKind {
    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The lifecycle of a kind, as the packages state it. A release of 0 is not stated.
#[derive(Debug, Deserialize)]
struct Lifecycle {
    #[serde(flatten)]
    of: VersionedKind,
    namespaced: bool,
    deprecated: u64,
    removed: u64,
    replacement: Option<VersionedKind>,
}

/// Returns the stated lifecycles and the minor version of the newest release; `None`, with a visible message, if Go is
/// missing.
fn upstream() -> Option<(Vec<Lifecycle>, u64)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        version: String,
        dir: PathBuf,
    }
    let downloaded = go(&["mod", "download", "-json"].into_iter().chain(MODULES).collect::<Vec<_>>())?;
    let modules = serde_json::Deserializer::from_slice(&downloaded).into_iter::<Module>();
    let mut modules: Vec<Module> = modules.map(Result::unwrap).collect();
    let minor = |module: &Module| module.version.split('.').nth(1).unwrap().parse::<u64>().unwrap();
    modules.sort_by_key(|module| std::cmp::Reverse(minor(module)));
    let directories = modules.iter().map(|module| module.dir.to_str().unwrap());
    let printed = go(&["run", "."].into_iter().chain(directories).collect::<Vec<_>>())?;
    let lines = serde_json::Deserializer::from_slice(&printed).into_iter();
    Some((lines.map(Result::unwrap).collect(), minor(&modules[0])))
}

fn go(args: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("go")
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests/api-lifecycle"))
        .env("CGO_ENABLED", "0")
        .output();
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let requires_go = env::var_os("KUBE_DEVOPS_GO").is_some();
    match output {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "go {args:?} failed in kube-tests/api-lifecycle: {errors}");
            Some(output.stdout)
        }
        // `make test` sets the variable.
        Err(error) if !requires_go => {
            // `eprintln!` would show only if the test fails.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: no lifecycle was compared with upstream: go: {error}");
            None
        }
        Err(error) => panic!("go is missing, and the comparison with upstream needs it: {error}"),
    }
}

/// Returns the kind of a list's items. Upstream replaces an `IngressClass` by a list of them.
fn item_of(kind: &VersionedKind) -> &str {
    kind.kind.strip_suffix("List").unwrap_or(&kind.kind)
}

/// Evaluates an object for a release. Returns its violations.
fn evaluate(object: &serde_json::Value, release: Option<u64>) -> Vec<ReportedViolation> {
    let params = release.map(|release| json!({ "minorVersion": release }));
    let spec = json!({ "rules": [{ "id": "deprecated-api", "params": params.unwrap_or(json!({})) }] });
    let policy = EffectivePolicy::from_spec(&serde_json::from_value(spec).unwrap()).unwrap();
    let scope = Scope::default();
    let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
    let object = Fields::All.within(|| Object::deserialize(object)).unwrap();
    analysis.add(&object, None);
    analysis.finish().violations.iter().map(ReportedViolation::from).collect()
}

#[test]
fn the_table_has_every_kind_that_upstream_removes() {
    let Some((lifecycles, newest)) = upstream() else { return };
    let mut rows = BTreeMap::new();
    for Lifecycle { of, deprecated, removed, replacement, .. } in &lifecycles {
        // A list is read as its items.
        if of.kind.ends_with("List") || *removed == 0 {
            continue;
        }
        let replacement = replacement.as_ref().map(|kind| (kind.api_version(), item_of(kind).to_owned()));
        let (api_version, kind) = replacement.unwrap_or_default();
        let row = format!("{deprecated}\t{removed}\t{api_version}\t{kind}");
        rows.insert((of.api_version(), of.kind.clone()), row);
    }
    let mut table = "apiVersion\tkind\tdeprecated\tremoved\treplacement\n".to_owned();
    for ((api_version, kind), row) in &rows {
        writeln!(table, "{}", format!("{api_version}\t{kind}\t{row}").trim_end()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let update = env::var_os("UPDATE").is_some();
    if update {
        fs::write(&path, &table).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), table, "UPDATE=1 writes the table anew");
    let rule = rules::find("deprecated-api").unwrap();
    assert_eq!(rule.parameters[0].default, Value::Integer(newest));
}

#[test]
fn every_removal_and_replacement_of_upstream_is_reported() {
    let Some((lifecycles, _)) = upstream() else { return };
    let stated: BTreeMap<&VersionedKind, &Lifecycle> = lifecycles.iter().map(|row| (&row.of, row)).collect();
    let (mut removals, mut replacements, mut seen) = (0, 0, BTreeSet::new());
    for row in &lifecycles {
        let api_version = row.of.api_version();
        let item = row.of.kind.strip_suffix("List");
        // Without a container, a workload would be a patch.
        let template = json!({ "spec": { "containers": [{ "name": "a", "image": "a:1" }] } });
        let spec = json!({ "template": template, "jobTemplate": { "spec": { "template": template } } });
        let metadata = json!({ "name": "a" });
        let object = match item {
            Some(item) => json!({
                "apiVersion": api_version, "kind": row.of.kind, "items": [
                    { "metadata": metadata, "spec": spec },
                    { "apiVersion": api_version, "kind": item, "metadata": metadata, "spec": spec },
                ],
            }),
            None => json!({
                "apiVersion": api_version, "kind": row.of.kind, "metadata": metadata, "spec": spec,
            }),
        };
        if row.removed == 0 {
            continue;
        }
        removals += 1;
        seen.insert(&row.of.group);
        let found = |release| evaluate(&object, Some(release));
        // Upstream can state other releases for a list than for its items, by which it is evaluated.
        let of_item = item.map(|item| VersionedKind { kind: item.to_owned(), ..row.of.clone() });
        let evaluated = of_item.and_then(|of| stated.get(&of).copied()).unwrap_or(row);
        let (deprecated, removed) = (evaluated.deprecated, evaluated.removed);
        assert!(found(deprecated - 1).is_empty(), "{row:?}");
        for (release, severity, words) in [
            (deprecated, "low", format!("is deprecated since Kubernetes 1.{deprecated}")),
            (removed, "high", format!("was removed in Kubernetes 1.{removed}")),
        ] {
            let violations = found(release);
            assert_eq!(violations.len(), if item.is_some() { 2 } else { 1 }, "{row:?}: {violations:?}");
            for violation in violations {
                assert_eq!(violation.severity.as_str(), severity, "{row:?}");
                assert!(violation.message.contains(&words), "{row:?}: {}", violation.message);
                assert_eq!(violation.path, "apiVersion");
                assert_eq!(violation.namespace.is_empty(), !evaluated.namespaced, "{row:?}");
            }
        }
        let Some(replacement) = &row.replacement else { continue };
        replacements += 1;
        // Upstream can name another replacement for a list than for its items, by which it is evaluated.
        if item.is_some() {
            continue;
        }
        // A list whose items are replaced by others is replaced by their list.
        let mut expected = replacement;
        while let Some(next) = stated.get(expected)
            && (1..=row.removed).contains(&next.removed)
        {
            let Some(next) = &next.replacement else { break };
            expected = next;
        }
        let kind = item_of(expected);
        let words = format!(": use {} {kind}", expected.api_version());
        for violation in found(row.removed) {
            assert!(violation.message.ends_with(&words), "{row:?}: {}", violation.message);
        }
    }
    assert!(removals >= 166 && replacements >= 103 && seen.len() > 20, "{removals} {replacements} {seen:?}");
}

#[test]
fn only_cluster_scoped_kinds_have_no_namespace() {
    let Some((lifecycles, _)) = upstream() else { return };
    for row in lifecycles.iter().filter(|row| !row.of.kind.ends_with("List")) {
        let types = TypeMeta { api_version: row.of.api_version(), kind: row.of.kind.clone() };
        assert_eq!(types.is_cluster_scoped(), !row.namespaced, "{types:?}");
    }
}

#[test]
fn a_live_object_is_evaluated_by_the_version_that_was_applied_last() {
    let applied = |version: &str| {
        let copy = json!({ "apiVersion": version, "kind": "Deployment" }).to_string();
        json!({ "kubectl.kubernetes.io/last-applied-configuration": copy })
    };
    for (api_version, uid, annotations, expected) in [
        (
            "apps/v1",
            "u",
            applied("apps/v1beta1"),
            Some("metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']"),
        ),
        ("extensions/v1beta1", "u", applied("apps/v1"), None),
        ("extensions/v1beta1", "u", json!({}), None),
        ("extensions/v1beta1", "", applied("apps/v1"), Some("apiVersion")),
        ("apps/v1", "", applied("apps/v1beta1"), None),
    ] {
        let mut object = json!({
            "apiVersion": api_version, "kind": "Deployment", "metadata": { "name": "a", "annotations": annotations },
            "spec": { "selector": {}, "template": { "spec": { "containers": [] } } },
        });
        if !uid.is_empty() {
            object["metadata"]["uid"] = uid.into();
        }
        let found = evaluate(&object, None);
        assert_eq!(found.first().map(|violation| &*violation.path), expected, "{object}");
    }
}
