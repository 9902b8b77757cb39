//! Renders kustomizations, and finds the files that they are made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::program::{self, ProgramError, TIME};
use crate::files::kustomization_file;
use crate::yaml::Document;

/// The programs that render kustomizations, and the arguments in front of the directory, in order of preference.
pub(super) const PROGRAMS: [(&str, &str); 2] = [("kustomize", "build"), ("kubectl", "kustomize")];

/// The fields whose entries are files, directories or addresses.
const LOADED: [&str; 9] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "patchesStrategicMerge",
];

/// The fields whose texts are no paths: kustomize only writes them into objects.
const PLAIN: [&str; 8] = [
    "commonAnnotations",
    "commonLabels",
    "generatorOptions",
    "images",
    "labels",
    "literals",
    "options",
    "patch",
];

/// The local files and directories of a kustomization, and of all that it is built on.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The kustomizations below this one.
    pub(super) bases: BTreeSet<PathBuf>,
    /// The files, those that make the directories kustomizations included.
    pub(super) files: BTreeSet<PathBuf>,
    /// The first entry that is not a local file or directory, with the directory that names it.
    pub(super) remote: Option<(PathBuf, String)>,
}

impl Inputs {
    /// Finds the inputs of the kustomization in a directory.
    pub(super) fn of(directory: &Path) -> Self {
        let mut inputs = Self::default();
        inputs.visit(directory);
        inputs
    }

