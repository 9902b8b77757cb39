//! Recording and alert rules.

use serde_json::{Value, json};

use crate::manifests::installation::{Component, Installation};

/// A recording rule.
#[derive(Debug)]
pub struct Recording {
    /// The name of the new series.
    pub name: &'static str,
    /// The expression in `PromQL`.
    pub expression: &'static str,
}

/// An alert rule. Its runbook is the page of its name in `docs/runbooks`.
#[derive(Debug)]
pub struct Alert {
    /// The name.
    pub name: &'static str,
    /// The component whose series it reads, without which there is no such rule; `None` for series of all components.
    pub component: Option<Component>,
    /// The expression in `PromQL`.
    pub expression: &'static str,
    /// The time for which the expression has to hold.
    pub for_: &'static str,
    /// `critical`, which pages a person, or `warning`.
    pub severity: &'static str,
    /// One line, with the templates of Prometheus.
    pub summary: &'static str,
}

/// Every replica serves the same gauges, so the maximum is the value.
///
/// The burn rate is the number of points below 100, as a multiple of the budget of 5 points: at a rate of 1, the mean
/// score of a month is 95. The windows and factors are those of the SRE Workbook, chapter 5.
pub static RECORDINGS: [Recording; 8] = [
    Recording { name: "kube_devops:cluster_health_score:max", expression: "max(cluster_health_score)" },
    Recording {
        name: "kube_devops:namespace_health_score:max",
        expression: "max by (namespace) (namespace_health_score)",
    },
    Recording {
        name: "kube_devops:scored_pods:max",
        expression: "max(pods_tracked and on (instance) cluster_health_score)",
    },
    Recording {
        name: "kube_devops:cluster_compliance_ratio:max",
        expression: "max(cluster_compliance_ratio)",
    },
    Recording {
        name: "kube_devops:health_budget_burn:avg5m",
        expression: "(100 - avg_over_time(kube_devops:cluster_health_score:max[5m])) / 5",
    },
    Recording {
        name: "kube_devops:health_budget_burn:avg30m",
        expression: "(100 - avg_over_time(kube_devops:cluster_health_score:max[30m])) / 5",
    },
    Recording {
        name: "kube_devops:health_budget_burn:avg1h",
        expression: "(100 - avg_over_time(kube_devops:cluster_health_score:max[1h])) / 5",
    },
    Recording {
        name: "kube_devops:health_budget_burn:avg6h",
        expression: "(100 - avg_over_time(kube_devops:cluster_health_score:max[6h])) / 5",
    },
];

