//! Decodes UTF-16 with a byte-order mark, which PowerShell writes and kubectl accepts.

use std::io::{self, Read};

/// The byte order of a UTF-16 stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The more significant byte comes first.
    BigEndian,
    /// The less significant byte comes first.
    LittleEndian,
}

impl Encoding {
    /// Detects the encoding by the byte-order mark; `None` if it isn't UTF-16.
    pub fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0xfe, 0xff, ..] => Some(Self::BigEndian),
            [0xff, 0xfe, ..] => Some(Self::LittleEndian),
            _ => None,
        }
    }

    /// Returns a reader of the stream in UTF-8. Invalid units are replaced.
    pub fn decode<R: Read>(self, reader: R) -> Decoder<R> {
        Decoder { reader, encoding: self, bytes: Vec::new(), decoded: Vec::new(), start: 0 }
    }
}

/// A reader that converts UTF-16 to UTF-8.
#[derive(Debug)]
pub struct Decoder<R> {
    reader: R,
    encoding: Encoding,
    /// The bytes that are not yet decoded: a part of a character.
    bytes: Vec<u8>,
    decoded: Vec<u8>,
    /// The number of decoded bytes that were returned.
    start: usize,
}

/// The number of bytes that are decoded at once.
const BLOCK: u64 = 64 << 10;

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.start == self.decoded.len() {
            if !self.decode()? {
                return Ok(0);
            }
        }
        let count = (&self.decoded[self.start..]).read(buffer)?;
        self.start += count;
        Ok(count)
    }
}

impl<R: Read> Decoder<R> {
    /// Decodes a block. Returns false at the end of the stream.
    fn decode(&mut self) -> io::Result<bool> {
        let read = (&mut self.reader).take(BLOCK).read_to_end(&mut self.bytes)?;
        if read == 0 && self.bytes.is_empty() {
            return Ok(false);
        }
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair.get(1).copied().unwrap_or_default()];
            match self.encoding {
                Encoding::BigEndian => u16::from_be_bytes(pair),
                Encoding::LittleEndian => u16::from_le_bytes(pair),
            }
        };
        let mut end = self.bytes.len();
        if read > 0 {
            end -= end % 2;
            // A surrogate pair may continue in the next block.
            if end >= 2 && (0xd800..0xdc00).contains(&unit(&self.bytes[end - 2..end])) {
                end -= 2;
            }
        }
        let units = self.bytes[..end].chunks(2).map(unit);
        let text: String =
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.bytes.drain(..end);
        (self.decoded, self.start) = (text.into_bytes(), 0);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_decoded_whatever_a_block_cuts_through() {
        let text = format!("\u{feff}kind: Pöd 🦀 {}\n", "🦀".repeat(40_000));
        for (encoding, bytes) in [
            (Encoding::LittleEndian, text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
            (Encoding::BigEndian, text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ] {
            assert_eq!(Encoding::of(&bytes), Some(encoding));
            let mut decoded = String::new();
            encoding.decode(&bytes[..]).read_to_string(&mut decoded).unwrap();
            assert_eq!(decoded, text);
        }
        assert_eq!(Encoding::of(b"\xef\xbb\xbfkind"), None);
    }

    #[test]
    fn half_a_character_is_replaced() {
        for bytes in [&b"a\0\x3d\xd8"[..], b"a\0\x3d\xd8b\0", b"a\0\x3d"] {
            let mut decoded = String::new();
            Encoding::LittleEndian.decode(bytes).read_to_string(&mut decoded).unwrap();
            assert!(decoded.starts_with('a') && decoded.len() > 1, "{decoded:?}");
        }
    }
}
