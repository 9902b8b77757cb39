//! Standard output and error, for commands whose reader may have seen enough.

use std::io::{self, BufWriter, ErrorKind, Write};

/// Writes to standard output; a reader that went away, such as `head`, is no error.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    to(BufWriter::new(anstream::stdout().lock()), write)
}

/// Writes to standard error; a reader that went away is no error, and the exit status goes by the work alone.
pub fn to_stderr(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    to(anstream::stderr().lock(), write)
}

fn to(mut out: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
