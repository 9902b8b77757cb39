//! The settings of an analysis that hold, and the source of each: a flag, the configuration file or a default.

use super::baseline_args::BaselineArgs;
use super::gates::GateArgs;
use super::rule_args::RuleArgs;
use crate::config::ConfigFile;

/// The keys of the settings, each with its default.
const SETTINGS: [(&str, &str); 13] = [
    ("inputs", "the cluster of the current context"),
    ("recursive", "false"),
    ("ignore", "nothing"),
    ("rules", "default"),
    ("bundle", "none"),
    ("policy", "none"),
    ("severities", "those of the rules"),
    ("failOn", "none"),
    ("failUnder", "none"),
    ("failUnderCompliance", "none"),
    ("allowEmpty", "false"),
    ("baseline", "none"),
    ("exemptions", "none"),
];

/// The settings of which at most one holds.
const CHOICE: [&str; 3] = ["rules", "bundle", "policy"];

/// Returns each setting with its value and its source.
pub(in crate::commands) fn settings(
    rules: &RuleArgs,
    gates: &GateArgs,
    baseline: &BaselineArgs,
    file: Option<&ConfigFile>,
) -> Vec<[String; 3]> {
    let flags = [rules.flags(), gates.flags(), baseline.flags()].concat();
    let is_choice = |key: &str| CHOICE.contains(&key);
    let chosen_by_flag = flags.iter().any(|(key, ..)| is_choice(key));
    let chosen =
        chosen_by_flag || file.is_some_and(|file| CHOICE.iter().any(|key| file.place(key).is_some()));
    let setting = |(key, default): (&str, &str)| {
        let row = |value: &str, source: &str| [key, value, source].map(str::to_owned);
        if let Some((_, flag, value)) = flags.iter().find(|(own, ..)| *own == key) {
            return row(value, flag);
        }
        let file = file.filter(|_| !(is_choice(key) && chosen_by_flag));
        match file.and_then(|file| file.text(key).zip(file.place(key))) {
            Some((value, place)) => row(&value, &place),
            None => row(if is_choice(key) && chosen { "none" } else { default }, "default"),
        }
    };
    SETTINGS.into_iter().map(setting).collect()
}
