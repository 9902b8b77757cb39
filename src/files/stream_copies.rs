//! Copies of streams, such as standard input, which can be read only once.

use std::collections::HashMap;
use std::io::{self, Read, Seek as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::SpooledTempFile;

use super::blocks::{BLOCK, Input};

/// The streams that were read, for a second reading. A small copy is kept in memory, and a larger one in a temporary
/// file.
#[derive(Debug, Default)]
pub struct StreamCopies(Mutex<HashMap<String, StreamCopy>>);

/// The copy of a stream.
#[derive(Debug, Clone)]
pub struct StreamCopy(Arc<Mutex<SpooledTempFile>>);

impl StreamCopies {
    /// Returns an input that copies what is read from a stream.
    pub(super) fn copying(&self, name: &str, input: Input) -> Input {
        let Input::Stream(stream) = input else { return input };
        let copy = StreamCopy(Arc::new(Mutex::new(SpooledTempFile::new(BLOCK))));
        lock(&self.0).insert(name.to_owned(), copy.clone());
        Input::Stream(Box::new(Copying { stream, copy: Some(copy) }))
    }

    /// Returns the copy of the stream of this name.
    pub(super) fn get(&self, name: &str) -> Option<StreamCopy> {
        lock(&self.0).get(name).cloned()
    }
}

impl StreamCopy {
    /// Returns the copy from its start.
    pub(super) fn rewound(&self) -> io::Result<Self> {
        lock(&self.0).rewind()?;
        Ok(self.clone())
    }
}

impl PartialEq for StreamCopy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StreamCopy {}

impl Read for StreamCopy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read(buffer)
    }
}

/// A stream whose bytes are copied as they are read.
struct Copying {
    stream: Box<dyn Read + Send>,
    /// `None` once there was no room for it.
    copy: Option<StreamCopy>,
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        let written = self.copy.as_ref().map(|copy| lock(&copy.0).write_all(&buffer[..length]));
        if written.is_some_and(|written| written.is_err()) {
            self.copy = None;
        }
        Ok(length)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
