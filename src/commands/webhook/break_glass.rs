//! `kube-devops webhook break-glass`: suspends every denial for a time.

use std::io::Write as _;

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};

use crate::admission::configuration::break_glass;
use crate::cluster::{self, Events};
use crate::commands::ExitStatus;
use crate::commands::args::{ConnectArgs, duration};
use crate::manifests::{WEBHOOK_CONFIGURATION, WEBHOOK_LEASE};
use crate::terminal::{note, to_stdout};

/// The longest suspension. Whoever needs more uninstalls the webhook.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Suspend every denial for a time: by the webhook, and by native admission.
///
/// It marks the configuration of the webhook and, where native admission is installed, the Namespaces. It takes effect
/// at once, even when no part of kube-devops is running. Denials return by themselves while `webhook serve` and
/// `reconcile` run.
///
/// Exit status: 2 when a denial could not be suspended, or does not return at the end.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("time").required(true).args(["for_time", "end"])))]
pub(super) struct Args {
    /// Time, such as 30m; 24h at most
    #[arg(id = "for_time", long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<SignedDuration>,

    /// End a suspension now
    #[arg(long)]
    end: bool,

    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    if args.time.is_some_and(|time| time.is_zero() || time > LONGEST) {
        bail!("--for: give a time above 0 and up to 24h");
    }
    let cluster = cluster::connect(&args.connect.options()).await?;
    #[expect(clippy::disallowed_methods, reason = "the edge at which the clock is handed in")]
    let now = Timestamp::now();
    let until = args.time.map(|time| now + time);
    let done = break_glass(&cluster, until, now).await?;
    if done.changed.is_empty() && done.pending.is_empty() && done.failed.is_empty() {
        note("no denial is suspended")?;
        return Ok(ExitStatus::Clean);
    }
    for object in &done.changed {
        match until {
            Some(until) => to_stdout(|out| writeln!(out, "{object} denies nothing until {until:.0}"))?,
            None => to_stdout(|out| writeln!(out, "{object} denies again"))?,
        }
    }
    for object in &done.pending {
        let problem =
            "denies again once `kube-devops reconcile --admission native` runs: its policies were not read";
        note(format_args!("{object} {problem}"))?;
    }
    for problem in &done.failed {
        note(format_args!("not marked: {problem}"))?;
    }
    let (reason, text) = match until {
        Some(until) => ("BreakGlass", format!("Denials are suspended until {until:.0}.")),
        None => ("BreakGlassEnded", "The suspension of denials was ended.".to_owned()),
    };
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(text),
        action: "BreakGlass".to_owned(),
        secondary: None,
    };
    let mut about = k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration::default();
    about.metadata.name = Some(WEBHOOK_CONFIGURATION.to_owned());
    let events = Events::new(&cluster, WEBHOOK_LEASE, "break-glass".to_owned());
    if let Err(error) = events.record(event, &about.object_ref(&())).await {
        note(format_args!("no event was recorded: {error}"))?;
    }
    if until.is_some() {
        note(
            "denials return by themselves while `kube-devops webhook serve` and `reconcile` run; without them, run \
             `kube-devops webhook break-glass --end`. `kube-devops webhook doctor` reports an overdue suspension",
        )?;
    }
    Ok(if done.failed.is_empty() && done.pending.is_empty() { ExitStatus::Clean } else { ExitStatus::Failed })
}
