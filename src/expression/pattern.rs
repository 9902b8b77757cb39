//! Regular expressions as RE2 has them, in the syntax of the crate `regex`.
//!
//! Both match in linear time. They differ in the classes of Perl, which are ASCII in RE2, and in the brackets of classes,
//! between which only RE2 takes `[`, `&&`, `--` and `~~` as they are.

use regex::{Regex, RegexBuilder};

/// The most bytes of a compiled pattern.
const SIZE: usize = 1 << 18;

/// Compiles a pattern. The error says what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&translated(pattern)?).size_limit(SIZE).nest_limit(50).build();
    built.map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("not a valid regular expression: {reason}")
    })
}

fn translated(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    // The first characters of a class, among which `]` stands for itself.
    let mut is_start = false;
    while let Some(c) = rest.next() {
        let was_start = std::mem::replace(&mut is_start, false);
        match c {
            '\\' => {
                let Some(escaped) = rest.next() else {
                    return Err("not a valid regular expression: a backslash ends it".to_owned());
                };
                match escaped {
                    'd' => out.push_str("[0-9]"),
                    'D' => out.push_str("[^0-9]"),
                    'w' => out.push_str("[0-9A-Za-z_]"),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    's' => out.push_str(r"[\t\n\x0C\r ]"),
                    'S' => out.push_str(r"[^\t\n\x0C\r ]"),
                    'b' if !in_class => out.push_str(r"(?-u:\b)"),
                    'B' if !in_class => out.push_str(r"(?-u:\B)"),
                    'Q' | 'E' | 'C' | '<' | '>' => {
                        return Err(format!("\\{escaped} in a regular expression is not in the subset"));
                    }
                    other => out.extend(['\\', other]),
                }
            }
            '[' if !in_class => {
                in_class = true;
                is_start = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            '[' if rest.peek() == Some(&':') => out.push('['),
            '[' => out.push_str(r"\["),
            ']' if in_class && was_start => out.push_str(r"\]"),
            ']' if in_class && out.ends_with(':') && is_posix(&out) => out.push(']'),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && rest.peek() == Some(&'-') => out.push_str(r"\-"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Returns true if a text ends within a class such as `[:alpha:`.
fn is_posix(text: &str) -> bool {
    let name = text.trim_end_matches(':');
    name.len() < text.len()
        && name
            .rfind("[:")
            .is_some_and(|start| name[start + 2..].chars().all(|c| c == '^' || c.is_ascii_lowercase()))
}
