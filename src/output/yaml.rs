//! The report as YAML.

use std::io::{self, Write};

use crate::governance::Report;
use crate::yaml;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    yaml::stream(out, report)
}
