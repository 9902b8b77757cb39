//! `observability`: the manifests that monitor an installation.

use clap::Subcommand;
use serde_json::Value;

use super::ExitStatus;
use super::args::{InstallationArgs, label_key, label_value};
use crate::manifests::installation::Installation;
use crate::manifests::observability::{
    DASHBOARDS, config_map, fleet_rule, prometheus_rule, service_monitors,
};
use crate::output::ManifestFormat;
use crate::terminal::to_stdout;

/// Print the manifests that monitor kube-devops with Prometheus and Grafana.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Print everything: monitors, rules and dashboards
    #[command(name = "generate-all")]
    All(GenerateArgs),
    /// Print a `ServiceMonitor` for each Deployment
    #[command(name = "generate-service-monitors")]
    ServiceMonitors(GenerateArgs),
    /// Print the dashboards, each in a `ConfigMap` for Grafana's sidecar
    #[command(name = "generate-dashboard")]
    Dashboard(GenerateArgs),
    /// Print the recording and alert rules as a `PrometheusRule`
    #[command(name = "generate-alerts")]
    Alerts(GenerateArgs),
    /// Print the rules of a Prometheus that has the series of many clusters, as a `PrometheusRule`
    #[command(name = "generate-fleet-rules")]
    FleetRules(GenerateArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct GenerateArgs {
    #[command(flatten)]
    installation: InstallationArgs,

    /// Label of monitors and rules, by which a Prometheus selects them, such as release=prometheus (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    monitor_label: Vec<(String, String)>,

    /// Label of the dashboards, by which Grafana's sidecar finds them
    #[arg(long, value_name = "KEY", default_value = "grafana_dashboard", value_parser = label_key)]
    dashboard_label: String,

    /// Place of the runbooks: where you serve docs/runbooks
    #[arg(long, value_name = "URL", default_value = "docs/runbooks")]
    runbooks: String,

    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: ManifestFormat,
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = parts.ok_or("not a label: give a key and a value, such as release=prometheus")?;
    Ok((label_key(key)?, if value.is_empty() { String::new() } else { label_value(value)? }))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let (Action::All(chosen)
    | Action::ServiceMonitors(chosen)
    | Action::Dashboard(chosen)
    | Action::Alerts(chosen)
    | Action::FleetRules(chosen)) = &args.action;
    let installation = chosen.installation.installation(Vec::new())?;
    let monitors = || service_monitors(&installation, &chosen.monitor_label);
    let rule = || prometheus_rule(&installation, &chosen.monitor_label, &chosen.runbooks);
    let objects = match &args.action {
        Action::All(_) => {
            [monitors(), vec![rule()], dashboards(&installation, &chosen.dashboard_label)?].concat()
        }
        Action::ServiceMonitors(_) => monitors(),
        Action::Dashboard(_) => dashboards(&installation, &chosen.dashboard_label)?,
        Action::Alerts(_) => vec![rule()],
        Action::FleetRules(_) => {
            vec![fleet_rule(&installation, &chosen.monitor_label, &chosen.runbooks)]
        }
    };
    to_stdout(|out| chosen.output.write(&objects, out.exact()))?;
    Ok(ExitStatus::Clean)
}

fn dashboards(installation: &Installation, label: &str) -> serde_json::Result<Vec<Value>> {
    DASHBOARDS.iter().map(|dashboard| config_map(installation, dashboard, label)).collect()
}
