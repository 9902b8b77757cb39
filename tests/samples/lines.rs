//! A violation names the line of its field: that line has the field's key, and a change of the line changes the finding.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kube_devops::files::{self, Consumer, FieldPlace, Inputs, Listed, Place, Source, StreamCopies};
use kube_devops::governance::{Analysis, Origin, Scope};
use kube_devops::policy::EffectivePolicy;
use kube_devops::rules::{Check, RULES};
use kube_devops::workload::{Fields, Kind, Kinds, Object};
use kube_devops::yaml::{Document, chunks};
use serde::Deserialize;
use serde_json::Value;

/// A violation with its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    line: usize,
    object: (String, String),
    rule: &'static str,
    path: String,
    message: String,
}

struct Evaluator<'p>(Analysis<'p>);

impl<'p> Consumer for Evaluator<'p> {
    type Part = Analysis<'p>;

    fn fields(&self) -> Fields {
        self.0.policy().fields()
    }

    fn part(&self) -> Analysis<'p> {
        self.0.part()
    }

    fn add(&self, part: &mut Analysis<'p>, object: &Object<'_>, place: Place<'_>) {
        let Place { source, line, line_of } = place;
        part.add(object, Some(Origin { source, line, line_of }));
    }

    fn note(&self, _: &mut Analysis<'p>, _: Place<'_>, _: &str) {}

    fn merge(&self, into: &mut Analysis<'p>, part: Analysis<'p>) {
        into.merge(part);
    }
}

/// Evaluates the text of a file under all rules.
fn evaluate(name: &Path, text: &str) -> BTreeSet<Found> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name.file_name().unwrap());
    fs::write(&path, text).unwrap();
    let (policy, scope) =
        (EffectivePolicy::select("all").unwrap(), Scope { include_system: true, ..Scope::default() });
    let mut analysis = Analysis::new(&policy, &scope, Timestamp::constant(1_800_000_000, 0), true);
    let consumer = Evaluator(analysis.part());
    let sources = [Source::File(path)];
    for found in files::read(&[], sources.to_vec(), true, &consumer) {
        analysis.merge(found.part);
    }
    analysis.close(Kinds::of(&Kind::ALL));
    let mut report = analysis.finish();
    report.violations.find_lines(|violations| {
        let fields = violations.iter().map(|violation| {
            let place = violation.source.unwrap();
            let (name, path) = (violation.name, violation.path);
            FieldPlace { source: place.source, line: place.line as usize, name, path }
        });
        let fields: Vec<_> = fields.collect();
        files::find_fields(&fields, &sources, &StreamCopies::default(), policy.fields())
    });
    let found = report.violations.iter().map(|violation| Found {
        line: violation.source.unwrap().line as usize,
        object: (violation.kind.to_owned(), violation.name.to_owned()),
        rule: violation.rule.as_str(),
        path: violation.path.to_owned(),
        message: violation.message.to_owned(),
    });
    found.collect()
}

/// Returns the objects of a file, the items of lists among them.
fn objects(text: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    for chunk in chunks(text.as_bytes(), true) {
        let Ok(text) = chunk.text() else { continue };
        let Ok(document) = Document::parse(&text) else { continue };
        let Ok(value) = Value::deserialize(document.root()) else { continue };
        match value["items"].as_array() {
            Some(items) => objects.extend(items.iter().cloned()),
            None => objects.push(value),
        }
    }
    objects
}

/// Returns the deepest key on a path that an object has, unless an item of a list is deeper still.
fn deepest_key<'p>(object: &Value, path: &'p str) -> Option<&'p str> {
    let mut value = object;
    let mut key = None;
    for step in path.split(['.', '[']) {
        let (next, name) = match step.strip_suffix(']').map(str::parse::<usize>) {
            Some(Ok(index)) => (value.get(index), None),
            _ => (value.get(step), Some(step)),
        };
        let Some(next) = next else { break };
        (value, key) = (next, name);
    }
    key
}

/// Checks each violation of a file, and returns the rules of the violations.
fn check(path: &Path) -> Vec<&'static str> {
    let text = fs::read_to_string(path).unwrap();
    let found = evaluate(path, &text);
    let objects = objects(&text);
    let lines: Vec<&str> = text.lines().collect();
    for violation in &found {
        let line = lines[violation.line - 1];
        let place = || format!("{}:{}: {violation:?}\n{line}", path.display(), violation.line);
        // A key with dots is in quotes.
        if !violation.path.contains('\'') {
            let of = objects.iter().filter(|object| {
                let name = &object["metadata"]["name"];
                object["kind"] == *violation.object.0
                    && name.as_str().unwrap_or_default() == violation.object.1
            });
            let keys: Vec<_> = of.filter_map(|object| deepest_key(object, &violation.path)).collect();
            assert!(keys.is_empty() || keys.iter().any(|key| line.contains(key)), "{}", place());
        }
        let with = |new: &str| {
            let changed = lines.iter().enumerate().map(|(index, old)| {
                let line = if index + 1 == violation.line { new } else { old };
                format!("{line}\n")
            });
            changed.collect::<String>()
        };
        let key = |c: char| c.is_ascii_alphanumeric();
        let renamed = line.find(key).map(|at| format!("{}x{}", &line[..at], &line[at..]));
        let changes = [Some(String::new()), renamed]
            .into_iter()
            .flatten()
            .any(|new| !evaluate(path, &with(&new)).contains(violation));
        assert!(changes, "{}", place());
    }
    found.iter().map(|violation| violation.rule).collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let inputs = Inputs { paths: vec![directory.to_owned()], recursive: true, ..Inputs::default() };
    let path = |listed| match listed {
        Listed::Source(source) => Some(source.name().into()),
        Listed::Package(_) | Listed::Unread(_) | Listed::Ignored(_) => None,
    };
    let paths = inputs.list().into_iter().filter_map(path);
    paths.filter(|path: &PathBuf| fs::metadata(path).unwrap().len() < 300_000).collect()
}

#[test]
fn the_line_of_each_violation_decides_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let samples = ["test-pod.yaml", "bad-workloads.yaml", "mixed-list.json"]
        .map(|name| root.join("kube-tests").join(name));
    let rules = files_below(&root.join("tests/fixtures/rules"));
    let bad = rules.into_iter().filter(|path| path.ends_with("bad.yaml"));
    let checked: Vec<_> = samples.into_iter().chain(bad).flat_map(|path| check(&path)).collect();
    assert!(checked.len() > 500, "{}", checked.len());
    let relates = |check| matches!(check, Check::Relation { .. });
    for rule in RULES.iter().filter(|rule| rule.checks().any(relates)) {
        assert!(checked.contains(&rule.id.as_str()), "no violation of {}", rule.id);
    }
}

/// `KUBE_DEVOPS_CORPUS` names a directory of manifests to check beside the samples.
#[test]
fn the_line_of_each_violation_in_a_corpus_decides_it() {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let Some(corpus) = std::env::var_os("KUBE_DEVOPS_CORPUS") else { return };
    let checked = files_below(Path::new(&corpus)).iter().map(|path| check(path).len()).sum::<usize>();
    assert!(checked > 0, "no violation in {}", corpus.display());
}
