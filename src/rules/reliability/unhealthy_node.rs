//! A Node that can't run pods.

use jiff::SignedDuration;

use crate::inventory::{Content, NodeCondition};
use crate::rules::{Category, Check, ObjectContext, Rule, RuleId, Severity, Violations};
use crate::workload::Kind;

/// The time for which a Node may be unready.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// The conditions that are bad if they are true, each with the problem.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "the node runs out of memory, and evicts pods"),
    ("DiskPressure", "the node runs out of disk space, and evicts pods"),
    ("PIDPressure", "the node runs out of process ids, and evicts pods"),
    ("NetworkUnavailable", "the network of the node is not set up"),
];

/// A Node that can't run pods.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unhealthy-node"),
    summary: "A Node that is not ready, or under pressure",
    docs: "\
## What it does
Reports Nodes whose condition `Ready` is not True for more than 60 seconds. Reports Nodes with the condition
`MemoryPressure`, `DiskPressure`, `PIDPressure` or `NetworkUnavailable`.

## Why is this bad
The pods of the Node are evicted or can't be reached, and it takes no new ones.

## Example
```yaml
kind: Node
status:
  conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown}]    # bad: the kubelet is silent
```

## Exceptions
A Node without the condition is skipped, as it has just joined. A Node that is cordoned is no fault.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &[
        "popeye:701",
        "popeye:702",
        "popeye:703",
        "popeye:704",
        "popeye:705",
        "popeye:706",
        "popeye:707",
    ],
    check: Check::Object { reads: &[Kind::Node], check },
    ..Rule::BASE
};

fn check(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Node(node) = &context.object.content else { return };
    for condition in &node.conditions {
        let NodeCondition { type_, status, reason, last_transition_time } = condition;
        let pressure = PRESSURES.iter().find(|(name, _)| name == type_);
        let problem = match pressure {
            Some((_, problem)) if status == "True" => problem,
            None if type_ == "Ready" && status != "True" => {
                let until = last_transition_time.and_then(|since| since.checked_add(PATIENCE).ok());
                if let Some(until) = until.filter(|until| *until > context.now) {
                    found.recheck_at(until);
                    continue;
                }
                &"the node is not ready"
            }
            _ => continue,
        };
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        found.in_object(
            format_args!("status.conditions"),
            format_args!("{problem}{reason}: see kubectl describe node"),
        );
    }
}
