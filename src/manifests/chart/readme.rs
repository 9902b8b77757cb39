//! The table of the chart's values, from `values.yaml` and its comments.

use serde::Deserialize as _;
use serde_json::Value;

use crate::yaml::{self, Document};

/// A `values.yaml` that cannot be turned into a table.
#[derive(Debug, thiserror::Error)]
pub enum ReadmeError {
    /// It is no YAML.
    #[error("values.yaml: {0}")]
    Yaml(#[from] yaml::Error),
    /// A value has no description.
    #[error("values.yaml, line {line}: {key} has no comment that starts with `# -- `")]
    Undescribed {
        /// The line.
        line: usize,
        /// The key.
        key: String,
    },
}

/// Returns the README: an introduction, and a table of the values with their defaults.
///
/// A comment that starts with `# -- ` describes the key below it. The keys below a described key need no description.
pub fn readme(values: &str) -> Result<String, ReadmeError> {
    let introduction = include_str!("introduction.md");
    let parsed = Value::deserialize(Document::parse(values)?.root())?;
    let mut rows = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut description = String::new();
    let mut described: Option<usize> = None;
    for (index, line) in values.lines().enumerate() {
        let item = line.trim_start();
        let indent = line.len() - item.len();
        if let Some(start) = item.strip_prefix("# -- ") {
            start.clone_into(&mut description);
        } else if let Some(more) = item.strip_prefix("# ").filter(|_| !description.is_empty()) {
            description.push(' ');
            description.push_str(more);
        } else if let Some((key, rest)) = item.split_once(':').filter(|_| !item.starts_with(['#', '-'])) {
            if described.is_some_and(|at| indent > at) {
                continue;
            }
            described = None;
            path.retain(|(at, _)| *at < indent);
            path.push((indent, key.to_owned()));
            let names: Vec<_> = path.iter().map(|(_, name)| name.as_str()).collect();
            if description.is_empty() {
                if rest.trim().is_empty() {
                    continue;
                }
                return Err(ReadmeError::Undescribed { line: index + 1, key: names.join(".") });
            }
            let default = parsed.pointer(&format!("/{}", names.join("/"))).unwrap_or(&Value::Null);
            rows.push(format!("| `{}` | {description} | `{default}` |\n", names.join(".")));
            description.clear();
            described = Some(indent);
        }
    }
    Ok(format!("{introduction}\n| value | meaning | default |\n|---|---|---|\n{}", rows.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_described_value_is_a_row_with_its_default() {
        let values = "image:\n  # -- The tag.\n  # More of it.\n  tag: \"\"\n\
                      # -- Limits.\nresources:\n  limits:\n    cpu: 1\n";
        let text = readme(values).unwrap();
        assert!(text.contains("| `image.tag` | The tag. More of it. | `\"\"` |\n"), "{text}");
        assert!(text.contains("| `resources` | Limits. | `{\"limits\":{\"cpu\":1}}` |\n"), "{text}");
    }

    #[test]
    fn a_value_without_a_description_is_refused() {
        let error = readme("# -- One.\na: 1\nb:\n  c: 2\n").unwrap_err();
        assert_eq!(error.to_string(), "values.yaml, line 4: b.c has no comment that starts with `# -- `");
    }
}
