//! The report as YAML.

use std::io::{self, Write};

use crate::governance::Report;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(yaml_serde::to_string(report).map_err(io::Error::other)?.as_bytes())
}
