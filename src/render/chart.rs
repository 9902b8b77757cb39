//! Renders Helm charts.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::options::Options;
use super::program::{self, ProgramError, TIME};
use super::schemas;
use crate::files::CHART_FILE;
use crate::yaml::Document;

/// The program that renders charts.
pub(super) const HELM: &str = "helm";
/// The longest name of a release, in bytes.
const LONGEST_NAME: usize = 53;

/// The part of `Chart.yaml` that decides about the rendering.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// A chart in a directory.
#[derive(Debug)]
pub(super) struct Chart {
    directory: PathBuf,
    metadata: Metadata,
}

impl Chart {
    /// Reads the metadata of a chart. If they are broken, Helm will report it.
    pub(super) fn read(directory: &Path) -> Self {
        let text = fs::read_to_string(directory.join(CHART_FILE)).unwrap_or_default();
        let metadata = Document::parse(&text).ok().and_then(|file| Metadata::deserialize(file.root()).ok());
        Self { directory: directory.to_owned(), metadata: metadata.unwrap_or_default() }
    }

    /// Returns true if the chart has only templates for other charts, so that nothing can be rendered.
    pub(super) fn is_library(&self) -> bool {
        self.metadata.kind == "library"
    }

    /// Lists the values files of `ci`, each of which makes a variant, as for
    /// [chart-testing](https://github.com/helm/chart-testing).
    pub(super) fn variants(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.join("ci")).into_iter().flatten().flatten();
        let mut files: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| suffix(path).is_some()).collect();
        files.sort();
        files
    }

    /// Returns the release's name: the name of the chart, and that of the variant, so that objects of two variants differ.
    fn release(&self, variant: Option<&Path>) -> String {
        let variant = variant.and_then(suffix).map(|name| format!("-{name}")).unwrap_or_default();
        let name = format!("{}{variant}", self.metadata.name).to_lowercase();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let name = name.get(..LONGEST_NAME).unwrap_or(&name).trim_matches('-');
        if name.is_empty() { "release-name".to_owned() } else { name.to_owned() }
    }

    /// Renders the chart with the values of the options, or with those of a variant.
    pub(super) async fn render(
        &self,
        variant: Option<&Path>,
        options: &Options,
        home: &Path,
    ) -> Result<Vec<u8>, ProgramError> {
        let broken = |error| ProgramError::Broken(HELM, error);
        let mut command = program::command(HELM, home);
        command
            .args(["template", &self.release(variant)])
            .arg(std::path::absolute(&self.directory).map_err(broken)?);
        command.args(["--skip-tests", "--namespace", &options.namespace]);
        if !schemas::are_local(&self.directory) {
            command.arg("--skip-schema-validation");
        }
        for file in options.values.iter().map(PathBuf::as_path).chain(variant) {
            // Helm splits the argument at commas unless it is quoted.
            let file = std::path::absolute(file).map_err(broken)?.display().to_string();
            command.arg(format!("--values=\"{}\"", file.replace('"', "\"\"")));
        }
        command.args(options.set.iter().map(|value| format!("--set={value}")));
        program::output(HELM, command, TIME).await.map_err(|error| self.with_advice(error))
    }

    /// Says how to get dependencies that are missing.
    fn with_advice(&self, error: ProgramError) -> ProgramError {
        match error {
            ProgramError::Failed(program, message) => {
                let missing =
                    message.split_once("missing in charts/ directory:").map(|(_, names)| names.trim());
                ProgramError::Failed(
                    program,
                    match missing {
                        Some(names) => format!(
                            "the chart's dependencies are not in its directory charts: {names}; run `helm dependency build {}`, \
                         which downloads them",
                            self.directory.display()
                        ),
                        None => message,
                    },
                )
            }
            other => other,
        }
    }

    /// Returns the file that Helm's `# Source:` comment on a document names.
    ///
    /// A template of a packed or renamed subchart leads to `Chart.yaml`, which lists the subcharts.
    pub(super) fn origin(&self, document: &str) -> PathBuf {
        let named = document.lines().next().and_then(|line| line.strip_prefix("# Source: "));
        let path = named.and_then(|path| path.split_once('/')).map(|(_, path)| Path::new(path));
        // A template can print such a comment itself.
        let path = path.filter(|path| path.components().all(|part| matches!(part, Component::Normal(_))));
        let file = path.map(|path| self.directory.join(path));
        file.filter(|file| file.is_file()).unwrap_or_else(|| self.directory.join(CHART_FILE))
    }
}

/// Returns the name of a variant: that of its file, without `-values.yaml`.
fn suffix(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix("-values.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(name: &str) -> Chart {
        let metadata = Metadata { name: name.to_owned(), kind: String::new() };
        Chart { directory: PathBuf::from("charts/web"), metadata }
    }

    #[test]
    fn the_name_of_a_release_is_valid() {
        let release = |name: &str, variant: Option<&str>| chart(name).release(variant.map(Path::new));
        assert_eq!(release("web", None), "web");
        assert_eq!(release("web", Some("ci/Big_Node-values.yaml")), "web-big-node");
        assert_eq!(release("", None), "release-name");
        assert_eq!(release("--post-renderer=x", None), "post-renderer-x");
        assert_eq!(release(&"a".repeat(60), None).len(), LONGEST_NAME);
        assert_eq!(release("ä".repeat(60).as_str(), None), "release-name");
    }

    #[test]
    fn missing_dependencies_come_with_advice() {
        let message = "found in Chart.yaml, but missing in charts/ directory: redis, common\n";
        let error = chart("web").with_advice(ProgramError::Failed(HELM, message.to_owned()));
        assert_eq!(
            error.to_string(),
            "helm: the chart's dependencies are not in its directory charts: redis, common; run `helm dependency build \
             charts/web`, which downloads them"
        );
    }
}
