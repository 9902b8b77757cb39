//! The report as YAML.

use std::io::{self, Write};

use crate::governance::Report;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    yaml_serde::to_writer(out, report).map_err(io::Error::other)
}
