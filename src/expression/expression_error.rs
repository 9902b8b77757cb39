//! The error of an expression, in plain words. The parser reports errors in the words of ANTLR, with names of tokens.

use super::steps::MAX_BRACKETS;

/// A part of an expression that can't be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ExpressionError {
    /// The line within the expression, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The problem, and how to fix it.
    pub problem: String,
}

/// An error as the parser reports it.
pub(super) struct Reported {
    /// The line and the column, from 1.
    pub(super) place: (usize, usize),
    pub(super) message: String,
}

/// The prefix of an error in the order of tokens. All others are about one of them.
const SYNTAX: &str = "Syntax error: ";
/// The end of a text, in the parser's words.
const END: &str = "<EOF>";
/// The operators that can follow a value.
const OPERATORS: [&str; 15] =
    ["==", "!=", "in", "<", "<=", ">=", ">", "&&", "||", "-", "?", "+", "*", "/", "%"];
/// Frequent mistakes, each with its remedy.
const HINTS: [(&str, &str); 7] = [
    ("=", "write == to compare"),
    ("&", "write && between two conditions"),
    ("|", "write || between two conditions"),
    ("and", "write && instead"),
    ("or", "write || instead"),
    ("not", "write ! instead"),
    (";", "an expression has no statements: write && between two conditions"),
];

/// Returns the first error in an expression, in plain words. Errors that follow from it come later in the list.
pub(super) fn first_error(text: &str, reported: Vec<Reported>) -> ExpressionError {
    let is_syntax = |error: &Reported| error.message.starts_with(SYNTAX);
    let place = reported.iter().position(is_syntax).unwrap_or(0);
    let first = reported.into_iter().nth(place);
    let Reported { place: (line, column), message } =
        first.unwrap_or(Reported { place: (1, 1), message: String::new() });
    let problem = match message.strip_prefix(SYNTAX) {
        Some(syntax) => in_order(syntax, &found_at(text, line, column)),
        None => in_token(&message),
    };
    ExpressionError { line, column, problem }
}

/// Describes an error in the order of tokens.
fn in_order(syntax: &str, found: &str) -> String {
    if syntax.contains("Recursion limit") {
        return format!("it is nested more than {MAX_BRACKETS} deep: split it into several rules");
    }
    let named = if found.is_empty() { "the end" } else { found };
    if syntax.starts_with("token recognition error") {
        if found.starts_with(['\'', '"']) {
            return "the text that begins here has no end on its line, or an unknown escape".to_owned();
        }
        return format!("found {named}, which is no part of the language{}", hint(found));
    }
    let expected = if let Some((_, input)) = syntax.split_once("no viable alternative at input '") {
        if input.starts_with('.') { "a name".to_owned() } else { "a value".to_owned() }
    } else if let Some((_, set)) = syntax.rsplit_once(" expecting ") {
        expected_of(set)
    } else if let Some((set, _)) = syntax.strip_prefix("missing ").and_then(|rest| rest.split_once(" at ")) {
        expected_of(set)
    } else {
        return format!("found {named} where it does not belong{}", hint(found));
    };
    format!("found {named}, expected {expected}{}", hint(found))
}

fn hint(found: &str) -> String {
    let hint = HINTS.iter().find(|(mistake, _)| *mistake == found);
    hint.map_or_else(String::new, |(_, remedy)| format!(": {remedy}"))
}

/// Describes a set of tokens, such as `{')', IDENTIFIER}`.
fn expected_of(set: &str) -> String {
    let tokens: Vec<&str> = match set.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(list) => list.split(", ").collect(),
        None => vec![set],
    };
    let has = |token: &str| tokens.iter().any(|one| one.trim_matches('\'') == token);
    let mut expected = Vec::new();
    if has("NUM_INT") {
        expected.push("a value".to_owned());
    } else if has("IDENTIFIER") {
        expected.push("a name".to_owned());
    } else if OPERATORS.into_iter().any(has) {
        expected.push("an operator".to_owned());
    }
    expected.extend([")", "]", "}", ":", ","].into_iter().filter(|token| has(token)).map(str::to_owned));
    if has(END) {
        expected.push("the end".to_owned());
    }
    match expected.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "something else".to_owned(),
    }
}

