//! Reads a stream through a window that grows only as far as one object needs.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The bytes that are read at once, and about the size of a piece.
pub(super) const BLOCK: usize = 1 << 20;

/// An open source.
pub(super) enum Input {
    /// A seekable file.
    File(File),
    /// A pipe or a response, which can be read only once.
    Stream(Box<dyn Read + Send>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Stream(stream) => stream.read(buffer),
        }
    }
}

impl Input {
    /// Reads until the buffer holds `count` bytes more, or until the input ends. Returns the number of bytes read.
    ///
    /// The standard library fills the buffer with zeros first if it doesn't know the reader.
    fn read_block(&mut self, count: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::File(file) => file.take(count as u64).read_to_end(buffer),
            Self::Stream(stream) => stream.take(count as u64).read_to_end(buffer),
        }
    }

    /// Returns a file with the rest of the input. A stream is first copied into a temporary file.
    fn as_file(&mut self) -> io::Result<&mut File> {
        if let Self::Stream(stream) = self {
            let mut file = tempfile::tempfile()?;
            io::copy(stream, &mut file)?;
            file.rewind()?;
            *self = Self::File(file);
        }
        match self {
            Self::File(file) => Ok(file),
            Self::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

/// The bytes of a stream that were read and not yet taken.
pub(super) struct Window<'r> {
    input: &'r mut Input,
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<'r> Window<'r> {
    /// Opens an empty window, which reuses a buffer.
    pub(super) fn new(input: &'r mut Input, buffer: Vec<u8>) -> Self {
        Self { input, bytes: cleared(buffer), start: 0, ended: false }
    }

    /// Returns the bytes that were read and not yet taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns true if the stream holds nothing beyond [`Self::bytes`].
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
        let read = self.input.read_block(missing, &mut self.bytes)?;
        self.ended = read < missing;
        Ok(())
    }

    /// Doubles the bytes in the window.
    pub(super) fn grow(&mut self) -> io::Result<()> {
        self.fill((self.bytes().len() * 2).max(BLOCK))
    }

    /// Drops the first bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// Takes the first bytes without copying them. The few bytes behind them move into `spare`.
    pub(super) fn take(&mut self, count: usize, spare: Vec<u8>) -> Text {
        let mut rest = cleared(spare);
        rest.extend_from_slice(&self.bytes()[count..]);
        let mut bytes = std::mem::replace(&mut self.bytes, rest);
        let start = std::mem::take(&mut self.start);
        bytes.truncate(start + count);
        Text { bytes, start }
    }

    /// Reads ahead through a second window on the same bytes, and returns to where this window is.
    pub(super) fn look_ahead<T>(&mut self, read: impl FnOnce(&mut Window<'_>) -> T) -> io::Result<T> {
        let position = self.input.as_file()?.stream_position()?;
        let (bytes, ended) = (self.bytes().to_vec(), self.ended);
        let result = read(&mut Window { input: self.input, bytes, start: 0, ended });
        self.input.as_file()?.seek(SeekFrom::Start(position))?;
        Ok(result)
    }
}

/// Text in the buffer that it was read into.
#[derive(Debug)]
pub(super) struct Text {
    /// The buffer, which ends with the text.
    pub(super) bytes: Vec<u8>,
    /// The offset at which the text starts.
    pub(super) start: usize,
}

impl Text {
    /// Returns the text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn cleared(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

/// Counts the line ends in a text.
pub(super) fn lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}
