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
    let rows: Vec<_> = std::iter::once(header).chain(rows.into_iter().map(Vec::from)).collect();
    columns(&rows, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_characters_and_lines_end_where_their_text_does() {
        let rows = [vec!["A", "LONG", "C"], vec!["ééé", "x", "y"], vec!["b", "z", ""]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        let mut out = Vec::new();
        columns(&rows, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A     LONG   C\nééé   x      y\nb     z\n");
    }
}
