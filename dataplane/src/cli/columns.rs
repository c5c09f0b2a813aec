//! Aligned columns: numbers to the right, words to the left, two spaces between, nothing drawn.

use std::fmt;

/// A table under construction.
pub(super) struct Columns {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Columns {
    pub(super) fn new(heads: &[(&'static str, Align)]) -> Columns {
        Columns { heads: heads.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.heads.len(), "as many cells as heads");
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.heads[column].0.chars().count()]).max().unwrap_or(0)
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.heads.len()).map(|column| self.width(column)).collect();
        let heads: Vec<&str> = self.heads.iter().map(|(head, _)| *head).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(String::as_str).collect());
        for (index, row) in std::iter::once(heads).chain(rows).enumerate() {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.heads) {
                let gap = if line.is_empty() { "" } else { "  " };
                match align {
                    Align::Left => line += &format!("{gap}{cell:<width$}"),
                    Align::Right => line += &format!("{gap}{cell:>width$}"),
                }
            }
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}
