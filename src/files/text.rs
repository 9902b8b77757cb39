//! Whole texts as kubectl reads them: UTF-16 with a byte-order mark, or UTF-8.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::yaml::Encoding;

/// Reads a file. Invalid bytes are replaced.
pub fn read_text(path: &Path) -> io::Result<String> {
    decode(&fs::read(path)?)
}

/// Decodes the bytes of a whole source. Invalid ones are replaced.
pub(super) fn decode(bytes: &[u8]) -> io::Result<String> {
    let Some(encoding) = Encoding::of(bytes) else {
        return Ok(String::from_utf8_lossy(bytes).into_owned());
    };
    let mut text = String::new();
    encoding.decode(bytes).read_to_string(&mut text)?;
    Ok(text)
}