/// Describes an error in one token.
fn in_token(message: &str) -> String {
    if let Some(word) = message.strip_prefix("reserved identifier: ") {
        return format!("{word} is a reserved word of CEL: no variable has this name");
    }
    match message {
        "invalid int literal" | "invalid uint literal" => "the number does not fit into 64 bits".to_owned(),
        "invalid double literal" => "the number is not valid".to_owned(),
        "invalid argument to has() macro" => {
            "has takes a field, such as has(object.spec.replicas)".to_owned()
        }
        "argument must be a simple name" => "the first argument has to be a simple name".to_owned(),
        _ if message.starts_with("unsupported syntax") => "optional values are not in the subset".to_owned(),
        _ if message.starts_with("invalid string literal") => {
            "the text has an unknown escape after a backslash".to_owned()
        }
        _ => "this part is not valid".to_owned(),
    }
}

/// Returns the word, the text or the sign at a place; empty at the end.
fn found_at(text: &str, line: usize, column: usize) -> String {
    let line = text.split('\n').nth(line - 1).unwrap_or_default();
    let rest: String = line.chars().skip(column - 1).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let Some(first) = rest.chars().next() else { return String::new() };
    let length = if is_word(first) {
        rest.find(|c| !is_word(c)).unwrap_or(rest.len())
    } else if let Some(end) = after_quote(&rest) {
        end
    } else if ["==", "!=", "<=", ">=", "&&", "||"].iter().any(|sign| rest.starts_with(sign)) {
        2
    } else {
        first.len_utf8()
    };
    rest[..length].to_owned()
}

/// Returns the place after the closing quote of a text that begins with a quote; `None` without both.
fn after_quote(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|first| ['\'', '"', '`'].contains(first))?;
    let end = rest.char_indices().skip(1).find(|(_, c)| *c == quote)?.0;
    Some(end + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use crate::expression::Expression;

    #[test]
    fn an_error_names_its_place_and_says_what_was_found_and_what_was_expected() {
        for (text, expected) in [
            ("object.kind ==", "line 1, column 15: found the end, expected a value"),
            (
                "object.kind = 'x'",
                "line 1, column 13: found =, which is no part of the language: write == to compare",
            ),
            (
                "object.spec.replicas >\u{a0}2",
                "line 1, column 23: found \u{a0}, which is no part of the language",
            ),
            ("object.kind == “x”", "line 1, column 16: found “, which is no part of the language"),
            ("(object", "line 1, column 8: found the end, expected )"),
            ("object)", "line 1, column 7: found ), expected the end"),
            ("object params", "line 1, column 8: found params, expected the end"),
            ("object.size(", "line 1, column 13: found the end, expected a value or )"),
            ("object.", "line 1, column 8: found the end, expected a name"),
            ("object..kind", "line 1, column 8: found ., expected a name"),
            ("[1, 2", "line 1, column 6: found the end, expected ] or ,"),
            ("{1: 2", "line 1, column 6: found the end, expected } or ,"),
            ("{1 2}", "line 1, column 4: found 2, expected :"),
            ("{object}", "line 1, column 8: found }, expected an operator or :"),
            ("true ? 1", "line 1, column 9: found the end, expected an operator or :"),
            (
                "'abc",
                "line 1, column 1: the text that begins here has no end on its line, or an unknown escape",
            ),
            (
                "'\\q' == ''",
                "line 1, column 1: the text that begins here has no end on its line, or an unknown escape",
            ),
            (
                "object & params",
                "line 1, column 8: found &, which is no part of the language: write && between two conditions",
            ),
            (
                "object and true",
                "line 1, column 8: found and, expected an operator or the end: write && instead",
            ),
            ("object[]", "line 1, column 8: found ], expected a value"),
            ("f(object,,true)", "line 1, column 10: found ,, expected a value"),
            ("object == 'é' == ==", "line 1, column 18: found ==, expected a value"),
            ("true\n&& && true", "line 2, column 4: found &&, expected a value"),
            ("1 < > 2", "line 1, column 5: found >, expected a value"),
            ("'a' 'b'", "line 1, column 5: found 'b', expected the end"),
            ("$x == 1", "line 1, column 1: found $, which is no part of the language"),
            ("-", "line 1, column 2: found the end, expected a value"),
            ("for == 1", "line 1, column 1: for is a reserved word of CEL: no variable has this name"),
            ("99999999999999999999 == 1", "line 1, column 1: the number does not fit into 64 bits"),
            ("object.?kind == 1", "line 1, column 7: optional values are not in the subset"),
            ("[1].map(1, 2) == []", "line 1, column 9: the first argument has to be a simple name"),
            ("has(object)", "line 1, column 5: has takes a field, such as has(object.spec.replicas)"),
        ] {
            let error = Expression::parse(text, &["object", "params"]).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
        let error = Expression::parse(&deep, &["object"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1, column 66: it is nested more than 64 deep: split it into several rules"
        );
    }
}
