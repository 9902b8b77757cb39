//! One value of `-o`: a format, and maybe a file.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use crate::output::{FORMATS, Format};

/// One format, and the file that receives it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) format: &'static Format,
    /// `None` for stdout.
    pub(super) file: Option<PathBuf>,
}

/// Parses `FORMAT[=FILE]`.
#[derive(Debug, Clone)]
pub(super) struct OutputParser;

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
