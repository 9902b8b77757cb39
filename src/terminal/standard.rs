//! Standard output and error. A reader that closes its end, such as `head`, is not an error.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice, stream::RawStream};

use crate::output::Text;

/// Writes to standard output.
pub fn to_stdout(write: impl FnOnce(&mut Text<'_>) -> io::Result<()>) -> io::Result<()> {
    let stdout = io::stdout();
    let colours = has_colours(&stdout);
    let width = stdout.is_terminal().then(|| columns(&stdout)).flatten();
    to(BufWriter::with_capacity(BUFFER, stdout.lock()), colours, width, write)
}

/// The buffer of standard output. A report can have a hundred megabytes.
const BUFFER: usize = 1 << 16;

/// Returns the width of a terminal. The rows don't matter: some terminals report none.
#[cfg(unix)]
fn columns(terminal: &io::Stdout) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn columns(terminal: &io::Stdout) -> Option<usize> {
    terminal_size::terminal_size_of(terminal).map(|(terminal_size::Width(columns), _)| columns.into())
}

/// Writes to standard error, each line at once, so that lines of programs that share it do not mix.
pub fn to_stderr(write: impl FnOnce(&mut Text<'_>) -> io::Result<()>) -> io::Result<()> {
    let stderr = io::stderr();
    to(Lines { out: stderr.lock(), line: Vec::new() }, has_colours(&stderr), None, write)
}

/// Writes one `note:` line to standard error.
pub fn note(message: impl Display) -> io::Result<()> {
    to_stderr(|err| err.note(message))
}

/// Writes one `error:` line to standard error.
pub fn error(message: impl Display) -> io::Result<()> {
    to_stderr(|err| err.error(message))
}

/// Returns true if a stream gets colours: only a terminal does, and not with `NO_COLOR`.
fn has_colours(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

fn to(
    mut out: impl Write,
    colours: bool,
    width: Option<usize>,
    write: impl FnOnce(&mut Text<'_>) -> io::Result<()>,
) -> io::Result<()> {
    match write(&mut Text::new(&mut out, colours, width)).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Passes each line on in one write.
struct Lines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.out.write_all(&line)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records each write.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_is_one_write() {
        let mut writes = Writes::default();
        let lines = Lines { out: &mut writes, line: Vec::new() };
        to(lines, true, None, |err| {
            err.error(format_args!("{} {}", 1, 2))?;
            writeln!(err, "{}\n{}", 3, 4)?;
            write!(err, "{}", 5)
        })
        .unwrap();
        let lines: Vec<_> = writes.0.iter().filter(|write| !write.is_empty()).collect();
        assert_eq!(lines, ["\u{1b}[1m\u{1b}[31merror:\u{1b}[0m 1 2\n", "3\n", "4\n", "5"]);
    }
}