    fn visit(&mut self, directory: &Path) {
        let Some(file) = kustomization_file(directory) else { return };
        // A kustomization that includes itself would never end.
        if !self.files.insert(canonical(&file)) {
            return;
        }
        let content = read(&file);
        for field in LOADED {
            let entries = content[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            for entry in entries.filter(|entry| !entry.contains('\n')) {
                if !directory.join(entry).exists() {
                    self.missing(directory, entry);
                }
            }
        }
        self.visit_texts(directory, &content);
    }

    /// Visits every text of a kustomization. A text that is the path of something on disk is an input.
    fn visit_texts(&mut self, directory: &Path, value: &Value) {
        match value {
            Value::String(text) => self.visit_text(directory, text),
            Value::Array(values) => values.iter().for_each(|value| self.visit_texts(directory, value)),
            Value::Object(fields) => {
                let fields = fields.iter().filter(|(name, _)| !PLAIN.contains(&name.as_str()));
                fields.for_each(|(_, value)| self.visit_texts(directory, value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn visit_text(&mut self, directory: &Path, text: &str) {
        // A generator's file may have a key in front: `key=path`.
        let path = text.split_once('=').map_or(text, |(_, path)| path);
        if [text, path].into_iter().any(is_address) {
            self.missing(directory, text);
        }
        if path.is_empty() || text.contains('\n') || Path::new(path).is_absolute() {
            return;
        }
        let path = directory.join(path);
        if path.is_file() {
            self.files.insert(canonical(&path));
        } else if kustomization_file(&path).is_some() {
            self.bases.insert(canonical(&path));
            self.visit(&path);
        }
    }

    fn missing(&mut self, directory: &Path, entry: &str) {
        self.remote.get_or_insert_with(|| (directory.to_owned(), entry.to_owned()));
    }
}

/// Returns true if kustomize would download a text that names a file. It asks before it looks for a file of that name,
/// and takes any case, as Go's `net/url` does.
fn is_address(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// Returns true if the kustomization is a component, which is rendered only as a part of others.
pub(super) fn is_component(directory: &Path) -> bool {
    kustomization_file(directory).is_some_and(|file| read(&file)["kind"] == "Component")
}

/// Reads a kustomization. If it is broken, kustomize will report it.
fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_default();
    let document = Document::parse(&text).ok();
    document.and_then(|document| Value::deserialize(document.root()).ok()).unwrap_or_default()
}

/// Renders the kustomization in a directory, with annotations that lead to the file of each object.
///
/// A second kustomization, in the directory `home`, asks for the annotations.
pub(super) async fn render(directory: &Path, home: &Path) -> Result<Vec<u8>, ProgramError> {
    let mut missing = ProgramError::Missing(PROGRAMS[0].0);
    for (program, verb) in PROGRAMS {
        let broken = |error| ProgramError::Broken(program, error);
        let home = home.canonicalize().map_err(broken)?;
        let directory = directory.canonicalize().map_err(broken)?;
        let content =
            json!({ "resources": [relative(&home, &directory)], "buildMetadata": ["originAnnotations"] });
        fs::write(home.join("kustomization.yaml"), content.to_string()).map_err(broken)?;
        let run = |directory: &Path| {
            let mut command = program::command(program, &home);
            command.arg(verb).arg(directory);
            program::output(program, command, TIME)
        };
        match run(&home).await {
            Err(error @ ProgramError::Missing(_)) => missing = error,
            // The error is about the second kustomization, so the first is rendered alone.
            Err(ProgramError::Failed(..)) => return run(&directory).await,
            result => return result,
        }
    }
    Err(missing)
}

/// Returns the file that the annotation on a rendered object names, relative to the directory `home` of the rendering.
pub(super) fn origin(document: &str, home: &Path) -> Option<PathBuf> {
    let mut lines =
        document.lines().map(str::trim).skip_while(|line| *line != "config.kubernetes.io/origin: |");
    let origin = lines.nth(1)?;
    let path = origin.strip_prefix("path: ").or_else(|| origin.strip_prefix("configuredIn: "))?;
    home.join(path.trim_matches(['"', '\''])).canonicalize().ok()
}

pub(super) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns the relative path from one absolute directory to another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    #[test]
    fn the_inputs_are_all_local_files_that_a_kustomization_leads_to() {
        let tree = tree(&[
            (
                "prod/kustomization.yaml",
                "resources: [../base]\npatches: [{path: p.yaml}]\ncomponents: [../extra]",
            ),
            ("prod/p.yaml", ""),
            ("prod/unused.yaml", ""),
            (
                "base/kustomization.yml",
                "resources:\n- a.yaml\nconfigMapGenerator:\n- files: [k=c.txt]\n  envs: [e.env]",
            ),
            ("base/a.yaml", ""),
            ("base/c.txt", ""),
            ("base/e.env", ""),
            ("extra/Kustomization", "kind: Component\nresources: [../prod]\n"),
        ]);
        let root = tree.path().canonicalize().unwrap();
        let inputs = Inputs::of(&root.join("prod"));
        let names = |paths: &BTreeSet<PathBuf>| -> Vec<String> {
            paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        assert_eq!(
            names(&inputs.files),
            [
                "base/a.yaml",
                "base/c.txt",
                "base/e.env",
                "base/kustomization.yml",
                "extra/Kustomization",
                "prod/kustomization.yaml",
                "prod/p.yaml"
            ]
        );
        assert_eq!(names(&inputs.bases), ["base", "extra", "prod"]);
        assert_eq!(inputs.remote, None);
        assert!(is_component(&root.join("extra")) && !is_component(&root.join("prod")));
    }

    #[test]
    fn an_entry_that_would_be_downloaded_is_found() {
        for content in [
            "resources: [https://example.com/a.yaml]",
            "resources: ['github.com/org/repo//base?ref=v1']",
            "components: [missing]",
            "configMapGenerator: [{files: ['k=https://example.com/a']}]",
            "patches: [{path: http://example.com/p.yaml}]",
            "patches: [{path: 'http://127.0.0.1:8080/p.yaml?a=b'}]",
            "patches: [{path: 'HTTP://127.0.0.1:8080/p.yaml'}]",
            "resources: ['Http://127.0.0.1:8080/a.yaml']",
            "openapi: {path: https://example.com/schema.json}",
        ] {
            let tree = tree(&[("kustomization.yaml", content)]);
            assert!(Inputs::of(tree.path()).remote.is_some(), "{content}");
        }
        let inline = "patches: [{patch: 'a: https://example.com\n'}]\ntransformers:\n- |\n  kind: A\n\
                      commonAnnotations: {docs: 'https://example.com'}\n";
        let tree = tree(&[("kustomization.yaml", inline)]);
        assert_eq!(Inputs::of(tree.path()).remote, None);
    }

    #[test]
    fn a_relative_path_leads_from_one_directory_to_another() {
        let path = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(path("/tmp/a", "/home/b/c"), "../../home/b/c");
        assert_eq!(path("/tmp/a", "/tmp/b"), "../b");
    }
}
