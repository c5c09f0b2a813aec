//! Macros: a rule that names a macro of n words becomes n rules, in the order of the words.
//!
//! - A name is a whole word or a whole run of letters, digits and `_` in one, so `NET/24`, `!NET` and `A:B` work and
//!   `SSH` is not found in `SSH_PERMITTED`. Never in quotes, and never in an option (`-s`, `--dport`).
//! - Several macros in a rule multiply, the leftmost varies slowest, as iptables does with `-s a,b -d c,d`.
//! - The same macro twice in a rule takes the same word in both places; `NAME*` varies on its own.
//! - Macros in macros are expanded. An empty macro makes no rule: an allow-list that empties must not allow all.

use super::lex::Word;
use crate::faults::{Faults, Place};
use crate::limits::{MACRO_DEPTH_MAX, MACRO_WORDS_MAX, MACRO_WORDS_TOTAL_MAX};
use std::collections::HashMap;

/// Macros with what they finally stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Macros {
    words: HashMap<String, Vec<String>>,
}

/// A macro as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its words, other macros' names among them.
    pub words: Vec<String>,
    /// Where it was written.
    pub place: Place,
}

/// Whether a word may name a macro.
pub fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(is_name_character)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl Macros {
    /// Puts definitions together, macros in macros expanded.
    pub fn new(definitions: &[Definition], faults: &mut Faults) -> Macros {
        let written = definitions.iter().map(|d| (&*d.name, d)).collect();
        let mut resolver = Resolver { written, done: HashMap::new(), path: Vec::new(), total: 0 };
        for definition in definitions {
            if let Err(why) = resolver.resolve(definition) {
                faults.add(definition.place.clone(), format!("macro `{}` {why}", definition.name));
            }
            if resolver.total > MACRO_WORDS_TOTAL_MAX {
                break;
            }
            resolver.path.clear();
        }
        // A macro that could not be resolved stands for nothing, so that rules are read on; the fault is said.
        let unresolved = definitions.iter().map(|definition| (definition.name.clone(), Vec::new()));
        let mut words: HashMap<String, Vec<String>> = unresolved.collect();
        words.extend(resolver.done.into_iter().map(|(name, words)| (name.to_owned(), words)));
        Macros { words }
    }

    /// The words of a macro.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.words.get(name).map(Vec::as_slice)
    }

    /// The copies of a line, in order; none when a macro in it is empty, which `empty` then names. `None` when there
    /// would be more than `bound`.
    pub(super) fn expand(&self, line: &[Word], bound: usize, empty: &mut Option<String>) -> Option<Vec<Vec<Word>>> {
        let mut variables: Vec<(String, bool)> = Vec::new();
        let line: Vec<(&Word, Vec<Piece<'_>>)> =
            line.iter().map(|word| (word, self.pieces(word, &mut variables))).collect();
        let sizes: Vec<usize> = variables.iter().map(|(name, _)| self.words[name].len()).collect();
        if let Some(at) = sizes.iter().position(|size| *size == 0) {
            *empty = Some(variables[at].0.clone());
            return Some(Vec::new());
        }
        let copies = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size))?;
        if copies > bound {
            return None;
        }
        let copy = |mut number: usize| {
            let mut chosen = vec![""; variables.len()];
            for (at, (name, _)) in variables.iter().enumerate().rev() {
                chosen[at] = &self.words[name][number % sizes[at]];
                number /= sizes[at];
            }
            line.iter().map(|(word, pieces)| replaced(word, pieces, &chosen)).collect()
        };
        Some((0..copies).map(copy).collect())
    }

    /// A word cut at the macros in it. `variables` gathers what varies: each macro once, each `NAME*` on its own.
    fn pieces<'w>(&self, word: &'w Word, variables: &mut Vec<(String, bool)>) -> Vec<Piece<'w>> {
        let mut pieces = Vec::new();
        let mut rest = &word.text[..word.bare];
        if rest.starts_with('-') && rest[1..].starts_with(|c: char| c == '-' || c.is_ascii_alphabetic()) {
            let value = rest.find('=').map_or(rest.len(), |at| at + 1);
            pieces.push(Piece::Text(&rest[..value]));
            rest = &rest[value..];
        }
        while let Some(start) = rest.find(is_name_character) {
            let end = rest[start..].find(|c| !is_name_character(c)).map_or(rest.len(), |length| start + length);
            let run = &rest[start..end];
            if !self.words.contains_key(run) {
                pieces.push(Piece::Text(&rest[..end]));
                rest = &rest[end..];
                continue;
            }
            pieces.push(Piece::Text(&rest[..start]));
            let own = rest[end..].starts_with('*');
            let shared = (!own).then(|| variables.iter().position(|(name, own)| name == run && !own)).flatten();
            pieces.push(Piece::Variable(shared.unwrap_or_else(|| {
                variables.push((run.to_owned(), own));
                variables.len() - 1
            })));
            rest = &rest[end + usize::from(own)..];
        }
        pieces.push(Piece::Text(rest));
        pieces
    }
}

enum Piece<'w> {
    Text(&'w str),
    Variable(usize),
}

fn replaced(word: &Word, pieces: &[Piece<'_>], chosen: &[&str]) -> Word {
    let mut text: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => *text,
            Piece::Variable(at) => chosen[*at],
        })
        .collect();
    let bare = text.len();
    text.push_str(&word.text[word.bare..]);
    Word { text, column: word.column, bare }
}

/// Expands macros in macros, each once.
struct Resolver<'a> {
    written: HashMap<&'a str, &'a Definition>,
    done: HashMap<&'a str, Vec<String>>,
    path: Vec<&'a str>,
    /// Words of all of them, those that failed included.
    total: usize,
}

impl<'a> Resolver<'a> {
    /// Puts what a macro finally stands for into `done`.
    fn resolve(&mut self, definition: &'a Definition) -> Result<(), String> {
        let name = &*definition.name;
        if self.done.contains_key(name) {
            return Ok(());
        }
        if self.path.contains(&name) {
            return Err(format!("contains itself: {} → {name}", self.path.join(" → ")));
        }
        if self.path.len() >= MACRO_DEPTH_MAX {
            return Err(format!("contains macros nested deeper than {MACRO_DEPTH_MAX}"));
        }
        self.path.push(name);
        let mut words = Vec::new();
        for word in &definition.words {
            let before = words.len();
            match self.written.get(&**word).copied() {
                Some(inner) => {
                    self.resolve(inner)?;
                    words.extend_from_slice(&self.done[&*inner.name]);
                }
                None => words.push(word.clone()),
            }
            if words.len() > MACRO_WORDS_MAX {
                return Err(format!("stands for more than {MACRO_WORDS_MAX} words"));
            }
            self.total += words.len() - before;
            if self.total > MACRO_WORDS_TOTAL_MAX {
                return Err(format!("is one too many: all together stand for more than {MACRO_WORDS_TOTAL_MAX} words"));
            }
        }
        self.path.pop();
        self.done.insert(name, words);
        Ok(())
    }
}
