//! Objects of the model as templates of Helm.
//!
//! The model gets placeholders for what is known only to Helm. They are replaced in the text, so that
//! YAML's quoting never lands inside a template action.

use serde_json::Value;

use crate::manifests::installation::{APP, Component};
use crate::yaml;

/// Stands for the namespace of the release.
pub(super) const NAMESPACE: &str = "placeholder-namespace";
/// Stands for each of the further system namespaces.
pub(super) const SYSTEM_NAMESPACE: &str = "placeholder-system-namespace";
/// Stands for the place of the runbooks.
pub(super) const RUNBOOKS: &str = "placeholder-runbooks";

/// Starts items of a list that are there where a component is enabled, whose name follows.
pub(super) const IF_ENABLED: &str = "placeholder-if-";
/// Ends these items.
pub(super) const END_IF: &str = "placeholder-end";

const SOURCE: &str = "Generated from src/manifests by `UPDATE=1 cargo test --test generated`.";

/// Returns an object as a template. `metadata` are the arguments of the named template that writes the labels and
/// annotations, after the root; with `None`, the object is printed as it is.
pub(super) fn template(object: &Value, metadata: Option<&str>) -> Result<String, std::io::Error> {
    let Some(metadata) = metadata else {
        return Ok(format!("# {SOURCE}\n{}", yaml::to_string(object)?));
    };
    let mut object = object.clone();
    if let Some(fields) = object["metadata"].as_object_mut() {
        fields.remove("labels");
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let line = format!("\n  name: {name}\n");
    let labels = format!("{line}  {{{{- include \"{APP}.metadata\" (list $ {metadata}) | nindent 2 }}}}\n");
    Ok(format!("# {SOURCE}\n{}", filled(&yaml::to_string(&object)?).replacen(&line, &labels, 1)))
}

/// Returns a named template of a value.
pub(super) fn define(name: &str, value: &Value) -> Result<String, std::io::Error> {
    let text = filled(&yaml::to_string(value)?);
    let text = text.trim_end();
    Ok(format!("{{{{- /* {SOURCE} */}}}}\n{{{{- define \"{name}\" -}}}}\n{text}\n{{{{- end }}}}\n"))
}

/// Escapes what looks like an action, and puts actions in place of placeholders.
fn filled(yaml: &str) -> String {
    let account = format!("{NAMESPACE}:{}", Component::Reconcile.name());
    let mut lines = Vec::new();
    for line in yaml.replace("{{", "{{ \"{{\" }}").lines() {
        let item = line.trim_start();
        let indent = &line[..line.len() - item.len()];
        if item == format!("- {SYSTEM_NAMESPACE}") {
            let line = format!("{indent}- {{{{ . | quote }}}}");
            let [start, end] = ["range .Values.systemNamespaces", "end"]
                .map(|action| format!("{indent}{{{{- {action} }}}}"));
            lines.extend([start, line, end]);
            continue;
        }
        if let Some(component) = item.strip_prefix("- ").and_then(|item| item.strip_prefix(IF_ENABLED)) {
            lines.push(format!("{indent}{{{{- if .Values.{component}.enabled }}}}"));
            continue;
        }
        if item == format!("- {END_IF}") {
            lines.push(format!("{indent}{{{{- end }}}}"));
            continue;
        }
        let whole = |placeholder: &str| {
            line.ends_with(&format!(": {placeholder}")) || item == format!("- {placeholder}")
        };
        let line = if whole(NAMESPACE) {
            line.replace(NAMESPACE, "{{ .Release.Namespace | quote }}")
        } else {
            line.replace(
                &account,
                &format!("{NAMESPACE}:{{{{ include \"{APP}.account\" (list . \"reconcile\") }}}}"),
            )
            .replace(NAMESPACE, "{{ .Release.Namespace }}")
        };
        let line = ["''", "'"].into_iter().fold(line, |line, quote| {
            let repeated =
                format!("{{{{ range .Values.systemNamespaces }}}}, {quote}{{{{ . }}}}{quote}{{{{ end }}}}");
            line.replace(&format!(", {quote}{SYSTEM_NAMESPACE}{quote}"), &repeated)
        });
        lines.push(line.replace(RUNBOOKS, "{{ .Values.monitoring.prometheusRule.runbooks }}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_become_actions_of_the_template() {
        let value = json!({
            "expression": format!("n in ['argocd', '{NAMESPACE}', '{SYSTEM_NAMESPACE}']"),
            "namespace": NAMESPACE,
            "values": [SYSTEM_NAMESPACE],
        });
        let text = define("x", &value).unwrap();
        assert!(!text.contains("placeholder"), "{text}");
        for part in [
            "namespace: {{ .Release.Namespace | quote }}\n",
            "'{{ .Release.Namespace }}'{{ range .Values.systemNamespaces }}, '{{ . }}'{{ end }}]",
            "{{- range .Values.systemNamespaces }}\n- {{ . | quote }}\n{{- end }}\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn actions_of_others_are_escaped() {
        let text = define("x", &json!({ "summary": "{{ $labels.category }}" })).unwrap();
        assert!(text.contains("{{ \"{{\" }} $labels.category }}"), "{text}");
    }
}
