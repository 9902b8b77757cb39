//! Aligned columns as kubectl prints them.

use std::borrow::Cow;
use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

/// The blanks between two columns.
const GAP: usize = 3;

/// Writes rows with every column as wide as its widest cell, without borders.
pub fn columns(rows: &[Vec<String>], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut widths = Widths::default();
    for row in rows {
        widths.add(row);
    }
    rows.iter().try_for_each(|row| widths.write(row, out))
}

/// Writes rows under a header.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let rows: Vec<_> = rows.into_iter().collect();
    long_table(header, || rows.iter().map(|row| row.each_ref().map(|cell| Cow::from(&**cell))), out)
}

/// Writes rows under a header, and keeps none of them: it asks for them twice, first for their widths.
pub(super) fn long_table<'r, const N: usize, R: Iterator<Item = [Cow<'r, str>; N]>>(
    header: [&str; N],
    rows: impl Fn() -> R,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let mut widths = Widths::default();
    widths.add(&header);
    rows().for_each(|row| widths.add(&row.map(one_line)));
    widths.write(&header, out)?;
    rows().try_for_each(|row| widths.write(&row.map(one_line), out))
}

/// The width of each column, in terminal cells.
#[derive(Default)]
struct Widths(Vec<usize>);

impl Widths {
    fn add(&mut self, row: &[impl AsRef<str>]) {
        self.0.resize(self.0.len().max(row.len()), 0);
        for (width, cell) in self.0.iter_mut().zip(row) {
            *width = (*width).max(cell.as_ref().width());
        }
    }

    /// Writes a row, which ends where its text does.
    fn write(&self, row: &[impl AsRef<str>], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let mut blanks = 0;
        for (width, cell) in self.0.iter().zip(row) {
            let cell = cell.as_ref();
            if !cell.is_empty() {
                write!(out, "{:blanks$}{cell}", "")?;
                blanks = 0;
            }
            blanks += width + GAP - cell.width();
        }
        writeln!(out)
    }
}

/// Spells out line breaks and tabs, which a name from a file may hold.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(['\n', '\r', '\t']) {
        text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t").into()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_cell_splits_no_row() {
        let mut out = Vec::new();
        table(["NAME", "B"], [["a\nb".to_owned(), "c".to_owned()]], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME   B\na\\nb   c\n");
    }

    #[test]
    fn columns_align_by_characters_and_lines_end_where_their_text_does() {
        let rows = [vec!["A", "LONG", "C"], vec!["ééé", "x", "y"], vec!["b", "z", ""], vec!["", "", "世界"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        let mut out = Vec::new();
        columns(&rows, &mut out).unwrap();
        let expected = "A     LONG   C\nééé   x      y\nb     z\n             世界\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
