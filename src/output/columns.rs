//! Aligned columns as kubectl prints them.

use std::io::{self, Write};

use comfy_table::{Table, presets::NOTHING};

/// Writes rows with every column as wide as its widest cell, without borders.
pub fn columns(rows: &[Vec<String>], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    writeln!(out, "{}", table.trim_fmt())
}

/// Writes rows under a header.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    let header = header.map(str::to_owned).to_vec();
    let rows = rows.into_iter().map(|row| row.iter().map(|cell| one_line(cell)).collect());
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    columns(&rows, out)
}

/// A text with its line breaks and tabs spelled out: a name from a file may hold any.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
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
        let rows = [vec!["A", "LONG", "C"], vec!["ééé", "x", "y"], vec!["b", "z", ""]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        let mut out = Vec::new();
        columns(&rows, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A     LONG   C\nééé   x      y\nb     z\n");
    }
}
