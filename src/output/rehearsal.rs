//! A rehearsal in words: each workload with its diff, and how long all of it would take.

use std::io::{self, Write};

use serde_json::Value;
use similar::TextDiff;

use super::Text;
use crate::enforcement::{Field, Limits, NOT_EVALUATED, Plan, RehearsalOutcome, Rehearsed};
use crate::policy::RemediationSpec;
use crate::workload::count;
use crate::yaml;

/// Writes what a policy of this name would do, and how long it would take by itself under the operator's budgets.
pub fn rehearsal(
    rehearsed: &[Rehearsed],
    policy: &str,
    remediation: &RemediationSpec,
    limits: Limits,
    out: &mut Text<'_>,
) -> io::Result<()> {
    for workload in rehearsed {
        one(workload, policy, out)?;
    }
    let total = |is: fn(&RehearsalOutcome) -> bool| rehearsed.iter().filter(|one| is(&one.outcome)).count();
    let settling: Vec<u64> = rehearsed
        .iter()
        .filter_map(|one| match one.outcome {
            RehearsalOutcome::Patch { settling_seconds, .. } => Some(settling_seconds),
            _ => None,
        })
        .collect();
    let patches = settling.len();
    let refused = total(|outcome| matches!(outcome, RehearsalOutcome::Refused { .. }));
    let left = total(|outcome| matches!(outcome, RehearsalOutcome::Skipped { .. }));
    writeln!(out, "{patches} would be patched, {refused} refused, {left} left as they are")?;
    if patches > 0 {
        writeln!(out, "{}", duration(&settling, remediation, limits))?;
    }
    Ok(())
}

fn one(rehearsed: &Rehearsed, policy: &str, out: &mut Text<'_>) -> io::Result<()> {
    let Rehearsed { workload, pods, managers, around, outcome } = rehearsed;
    let workload = workload.local();
    let pods = count(u64::try_from(*pods).unwrap_or_default(), "pod", "pods");
    match outcome {
        RehearsalOutcome::Patch { plan, before, after, .. } => {
            let by =
                if plan.policy == policy { String::new() } else { format!(" by policy {}", plan.policy) };
            writeln!(out, "{workload} ({pods}): would be patched{by}")?;
            write!(out, "{}", diff(before, after))?;
            for line in plan.port_reasons() {
                writeln!(out, "  {line}")?;
            }
            if plan.adds.keys().any(|of| matches!(of.field, Field::Limit(_))) {
                writeln!(out, "  {NOT_EVALUATED}")?;
            }
            unfixed(plan, out)?;
        }
        RehearsalOutcome::Refused { plan, reason, message } => {
            writeln!(out, "{workload} ({pods}): would be refused ({reason}): {message}")?;
            let fields: Vec<String> = plan.adds.keys().map(ToString::to_string).collect();
            writeln!(out, "  to be set: {}", fields.join(", "))?;
        }
        RehearsalOutcome::Skipped { reason, message, fix } => {
            writeln!(out, "{workload} ({pods}): left as it is ({reason}): {message}")?;
            for line in fix.iter().flat_map(|fix| &fix.reasons) {
                writeln!(out, "  {line}")?;
            }
        }
    }
    let managers: Vec<&str> = managers.iter().map(String::as_str).collect();
    if !managers.is_empty() {
        writeln!(out, "  owners: {}", managers.join(", "))?;
    }
    for line in around {
        writeln!(out, "  {line}")?;
    }
    writeln!(out)
}

fn unfixed(plan: &Plan, out: &mut Text<'_>) -> io::Result<()> {
    for unfixed in &plan.unfixed {
        let container = unfixed.container.as_deref().map_or_else(String::new, |name| format!(" of {name}"));
        writeln!(out, "  {}{container} stays: {}", unfixed.rule, unfixed.reason)?;
    }
    for (policy, of) in &plan.noted {
        writeln!(out, "  policy {policy} requires {of} too")?;
    }
    Ok(())
}

/// The unified diff of two pod templates as YAML.
fn diff(before: &Value, after: &Value) -> String {
    let written = |value: &Value| yaml::to_string(value).unwrap_or_else(|_| value.to_string());
    let (before, after) = (written(before), written(after));
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(3).header("spec.template", "spec.template").to_string()
}

