//! The rules in Markdown: one of them, or the whole catalogue.

use std::io::{self, Write as _};

use super::Text;
use crate::policy::fields_of;
use crate::rules::{Category, RULES, Rule};
use crate::workload::Kind;

/// The head of the catalogue.
const INTRODUCTION: &str = "\
# Rules

This page is generated from the rules in `src/rules`, as `kube-devops explain` prints them.

`analyze --rules` takes `default` (the rules of the score), `recommended`, `all`, ids of rules and categories, with commas
between them. `-NAME` takes rules away: `--rules recommended,-images`. `analyze --bundle` takes a bundle,
such as `pss-restricted` of the Pod Security Standards (`docs/policies.md`). Neither can be combined with `--policy`.

A rule that reads other objects than pods and workloads compares what is in the input. If an object is missing that may
exist elsewhere, the answer is unknown: the report counts it and lists no violation. `analyze --complete` says that the
manifests are all that there will be. On a cluster, `analyze` and `reconcile` know what they may list. Findings in
objects without a namespace, such as ClusterRoles, come from `analyze` and from ClusterDevOpsPolicies. A DevOpsPolicy has
none. `watch`, native admission and `webhook serve` do not evaluate these rules.

The fix of a rule is `enforcement` where a policy with enforcement changes live workloads, and `manifest` where one change
of the manifest always helps; `none` leaves it to the message of the violation.

`kube-devops explain --from TOOL:CHECK` finds the rule that stands for a check of Polaris, kube-score, KubeLinter or
Popeye.
";

/// Writes the catalogue of all rules, by category.
pub fn catalogue(out: &mut Text<'_>) -> io::Result<()> {
    out.write_all(INTRODUCTION.as_bytes())?;
    for category in Category::ALL {
        let rules = || RULES.iter().filter(move |rule| rule.category == category);
        if rules().next().is_none() {
            continue;
        }
        writeln!(out, "\n## {category}\n\n| rule | severity | set | summary |\n|---|---|---|---|")?;
        for rule in rules() {
            writeln!(
                out,
                "| [`{0}`](#{0}) | {1} | {2} | {3} |",
                rule.id,
                rule.severity,
                rule.set(),
                rule.summary
            )?;
        }
        for rule in rules() {
            // The headings of a rule stand two levels below those of the page.
            let mut text = Vec::new();
            explain(rule, &mut Text::plain(&mut text))?;
            let mut is_code = false;
            writeln!(out)?;
            for line in String::from_utf8_lossy(&text).lines() {
                is_code ^= line.starts_with("```");
                let deeper = if line.starts_with('#') && !is_code { "##" } else { "" };
                writeln!(out, "{deeper}{line}")?;
            }
        }
    }
    Ok(())
}

/// Writes what there is to know about a rule, in Markdown.
pub fn explain(rule: &Rule, out: &mut Text<'_>) -> io::Result<()> {
    writeln!(out, "# {}\n\n{}.\n", rule.id, rule.summary)?;
    writeln!(out, "Severity: {}. Weight: {} points.", rule.severity, rule.points())?;
    let score = if rule.in_default_score { "is" } else { "is not" };
    writeln!(
        out,
        "Category: {}. It {score} part of the default score. Since {}.",
        rule.category, rule.since
    )?;
    writeln!(out, "Turned on in a DevOpsPolicy by: {}.", fields_of(rule).join(" or "))?;
    let reads = rule.reads();
    if !reads.is_empty() {
        let kinds: Vec<_> = reads.iter().map(Kind::name).collect();
        writeln!(out, "Reads: {}.", kinds.join(", "))?;
        let by = match (rule.is_about_namespaces(), rule.is_about_cluster()) {
            (true, true) => {
                "`analyze` and `reconcile`; objects without a namespace under a ClusterDevOpsPolicy only"
            }
            (true, false) => "`analyze` and `reconcile`",
            (false, _) => "`analyze`, and `reconcile` under a ClusterDevOpsPolicy",
        };
        let pods = if rule.is_about_pods() { "; its check of pods by every command" } else { "" };
        writeln!(out, "Evaluated by: {by}{pods}.")?;
    } else if !rule.needs().is_empty() {
        writeln!(out, "Looks at: workloads, which `analyze` lists on a cluster for it.")?;
    }
    if rule.is_about_pods() {
        let native = if rule.expression.is_some() { "yes" } else { "no" };
        writeln!(out, "Native admission: {native}.")?;
    }
    let remedy = rule.remedy();
    let change = remedy.change().map_or_else(String::new, |change| format!(" ({change})"));
    writeln!(out, "Fix: {}{change}.", remedy.as_str())?;
    if !rule.peers.is_empty() {
        writeln!(out, "Stands for: {}.", rule.peers.join(", "))?;
    }
    writeln!(out)?;
    out.write_all(rule.docs.as_bytes())?;
    if !rule.parameters.is_empty() {
        writeln!(out, "\n## Parameters")?;
    }
    for parameter in rule.parameters {
        writeln!(out, "- `{}` (default {}): {}.", parameter.name, parameter.default, parameter.summary)?;
    }
    Ok(())
}
