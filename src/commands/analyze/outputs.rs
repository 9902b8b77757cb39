//! The `-o` flags: the formats of the report, and the files that receive them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use crate::governance::Report;
use crate::output::{FORMATS, Format, Text};
use crate::terminal::to_stdout;

/// The outputs of one run.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Output format of the report, and a file if it is not for stdout, as in `-o summary -o sarif=report.sarif`
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_parser = OutputParser, default_value = FORMATS[0].name)]
    output: Vec<Output>,
}

/// One format, and the file that receives it.
#[derive(Debug, Clone)]
struct Output {
    format: &'static Format,
    /// `None` for stdout.
    file: Option<PathBuf>,
}

impl OutputArgs {
    /// Refuses outputs that would overwrite each other.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (index, output) in self.output.iter().enumerate() {
            if self.output.iter().skip(index + 1).any(|other| other.file == output.file) {
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

    /// Writes a report in every format.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
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

/// Parses `FORMAT[=FILE]`.
#[derive(Debug, Clone)]
struct OutputParser;

impl TypedValueParser for OutputParser {
    type Value = Output;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Output, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name, Some(file)),
            None => (text.as_str(), None),
        };
        let refused = |message: String| {
            clap::Error::raw(clap::error::ErrorKind::InvalidValue, format!("{message}\n")).with_cmd(command)
        };
        let format = Format::find(name).ok_or_else(|| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
            refused(format!("-o {text}: there is no format {name:?}; the formats are {}", names.join(", ")))
        })?;
        if file == Some("") {
            return Err(refused(format!("-o {text}: name a file after the equals sign, or leave it out")));
        }
        Ok(Output { format, file: file.map(PathBuf::from) })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.help))))
    }
}
