//! A digest of the inputs that decide if a patch fails. While it is unchanged, a failed patch would fail again. Pure.

use serde_json::{Value, json};

use super::subject::Subject;
use crate::rules::Defaults;
use crate::workload::{ImageReference, short_digest};

impl Subject {
    /// Returns 16 hexadecimal digits that differ once the ports, the command, the arguments or the image of a container
    /// have changed, or the values of the policy.
    ///
    /// Tags and digests of images do not count, nor do annotations, because a restart or the next release is no reason
    /// to retry.
    pub fn causes_hash(&self, defaults: &Defaults) -> String {
        let containers = self.object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        let mut causes: Vec<Value> = containers.into_iter().flatten().map(causes_of).collect();
        causes.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        short_digest(&json!({ "containers": causes, "defaults": defaults }).to_string())
    }
}

fn causes_of(container: &Value) -> Value {
    let image = ImageReference::parse(container["image"].as_str().unwrap_or_default());
    json!({
        "name": container["name"],
        "registry": image.registry,
        "repository": image.repository,
        "command": container["command"],
        "args": container["args"],
        "ports": container["ports"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DevOpsPolicySpec;
    use crate::workload::WorkloadKind;

    fn hash(template: &str, spec: &str) -> String {
        let template: Value = yaml_serde::from_str(template).unwrap();
        let spec: DevOpsPolicySpec = yaml_serde::from_str(spec).unwrap();
        let object =
            json!({ "metadata": { "name": "web" }, "spec": { "selector": {}, "template": template } });
        Subject::read(WorkloadKind::Deployment, object).unwrap().causes_hash(&spec.fix_defaults())
    }

    #[test]
    fn only_causes_of_a_failure_change_the_hash() {
        let template = |metadata: &str, container: &str, rest: &str| {
            format!("{{metadata: {metadata}, spec: {{containers: [{{name: a, {container}}}], {rest}}}}}")
        };
        let same = "image: 'r.io:5000/x:1'";
        let before = hash(&template("{}", same, ""), "{}");
        for (metadata, container, rest, spec, expected) in [
            ("{annotations: {'kubectl.kubernetes.io/restartedAt': now}}", same, "", "{}", true),
            ("{labels: {version: '2'}}", same, "nodeSelector: {a: b}", "{}", true),
            ("{}", "image: 'r.io:5000/x:2'", "", "{}", true),
            ("{}", "image: 'r.io:5000/x@sha256:abc'", "", "{}", true),
            ("{}", "image: 'r.io:5000/x:1', env: [{name: A, value: b}]", "", "{}", true),
            ("{}", "image: 'r.io:5000/x:1', livenessProbe: {tcpSocket: {port: 1}}", "", "{}", true),
            ("{}", "image: 'r.io:5000/x:1', resources: {limits: {cpu: '1'}}", "", "{}", true),
            ("{}", same, "", "{requireLivenessProbe: true, enforcementMode: enforce}", true),
            ("{}", "image: 'r.io:5000/y:1'", "", "{}", false),
            ("{}", "image: 's.io:5000/x:1'", "", "{}", false),
            ("{}", "image: 'r.io:5000/x:1', command: [serve]", "", "{}", false),
            ("{}", "image: 'r.io:5000/x:1', args: [serve]", "", "{}", false),
            ("{}", "image: 'r.io:5000/x:1', ports: [{containerPort: 80}]", "", "{}", false),
            ("{}", same, "", "{defaultProbe: {tcpPort: 80}}", false),
            ("{}", same, "", "{defaultProbe: {periodSeconds: 5}}", false),
            ("{}", same, "", "{defaultResources: {cpuRequest: 1m}}", false),
        ] {
            let after = hash(&template(metadata, container, rest), spec);
            assert_eq!(after == before, expected, "{metadata} {container} {rest} {spec}");
        }
        let two = |containers: &str| hash(&format!("{{spec: {{containers: [{containers}]}}}}"), "{}");
        assert_eq!(
            two("{name: a, image: x}, {name: b, image: y}"),
            two("{name: b, image: y}, {name: a, image: x}")
        );
    }
}
