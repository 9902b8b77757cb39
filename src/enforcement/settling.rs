//! The time after which a liveness probe that always fails would have restarted a container. Pure.

use jiff::SignedDuration;
use serde_json::Value;

use super::field::{ContainerField, Field};
use super::rollout_progress::RolloutProgress;
use super::subject::Subject;

/// The minimum time for which a complete new revision is watched.
const LEAST: SignedDuration = SignedDuration::from_secs(60);
/// The longest counted grace period, in seconds; few servers use all of a longer one.
const MOST_GRACE: i64 = 60;

/// Returns how long new pods must stay ready, for the probes among `fields`: until the slowest liveness probe would
/// have failed and its container would have stopped, plus one period.
pub fn settling<'f>(
    subject: &Subject,
    fields: impl IntoIterator<Item = &'f ContainerField>,
) -> SignedDuration {
    let grace = RolloutProgress::of(subject).grace_seconds;
    let probes = fields.into_iter().filter(|of| of.field == Field::LivenessProbe);
    let times = probes.filter_map(|of| subject.value(of)).map(|probe| until_killed(probe, grace));
    times.max().unwrap_or(LEAST).max(LEAST)
}

/// Returns the time from a container's start until a liveness probe that always fails has stopped it.
fn until_killed(probe: &Value, grace: i64) -> SignedDuration {
    // These are the API server's defaults.
    let number = |name: &str, default| probe[name].as_i64().unwrap_or(default).max(0);
    let period = number("periodSeconds", 10);
    let failures = number("failureThreshold", 3);
    let grace = number("terminationGracePeriodSeconds", grace).min(MOST_GRACE);
    let checks = period.saturating_mul(failures.saturating_add(1));
    SignedDuration::from_secs(number("initialDelaySeconds", 0).saturating_add(checks).saturating_add(grace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::WorkloadKind;

    #[test]
    fn new_pods_settle_after_the_liveness_probe_could_have_stopped_them() {
        let fields = |field| [ContainerField::new("main", field)];
        for (probe, grace, expected) in [
            (json!({}), json!(30), 70),
            (json!({}), json!(null), 70),
            (json!({}), json!(600), 100),
            (json!({ "periodSeconds": 1 }), json!(0), 60),
            (json!({ "periodSeconds": 20, "failureThreshold": 5 }), json!(0), 120),
            (json!({ "initialDelaySeconds": 300 }), json!(30), 370),
            (json!({ "terminationGracePeriodSeconds": 45 }), json!(10), 85),
        ] {
            let container = json!({ "name": "main", "livenessProbe": probe });
            let pod = json!({ "containers": [container], "terminationGracePeriodSeconds": grace });
            let spec = json!({ "selector": {}, "template": { "spec": pod } });
            let object = json!({ "metadata": { "name": "web" }, "spec": spec });
            let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
            let seconds = |field| settling(&subject, &fields(field)).as_secs();
            assert_eq!(seconds(Field::LivenessProbe), expected, "{probe}, grace {grace}");
            assert_eq!(seconds(Field::ReadinessProbe), 60, "only liveness probes end a container");
        }
    }
}
