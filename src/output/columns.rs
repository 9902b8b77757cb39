//! Aligned columns as kubectl prints them, cut to the width of a terminal.

use std::borrow::Cow;
use std::io::{self, Write as _};

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::escape_line;
use super::{Text, style};
use crate::rules::Severity;

/// The space between two columns, and what is left of it where columns have to be cut.
const GAPS: [usize; 2] = [3, 1];

/// One cell of a table.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    text: Cow<'a, str>,
    style: Style,
}

impl<'a> Cell<'a> {
    /// Returns a cell in a style.
    pub fn styled(text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    /// Returns a cell with a severity in its colour.
    pub fn severity(severity: Severity) -> Self {
        Self::styled(severity.as_str(), style::severity(severity))
    }

    /// Returns the text as it is shown: on one line, with its control characters spelled out.
    fn shown(&self) -> Cow<'_, str> {
        escape_line(&self.text)
    }
}

impl<'a> From<Cow<'a, str>> for Cell<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::styled(text, Style::new())
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::styled(text, Style::new())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Writes rows under a header.
pub fn table<'a, const N: usize>(
    header: [&'a str; N],
    rows: impl IntoIterator<Item = [Cell<'a>; N], IntoIter: Clone>,
    out: &mut Text<'_>,
) -> io::Result<()> {
    let rows = rows.into_iter();
    long_table(header, || rows.clone(), out)
}

/// Writes rows under a header. It calls `rows` twice, to measure and to write them, and keeps none.
pub(super) fn long_table<'a, const N: usize, R: Iterator<Item = [Cell<'a>; N]>>(
    header: [&'a str; N],
    rows: impl Fn() -> R,
    out: &mut Text<'_>,
) -> io::Result<()> {
    write_rows(|| std::iter::once(header.map(Cell::from)).chain(rows()), out)
}

/// Writes rows, every column as wide as its widest cell. On a terminal the widest columns are cut until a row fits.
pub fn columns<'a, const N: usize>(
    rows: impl IntoIterator<Item = [Cell<'a>; N], IntoIter: Clone>,
    out: &mut Text<'_>,
) -> io::Result<()> {
    let rows = rows.into_iter();
    write_rows(|| rows.clone(), out)
}

fn write_rows<'a, const N: usize, R: Iterator<Item = [Cell<'a>; N]>>(
    rows: impl Fn() -> R,
    out: &mut Text<'_>,
) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows() {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = width_of(&cell.shown()).max(*width);
        }
    }
    let gap = fit(&mut widths, out.width());
    rows().try_for_each(|row| write_row(&row, &widths, gap, out))
}

/// Cuts the widest columns until a row fits into `limit`; returns the gap between columns.
fn fit(widths: &mut [usize], limit: Option<usize>) -> usize {
    let [wide, narrow] = GAPS;
    let gaps = widths.len().saturating_sub(1);
    let fits = |widths: &[usize], gap: usize| {
        limit.is_none_or(|limit| widths.iter().sum::<usize>() + gap * gaps <= limit)
    };
    if fits(widths, wide) {
        return wide;
    }
    while !fits(widths, narrow) {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            _ => break,
        }
    }
    narrow
}

fn write_row(row: &[Cell<'_>], widths: &[usize], gap: usize, out: &mut Text<'_>) -> io::Result<()> {
    let mut padding = 0;
    for (cell, width) in row.iter().zip(widths) {
        let shown = cell.shown();
        let shown = cut(&shown, *width);
        if !shown.is_empty() {
            write!(out, "{:padding$}", "")?;
            out.styled(cell.style, &shown)?;
            padding = 0;
        }
        padding += width.saturating_sub(width_of(&shown)) + gap;
    }
    writeln!(out)
}

/// Returns the number of columns that a text without control characters takes.
fn width_of(text: &str) -> usize {
    // Nearly all cells are ASCII, and a large table has millions.
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Returns the text, or its beginning and an ellipsis where it is wider than `width`.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if width_of(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let room = left.checked_sub(c.width().unwrap_or(0));
        left = room.unwrap_or(0);
        room.is_some()
    };
    let beginning: String = text.chars().take_while(fits).collect();
    Cow::Owned(format!("{beginning}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const N: usize>(width: Option<usize>, rows: &[[&str; N]]) -> String {
        let mut out = Vec::new();
        let rows = rows.iter().map(|row| row.map(Cell::from));
        columns(rows, &mut Text::new(&mut out, false, width)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_break_in_a_cell_splits_no_row() {
        assert_eq!(shown(None, &[["NAME", "B"], ["a\nb", "c"]]), "NAME   B\na\\nb   c\n");
    }

    #[test]
    fn columns_align_by_characters_and_lines_have_no_trailing_space() {
        let rows = [["A", "LONG", "C"], ["ééé", "x", "y"], ["b", "z", ""]];
        assert_eq!(shown(None, &rows), "A     LONG   C\nééé   x      y\nb     z\n");
        assert_eq!(shown(None, &[["A", "B"], ["日本", "x"]]), "A      B\n日本   x\n");
    }

    #[test]
    fn on_a_terminal_the_widest_column_is_cut() {
        let rows = [["NAME", "WHAT", "POINTS"], ["web", "latest-tag x1, missing-liveness x1", "8"]];
        let whole = "NAME   WHAT                                 POINTS\n\
                     web    latest-tag x1, missing-liveness x1   8\n";
        assert_eq!(shown(None, &rows), whole);
        assert_eq!(shown(Some(50), &rows), whole);
        assert_eq!(shown(Some(30), &rows), "NAME WHAT               POINTS\nweb  latest-tag x1, mi… 8\n");
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let rows = [["日本日本日本", "a message of some length", "x"], ["", "another", "\u{1b}[31m"]];
        for width in 5..60 {
            for line in shown(Some(width), &rows).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }
}
