//! The `-o` flags: the formats of the report, and the files that receive them.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use anyhow::{Context as _, bail};

use super::output_parser::{Output, OutputParser};
use crate::governance::Report;
use crate::output::{FORMATS, Text};
use crate::paths::ProjectRoot;
use crate::repository::root_above;
use crate::terminal::to_stdout;

/// The outputs of one run.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Output format of the report, and a file if it is not for stdout, as in `-o summary -o sarif=report.sarif`
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = OutputParser, default_value = FORMATS[0].name)]
    output: Vec<Output>,
}

impl OutputArgs {
    /// Refuses outputs that would overwrite each other.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (index, output) in self.output.iter().enumerate() {
            // Two names such as `x` and `./x` are those of one file.
            let place = |output: &Output| output.file.as_ref().map(|file| std::path::absolute(file).ok());
            if self.output.iter().skip(index + 1).any(|other| place(other) == place(output)) {
                match &output.file {
                    Some(file) => {
                        bail!("two formats are for {}: give each a file of its own", file.display())
                    }
                    None => bail!(
                        "two formats are for stdout: give all but one a file, as in -o json=report.json"
                    ),
                }
            }
        }
        Ok(())
    }

    /// Returns the name of the format, if there is only one, for stdout.
    pub(super) fn only_stdout(&self) -> Option<&'static str> {
        match self.output.as_slice() {
            [Output { format, file: None }] => Some(format.name),
            _ => None,
        }
    }

    /// Returns true if a format shows every violation.
    pub(super) fn shows_violations(&self) -> bool {
        self.output.iter().any(|output| output.format.shows_violations)
    }

    /// Returns true if a format lists the objects of kinds that are not evaluated.
    pub(super) fn lists_other_kinds(&self) -> bool {
        self.output.iter().any(|output| output.format.lists_other_kinds)
    }

    /// Writes a report on what the filters leave in every format. The formats for CI name files from the root of the repository, or else from the
    /// working directory.
    pub(super) fn write(&self, report: &mut Report, filters: Vec<String>) -> anyhow::Result<()> {
        report.filters = filters;
        if let Ok(working) = std::env::current_dir() {
            let root = root_above(&working);
            report.project_root = ProjectRoot::new(root.as_ref().unwrap_or(&working), &working);
        }
        let report = &*report;
        for Output { format, file } in &self.output {
            match file {
                None => to_stdout(|out| format.write(report, out))?,
                Some(file) => {
                    let write = || -> std::io::Result<()> {
                        let mut out = BufWriter::new(File::create(file)?);
                        format.write(report, &mut Text::plain(&mut out))?;
                        out.flush()
                    };
                    write().with_context(|| format!("cannot write {}", file.display()))?;
                }
            }
        }
        Ok(())
    }
}
