//! The flags for a baseline, the file with known findings.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::flags::{Flag, given};
use crate::config::ConfigFile;
use crate::governance::{Baseline, Report};
use crate::output::write_baseline;
use crate::terminal::note;
use crate::workload::count;

/// The baseline to compare with, and the one to write.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct BaselineArgs {
    /// Compare with the known findings in this file: only new ones are listed, and any of them is exit status 1
    ///
    /// With --fail-on, only new ones of that severity or worse are exit status 1. The other thresholds compare what
    /// the figures would be without the known findings.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// Write all findings of this run to this file, as the baseline of later runs, and exit with 0
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
}

impl BaselineArgs {
    /// Takes the baseline from a configuration file, unless a flag names one or writes one.
    pub(super) fn fill(&mut self, file: &ConfigFile) {
        if !self.needs_violations() {
            self.baseline = file.config.baseline.as_ref().map(|path| file.resolved(path));
        }
    }

    /// Returns the flags that are given, each with the setting that it beats.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let path = self.baseline.as_ref().map(|path| path.display().to_string());
        given([("baseline", "--baseline", path)])
    }

    /// Returns true if a baseline is read or written.
    pub(super) fn needs_violations(&self) -> bool {
        self.baseline.is_some() || self.write_baseline.is_some()
    }

    /// Returns true if findings are to be accepted, so that no threshold applies.
    pub(super) fn accepts_findings(&self) -> bool {
        self.write_baseline.is_some()
    }

    /// Reads the baseline to compare with.
    pub(super) fn read(&self) -> anyhow::Result<Option<Baseline>> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let place = || format!("baseline {}", path.display());
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("{}: there is no such file; --write-baseline writes it", place())
            }
            read => read.with_context(place)?,
        };
        Baseline::from_json(&text).map(Some).with_context(place)
    }

    /// Writes the findings of a report if that is asked for. Returns false if it can't, because the report is partial.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<bool> {
        let Some(path) = &self.write_baseline else { return Ok(true) };
        if report.summary.partial {
            note(format_args!(
                "{} was not written: findings in what could not be read or rendered would be missing from it",
                path.display()
            ))?;
            return Ok(false);
        }
        let write = || -> std::io::Result<usize> {
            let mut out = BufWriter::new(File::create(path)?);
            let findings = write_baseline(report, &mut out)?;
            out.flush()?;
            Ok(findings)
        };
        let findings = write().with_context(|| format!("cannot write {}", path.display()))?;
        let findings = count(findings as u64, "finding", "findings");
        note(format_args!("{} has {findings}: --baseline {0} accepts them", path.display()))?;
        Ok(true)
    }
}
