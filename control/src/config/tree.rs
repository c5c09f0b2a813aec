//! YAML as a tree in which every value knows its place.
//!
//! Typed deserialization stops at the first value of the wrong type. So YAML is read without types first, and what is
//! wrong with the values is found by us, all of it. Numbers keep their text: `10.10` is an address's beginning or a
//! number, as the key that holds it wants. Only `true` and `false` are booleans; `off` is the word that `hugepages`
//! wants.
//!
//! This file and [`schema`](super::schema) are all that knows the YAML crate.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

use crate::faults::{Fault, Faults, Place};
use crate::limits;

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a value can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// As it was written.
    Number(String),
    /// Words, or lines.
    Text(String),
    /// Several in a row.
    List(Vec<Node>),
    /// By names, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// As written.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Value {
    /// What it is, for a sentence.
    pub fn kind(&self) -> String {
        match self {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Number(text) | Value::Text(text) => match text.lines().count() {
                0 | 1 => format!("`{text}`"),
                _ => "a text of several lines".to_owned(),
            },
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads a document; what YAML itself does not accept ends it, with one fault.
pub(super) fn parse(file: &Arc<str>, text: &str, faults: &mut Faults) -> Option<Node> {
    if text.len() > limits::FILE_BYTES_MAX {
        faults.add(Place::file(file), format!("the file is larger than {} MiB", limits::FILE_BYTES_MAX >> 20));
        return None;
    }
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => Some(Source { file, text }.node(raw)),
        Err(error) => {
            faults.push(Source { file, text }.syntax(&error));
            None
        }
    }
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: limits::YAML_NODES_MAX,
            max_events: 4 * limits::YAML_NODES_MAX,
            max_depth: limits::YAML_DEPTH_MAX,
            max_total_scalar_bytes: limits::FILE_BYTES_MAX,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

struct Source<'a> {
    file: &'a Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, location: Location) -> Place {
        Place { file: self.file.clone(), line: location.line() as u32, column: location.column() as u32 }
    }

    fn node(&self, Spanned { value, referenced, defined }: Spanned<Raw>) -> Node {
        let value = match value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(parsed) => Value::Number(self.written(defined).unwrap_or(parsed)),
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, node)| {
                        (Key { place: self.place(key.referenced), name: self.key(key) }, self.node(node))
                    })
                    .collect(),
            ),
        };
        Node { place: self.place(referenced), value }
    }

    fn key(&self, key: Spanned<Raw>) -> String {
        match key.value {
            Raw::Text(text) => text,
            Raw::Number(parsed) => self.written(key.defined).unwrap_or(parsed),
            Raw::Bool(value) => value.to_string(),
            Raw::Null => "~".to_owned(),
            Raw::List(_) => "[…]".to_owned(),
            Raw::Map(_) => "{…}".to_owned(),
        }
    }

    /// A scalar as it stands in the file.
    fn written(&self, location: Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        self.text.get(start..end).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn syntax(&self, error: &serde_yaml::Error) -> Fault {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // The place is told in our own way.
        let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
        let place = match error.location() {
            Some(location) => self.place(location),
            None => Place::file(self.file),
        };
        Fault { place, message: format!("this is not YAML: {message}"), hint: tab_hint(self.text) }
    }
}

/// The mistake that YAML's own words explain worst.
fn tab_hint(text: &str) -> Option<String> {
    let indented = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let line = text.lines().position(indented)? + 1;
    Some(format!("line {line} is indented with a tab; YAML wants spaces"))
}

/// YAML without types, as the crate hands it over.
#[derive(Debug)]
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }
    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Raw, E> {
        Ok(Raw::Text(String::from_utf8_lossy(value).into_owned()))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