/// Estimates the time until the last workload is patched, one at a time and within the hourly budget. `settling` has
/// the seconds for which the new pods of each are watched.
fn duration(settling: &[u64], remediation: &RemediationSpec, limits: Limits) -> String {
    let minutes = settling.iter().sum::<u64>().div_ceil(60);
    let patches = settling.len() as u64;
    let (of_policy, of_cluster) = (remediation.max_per_hour, limits.per_hour);
    let budget = if of_policy == 0 {
        "maxPerHour is 0, so nothing would be patched at all".to_owned()
    } else if of_cluster == 0 || limits.rollouts == 0 {
        "--max-per-hour or --max-rollouts is 0, so nothing would be patched at all".to_owned()
    } else {
        let (name, per_hour) = match of_cluster {
            _ if of_policy <= of_cluster => ("maxPerHour", of_policy),
            _ => ("--max-per-hour", of_cluster),
        };
        match patches.saturating_sub(1) / u64::from(per_hour) {
            0 => format!("{name} {per_hour} does not slow it down"),
            hours => format!("with {name} {per_hour}, the last patch starts after {hours} h"),
        }
    };
    format!(
        "one workload at a time: new pods are watched for {minutes} min in total, after the rollouts; {budget}; \
         longer if other namespaces use the budget of the cluster"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::enforcement::Fields;
    use crate::workload::WorkloadRef;
    use serde_json::json;

    #[test]
    fn a_diff_shows_added_lines_with_little_context() {
        let before = json!({ "spec": { "containers": [{ "image": "x:1", "name": "main" }] } });
        let mut after = before.clone();
        after["spec"]["containers"][0]["readinessProbe"] = json!({ "tcpSocket": { "port": 80 } });
        let diff = diff(&before, &after);
        assert!(diff.contains("+    readinessProbe:\n+      tcpSocket:\n+        port: 80"), "{diff}");
        assert!(!diff.lines().any(|line| line.starts_with('-') && !line.starts_with("---")), "{diff}");
    }

    #[test]
    fn a_patch_of_another_policy_names_that_policy() {
        let told = |policy: &str| {
            let plan = Plan {
                document: Value::Null,
                adds: Fields::new(),
                keeps: Fields::new(),
                policy: "first".to_owned(),
                unfixed: Vec::new(),
                noted: Vec::new(),
                ports: BTreeMap::new(),
            };
            let outcome = RehearsalOutcome::Patch {
                plan,
                before: Value::Null,
                after: Value::Null,
                settling_seconds: 70,
            };
            let (workload, managers, around) =
                (WorkloadRef::new("shop", "Deployment", "web"), BTreeSet::new(), Vec::new());
            let mut out = Vec::new();
            one(
                &Rehearsed { workload, pods: 1, managers, around, outcome },
                policy,
                &mut Text::plain(&mut out),
            )
            .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(told("first").starts_with("Deployment/web (1 pod): would be patched\n"));
        assert!(told("second").starts_with("Deployment/web (1 pod): would be patched by policy first\n"));
    }

    #[test]
    fn the_summary_gives_the_start_of_the_last_patch() {
        let remediation = RemediationSpec { max_per_hour: 10, ..RemediationSpec::default() };
        let usual = Limits { rollouts: 5, per_hour: 60, stall: Limits::STALL };
        let duration = |patches: usize, remediation: &RemediationSpec, limits| {
            duration(&vec![100; patches], remediation, limits)
        };
        let ten = duration(10, &remediation, usual);
        assert!(ten.contains("does not slow") && ten.contains("for 17 min in total"), "{ten}");
        assert!(
            duration(11, &remediation, usual).contains("with maxPerHour 10, the last patch starts after 1 h")
        );
        let few = Limits { per_hour: 4, ..usual };
        assert!(
            duration(9, &remediation, few).contains("with --max-per-hour 4, the last patch starts after 2 h")
        );
        assert!(duration(1, &remediation, Limits { rollouts: 0, ..usual }).contains("nothing"));
        let none = RemediationSpec { max_per_hour: 0, ..remediation };
        assert!(duration(1, &none, usual).contains("nothing"));
    }
}
