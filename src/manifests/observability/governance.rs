//! The dashboard about scores, compliance, policies, patches and admission.

use super::dashboard::Dashboard;
use super::panel::{Form, Panel};

/// The dashboard about scores, compliance, policies, patches and admission.
pub(super) static GOVERNANCE: Dashboard = Dashboard {
    name: "governance",
    title: "kube-devops: governance",
    by_namespace: true,
    panels: &[
        Panel {
            title: "Cluster health score",
            description: "The score of all observed pods, from 0 to 100.",
            form: Form::Stat,
            unit: "none",
            width: 6,
            queries: &[("max(cluster_health_score{cluster=~\"$cluster\"})", "score")],
        },
        Panel {
            title: "Workload compliance",
            description: "The share of workloads without a violation of medium severity or worse.",
            form: Form::Stat,
            unit: "percentunit",
            width: 6,
            queries: &[("max(cluster_compliance_ratio{cluster=~\"$cluster\"})", "compliance")],
        },
        Panel {
            title: "Pods",
            description: "The pods that count for the scores.",
            form: Form::Stat,
            unit: "none",
            width: 6,
            queries: &[("max(pods_tracked{cluster=~\"$cluster\"})", "pods")],
        },
        Panel {
            title: "Violations by severity",
            description: "The violations of all policies.",
            form: Form::BarGauge,
            unit: "none",
            width: 6,
            queries: &[("max by (severity) (violations_by_severity{cluster=~\"$cluster\"})", "{{severity}}")],
        },
        Panel {
            title: "Violations by rule",
            description: "The violations of all observed pods, by rule of the score.",
            form: Form::BarGauge,
            unit: "none",
            width: 12,
            queries: &[("sort_desc(max by (rule) (cluster_violations{cluster=~\"$cluster\"}))", "{{rule}}")],
        },
        Panel {
            title: "Worst offenders",
            description: "The workloads that cost the most points.",
            form: Form::BarGauge,
            unit: "none",
            width: 12,
            queries: &[(
                "sort_desc(topk(10, max by (namespace, workload) (offender_penalty_points{cluster=~\"$cluster\", namespace=~\"$namespace\"})))",
                "{{namespace}} {{workload}}",
            )],
        },
        Panel {
            title: "Scores over time",
            description: "The score of the cluster and of the selected namespaces.",
            form: Form::TimeSeries,
            unit: "none",
            width: 12,
            queries: &[
                ("max(cluster_health_score{cluster=~\"$cluster\"})", "cluster"),
                (
                    "max by (namespace) (namespace_health_score{cluster=~\"$cluster\", namespace=~\"$namespace\"})",
                    "{{namespace}}",
                ),
            ],
        },
        Panel {
            title: "Compliance over time",
            description: "The compliance of the cluster and of the selected namespaces.",
            form: Form::TimeSeries,
            unit: "percentunit",
            width: 12,
            queries: &[
                ("max(cluster_compliance_ratio{cluster=~\"$cluster\"})", "cluster"),
                (
                    "max by (namespace) (namespace_compliance_ratio{cluster=~\"$cluster\", namespace=~\"$namespace\"})",
                    "{{namespace}}",
                ),
            ],
        },
        Panel {
            title: "Worst namespaces",
            description: "The ten namespaces with the lowest score.",
            form: Form::BarGauge,
            unit: "none",
            width: 8,
            queries: &[(
                "sort(bottomk(10, max by (namespace) (namespace_health_score{cluster=~\"$cluster\", namespace=~\"$namespace\"})))",
                "{{namespace}}",
            )],
        },
        Panel {
            title: "Worst policies",
            description: "The ten policies with the most violations.",
            form: Form::BarGauge,
            unit: "none",
            width: 8,
            queries: &[(
                "sort_desc(topk(10, max by (namespace, policy) (devopspolicy_violations{cluster=~\"$cluster\", namespace=~\"$namespace\"})))",
                "{{namespace}}/{{policy}}",
            )],
        },
        Panel {
            title: "Score by policy",
            description: "The score of each policy's namespace under its rules.",
            form: Form::BarGauge,
            unit: "none",
            width: 8,
            queries: &[(
                "sort(max by (namespace, policy) (devopspolicy_health_score{cluster=~\"$cluster\", namespace=~\"$namespace\"}))",
                "{{namespace}}/{{policy}}",
            )],
        },
        Panel {
            title: "Policies by mode",
            description: "The policies that enforce, and those that only audit.",
            form: Form::TimeSeries,
            unit: "none",
            width: 8,
            queries: &[
                (
                    "sum(max by (namespace, policy) (enforcement_mode{cluster=~\"$cluster\", namespace=~\"$namespace\"}))",
                    "enforce",
                ),
                (
                    "count(max by (namespace, policy) (enforcement_mode{cluster=~\"$cluster\", namespace=~\"$namespace\"})) - sum(max by (namespace, policy) (enforcement_mode{cluster=~\"$cluster\", namespace=~\"$namespace\"}))",
                    "audit",
                ),
            ],
        },
        Panel {
            title: "Patched workloads",
            description: "The patches of enforcement, and those that failed.",
            form: Form::TimeSeries,
            unit: "none",
            width: 8,
            queries: &[
                ("max(enforcement_remediations_applied_total{cluster=~\"$cluster\"})", "applied"),
                (
                    "sum(max by (category) (enforcement_remediations_failed_total{cluster=~\"$cluster\"})) or vector(0)",
                    "failed",
                ),
            ],
        },
        Panel {
            title: "Withdrawn patches",
            description: "The patches that enforcement withdrew, by cause.",
            form: Form::TimeSeries,
            unit: "none",
            width: 8,
            queries: &[(
                "sum(max by (category) (enforcement_withdrawals_total{cluster=~\"$cluster\"})) or vector(0)",
                "withdrawn",
            )],
        },
        Panel {
            title: "Native denials",
            description: "Denials per second by the admission policies in the API server. Needs its metrics.",
            form: Form::TimeSeries,
            unit: "ops",
            width: 8,
            queries: &[(
                "sum(rate(apiserver_validating_admission_policy_check_total{cluster=~\"$cluster\", policy=\"kube-devops-deny\", enforcement_action=\"deny\"}[$__rate_interval])) or vector(0)",
                "denied",
            )],
        },
        Panel {
            title: "Webhook requests",
            description: "The webhook's answers per second, by result.",
            form: Form::TimeSeries,
            unit: "ops",
            width: 8,
            queries: &[(
                "sum by (result) (rate(webhook_requests_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{result}}",
            )],
        },
        Panel {
            title: "Webhook denials by rule",
            description: "The ten rules for which the webhook denied the most requests within an hour.",
            form: Form::BarGauge,
            unit: "none",
            width: 8,
            queries: &[(
                "sort_desc(topk(10, sum by (rule) (increase(webhook_denials_total{cluster=~\"$cluster\"}[1h]))))",
                "{{rule}}",
            )],
        },
    ],
};
