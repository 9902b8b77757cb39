//! Standard output, for commands whose reader may have seen enough.

use std::io::{self, BufWriter, ErrorKind, Write};

/// Writes to standard output; a reader that went away, such as `head`, is no error.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
