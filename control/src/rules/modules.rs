//! Matches and targets as modules: the options each knows, and how they become a value.
//!
//! A module's options are known from where the rule names it (`-m limit`, `-j LOG`), or from where an option of a
//! protocol's match is met and `-p` stands before it. What can be said without knowing the match is checked here:
//! an option given twice, or inverted where it cannot be.

use super::criteria::{Family, Match, Not};
use super::lex::Word;
use super::options::{Found, Spec};
use super::rule::Context;
use super::target::Target;
use super::{TableKind, matches, targets};

/// A match or target that is served.
pub(super) struct Module {
    /// After `-m` or `-j`.
    pub(super) name: &'static str,
    /// As a rule names it, for hints.
    pub(super) spelled: &'static str,
    /// Its options.
    pub(super) options: &'static [Spec],
    /// Nothing read yet.
    pub(super) new: fn() -> Box<dyn Draft>,
}

/// What a module makes of its options.
pub(super) enum Made {
    /// A criterion.
    Match(Match),
    /// A target.
    Target(Target),
}

/// What has been read of a match or target.
pub(super) trait Draft {
    /// Takes an option; what is wrong with it is said.
    fn option(&mut self, given: &Given<'_>) -> Result<(), String>;

    /// The value, once the whole rule has been read.
    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String>;
}

/// An option with its arguments.
pub(super) struct Given<'a> {
    /// The option, by the name the module knows it by.
    pub(super) option: &'static str,
    /// `!` stood before it.
    pub(super) not: bool,
    /// How many arguments it was given.
    pub(super) values: usize,
    /// Its argument; empty where it takes none.
    pub(super) value: &'a str,
    /// Its second argument.
    pub(super) second: &'a str,
}

impl Given<'_> {
    /// The value as one that may be inverted.
    pub(super) fn not<T>(&self, value: T) -> Option<Not<T>> {
        Some(Not { not: self.not, value })
    }
}

/// What the rest of the rule says.
pub(super) struct Facts<'a> {
    pub(super) table: TableKind,
    pub(super) protocol: Option<&'a Not<u8>>,
    /// The only family the rule is for, as far as is known without this module.
    pub(super) family: Option<Family>,
    /// What looks wrong, with what to do.
    pub(super) warnings: Vec<(String, String)>,
}

impl Facts<'_> {
    /// Whether the rule says `-p` with one of these, not inverted.
    pub(super) fn is_protocol(&self, wanted: &[u8]) -> bool {
        self.protocol.is_some_and(|p| !p.not && wanted.contains(&p.value))
    }

    pub(super) fn warn(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push((message.into(), hint.into()));
    }
}

/// A module that a rule names.
pub(super) struct Instance {
    pub(super) module: &'static Module,
    pub(super) column: u32,
    draft: Box<dyn Draft>,
    given: Vec<&'static str>,
    /// Something was wrong and has been said; what is missing would be a second complaint about the same.
    broken: bool,
}

impl Instance {
    pub(super) fn new(module: &'static Module, column: u32) -> Instance {
        Instance { module, column, draft: (module.new)(), given: Vec::new(), broken: false }
    }

    /// Takes an option with its arguments.
    pub(super) fn option(
        &mut self,
        spec: &'static Spec,
        found: &Found,
        not: bool,
        values: &[Word],
        column: u32,
        context: &mut Context<'_>,
    ) {
        let column = values.first().map_or(column, |value| value.column);
        if self.given.contains(&spec.means) {
            context.fault(column, format!("`{}` is there twice", found.written));
            self.broken = true;
        }
        self.given.push(spec.means);
        let text = |at: usize| values.get(at).map_or("", |word| &*word.text);
        let given = Given { option: spec.means, not, values: values.len(), value: text(0), second: text(1) };
        if let Err(why) = self.draft.option(&given) {
            context.fault(column, why);
            self.broken = true;
        }
    }

    /// Inverts the module itself, as only `! -m tproxy` is.
    pub(super) fn invert(&mut self) -> bool {
        let given = Given { option: "", not: true, values: 0, value: "", second: "" };
        self.module.name == "tproxy" && self.draft.option(&given).is_ok()
    }

    /// The value; none when something is wrong, which has been said.
    pub(super) fn finish(&self, facts: &mut Facts<'_>, context: &mut Context<'_>) -> Option<Made> {
        if self.broken {
            return None;
        }
        let made = self.draft.finish(facts);
        for (message, hint) in facts.warnings.drain(..) {
            context.warn(self.column, message, hint);
        }
        made.map_err(|why| context.fault(self.column, why)).ok()
    }
}

/// Every module.
pub(super) fn all() -> impl Iterator<Item = &'static Module> {
    matches::SERVED.iter().chain(targets::SERVED).copied()
}

/// A number as C reads it: decimal, `0x` hexadecimal, or octal after `0`; none beyond `most`.
pub(super) fn number(word: &str, most: u64) -> Option<u64> {
    let digits = |text: &str, radix| {
        if text.starts_with(['+', '-']) { None } else { u64::from_str_radix(text, radix).ok() }
    };
    let value = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => digits(hex, 16),
        None if word.len() > 1 && word.starts_with('0') => digits(&word[1..], 8),
        None => digits(word, 10),
    };
    value.filter(|value| *value <= most)
}

/// A number from `least` to `most`, or what was expected.
pub(super) fn within(word: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = number(word, most).filter(|value| *value >= least);
    value.ok_or_else(|| format!("`{word}` is no number from {least} to {most}"))
}

/// `n`, `a:b`, `:b` from 0, `a:` to the most.
pub(super) fn number_range(word: &str, most: u64) -> Result<(u64, u64), String> {
    let Some((first, last)) = word.split_once(':') else {
        return within(word, 0, most).map(|number| (number, number));
    };
    let first = if first.is_empty() { 0 } else { within(first, 0, most)? };
    let last = if last.is_empty() { most } else { within(last, 0, most)? };
    if first > last { Err(format!("`{word}` runs backwards")) } else { Ok((first, last)) }
}

/// Of several words that begin so, ignoring case, the first; how iptables reads most names.
pub(super) fn by_beginning<T: Copy>(word: &str, names: &[(&'static str, T)]) -> Option<T> {
    let begins = |name: &str| {
        !word.is_empty() && name.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
    };
    names.iter().find(|(name, _)| begins(name)).map(|(_, value)| *value)
}
