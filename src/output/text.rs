//! Text for people: the one place where control characters are escaped and colours are added.
//!
//! Names, images and messages come from manifests and clusters. A terminal would obey the escape sequences in them
//! (CVE-2021-25743), so everything that is written to a [`Text`] is escaped, on a terminal or not. Output for programs
//! bypasses the escaping by [`Text::exact`].

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::style::{ERROR, FAILED, NOTE};

/// A stream for people.
pub struct Text<'a> {
    out: &'a mut dyn Write,
    colours: bool,
    width: Option<usize>,
}

impl<'a> Text<'a> {
    /// Returns a stream with or without colours; `width` is that of the terminal, in columns.
    pub fn new(out: &'a mut dyn Write, colours: bool, width: Option<usize>) -> Self {
        Self { out, colours, width }
    }

    /// Returns a stream without colours and with no limit to its width, as for a pipe.
    pub fn plain(out: &'a mut dyn Write) -> Self {
        Self::new(out, false, None)
    }

    /// Returns the stream below, which escapes nothing: for JSON, YAML and scripts.
    pub fn exact(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Returns the width of the terminal in columns; `None` where the stream is no terminal.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Returns true if styles are visible.
    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// Writes a text in a style.
    pub fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        if !self.colours || style.is_plain() {
            return self.write_all(text.as_bytes());
        }
        write!(self.out, "{style}")?;
        self.write_all(text.as_bytes())?;
        write!(self.out, "{style:#}")
    }

    /// Writes a line. On a terminal that is too narrow, it goes on in the next line, indented.
    pub fn paragraph(&mut self, text: &str) -> io::Result<()> {
        let text = escape_line(text);
        let limit = self.width.unwrap_or(usize::MAX);
        let mut column = 0;
        for word in text.split(' ') {
            let width = word.width();
            if column > 0 && column + 1 + width > limit {
                write!(self.out, "\n  {word}")?;
                column = 2 + width;
            } else {
                let blank = if column > 0 { " " } else { "" };
                write!(self.out, "{blank}{word}")?;
                column += blank.len() + width;
            }
        }
        writeln!(self.out)
    }

    /// Writes a line about work that could not be done.
    pub fn error(&mut self, message: impl Display) -> io::Result<()> {
        self.labelled(ERROR, "error", message)
    }

    /// Writes a line that puts other output into perspective.
    pub fn note(&mut self, message: impl Display) -> io::Result<()> {
        self.labelled(NOTE, "note", message)
    }

    /// Writes a line about a threshold that was not met.
    pub fn failed(&mut self, message: impl Display) -> io::Result<()> {
        self.labelled(FAILED, "failed", message)
    }

    /// Further lines of a message are indented, so that none of them looks like another message.
    fn labelled(&mut self, style: Style, label: &str, message: impl Display) -> io::Result<()> {
        self.styled(style, &format!("{label}:"))?;
        writeln!(self, " {}", message.to_string().trim_end().replace('\n', "\n  "))
    }
}

impl Write for Text<'_> {
    /// Escapes and writes; `bytes` hold whole characters, as everything does that is formatted.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(escape(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Spells out control characters, as Rust does in quoted text: all but line breaks.
fn escape(text: &str) -> Cow<'_, str> {
    replace(text, |c| c != '\n' && is_control(c))
}

/// Spells out control characters and line breaks, for text that has to stay on one line.
pub(super) fn escape_line(text: &str) -> Cow<'_, str> {
    replace(text, is_control)
}

fn replace(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Nearly all text is printable ASCII.
    let is_printable = |byte| matches!(byte, b' '..=b'~');
    if text.bytes().all(is_printable) || !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' if is_escaped(c) => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ if is_escaped(c) => escaped.extend(c.escape_unicode()),
            _ => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Returns true if a terminal interprets a character or shows nothing in its place: C0, DEL, C1, line and paragraph
/// separators, and the characters of Unicode's general category Cf, such as those that reorder the text around them.
/// U+200D is left out, because it joins the parts of an emoji.
fn is_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(colours: bool, write: impl FnOnce(&mut Text<'_>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut Text::new(&mut out, colours, None)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_control_character_is_spelled_out() {
        let controls = (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control() && *c != '\n');
        let bidi =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        for c in controls.chain(bidi.chars()) {
            let shown = written(true, |out| writeln!(out, "a{c}b"));
            assert!(shown.starts_with("a\\") && shown.ends_with("b\n"), "{shown:?}");
            assert!(!shown.trim_end().chars().any(is_control), "{shown:?}");
        }
        assert_eq!(written(true, |out| write!(out, "\u{1b}[2J\u{9b}m\t\r")), "\\u{1b}[2J\\u{9b}m\\t\\r");
        assert_eq!(escape_line("a\nb"), "a\\nb");
    }

    #[test]
    fn characters_that_show_nothing_are_spelled_out() {
        for c in "\u{ad}\u{180e}\u{200b}\u{200c}\u{2060}\u{2064}\u{3164}\u{feff}\u{fffb}\u{e0041}".chars() {
            assert_eq!(written(false, |out| write!(out, "a{c}b")), format!("a{}b", c.escape_unicode()));
        }
    }

    #[test]
    fn a_paragraph_goes_on_in_the_next_line_of_a_narrow_terminal() {
        let written = |width| {
            let mut out = Vec::new();
            Text::new(&mut out, false, width).paragraph("A  : one two\u{7} three").unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(None), "A  : one two\\u{7} three\n");
        assert_eq!(written(Some(23)), written(None));
        assert_eq!(written(Some(22)), "A  : one two\\u{7}\n  three\n");
        assert_eq!(written(Some(1)), "A\n  \n  :\n  one\n  two\\u{7}\n  three\n");
    }

    #[test]
    fn other_characters_stay_as_they_are() {
        let text = "Deployment/größe 日本 🚀 👩\u{200d}🔬 \\u001b\n";
        assert_eq!(written(true, |out| write!(out, "{text}")), text);
    }

    #[test]
    fn only_our_own_styles_are_sent_and_only_with_colours() {
        let hostile = "x\u{1b}[0m";
        assert_eq!(written(false, |out| out.error(hostile)), "error: x\\u{1b}[0m\n");
        let coloured = written(true, |out| out.error(hostile));
        assert_eq!(coloured, "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x\\u{1b}[0m\n");
    }

    #[test]
    fn a_message_of_several_lines_can_not_pose_as_two_messages() {
        assert_eq!(written(false, |out| out.note("a\nerror: b\n")), "note: a\n  error: b\n");
    }

    #[test]
    fn output_for_programs_is_exact() {
        assert_eq!(written(false, |out| out.exact().write_all(b"\x1b\t")), "\u{1b}\t");
    }
}
