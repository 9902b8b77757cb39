//! A window over a stream of bytes that grows only as far as one object needs.

use std::io::{self, Read};

/// How much is read at once, and about the size of a piece.
pub(super) const BLOCK: usize = 1 << 20;

/// The bytes of a stream that were read and not yet taken.
pub(super) struct Window<'r> {
    reader: &'r mut (dyn Read + Send),
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<'r> Window<'r> {
    pub(super) fn new(reader: &'r mut (dyn Read + Send), buffer: Vec<u8>) -> Self {
        Self { reader, bytes: cleared(buffer), start: 0, ended: false }
    }

    /// What was read and not yet taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether the stream holds nothing beyond [`Self::bytes`].
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads until the window holds `wanted` bytes or the stream ends.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let missing = wanted.saturating_sub(self.bytes().len());
        if missing == 0 || self.ended {
            return Ok(());
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve_exact(missing);
        let read = (&mut *self.reader).take(missing as u64).read_to_end(&mut self.bytes)?;
        self.ended = read < missing;
        Ok(())
    }

    /// Reads about as much again as there is.
    pub(super) fn grow(&mut self) -> io::Result<()> {
        self.fill((self.bytes().len() * 2).max(BLOCK))
    }

    /// Drops the first bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// Takes the first bytes without copying them; the few behind them move into `spare`.
    pub(super) fn take(&mut self, count: usize, spare: Vec<u8>) -> Text {
        let mut rest = cleared(spare);
        rest.extend_from_slice(&self.bytes()[count..]);
        let mut bytes = std::mem::replace(&mut self.bytes, rest);
        let start = std::mem::take(&mut self.start);
        bytes.truncate(start + count);
        Text { bytes, start }
    }
}

/// Text in the buffer that it was read into.
#[derive(Debug)]
pub(super) struct Text {
    /// The buffer, which ends with the text.
    pub(super) bytes: Vec<u8>,
    /// Where the text starts.
    pub(super) start: usize,
}

impl Text {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn cleared(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

/// How many lines end in a text.
pub(super) fn lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}
