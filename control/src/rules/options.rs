//! Options of a rule, recognised as GNU `getopt_long` does: `--dport 80`, `--dport=80`, unique abbreviations (`--dpo
//! 80`), `-p tcp`, `-ptcp`. The base options are here; those of matches and targets come with their modules.

use super::lex::Word;
use super::modules::{self, Module};
use crate::faults::nearest;

/// What a base option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Opt {
    // commands
    Append,
    Insert,
    Replace,
    Delete,
    NewChain,
    DeleteChain,
    RenameChain,
    Flush,
    Zero,
    Policy,
    OtherCommand,
    // criteria and targets
    Table,
    Source,
    Destination,
    Input,
    Output,
    Protocol,
    Match,
    Jump,
    Goto,
    Counters,
    Ipv4,
    Ipv6,
    Fragment,
    Verbose,
}

const LONG: &[(&str, Opt)] = &[
    ("append", Opt::Append),
    ("insert", Opt::Insert),
    ("new-chain", Opt::NewChain),
    ("policy", Opt::Policy),
    ("delete", Opt::Delete),
    ("replace", Opt::Replace),
    ("flush", Opt::Flush),
    ("zero", Opt::Zero),
    ("delete-chain", Opt::DeleteChain),
    ("rename-chain", Opt::RenameChain),
    ("check", Opt::OtherCommand),
    ("list", Opt::OtherCommand),
    ("list-rules", Opt::OtherCommand),
    ("table", Opt::Table),
    ("source", Opt::Source),
    ("src", Opt::Source),
    ("destination", Opt::Destination),
    ("dst", Opt::Destination),
    ("in-interface", Opt::Input),
    ("out-interface", Opt::Output),
    ("protocol", Opt::Protocol),
    ("proto", Opt::Protocol),
    ("match", Opt::Match),
    ("jump", Opt::Jump),
    ("goto", Opt::Goto),
    ("set-counters", Opt::Counters),
    ("ipv4", Opt::Ipv4),
    ("ipv6", Opt::Ipv6),
    ("fragments", Opt::Fragment),
    ("verbose", Opt::Verbose),
];

const SHORT: &[(char, Opt)] = &[
    ('A', Opt::Append),
    ('I', Opt::Insert),
    ('N', Opt::NewChain),
    ('P', Opt::Policy),
    ('D', Opt::Delete),
    ('R', Opt::Replace),
    ('F', Opt::Flush),
    ('Z', Opt::Zero),
    ('X', Opt::DeleteChain),
    ('E', Opt::RenameChain),
    ('C', Opt::OtherCommand),
    ('L', Opt::OtherCommand),
    ('S', Opt::OtherCommand),
    ('t', Opt::Table),
    ('s', Opt::Source),
    ('d', Opt::Destination),
    ('i', Opt::Input),
    ('o', Opt::Output),
    ('p', Opt::Protocol),
    ('m', Opt::Match),
    ('j', Opt::Jump),
    ('g', Opt::Goto),
    ('c', Opt::Counters),
    ('4', Opt::Ipv4),
    ('6', Opt::Ipv6),
    ('f', Opt::Fragment),
    ('v', Opt::Verbose),
];

impl Opt {
    /// Whether it takes an argument, for words in which short options are joined (`-fv`).
    fn takes(self) -> bool {
        !matches!(self, Opt::Ipv4 | Opt::Ipv6 | Opt::Fragment | Opt::Verbose)
    }

    /// Whether it says what the line asks for.
    pub(super) fn is_command(self) -> bool {
        matches!(
            self,
            Opt::Append
                | Opt::Insert
                | Opt::Replace
                | Opt::Delete
                | Opt::NewChain
                | Opt::DeleteChain
                | Opt::RenameChain
                | Opt::Flush
                | Opt::Zero
                | Opt::Policy
        )
    }
}

/// An option of a match or target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// As written after `--`.
    pub(super) long: &'static str,
    /// The name its module knows it by: that of the option it is another name of, or its own.
    pub(super) means: &'static str,
    /// How many arguments follow.
    pub(super) takes: u8,
    /// Whether `!` may stand before it.
    pub(super) not: bool,
    /// Whether any word is its argument, one that looks like an option included.
    pub(super) text: bool,
}

impl Spec {
    /// An option with one argument.
    pub(super) const fn value(long: &'static str) -> Spec {
        Spec { long, means: long, takes: 1, not: false, text: false }
    }

    /// An option without argument.
    pub(super) const fn flag(long: &'static str) -> Spec {
        Spec { takes: 0, ..Spec::value(long) }
    }

    /// The same, which `!` may invert.
    pub(super) const fn not(self) -> Spec {
        Spec { not: true, ..self }
    }

    /// The same under another name.
    pub(super) const fn alias(self, long: &'static str) -> Spec {
        Spec { long, ..self }
    }

    /// The same, taking any text.
    pub(super) const fn text(self) -> Spec {
        Spec { text: true, ..self }
    }
}

/// Whose an option is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// The base's.
    Base(Opt),
    /// Of the module at that place of the list that was searched.
    Module(usize, &'static Spec),
}

/// An option as it stands in a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) what: What,
    /// As written, for messages.
    pub(super) written: String,
    /// The argument that is part of the word: `--dport=80`, `-ptcp`.
    pub(super) glued: Option<Word>,
}

