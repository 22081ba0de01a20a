//! Columns of text that line up.

/// How wide the columns of a table are, in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Columns that are wide enough for these rows, which need not all have as many cells.
    pub fn of<'r, R>(rows: impl IntoIterator<Item = &'r R>) -> Self
    where
        R: AsRef<[String]> + 'r,
    {
        let mut widths: Vec<usize> = Vec::new();
        for row in rows {
            let row = row.as_ref();
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self { widths }
    }

    /// A row as a line with its end: two spaces between columns, none after the last word.
    pub fn line(&self, row: impl AsRef<[String]>) -> String {
        let mut line = String::new();
        for (width, cell) in self.widths.iter().zip(row.as_ref()) {
            let missing = width.saturating_sub(cell.chars().count());
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', missing + 2));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// Rows as lines.
pub fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = Columns::of(rows);
    rows.iter().map(|row| columns.line(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [["a", "6.12 → 5.10", "x"], ["long", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a     6.12 → 5.10  x\nlong  b\n");
        let uneven = [vec!["one".to_owned()], vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(table(&uneven), "one\na    b\n");
    }
}
