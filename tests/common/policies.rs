//! Policy specs that both the API server and the file reader refuse, and some that both accept.

/// Refused specs, each with the field that the error names.
pub(crate) const INVALID: &[(&str, &str)] = &[
    // Unknown fields.
    ("{forbidLatest: true}", "spec.forbidLatest"),
    ("{forbidlatesttag: true}", "spec.forbidlatesttag"),
    ("{defaultProbe: {port: 8080}}", "spec.defaultProbe.port"),
    ("{defaultResources: {cpu: 100m}}", "spec.defaultResources.cpu"),
    ("{rules: [{id: pending, param: {seconds: 1}}]}", "spec.rules[0].param"),
    ("{rules: [{id: pending, params: {minutes: 1}}]}", "spec.rules[0].params.minutes"),
    ("{severityOverrides: {latest-tags: high}}", "spec.severityOverrides.latest-tags"),
    ("{severityOverrides: {latest-tag: high, latestTag: low}}", "spec.severityOverrides.latestTag"),
    ("{remediation: {maxPerDay: 1}}", "spec.remediation.maxPerDay"),
    ("{admission: {denyat: high}}", "spec.admission.denyat"),
    // Values of the wrong type.
    ("{forbidLatestTag: 'yes'}", "spec.forbidLatestTag"),
    ("{requireLivenessProbe: 1}", "spec.requireLivenessProbe"),
    ("{requireReadinessProbe: {}}", "spec.requireReadinessProbe"),
    ("{maxRestartCount: many}", "spec.maxRestartCount"),
    ("{maxRestartCount: '3'}", "spec.maxRestartCount"),
    ("{forbidPendingDuration: 1.5}", "spec.forbidPendingDuration"),
    ("{forbidPendingDuration: 5m}", "spec.forbidPendingDuration"),
    ("{requireResources: [true]}", "spec.requireResources"),
    ("{rules: pending}", "spec.rules"),
    ("{rules: {id: pending}}", "spec.rules"),
    ("{rules: [pending]}", "spec.rules[0]"),
    ("{defaultProbe: 8080}", "spec.defaultProbe"),
    ("{defaultProbe: {tcpPort: http}}", "spec.defaultProbe.tcpPort"),
    ("{admission: true}", "spec.admission"),
    ("{admission: {mutate: 'on'}}", "spec.admission.mutate"),
    ("{severityOverrides: high}", "spec.severityOverrides"),
    // Numbers out of range.
    ("{maxRestartCount: -1}", "spec.maxRestartCount"),
    ("{maxRestartCount: 4294967296}", "spec.maxRestartCount"),
    ("{forbidPendingDuration: -5}", "spec.forbidPendingDuration"),
    ("{defaultProbe: {tcpPort: 0}}", "spec.defaultProbe.tcpPort"),
    ("{defaultProbe: {tcpPort: 65536}}", "spec.defaultProbe.tcpPort"),
    ("{defaultProbe: {initialDelaySeconds: -1}}", "spec.defaultProbe.initialDelaySeconds"),
    ("{defaultProbe: {periodSeconds: 0}}", "spec.defaultProbe.periodSeconds"),
    ("{remediation: {maxPerHour: -1}}", "spec.remediation.maxPerHour"),
    ("{remediation: {verifySeconds: 5}}", "spec.remediation.verifySeconds"),
    ("{remediation: {verifySeconds: 100000}}", "spec.remediation.verifySeconds"),
    ("{rules: [{id: pending, params: {seconds: -1}}]}", "spec.rules[0].params.seconds"),
    ("{rules: [{id: pending, params: {seconds: true}}]}", "spec.rules[0].params.seconds"),
    // Unknown enum values.
    ("{enforcementMode: dry-run}", "spec.enforcementMode"),
    ("{enforcementMode: Enforce}", "spec.enforcementMode"),
    ("{severityOverrides: {pending: hgih}}", "spec.severityOverrides.pending"),
    ("{severityOverrides: {latestTag: 3}}", "spec.severityOverrides.latestTag"),
    ("{rules: [{id: pending, severity: urgent}]}", "spec.rules[0].severity"),
    ("{rules: [{id: latest}]}", "spec.rules[0].id"),
    ("{rules: [{severity: low}]}", "spec.rules[0].id"),
    ("{remediation: {gitops: ignore}}", "spec.remediation.gitops"),
    ("{remediation: {onDelete: delete}}", "spec.remediation.onDelete"),
    ("{remediation: {allowDowntime: sometimes}}", "spec.remediation.allowDowntime"),
    ("{remediation: {allowUnavailable: sometimes}}", "spec.remediation.allowUnavailable"),
    ("{admission: {denyAt: always}}", "spec.admission.denyAt"),
    // Invalid quantities.
    ("{defaultResources: {cpuRequest: lots}}", "spec.defaultResources.cpuRequest"),
    ("{defaultResources: {cpuRequest: 0.5}}", "spec.defaultResources.cpuRequest"),
    ("{defaultResources: {cpuLimit: -1}}", "spec.defaultResources.cpuLimit"),
    ("{defaultResources: {cpuLimit: 0m}}", "spec.defaultResources.cpuLimit"),
    ("{defaultResources: {memoryRequest: 1gb}}", "spec.defaultResources.memoryRequest"),
    ("{defaultResources: {memoryRequest: ''}}", "spec.defaultResources.memoryRequest"),
    ("{defaultResources: {memoryLimit: 0}}", "spec.defaultResources.memoryLimit"),
    ("{defaultResources: {memoryLimit: true}}", "spec.defaultResources.memoryLimit"),
    (
        "{defaultResources: {memoryLimit: '000000000000000000000000000000001'}}",
        "spec.defaultResources.memoryLimit",
    ),
    // Fields that contradict each other.
    ("{defaultResources: {cpuRequest: 2, cpuLimit: 1500m}}", "spec.defaultResources.cpuRequest"),
    ("{defaultResources: {memoryRequest: 1Gi, memoryLimit: 1G}}", "spec.defaultResources.memoryRequest"),
    ("{rules: [{id: pending}, {id: pending, severity: low}]}", "spec.rules[1]"),
    ("{forbidLatestTag: true, rules: [{id: latest-tag}]}", "spec.rules"),
    ("{maxRestartCount: 0, rules: [{id: high-restarts}]}", "spec.rules"),
    ("{defaultResources: {cpuRequest: 1}, rules: [{id: missing-resources}]}", "spec.rules"),
    ("{rules: [{id: latest-tag, params: {maxRestartCount: 1}}]}", "spec.rules[0].params.maxRestartCount"),
    // No spec.
    ("null", "spec"),
    ("[]", "spec"),
];

