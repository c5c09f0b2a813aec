//! `rules gen`: rules with macros (`.in`) and the macros (`.var`) in, canonical rules out.
//!
//! In a `.var` file `#define NAME word…` defines a macro and every other line is a comment; in both files
//! `#include "file"` stands for another file's lines, and `#ifdef NAME`, `#ifndef NAME`, `#else`, `#endif` choose by
//! whether a macro is defined. The same input makes the same bytes; a comment above each rule says where it was
//! written. Files are read by the caller, which knows where they lie.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::macros::{Definition, Macros, is_name};
use super::source::Source;
use super::{Ruleset, parse};
use crate::faults::{Faults, Place};
use crate::limits::{FILE_BYTES_MAX, INCLUDE_DEPTH_MAX};

/// Reads a file by the name that `#include` gives.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// A file that was read: its name for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

/// What was generated.
#[derive(Debug)]
pub struct Generated {
    /// The canonical text.
    pub text: String,
    /// The same as rules.
    pub rules: Ruleset,
    /// What looks wrong.
    pub warnings: Faults,
}

/// Generates rules. With `strict`, what looks wrong is wrong.
pub fn generate(rules: Named<'_>, macros: Named<'_>, strict: bool, read: ReadFile<'_>) -> Result<Generated, Faults> {
    let (mut faults, mut warnings) = (Faults::new(), Faults::new());
    let mut reader = Reader { read, defined: HashMap::new(), definitions: Vec::new(), bytes: 0, faults: &mut faults };
    let mut written = Lines::default();
    reader.file(macros, Kind::Macros, &mut Vec::new(), &mut Lines::default());
    reader.file(rules, Kind::Rules, &mut Vec::new(), &mut written);
    let definitions = reader.definitions;
    let macros = Macros::new(&definitions, &mut faults);
    let source = Source::lines(&written.text, &written.places);
    let rules = parse(&source, &macros, &mut faults, &mut warnings);
    if strict {
        faults.append(std::mem::take(&mut warnings));
    }
    let text = with_origins(&rules);
    faults.or_ok(Generated { text, rules, warnings })
}

/// The canonical text with a comment above each rule, where its place is another than that of the rule before.
fn with_origins(ruleset: &Ruleset) -> String {
    let canonical = ruleset.print(None);
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let mut places = rules.map(|rule| &rule.place);
    let (mut text, mut last) = (String::new(), None);
    for line in canonical.lines() {
        if line.starts_with("-A ") {
            let place = places.next();
            if let Some(place) = place.filter(|_| place != last) {
                let _ = writeln!(text, "# {}:{}", place.file, place.line);
            }
            last = place;
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Macros,
    Rules,
}

/// Lines gathered from files, and where each stands.
#[derive(Default)]
struct Lines {
    text: String,
    places: Vec<Place>,
}

struct Reader<'a> {
    read: ReadFile<'a>,
    defined: HashMap<String, Place>,
    definitions: Vec<Definition>,
    bytes: usize,
    faults: &'a mut Faults,
}

/// An `#ifdef` that is open: where, whether its lines count, and whether those around it do.
struct Choice {
    place: Place,
    taken: bool,
    around: bool,
}

impl Reader<'_> {
    /// Reads a file; `open` are the files that include it.
    fn file(&mut self, file: Named<'_>, kind: Kind, open: &mut Vec<String>, out: &mut Lines) {
        open.push(file.name.to_owned());
        self.bytes += file.text.len();
        let mut choices: Vec<Choice> = Vec::new();
        for (line, text) in (1u32..).zip(file.text.lines()) {
            if self.bytes > FILE_BYTES_MAX {
                let message = format!("the files are larger than {} MiB together", FILE_BYTES_MAX >> 20);
                return self.faults.add(Place::file(file.name), message);
            }
            let place = Place { file: file.name.into(), line, column: 1 };
            let counts = choices.last().is_none_or(|choice| choice.taken);
            let mut words = text.split_whitespace();
            match (words.next(), words.next()) {
                (Some(word @ ("#ifdef" | "#ifndef")), Some(name)) => {
                    let taken = counts && self.defined.contains_key(name) == (word == "#ifdef");
                    choices.push(Choice { place, taken, around: counts });
                }
                (Some("#else"), _) => match choices.last_mut() {
                    Some(choice) => choice.taken = choice.around && !choice.taken,
                    None => self.faults.add(place, "`#else` without `#ifdef`"),
                },
                (Some("#endif"), _) if choices.pop().is_none() => {
                    self.faults.add(place, "`#endif` without `#ifdef`");
                }
                (Some("#endif"), _) => {}
                (Some("#include"), Some(_)) if counts => self.include(text, place, kind, open, out),
                (Some("#define"), name) if counts && kind == Kind::Macros => self.define(name, words, place),
                _ if counts && kind == Kind::Rules => {
                    out.text.push_str(text);
                    out.text.push('\n');
                    out.places.push(place);
                }
                _ => {}
            }
        }
        for choice in choices {
            self.faults.add(choice.place, "`#ifdef` without `#endif`");
        }
        open.pop();
    }

    fn include(&mut self, text: &str, place: Place, kind: Kind, open: &mut Vec<String>, out: &mut Lines) {
        let quoted =
            text.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"').or(rest.trim_end().strip_suffix('"')));
        let Some(name) = quoted.filter(|name| !name.is_empty()) else {
            return self.faults.add(place, "`#include \"file\"` was expected");
        };
        if open.iter().any(|file| file == name) {
            return self.faults.add(place, format!("`{name}` includes itself: {} → {name}", open.join(" → ")));
        }
        if open.len() > INCLUDE_DEPTH_MAX {
            return self.faults.add(place, format!("files are included deeper than {INCLUDE_DEPTH_MAX}"));
        }
        match (self.read)(name) {
            Ok(text) => self.file(Named { name, text: &text }, kind, open, out),
            Err(error) => self.faults.add(place, format!("`{name}` cannot be read: {error}")),
        }
    }

    fn define<'w>(&mut self, name: Option<&str>, words: impl Iterator<Item = &'w str>, place: Place) {
        let Some(name) = name.filter(|name| is_name(name)) else {
            let message = "a macro's name was expected after `#define`: letters, digits and `_`";
            return self.faults.add(place, message);
        };
        if let Some(first) = self.defined.get(name) {
            let message = format!("macro `{name}` is defined twice, first in {}:{}", first.file, first.line);
            return self.faults.add(place, message);
        }
        self.defined.insert(name.to_owned(), place.clone());
        let words = words.map(str::to_owned).collect();
        self.definitions.push(Definition { name: name.to_owned(), words, place });
    }
}