/// Why a word is no option.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unknown {
    /// It abbreviates several.
    Ambiguous(Vec<&'static str>),
    /// It belongs to matches or targets that the rule does not name.
    Of(&'static str, Vec<&'static str>),
    /// It takes no argument, and has one.
    NoArgument,
    /// Nobody knows it.
    Nothing,
}

impl Unknown {
    /// What is wrong with the word, and what to try.
    pub(super) fn told(self, word: &Word) -> (String, Option<String>) {
        match self {
            Unknown::Ambiguous(meant) => {
                let meant = meant.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
                (format!("`{}` is short for several options", word.text), Some(format!("one of {meant}")))
            }
            Unknown::Of(name, owners) if owners.contains(&"-p tcp") && owners.len() > 1 => (
                format!("`{}` without a protocol: ports belong to TCP or UDP", word.text),
                Some(format!("put `-p tcp` or `-p udp` before `--{name}`")),
            ),
            Unknown::Of(_, owners) => {
                let owners = owners.iter().map(|owner| format!("`{owner}`")).collect::<Vec<_>>().join(" or ");
                (format!("`{}` is an option of {owners}, which is not before it", word.text), None)
            }
            Unknown::NoArgument => (format!("`{}` takes no argument", word.text), None),
            Unknown::Nothing => {
                let meant = word.text.strip_prefix("--").and_then(|name| nearest(name, long_names()));
                (format!("`{}` is no option", word.text), meant.map(|meant| format!("was `--{meant}` meant?")))
            }
        }
    }
}

/// Whether a word has the form of an option.
pub(super) fn is_option(word: &Word) -> bool {
    word.text.starts_with('-') && word.text.len() > 1 && !word.is_quoted()
}

/// Recognises an option. `loaded` are the modules whose options are known at this point of the rule; of two that know
/// the same option, the latest is meant.
pub(super) fn recognise(word: &Word, loaded: &[&'static Module]) -> Result<Found, Unknown> {
    match word.text.strip_prefix("--") {
        Some(long) => recognise_long(word, long, loaded),
        None => recognise_short(word),
    }
}

fn recognise_short(word: &Word) -> Result<Found, Unknown> {
    let mut rest = word.text[1..].chars();
    let letter = rest.next().ok_or(Unknown::Nothing)?;
    let (_, opt) = SHORT.iter().find(|(short, _)| *short == letter).ok_or(Unknown::Nothing)?;
    let glued = (!rest.as_str().is_empty()).then(|| glued(word, 1 + letter.len_utf8()));
    if glued.is_some() && !opt.takes() {
        return Err(Unknown::NoArgument);
    }
    Ok(Found { what: What::Base(*opt), written: format!("-{letter}"), glued })
}

fn recognise_long(word: &Word, long: &str, loaded: &[&'static Module]) -> Result<Found, Unknown> {
    let (name, value) = match long.find('=') {
        Some(at) => (&long[..at], Some(glued(word, 2 + at + 1))),
        None => (long, None),
    };
    let base = LONG.iter().map(|(name, opt)| (*name, What::Base(*opt)));
    let modules = loaded.iter().enumerate().rev();
    let modules = modules.flat_map(|(at, module)| module.options.iter().map(move |spec| (at, spec)));
    let known: Vec<_> = base.chain(modules.map(|(at, spec)| (spec.long, What::Module(at, spec)))).collect();
    let found = |(long, what): (&'static str, What)| {
        let takes = match what {
            What::Base(opt) => opt.takes(),
            What::Module(_, spec) => spec.takes > 0,
        };
        if value.is_some() && !takes {
            return Err(Unknown::NoArgument);
        }
        Ok(Found { what, written: format!("--{long}"), glued: value.clone() })
    };
    if let Some(exact) = known.iter().find(|(option, _)| *option == name) {
        return found(*exact);
    }
    let owners: Vec<&str> =
        modules::all().filter(|module| module.options.iter().any(|o| o.long == name)).map(|m| m.spelled).collect();
    let meant: Vec<_> = known.iter().filter(|(option, _)| !name.is_empty() && option.starts_with(name)).collect();
    match meant[..] {
        [] if !owners.is_empty() => Err(Unknown::Of(long_of(name), owners)),
        [] => Err(Unknown::Nothing),
        [one, ref others @ ..] if others.iter().all(|(_, other)| same(one.1, *other, loaded)) => found(*one),
        _ => Err(Unknown::Ambiguous(meant.iter().map(|(option, _)| *option).collect())),
    }
}

/// Whether two names are of one option, or of one in two matches that are called alike.
fn same(one: What, other: What, loaded: &[&Module]) -> bool {
    match (one, other) {
        (What::Base(one), What::Base(other)) => one == other,
        (What::Module(a, one), What::Module(b, other)) => loaded[a].name == loaded[b].name && one.means == other.means,
        _ => false,
    }
}

fn long_of(name: &str) -> &'static str {
    let mut options = modules::all().flat_map(|module| module.options);
    options.find(|spec| spec.long == name).map_or("", |spec| spec.long)
}

fn glued(word: &Word, from: usize) -> Word {
    let column = word.column + word.text[..from].chars().count() as u32;
    Word { text: word.text[from..].to_owned(), column, bare: word.bare.saturating_sub(from) }
}

/// All long options, for hints.
pub(super) fn long_names() -> impl Iterator<Item = &'static str> {
    let modules = modules::all().flat_map(|module| module.options).map(|spec| spec.long);
    LONG.iter().map(|(name, _)| *name).chain(modules)
}
