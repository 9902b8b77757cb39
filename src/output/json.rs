//! The report as JSON.

use std::io::{self, BufWriter, Write};

use crate::governance::Report;

/// The bytes that are passed on at once.
const BUFFER: usize = 1 << 16;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    // The serializer writes a few bytes at a time, for which a call of a trait object is too slow.
    let mut out = BufWriter::with_capacity(BUFFER, out);
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    out.flush()
}
