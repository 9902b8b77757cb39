//! A new rule needs its file, its name in the `mod.rs` beside it, and two fixtures. All else follows from the registry.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use kube_devops::rules::{RULES, Rule};
use walkdir::WalkDir;

/// The files that `UPDATE=1 cargo test --test generated` writes.
const GENERATED: [&str; 7] = [
    "docs/rules.md",
    "deploy/crds/devopspolicies.yaml",
    "deploy/crds/clusterdevopspolicies.yaml",
    "deploy/config.schema.json",
    "deploy/helm/kube-devops/templates/crds.yaml",
    "deploy/admission.yaml",
    "deploy/helm/kube-devops/templates/admission.yaml",
];

/// The tables of the values that admission compares in an update. A rule may have a row there, and needs none.
const TABLES: [&str; 2] = ["docs/admission.md", "tests/fixtures/updates.json"];

/// The files and folders of the package that can name a rule.
const PLACES: [&str; 9] =
    ["src", "tests", "benches", "docs", "deploy", "kube-tests", "templates", "README.md", "Cargo.toml"];

/// Returns true if a rule has nothing beyond a check: no place in the score, and no fix.
fn is_plain(rule: &Rule) -> bool {
    !rule.in_default_score && rule.weight.is_none() && rule.fix.is_none()
}

/// Returns the path of each text file of the package, with its content.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = PLACES.iter().flat_map(|place| WalkDir::new(root.join(place)));
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .filter_map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            let mut text = fs::read_to_string(entry.path()).ok()?;
            if path.starts_with("src/") {
                // The tests of a file can take any rule as an example.
                text.truncate(text.find("#[cfg(test)]").unwrap_or(text.len()));
            }
            Some((path, text))
        })
        .collect()
}

/// Returns true if a text has an id that is not a part of a longer one.
fn names(text: &str, id: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(id).any(|(start, _)| {
        !text[..start].ends_with(is_inner) && !text[start + id.len()..].starts_with(is_inner)
    })
}

#[test]
fn a_plain_rule_is_named_by_its_own_files_only() {
    let files = files();
    let content = |path: &str| &files.iter().find(|(own, _)| own == path).unwrap().1;
    let plain = RULES.iter().filter(|rule| is_plain(rule));
    let (mut all, mut alone) = (0, 0);
    for rule in plain {
        let id = rule.id.as_str();
        let (category, module) = (rule.category.as_str(), id.replace('-', "_"));
        let own = [
            format!("src/rules/{category}/{module}.rs"),
            format!("tests/fixtures/rules/{id}/bad.yaml"),
            format!("tests/fixtures/rules/{id}/good.yaml"),
        ];
        assert!(names(content(&own[0]), &format!("\"{id}\"")), "{} does not define {id}", own[0]);
        for path in &own {
            assert!(!content(path).is_empty(), "{path}");
        }
        let registry = content(&format!("src/rules/{category}/mod.rs"));
        let lines: Vec<&str> = registry.lines().filter(|line| names(line, &module)).map(str::trim).collect();
        assert_eq!(lines.len(), 2, "{id}: {lines:?}");
        assert_eq!(lines[0], format!("mod {module};"));
        assert!(lines[1].contains(&format!("&{module}::RULE")), "{}", lines[1]);
        for path in &GENERATED[..3] {
            assert!(names(content(path), id), "{path} lacks {id}");
        }

        let is_own = |path: &str| GENERATED.contains(&path) || own.iter().any(|own| own == path);
        let others = files.iter().filter(|(path, text)| !is_own(path) && names(text, id));
        let others: Vec<&str> = others.map(|(path, _)| &**path).collect();
        // Another rule may refer to it, and a test or a page may be about it. The program may not.
        let of_program = |path: &&&str| {
            path.starts_with("src/") && !path.starts_with("src/rules/") && !path.ends_with("tests.rs")
        };
        let of_program: Vec<_> = others.iter().filter(of_program).collect();
        assert!(of_program.is_empty(), "{id} has a place of its own in {of_program:?}");
        // The Pod Security Standards fix the rules of their bundles, and the test of all formats names its rules.
        let is_fixed = |path: &str| path.contains("cli__bundles__") || path.contains("__every_kind_");
        let mut snapshots = others.iter().filter(|path| path.contains("/snapshots/") && !is_fixed(path));
        assert!(snapshots.next().is_none(), "a snapshot lists {id}: {others:?}");
        all += 1;
        alone += usize::from(others.iter().all(|path| TABLES.contains(path)));
    }
    assert!(alone >= 15, "of {all} plain rules, only {alone} need nothing but their own files");
}
