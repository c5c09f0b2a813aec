//! Where rules come from, so that a fault in them names the line and column the operator sees.

use std::sync::Arc;

use crate::faults::Place;

/// Rules text and its position in a file.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The text.
    pub text: &'a str,
    file: Arc<str>,
    position: Position<'a>,
}

#[derive(Clone, Debug)]
enum Position<'a> {
    /// Lines gathered from several files: each has its place.
    Lines(&'a [Place]),
    /// The text is cut out of the file as it stands: its first line is this one, and so many columns were cut off.
    Cut { line: u32, columns: u32 },
    /// The text was written with escapes; all of it has this one place.
    Escaped { line: u32, column: u32 },
}

impl<'a> Source<'a> {
    /// A rules file.
    pub fn file(file: &str, text: &'a str) -> Source<'a> {
        Source { text, file: file.into(), position: Position::Cut { line: 1, columns: 0 } }
    }

    /// A YAML block scalar whose first line is `line`, indented by `columns`.
    pub fn block(file: Arc<str>, text: &'a str, line: u32, columns: u32) -> Source<'a> {
        Source { text, file, position: Position::Cut { line, columns } }
    }

    /// A quoted or folded scalar, in which lines are not lines of the file.
    pub fn escaped(place: &Place, text: &'a str) -> Source<'a> {
        let position = Position::Escaped { line: place.line, column: place.column };
        Source { text, file: place.file.clone(), position }
    }

    /// Lines that were gathered from several files.
    pub(super) fn lines(text: &'a str, places: &'a [Place]) -> Source<'a> {
        let file = places.first().map_or_else(|| "".into(), |place| place.file.clone());
        Source { text, file, position: Position::Lines(places) }
    }

    /// The place of a column (from 1; 0 for the whole line) of a line (from 0).
    pub(super) fn place(&self, line: usize, column: u32) -> Place {
        let file = self.file.clone();
        match self.position {
            Position::Cut { line: first, columns } => {
                Place { file, line: first + line as u32, column: if column == 0 { 0 } else { column + columns } }
            }
            Position::Lines(places) => match places.get(line) {
                Some(place) => Place { column, ..place.clone() },
                None => Place { file, line: 0, column: 0 },
            },
            Position::Escaped { line, column } => Place { file, line, column },
        }
    }
}
