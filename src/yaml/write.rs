//! Writes values as YAML that readers of YAML 1.1 and of YAML 1.2 take for the same values.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_saphyr::ser::Error;
use serde_saphyr::{SerializerOptions, to_io_writer_with_options, to_string_with_options};

/// The bytes that are passed on at once.
const BUFFER: usize = 1 << 16;

/// Returns a value as a YAML document. Text that a reader of YAML 1.1 would take for another type is quoted.
pub fn to_string(value: &impl Serialize) -> io::Result<String> {
    let write = |blocks| to_string_with_options(value, options(blocks)).map_err(io::Error::other);
    let text = write(true)?;
    // Only a block of lines holds a tab as it is. Where a line of it begins with one, kubectl takes it for indentation.
    if text.contains('\t') { write(false) } else { Ok(text) }
}

/// Writes a value as a YAML document.
pub fn write(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(to_string(value)?.as_bytes())
}

/// Writes a value as a YAML document while it is serialized, so that a large one takes no memory. Text of several lines is
/// quoted.
pub fn stream(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    // The serializer writes a few bytes at a time.
    let mut out = BufWriter::with_capacity(BUFFER, out);
    to_io_writer_with_options(&mut out, value, options(false)).map_err(|error| match error {
        Error::IO { error } => error,
        error => io::Error::other(error),
    })?;
    out.flush()
}

/// Returns the style: a line of text stays a line, however long it is, and several lines may be a block.
fn options(blocks: bool) -> SerializerOptions {
    serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX, prefer_block_scalars: blocks }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::super::{Document, chunks};
    use super::*;

    /// Reads the only document of a text as kubectl does.
    fn read(text: &str) -> Value {
        let mut chunks = chunks(text.as_bytes(), true);
        let chunk = chunks.next().unwrap_or_else(|| panic!("no document: {text}"));
        assert!(chunks.next().is_none(), "several documents: {text}");
        let chunk = chunk.text().unwrap();
        let document = Document::parse(&chunk).unwrap_or_else(|error| panic!("{error}: {text}"));
        Value::deserialize(document.root()).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Writes a text in every place of a document, and expects to read it back.
    fn check(text: &str) {
        let value = json!({
            "key": { text: 1, "other": text },
            "items": [text, [text], { text: text }, { "a": { text: [text] } }],
            "last": text,
        });
        assert_eq!(read(&to_string(&value).unwrap()), value, "{text:?}");
        let mut streamed = Vec::new();
        stream(&mut streamed, &value).unwrap();
        assert_eq!(read(std::str::from_utf8(&streamed).unwrap()), value, "{text:?}");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "the length is that of the list")]
    fn text_that_looks_like_another_type_or_like_syntax_stays_text() {
        let words = [
            "",
            " ",
            "  ",
            "y",
            "Y",
            "yes",
            "Yes",
            "YES",
            "n",
            "N",
            "no",
            "No",
            "on",
            "On",
            "off",
            "OFF",
            "true",
            "True",
            "false",
            "~",
            "null",
            "Null",
            "NULL",
            "=",
            "<<",
            "0",
            "-0",
            "+1",
            "010",
            "08",
            "0o7",
            "0O7",
            "0x1F",
            "0x_1",
            "0b11",
            "-0b11",
            "1_000",
            "1__0",
            "_1",
            "1_",
            "1:30",
            "1:30:59",
            "190:20:30.15",
            "1.5",
            "1.",
            ".5",
            "1e3",
            "1E+3",
            "1_0.5",
            ".1_0",
            ".inf",
            ".Inf",
            "-.inf",
            "+.INF",
            ".nan",
            ".NaN",
            "inf",
            "nan",
            "2026-01-31",
            "2026-1-2",
            "2026-01-31T10:00:00Z",
            "2026-01-31 10:00:00",
            "18446744073709551616",
            "-",
            "--",
            "---",
            "...",
            "--- a",
            "... a",
            "- a",
            "-a",
            "?",
            "? a",
            ":",
            ": a",
            "a:",
            "a: b",
            "a:b",
            "#",
            "# a",
            "a #b",
            "a#b",
            "a #",
            ",",
            "[",
            "]",
            "[]",
            "{",
            "}",
            "{}",
            "{a: b}",
            "&a",
            "*a",
            "!",
            "!!str a",
            "!a",
            "|",
            "|-",
            ">",
            ">-",
            "'",
            "''",
            "\"",
            "a'b",
            "a\"b",
            "\\",
            "%",
            "%YAML 1.2",
            "@a",
            "`a`",
            " a",
            "a ",
            "\ta",
            "a\t",
            "a\tb",
            "\n",
            "\n\n",
            "a\n",
            "\na",
            "a\nb",
            "a\n\n",
            "a\n\nb\n",
            " a\nb",
            "a\n b",
            "a \nb",
            "a\n ",
            "\n a",
            "a\n---\nb",
            "a\n...\n",
            "a\n# b",
            "\r",
            "a\rb",
            "a\r\nb",
            "\u{0}",
            "\u{7}",
            "\u{1b}[2J",
            "\u{7f}",
            "\u{85}",
            "a\u{85}b",
            "\u{a0}",
            "\u{a0}a",
            "\u{2028}",
            "a\u{2028}b",
            "\u{2029}",
            "\u{feff}",
            "\u{feff}a",
            "a\u{feff}b",
            "\u{fffe}",
            "\u{fffd}",
            "\u{e000}",
            "é",
            "日本",
            "👍",
            "a\n\u{85}b",
            "a\n\u{feff}b",
            "{{ a }}",
            "$(A)",
            "a, b",
            "a ,b",
            "key: [a",
            "\u{3000}",
        ];
        words.into_iter().for_each(check);
        // A plain key has a limit of 1,024 characters.
        for length in [100, 128, 129, 1_000, 1_023, 1_024, 1_025, 3_000] {
            check(&"a".repeat(length));
            check(&"a ".repeat(length));
            check(&"yes\n".repeat(length));
        }
    }

    #[test]
    fn a_long_line_stays_one_line_and_text_of_several_lines_is_a_block() {
        let long = "word ".repeat(60) + "end";
        let text =
            to_string(&json!({ "a": "one\ntwo\n", "b": [1, { "c": long, "d": 2 }], "e": {}, "f": "it's" }))
                .unwrap();
        let expected = format!("a: |\n  one\n  two\nb:\n- 1\n- c: {long}\n  d: 2\ne: {{}}\nf: it's\n");
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_keep_their_value() {
        for number in [json!(0), json!(-1), json!(u64::MAX), json!(0.5), json!(1e21), json!(1.5e-9)] {
            let value = json!({ "a": number });
            assert_eq!(read(&to_string(&value).unwrap()), value);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn any_text_is_read_back(
            text in "([ -~]|[\\n\\t ]|[0-9._:+-]|[yYnNoOfFesS~=<]|[\\x00-\\x1f\\x7f-\\xa0]|\\PC|\u{85}|\u{2028}|\u{feff}){0,12}",
        ) {
            check(&text);
        }

        #[test]
        fn any_text_of_numbers_and_words_is_read_back(
            text in "[+-]?(0[xXoObB])?[0-9a-f_]{0,4}([.:eE][0-9_]{0,3}){0,3}|[a-zA-Z.]{1,5}",
        ) {
            check(&text);
        }
    }
}
