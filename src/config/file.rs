//! The settings of a configuration file.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use super::parts;
use crate::governance::Percent;
use crate::rules::Severity;

/// The name of the file. It is searched in the working directory and in those above it.
pub const FILE_NAME: &str = ".kube-devops.yaml";

/// Settings of `kube-devops analyze`. A flag on the command line beats a setting. Paths are relative to this file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The manifests to evaluate if the command line names none: files, directories, patterns and URLs.
    pub inputs: Option<Vec<String>>,
    /// True to read subdirectories too, as --recursive does.
    pub recursive: Option<bool>,
    /// The paths that are not read, as patterns in the syntax of gitignore.
    pub ignore: Option<Vec<String>>,
    /// The rules to evaluate, as in --rules: default, recommended, all, ids and categories; -NAME takes rules away.
    pub rules: Option<Vec<String>>,
    /// The bundle of rules to evaluate, as in --bundle.
    pub bundle: Option<String>,
    /// The file with the DevOpsPolicy to evaluate under, as in --policy.
    pub policy: Option<String>,
    /// Severities that replace those of the rules, by the rule's id. They change the weight of rules in the score:
    /// critical multiplies it by 3, high by 2, medium by 1 and low by 1/2.
    #[schemars(schema_with = "parts::severities")]
    pub severities: BTreeMap<String, Severity>,
    /// The least severity of a violation that is exit status 1, as in --fail-on.
    pub fail_on: Option<Severity>,
    /// The score below which the exit status is 1, as in --fail-under.
    #[schemars(range(min = 0, max = 100))]
    pub fail_under: Option<u8>,
    /// The compliance in percent below which the exit status is 1, as in --fail-under-compliance.
    #[schemars(schema_with = "parts::percent")]
    pub fail_under_compliance: Option<Percent>,
    /// True to accept an input with nothing to evaluate, as --allow-empty does.
    pub allow_empty: Option<bool>,
    /// The file with known findings, as in --baseline.
    pub baseline: Option<String>,
    /// Findings that are accepted in some paths. They count neither for the score nor for thresholds.
    pub exemptions: Vec<ExemptionConfig>,
}

/// Findings that are accepted in some paths, for a reason.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExemptionConfig {
    /// The paths, as patterns in the syntax of gitignore.
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// The ids of the rules; all rules if they are missing.
    #[serde(default)]
    #[schemars(schema_with = "parts::rule_ids")]
    pub rules: Option<Vec<String>>,
    /// The reason, which reports show.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// The last day of the exemption, such as 2027-01-31, in UTC; it never ends if the day is missing.
    #[serde(default)]
    #[schemars(schema_with = "parts::date")]
    pub expires: Option<Date>,
}
