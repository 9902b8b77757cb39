//! A `DevOpsPolicy` as a manifest in a file, read strictly: what it doesn't say right, it doesn't say.

use serde::Deserialize;

use super::{DevOpsPolicySpec, EffectivePolicy, PolicyError};

/// A manifest that is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyManifestError {
    /// The text is not valid YAML or JSON, or a field has a wrong type.
    #[error("{0}")]
    Parse(String),
    /// The document is another kind of object.
    #[error("expected a DevOpsPolicy of devops.stochastic.io/v1, found {kind:?} of {api_version:?}")]
    OtherKind {
        /// The `apiVersion` that was found.
        api_version: String,
        /// The kind that was found.
        kind: String,
    },
    /// The policy has fields that don't exist.
    #[error("there is no field {}; `kube-devops rules` lists the rules", .0.join(", no field "))]
    UnknownFields(Vec<String>),
    /// The text holds no document, or several.
    #[error("expected one DevOpsPolicy, found {0} documents")]
    Count(usize),
    /// The policy can't be followed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    #[expect(dead_code, reason = "named so that it isn't an unknown field")]
    metadata: serde_json::Value,
    #[serde(default)]
    #[expect(dead_code, reason = "named so that it isn't an unknown field")]
    status: serde_json::Value,
    #[serde(default)]
    spec: DevOpsPolicySpec,
}

impl EffectivePolicy {
    /// Reads the one policy of a manifest in YAML or JSON.
    pub fn from_manifest(text: &str) -> Result<Self, PolicyManifestError> {
        let mut found = None;
        let mut unknown = Vec::new();
        let mut count = 0;
        for document in yaml_serde::Deserializer::from_str(text) {
            let manifest: Option<Manifest> = {
                let mut wanted =
                    |path: serde_ignored::Path<'_>| unknown.push(path.to_string().replace("?.", ""));
                Option::deserialize(serde_ignored::Deserializer::new(document, &mut wanted))
                    .map_err(|error| PolicyManifestError::Parse(error.to_string()))?
            };
            if let Some(manifest) = manifest {
                count += 1;
                found = Some(manifest);
            }
        }
        let (Some(manifest), 1) = (found, count) else { return Err(PolicyManifestError::Count(count)) };
        let Manifest { api_version, kind, spec, .. } = manifest;
        if (api_version.as_str(), kind.as_str()) != ("devops.stochastic.io/v1", "DevOpsPolicy") {
            return Err(PolicyManifestError::OtherKind { api_version, kind });
        }
        if !unknown.is_empty() {
            return Err(PolicyManifestError::UnknownFields(unknown));
        }
        Ok(Self::from_spec(&spec)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: p}\n";

    fn error(text: &str) -> String {
        EffectivePolicy::from_manifest(text).unwrap_err().to_string()
    }

    #[test]
    fn a_policy_is_read() {
        let policy =
            EffectivePolicy::from_manifest(&format!("---\n# mine\n{HEAD}spec: {{forbidLatestTag: true}}\n"));
        assert_eq!(policy.unwrap().rules().len(), 1);
    }

    #[test]
    fn what_a_policy_does_not_have_is_named() {
        let text = format!("{HEAD}spec: {{forbidLatest: true, defaultProbe: {{port: 1}}}}\n");
        assert!(
            error(&text).starts_with("there is no field spec.forbidLatest, no field spec.defaultProbe.port;"),
            "{}",
            error(&text)
        );
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path_and_line() {
        let text = error(&format!("{HEAD}spec:\n  maxRestartCount: many\n"));
        assert!(text.starts_with("spec.maxRestartCount: invalid type") && text.contains("line 5"), "{text}");
    }

    #[test]
    fn another_kind_no_document_and_two_are_refused() {
        assert!(error("apiVersion: v1\nkind: Pod\n").contains("found \"Pod\" of \"v1\""));
        assert_eq!(error("# nothing\n"), "expected one DevOpsPolicy, found 0 documents");
        assert_eq!(error(&format!("{HEAD}---\n{HEAD}")), "expected one DevOpsPolicy, found 2 documents");
    }
}
