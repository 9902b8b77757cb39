//! The report as JSON.

use std::io::{self, BufWriter, Write};

use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

use super::json_row::{self, RowTexts};
use crate::governance::{Report, ViolationList};

/// The bytes that are passed on at once.
const BUFFER: usize = 1 << 16;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    // The serializer writes a few bytes at a time, for which a call of a trait object is too slow.
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, ReportFormatter::default());
    report.serialize_with(Rows(&report.violations), &mut serializer)?;
    writeln!(out)?;
    out.flush()
}

/// The violations of a report, which are serialized as the bytes of their JSON, many at a time.
///
/// Most of a large report are violations, and the serializer would take most of the time for them.
struct Rows<'r>(&'r ViolationList);

/// The JSON of values, between commas if there are several.
struct Json<'j>(&'j [u8]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        let (mut json, mut texts) = (Vec::with_capacity(2 * BUFFER), RowTexts::default());
        for violation in self.0.iter() {
            if !json.is_empty() {
                json.extend_from_slice(json_row::SEPARATOR);
            }
            texts.append(&violation, &mut json);
            // Both buffers below pass as much on without a copy.
            if json.len() >= BUFFER {
                rows.serialize_element(&Json(&json))?;
                json.clear();
            }
        }
        if !json.is_empty() {
            rows.serialize_element(&Json(&json))?;
        }
        rows.end()
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Formats as [`PrettyFormatter`] does, and takes bytes for JSON.
#[derive(Default)]
struct ReportFormatter(PrettyFormatter<'static>);

/// Passes calls on to the formatter within.
macro_rules! as_pretty {
    ($($method:ident($($argument:ident: $type:ty)?)),+) => {$(
        fn $method<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)?) -> io::Result<()> {
            self.0.$method(writer $(, $argument)?)
        }
    )+};
}

impl Formatter for ReportFormatter {
    as_pretty!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        begin_object_value(),
        end_object_value()
    );

    fn write_byte_array<W: ?Sized + Write>(&mut self, writer: &mut W, json: &[u8]) -> io::Result<()> {
        writer.write_all(json)
    }
}
