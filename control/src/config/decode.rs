//! From YAML values to ours. Each function takes one value, and says what it expected when it gets another.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::tree::{Key, Node, Value};
use crate::faults::{Faults, Place, nearest};
use crate::limits;

/// A mapping whose keys are known; those that nobody asks for are faults.
pub struct Mapping<'a> {
    what: &'a str,
    entries: &'a [(Key, Node)],
    asked: Vec<&'static str>,
}

impl<'a> Mapping<'a> {
    /// The mapping a value must be. `what` is the name of the whole, for messages: "interface `intra`".
    pub fn new(node: &'a Node, what: &'a str, faults: &mut Faults) -> Option<Mapping<'a>> {
        Some(Mapping { what, entries: entries(node, what, faults)?, asked: Vec::new() })
    }

    /// The value of a key; `key:` with nothing after it counts as not there.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|(k, _)| k.name == key).map(|(_, node)| node).filter(|node| node.value != Value::Null)
    }

    /// Where a key is written.
    pub fn place(&self, key: &str) -> Option<&'a Place> {
        self.entries.iter().find(|(k, _)| k.name == key).map(|(key, _)| &key.place)
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'static str, node: &Node, faults: &mut Faults) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            faults.add(node.place.clone(), format!("{} has no `{key}`", self.what));
        }
        found
    }

    /// Keys that were not asked for are unknown.
    pub fn finish(self, faults: &mut Faults) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.asked.contains(&&*key.name)) {
            let message = format!("`{}` is no key of {}", key.name, self.what);
            let hint = match nearest(&key.name, self.asked.iter().copied()) {
                Some(meant) => format!("was `{meant}` meant?"),
                None => format!("known keys: {}", self.asked.join(", ")),
            };
            faults.add_hint(key.place.clone(), message, hint);
        }
    }
}

/// The entries of a mapping whose keys are the operator's names. A key that is there twice is a fault, its second
/// value is not looked at.
pub fn entries<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<&'a [(Key, Node)]> {
    let Value::Map(entries) = &node.value else {
        faults.add(node.place.clone(), format!("{what} is {}, a mapping was expected", node.value.kind()));
        return None;
    };
    let mut first = std::collections::HashMap::new();
    for (key, _) in entries {
        if let Some(line) = first.insert(&*key.name, key.place.line) {
            faults.add(key.place.clone(), format!("`{}` is in {what} twice, first in line {line}", key.name));
        }
    }
    Some(entries)
}

/// Entries whose keys are names of zones, services or macros.
pub fn named<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> &'a [(Key, Node)] {
    let entries = entries(node, what, faults).unwrap_or_default();
    for (key, _) in entries {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if key.name.is_empty() || key.name.len() > limits::NAME_MAX || !key.name.chars().all(good) {
            let expected = format!("up to {} letters, digits, `_`, `-` and `.` were expected", limits::NAME_MAX);
            faults.add(key.place.clone(), format!("`{}` is no name: {expected}", key.name));
        }
    }
    entries
}

/// A list.
pub fn list<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> &'a [Node] {
    match &node.value {
        Value::List(items) => items,
        other => {
            faults.add(node.place.clone(), format!("{what} is {}, a list was expected", other.kind()));
            &[]
        }
    }
}

/// One word or line.
pub fn text<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        other => {
            faults.add(node.place.clone(), format!("{what} is {}, a text was expected", other.kind()));
            None
        }
    }
}

/// A word that parses; `expected` says what it should look like.
pub fn parsed<T: FromStr>(node: &Node, what: &str, expected: &str, faults: &mut Faults) -> Option<T> {
    let word = text(node, what, faults)?;
    let value = word.trim().parse().ok();
    if value.is_none() {
        faults.add(node.place.clone(), format!("{what} is {}, {expected} was expected", node.value.kind()));
    }
    value
}

/// A whole number.
pub fn number<T: TryFrom<u64>>(node: &Node, what: &str, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<T> {
    let (low, high) = (range.start(), range.end());
    let number = match &node.value {
        Value::Number(text) | Value::Text(text) => text.parse::<u64>().ok(),
        _ => None,
    };
    let value = number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
    if value.is_none() {
        let message = format!("{what} is {}, a number from {low} to {high} was expected", node.value.kind());
        faults.add(node.place.clone(), message);
    }
    value
}

/// One of a few words.
pub fn choice<T: Copy>(node: &Node, what: &str, choices: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    let word = text(node, what, faults)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    let words = choices.iter().map(|(name, _)| *name);
    let expected = words.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let message = format!("{what} is {}, {expected} was expected", node.value.kind());
    match nearest(word, words) {
        Some(meant) => faults.add_hint(node.place.clone(), message, format!("was `{meant}` meant?")),
        None => faults.add(node.place.clone(), message),
    }
    None
}

/// Refuses what is beyond a bound.
pub fn at_most(count: usize, bound: usize, node: &Node, what: impl Display, faults: &mut Faults) {
    if count > bound {
        faults.add(node.place.clone(), format!("there are {count} {what}, {bound} are possible"));
    }
}

/// A list, or one thing in its place.
pub fn some(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// The keys of a mapping, without a look at anything else: for sections that name each other.
pub fn keys(node: Option<&Node>) -> Vec<&str> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, _)| &*key.name).collect(),
        _ => Vec::new(),
    }
}

/// `true` or `false`.
pub fn boolean(node: &Node, what: &str, faults: &mut Faults) -> Option<bool> {
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    faults.add(node.place.clone(), format!("{what} is {}, `true` or `false` was expected", node.value.kind()));
    None
}

/// A time: seconds, or a number with its unit (`500ms`, `60s`, `2m`).
pub fn duration(node: &Node, what: &str, max: Duration, faults: &mut Faults) -> Option<Duration> {
    let word = text(node, what, faults)?;
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match &word[digits..] {
        "ms" => Some(1),
        "s" | "" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let millis = unit.zip(word[..digits].parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    let duration = millis.map(Duration::from_millis).filter(|time| !time.is_zero() && *time <= max);
    if duration.is_none() {
        let expected = "a time such as `60s`, `500ms` or `2m` was expected";
        faults.add(node.place.clone(), format!("{what} is {}, {expected}", node.value.kind()));
    }
    duration
}

/// The place of a name among those that are known; `what` is what is called so.
pub fn named_one<'a>(
    name: &str,
    node: &Node,
    what: &str,
    section: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    faults: &mut Faults,
) -> Option<u32> {
    let found = known.clone().position(|one| one == name);
    if found.is_none() {
        let hint = match nearest(name, known.clone()) {
            Some(meant) => format!("was `{meant}` meant?"),
            None if known.clone().next().is_none() => format!("there is none: add it under `{section}:`"),
            None => format!("{section}: {}", known.take(12).collect::<Vec<_>>().join(", ")),
        };
        faults.add_hint(node.place.clone(), format!("no {what} is called `{name}`"), hint);
    }
    found.map(|at| at as u32)
}
