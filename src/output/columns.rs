//! Columns as kubectl aligns them.

use std::io::{self, Write};

/// Writes rows with every column as wide as its widest cell, three spaces apart, and nothing at the end of a line.
pub fn columns(rows: &[Vec<String>], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let width = |cell: &String| cell.chars().count();
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(row.len().max(widths.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    for row in rows {
        let used = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        for (index, (cell, widest)) in row.iter().zip(&widths).take(used).enumerate() {
            let gap = if index + 1 == used { 0 } else { widest - width(cell) + 3 };
            write!(out, "{cell}{:gap$}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
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
