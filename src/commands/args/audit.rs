//! The flags of audit results and reports.

use jiff::SignedDuration;

use super::duration;

/// The settings of the audit results and reports that the operator writes.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct AuditArgs {
    /// Name of this cluster in audit results
    #[arg(long, value_name = "NAME", value_parser = cluster_name)]
    pub(in crate::commands) cluster_name: Option<String>,

    /// Minimum time between two audit results of a policy; tests use less
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, hide = true)]
    pub(in crate::commands) audit_interval: SignedDuration,

    /// Also keep a report of each policy: openreports writes a Report, whose CRD comes from OpenReports
    #[arg(long, value_enum, value_name = "FORMAT")]
    reports: Option<ReportFormat>,

    /// Minimum time between two writes of a report; tests use less
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, hide = true)]
    report_interval: SignedDuration,
}

/// The kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ReportFormat {
    /// `Report` of openreports.io/v1alpha1
    Openreports,
}

impl AuditArgs {
    /// Returns the minimum time between two writes of a report; `None` if none are asked for.
    pub(in crate::commands) fn report_interval(&self) -> Option<SignedDuration> {
        self.reports.map(|ReportFormat::Openreports| self.report_interval)
    }
}

/// Parses the name of a cluster. The schema of audit results limits its length.
fn cluster_name(name: &str) -> Result<String, String> {
    match name.chars().count() {
        0 => Err("the name is empty".to_owned()),
        1..=253 => Ok(name.to_owned()),
        length => Err(format!("the name has {length} characters; at most 253 are allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_cluster_has_1_to_253_characters() {
        assert_eq!(cluster_name("prod-eu"), Ok("prod-eu".to_owned()));
        assert_eq!(cluster_name(""), Err("the name is empty".to_owned()));
        assert!(cluster_name(&"ü".repeat(253)).is_ok() && cluster_name(&"ü".repeat(254)).is_err());
    }
}
