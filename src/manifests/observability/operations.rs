//! The dashboard about leaders, reconciliations, watches and processes.

use super::dashboard::Dashboard;
use super::panel::{Form, Panel};

/// The dashboard about leaders, reconciliations, watches and processes.
pub(super) static OPERATIONS: Dashboard = Dashboard {
    name: "operations",
    title: "kube-devops: operations",
    by_namespace: false,
    panels: &[
        Panel {
            title: "Leader",
            description: "The replica that holds each Lease; 0 means that nothing is written.",
            form: Form::Stat,
            unit: "none",
            width: 6,
            queries: &[("max by (name) (leader{cluster=~\"$cluster\"})", "{{name}}")],
        },
        Panel {
            title: "Replicas",
            description: "The replicas that Prometheus reaches.",
            form: Form::Stat,
            unit: "none",
            width: 6,
            queries: &[("count by (name) (leader{cluster=~\"$cluster\"})", "{{name}}")],
        },
        Panel {
            title: "Unreadable pods",
            description: "Pods that cannot be read and do not count.",
            form: Form::Stat,
            unit: "none",
            width: 6,
            queries: &[("max(pods_unreadable{cluster=~\"$cluster\"})", "pods")],
        },
        Panel {
            title: "Uptime",
            description: "The time since the start of each process.",
            form: Form::Stat,
            unit: "s",
            width: 6,
            queries: &[(
                "(time() - process_start_time_seconds{cluster=~\"$cluster\"}) and on (instance) leader{cluster=~\"$cluster\"}",
                "{{instance}}",
            )],
        },
        Panel {
            title: "Reconcile duration",
            description: "The time to evaluate a policy and to write the result.",
            form: Form::TimeSeries,
            unit: "s",
            width: 12,
            queries: &[
                (
                    "histogram_quantile(0.5, sum by (le) (rate(devopspolicy_reconcile_duration_seconds_bucket{cluster=~\"$cluster\"}[$__rate_interval])))",
                    "p50",
                ),
                (
                    "histogram_quantile(0.99, sum by (le) (rate(devopspolicy_reconcile_duration_seconds_bucket{cluster=~\"$cluster\"}[$__rate_interval])))",
                    "p99",
                ),
            ],
        },
        Panel {
            title: "Reconciliations",
            description: "Reconciliations per second, by result.",
            form: Form::TimeSeries,
            unit: "ops",
            width: 12,
            queries: &[(
                "sum by (result) (rate(devopspolicy_reconcile_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{result}}",
            )],
        },
        Panel {
            title: "API requests",
            description: "Requests to the API server per second, by verb.",
            form: Form::TimeSeries,
            unit: "reqps",
            width: 12,
            queries: &[(
                "sum by (verb) (rate(api_requests_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{verb}}",
            )],
        },
        Panel {
            title: "Failed API requests",
            description: "Requests to the API server per second that failed, by cause.",
            form: Form::TimeSeries,
            unit: "reqps",
            width: 12,
            queries: &[(
                "sum by (result) (rate(api_requests_total{cluster=~\"$cluster\", result!=\"ok\"}[$__rate_interval])) or vector(0)",
                "{{result}}",
            )],
        },
        Panel {
            title: "Pod events",
            description: "Pods received from the API server per second, by type.",
            form: Form::TimeSeries,
            unit: "ops",
            width: 12,
            queries: &[(
                "sum by (type) (rate(pod_events_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{type}}",
            )],
        },
        Panel {
            title: "Watch failures",
            description: "Interruptions of the watch per second, by category.",
            form: Form::TimeSeries,
            unit: "ops",
            width: 12,
            queries: &[(
                "sum by (category) (rate(watch_failures_total{cluster=~\"$cluster\"}[$__rate_interval])) or vector(0)",
                "{{category}}",
            )],
        },
        Panel {
            title: "Memory",
            description: "Resident memory of each process.",
            form: Form::TimeSeries,
            unit: "bytes",
            width: 8,
            queries: &[(
                "process_resident_memory_bytes{cluster=~\"$cluster\"} and on (instance) leader{cluster=~\"$cluster\"}",
                "{{instance}}",
            )],
        },
        Panel {
            title: "CPU",
            description: "CPU time of each process per second.",
            form: Form::TimeSeries,
            unit: "none",
            width: 8,
            queries: &[(
                "rate(process_cpu_seconds_total{cluster=~\"$cluster\"}[$__rate_interval]) and on (instance) leader{cluster=~\"$cluster\"}",
                "{{instance}}",
            )],
        },
        Panel {
            title: "Open files",
            description: "Open file descriptors of each process.",
            form: Form::TimeSeries,
            unit: "none",
            width: 8,
            queries: &[(
                "process_open_fds{cluster=~\"$cluster\"} and on (instance) leader{cluster=~\"$cluster\"}",
                "{{instance}}",
            )],
        },
    ],
};