/// The alerts.
pub static ALERTS: [Alert; 16] = [
    Alert {
        name: "KubeDevopsScoreLow",
        component: Some(Component::Watch),
        expression: "kube_devops:namespace_health_score:max < 60",
        for_: "15m",
        severity: "warning",
        summary: "The health score of namespace {{ $labels.namespace }} is {{ $value }}, below 60.",
    },
    Alert {
        name: "KubeDevopsScoreBurning",
        component: Some(Component::Watch),
        expression: "kube_devops:health_budget_burn:avg5m > 14.4 and kube_devops:health_budget_burn:avg1h > 14.4 \
                     or kube_devops:health_budget_burn:avg30m > 6 and kube_devops:health_budget_burn:avg6h > 6",
        for_: "2m",
        severity: "critical",
        summary: "The cluster's health score is falling: it loses {{ $value | humanize }} times its monthly budget.",
    },
    Alert {
        name: "KubeDevopsComplianceFalling",
        component: Some(Component::Watch),
        expression: "kube_devops:cluster_compliance_ratio:max - (kube_devops:cluster_compliance_ratio:max offset 1d) \
                     < -0.1",
        for_: "30m",
        severity: "warning",
        summary: "Compliance fell by more than 10 percentage points within a day.",
    },
    down(Component::Watch, "absent(leader{name=\"kube-devops-watch\"})"),
    down(Component::Reconcile, "absent(leader{name=\"kube-devops-reconcile\"})"),
    down(Component::Webhook, "absent(leader{name=\"kube-devops-webhook\"})"),
    Alert {
        name: "KubeDevopsLeaderMissing",
        component: None,
        expression: "max by (name) (leader) == 0",
        for_: "2m",
        severity: "critical",
        summary: "No replica holds the Lease {{ $labels.name }}, so nothing is written.",
    },
    Alert {
        name: "KubeDevopsWatchStale",
        component: Some(Component::Watch),
        expression: "sum by (instance) (increase(watch_failures_total{category!=\"expired\"}[10m])) > 0",
        for_: "10m",
        severity: "warning",
        summary: "The watch of {{ $labels.instance }} keeps failing, so its scores may be out of date.",
    },
    Alert {
        name: "KubeDevopsApiServerUnreachable",
        component: None,
        expression: "sum by (instance) (rate(api_requests_total{result=\"unreachable\"}[5m])) \
                     / sum by (instance) (rate(api_requests_total[5m])) > 0.5",
        for_: "5m",
        severity: "critical",
        summary: "{{ $labels.instance }} cannot reach the API server.",
    },
    Alert {
        name: "KubeDevopsReconcileErrors",
        component: Some(Component::Reconcile),
        expression: "sum(rate(devopspolicy_reconcile_total{result=\"error\"}[10m])) \
                     / sum(rate(devopspolicy_reconcile_total[10m])) > 0.1",
        for_: "10m",
        severity: "warning",
        summary: "{{ $value | humanizePercentage }} of the reconciliations fail.",
    },
    Alert {
        name: "KubeDevopsPatchesWithdrawn",
        component: Some(Component::Reconcile),
        expression: "sum(max by (category) (increase(enforcement_withdrawals_total[1h]))) > 0",
        for_: "0m",
        severity: "warning",
        summary: "Enforcement withdrew patches within the last hour.",
    },
    Alert {
        name: "KubeDevopsIncident",
        component: Some(Component::Reconcile),
        expression: "sum(max by (category) (increase(enforcement_withdrawals_total[15m]))) > 3",
        for_: "0m",
        severity: "critical",
        summary: "Enforcement withdrew more than three patches within 15 minutes.",
    },
    Alert {
        name: "KubeDevopsWebhookErrors",
        component: Some(Component::Webhook),
        expression: "sum(rate(webhook_requests_total{result=~\"error|unsynced|invalid\"}[5m])) \
                     / sum(rate(webhook_requests_total[5m])) > 0.01",
        for_: "10m",
        severity: "warning",
        summary: "The webhook does not evaluate {{ $value | humanizePercentage }} of the admission requests.",
    },
    // The API server alone counts the calls that never reach the webhook.
    Alert {
        name: "KubeDevopsWebhookUnreachable",
        component: Some(Component::Webhook),
        expression: "sum(increase(apiserver_admission_webhook_fail_open_count\
                     {name=~\"(validate|mutate).devops.stochastic.io\"}[5m])) > 0 \
                     or sum(increase(apiserver_admission_webhook_rejection_count\
                     {name=\"validate.devops.stochastic.io\", error_type=\"calling_webhook_error\"}[5m])) > 0",
        for_: "5m",
        severity: "critical",
        summary: "The API server cannot call the webhook.",
    },
    Alert {
        name: "KubeDevopsWebhookSlow",
        component: Some(Component::Webhook),
        expression: "histogram_quantile(0.99, sum by (le) (rate(webhook_request_duration_seconds_bucket[5m]))) > 0.1",
        for_: "10m",
        severity: "warning",
        summary: "One in a hundred admission requests takes the webhook {{ $value | humanizeDuration }} or longer.",
    },
    Alert {
        name: "KubeDevopsWebhookCertificateExpiring",
        component: Some(Component::Webhook),
        expression: "min(webhook_certificate_expiry_seconds) < 7 * 24 * 3600",
        for_: "1h",
        severity: "warning",
        summary: "The certificate of the webhook expires in {{ $value | humanizeDuration }}.",
    },
];

/// Returns the alert about a component of which no replica can be scraped. `absent` needs the name of its Lease: the
/// series of another component would hide that one's are gone.
const fn down(component: Component, expression: &'static str) -> Alert {
    Alert {
        name: "KubeDevopsDown",
        component: Some(component),
        expression,
        for_: "5m",
        severity: "critical",
        summary: "Prometheus reaches no replica of {{ $labels.name }}.",
    }
}

/// Returns the rules as an object of the Prometheus operator. `runbooks` is the place of the pages in `docs/runbooks`.
pub fn prometheus_rule(installation: &Installation, labels: &[(String, String)], runbooks: &str) -> Value {
    let mut metadata = installation.metadata(crate::manifests::installation::APP, None);
    for (key, value) in labels {
        metadata["labels"][key] = value.as_str().into();
    }
    let recordings: Vec<_> = RECORDINGS.iter().map(Recording::rule).collect();
    let components = installation.components();
    let is_installed =
        |alert: &&Alert| alert.component.is_none_or(|component| components.contains(&component));
    let alerts: Vec<_> = ALERTS.iter().filter(is_installed).map(|alert| alert.rule(runbooks)).collect();
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": { "groups": [
            { "name": "kube-devops.recordings", "rules": recordings },
            { "name": "kube-devops.alerts", "rules": alerts },
        ] },
    })
}

impl Recording {
    pub(super) fn rule(&self) -> Value {
        json!({ "record": self.name, "expr": self.expression })
    }
}

impl Alert {
    pub(super) fn rule(&self, runbooks: &str) -> Value {
        let mut labels = json!({ "severity": self.severity });
        if let Some(component) = self.component {
            labels["component"] = component.command().into();
        }
        json!({
            "alert": self.name,
            "expr": self.expression,
            "for": self.for_,
            "labels": labels,
            "annotations": {
                "summary": self.summary,
                "runbook_url": format!("{}/{}.md", runbooks.trim_end_matches('/'), self.name),
            },
        })
    }
}
