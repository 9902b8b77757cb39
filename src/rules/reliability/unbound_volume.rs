//! A claim without a volume, or a volume that failed.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::inventory::{Content, Known, Standing, VolumeClaim};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// The time for which a claim may wait for its volume.
const PATIENCE: SignedDuration = SignedDuration::from_secs(300);

/// A claim without a volume, or a volume that failed.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unbound-volume"),
    summary: "A claim that gets no volume, or a volume that failed",
    docs: "\
## What it does
Reports PersistentVolumeClaims in the phase `Lost`, and those that are `Pending` for more than five minutes if a pod uses
them or their storage class binds at once. Reports PersistentVolumes in the phase `Failed`.

## Why is this bad
A pod that uses the claim can't start. The data of a lost volume can't be reached.

## Example
```yaml
kind: PersistentVolumeClaim
spec: {storageClassName: fats}    # bad: there is no such class
status: {phase: Pending}
```

## Exceptions
A claim that no pod uses may wait for its first pod, if its storage class has the mode `WaitForFirstConsumer`. The answer is
unknown if that class was not read. A manifest has no status.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &["popeye:1001", "popeye:1002", "popeye:1003", "popeye:1004"],
    check: Check::Relation {
        reads: &[Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::StorageClass, Kind::Pod],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for volume in inventory.all(Kind::PersistentVolume) {
        if matches!(volume.content(), Content::Volume { phase } if phase == "Failed") {
            found.report(
                &volume.identity,
                format_args!("status.phase"),
                format_args!("the volume could not be reclaimed: see kubectl describe pv"),
            );
        }
    }
    let pods = inventory.groups().iter().filter(|group| !matches!(group.standing, Standing::Template(_)));
    let used =
        pods.flat_map(|pod| pod.shape.claims.iter().map(move |claim| (&*pod.identity.namespace, &**claim)));
    let used: HashSet<(&str, &str)> = used.collect();
    for known in inventory.all(Kind::PersistentVolumeClaim) {
        let Content::VolumeClaim(claim) = known.content() else { continue };
        let is_used = used.contains(&(&*known.identity.namespace, &*known.identity.name));
        if let Some(until) = patience_ends(context, claim) {
            found.recheck_at(until);
            continue;
        }
        match problem(context, claim, is_used) {
            Answer::Good => {}
            Answer::Unknown => found.unknown(&known.identity),
            Answer::Bad(problem) => report(known, problem, found),
        }
    }
}

/// The answer for a claim.
enum Answer {
    Good,
    Unknown,
    Bad(&'static str),
}

/// Returns the time until which a claim may be Pending, if it is and that is still to come.
fn patience_ends(context: &Relations<'_>, claim: &VolumeClaim) -> Option<Timestamp> {
    let until = claim.created?.checked_add(PATIENCE).ok()?;
    (claim.phase == "Pending" && until > context.now).then_some(until)
}

fn problem(context: &Relations<'_>, claim: &VolumeClaim, is_used: bool) -> Answer {
    let inventory = context.inventory;
    match &*claim.phase {
        "Lost" => Answer::Bad("its volume is gone: restore the data from a backup"),
        "Pending" if is_used => Answer::Bad("a pod waits for this claim, and it gets no volume"),
        "Pending" if claim.class.is_empty() => {
            Answer::Bad("the claim has no storage class, and no volume fits")
        }
        "Pending" => match inventory.find(Kind::StorageClass, "", &claim.class).map(Known::content) {
            Some(Content::StorageClass { waits: true }) => Answer::Good,
            Some(_) => Answer::Bad("the claim gets no volume"),
            None if inventory.is_closed_everywhere(Kind::StorageClass) => {
                Answer::Bad("its storage class does not exist")
            }
            None => Answer::Unknown,
        },
        _ => Answer::Good,
    }
}

fn report(known: &Known, problem: &str, found: &mut Findings) {
    let message = format_args!("{problem}: see kubectl describe pvc");
    found.report(&known.identity, format_args!("status.phase"), message);
}