/// Accepted specs.
pub(crate) const VALID: &[&str] = &[
    "{}",
    "{forbidLatestTag: true, requireLivenessProbe: false, maxRestartCount: 0, forbidPendingDuration: 0}",
    "{forbidLatestTag: null, rules: null, enforcementMode: null, admission: {denyAt: null}, defaultResources: null}",
    "{rules: []}",
    "{maxRestartCount: 3.0}",
    "{forbidLatestTag: false, rules: [{id: latest-tag, severity: low}]}",
    "{requireResources: false, defaultResources: {cpuLimit: 1}, rules: [{id: missing-resources}]}",
    "{rules: [{id: pending, params: {seconds: 600}}, {id: missing-resources, params: {cpuLimit: true}}]}",
    "{severityOverrides: {latestTag: critical, pending: low, missing-liveness: high}, enforcementMode: enforce}",
    "{defaultProbe: {tcpPort: 65535, initialDelaySeconds: 0, periodSeconds: 1}}",
    "{defaultResources: {cpuRequest: 100m, cpuLimit: 1, memoryRequest: 128Mi, memoryLimit: 4294967296}}",
    "{defaultResources: {cpuRequest: '0.5', cpuLimit: 500m, memoryRequest: 1e3, memoryLimit: 1Ki}}",
    "{remediation: {}, admission: {}, defaultProbe: {}, defaultResources: {}, severityOverrides: {}}",
    "{remediation: {maxPerHour: 0, verifySeconds: 30, gitops: patch, onDelete: revert, allowUnavailable: true, allowDowntime: true}}",
    "{admission: {denyAt: low, mutate: true}}",
];

/// Returns the manifest of a policy with this spec.
pub(crate) fn manifest(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}
