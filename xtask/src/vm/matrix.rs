//! Results of all kernels side by side, as a Markdown table that a terminal shows well too.

use std::fmt;

/// Rows of cells below a heading.
pub(super) struct Matrix {
    rows: Vec<Vec<String>>,
}

impl Matrix {
    /// One with this heading and no rows yet.
    pub(super) fn new<T: Into<String>>(heading: impl IntoIterator<Item = T>) -> Self {
        Self {
            rows: vec![heading.into_iter().map(Into::into).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let lengths = self
                    .rows
                    .iter()
                    .map(|row| cell(row, column).chars().count());
                lengths.max().unwrap_or(0).max(3)
            })
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().copied().enumerate() {
                write!(formatter, "| {:width$} ", cell(row, column))?;
            }
            writeln!(formatter, "|")?;
            if number == 0 {
                for width in &widths {
                    write!(formatter, "| {} ", "-".repeat(*width))?;
                }
                writeln!(formatter, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut matrix = Matrix::new(["fault", "6.1"]);
        matrix.row(["net delay", "refused"]);
        matrix.row(["dns"]);
        let expected = "\
| fault     | 6.1     |
| --------- | ------- |
| net delay | refused |
| dns       |         |
";
        assert_eq!(matrix.to_string(), expected);
    }
}
