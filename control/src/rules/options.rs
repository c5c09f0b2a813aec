//! Options of a rule, recognised as GNU `getopt_long` does: `--dport 80`, `--dport=80`, unique abbreviations (`--dpo
//! 80`), `-p tcp`, `-ptcp`.

use super::lex::Word;
use super::words;

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Opt {
    // commands
    Append,
    Insert,
    NewChain,
    Policy,
    OtherCommand,
    // base
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
    Fragments,
    // matches
    SourcePort,
    DestinationPort,
    Syn,
    TcpFlags,
    SourcePorts,
    DestinationPorts,
    EitherPorts,
    State,
    CtState,
    Comment,
    // targets
    RejectWith,
    OnPort,
    OnIp,
}

/// Who must be named in the rule before its options are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Base,
    Tcp,
    Udp,
    Multiport,
    State,
    Conntrack,
    Comment,
    Reject,
    Tproxy,
}

const LONG: &[(&str, Opt, Owner)] = &[
    ("append", Opt::Append, Owner::Base),
    ("insert", Opt::Insert, Owner::Base),
    ("new-chain", Opt::NewChain, Owner::Base),
    ("policy", Opt::Policy, Owner::Base),
    ("delete", Opt::OtherCommand, Owner::Base),
    ("check", Opt::OtherCommand, Owner::Base),
    ("replace", Opt::OtherCommand, Owner::Base),
    ("list", Opt::OtherCommand, Owner::Base),
    ("list-rules", Opt::OtherCommand, Owner::Base),
    ("flush", Opt::OtherCommand, Owner::Base),
    ("zero", Opt::OtherCommand, Owner::Base),
    ("delete-chain", Opt::OtherCommand, Owner::Base),
    ("rename-chain", Opt::OtherCommand, Owner::Base),
    ("table", Opt::Table, Owner::Base),
    ("source", Opt::Source, Owner::Base),
    ("src", Opt::Source, Owner::Base),
    ("destination", Opt::Destination, Owner::Base),
    ("dst", Opt::Destination, Owner::Base),
    ("in-interface", Opt::Input, Owner::Base),
    ("out-interface", Opt::Output, Owner::Base),
    ("protocol", Opt::Protocol, Owner::Base),
    ("proto", Opt::Protocol, Owner::Base),
    ("match", Opt::Match, Owner::Base),
    ("jump", Opt::Jump, Owner::Base),
    ("goto", Opt::Goto, Owner::Base),
    ("set-counters", Opt::Counters, Owner::Base),
    ("ipv4", Opt::Ipv4, Owner::Base),
    ("ipv6", Opt::Ipv6, Owner::Base),
    ("fragments", Opt::Fragments, Owner::Base),
    ("source-port", Opt::SourcePort, Owner::Tcp),
    ("sport", Opt::SourcePort, Owner::Tcp),
    ("destination-port", Opt::DestinationPort, Owner::Tcp),
    ("dport", Opt::DestinationPort, Owner::Tcp),
    ("syn", Opt::Syn, Owner::Tcp),
    ("tcp-flags", Opt::TcpFlags, Owner::Tcp),
    ("source-port", Opt::SourcePort, Owner::Udp),
    ("sport", Opt::SourcePort, Owner::Udp),
    ("destination-port", Opt::DestinationPort, Owner::Udp),
    ("dport", Opt::DestinationPort, Owner::Udp),
    ("source-ports", Opt::SourcePorts, Owner::Multiport),
    ("sports", Opt::SourcePorts, Owner::Multiport),
    ("destination-ports", Opt::DestinationPorts, Owner::Multiport),
    ("dports", Opt::DestinationPorts, Owner::Multiport),
    ("ports", Opt::EitherPorts, Owner::Multiport),
    ("state", Opt::State, Owner::State),
    ("ctstate", Opt::CtState, Owner::Conntrack),
    ("comment", Opt::Comment, Owner::Comment),
    ("reject-with", Opt::RejectWith, Owner::Reject),
    ("on-port", Opt::OnPort, Owner::Tproxy),
    ("on-ip", Opt::OnIp, Owner::Tproxy),
];

const SHORT: &[(char, Opt)] = &[
    ('A', Opt::Append),
    ('I', Opt::Insert),
    ('N', Opt::NewChain),
    ('P', Opt::Policy),
    ('D', Opt::OtherCommand),
    ('C', Opt::OtherCommand),
    ('R', Opt::OtherCommand),
    ('L', Opt::OtherCommand),
    ('S', Opt::OtherCommand),
    ('F', Opt::OtherCommand),
    ('Z', Opt::OtherCommand),
    ('X', Opt::OtherCommand),
    ('E', Opt::OtherCommand),
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
    ('f', Opt::Fragments),
];

/// An option as it stands in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) opt: Opt,
    pub(super) owner: Owner,
    /// As written, for messages.
    pub(super) written: String,
    /// The argument that is part of the word: `--dport=80`, `-ptcp`.
    pub(super) glued: Option<Word>,
}

/// Why a word is no option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// iptables knows it, this version does not serve it.
    NotYet,
    /// It abbreviates several.
    Ambiguous(Vec<&'static str>),
    /// It belongs to a match or target that the rule does not name.
    Of(&'static str, Owner),
    /// Nobody knows it.
    Nothing,
}

/// Whether a word has the form of an option.
pub(super) fn is_option(word: &Word) -> bool {
    word.text.starts_with('-') && word.text.len() > 1 && !word.is_quoted()
}

/// Recognises an option. `owners` are the matches and targets whose options are known at this point of the rule.
pub(super) fn recognise(word: &Word, owners: &[Owner]) -> Result<Found, Unknown> {
    match word.text.strip_prefix("--") {
        Some(long) => recognise_long(word, long, owners),
        None => recognise_short(word),
    }
}

fn recognise_short(word: &Word) -> Result<Found, Unknown> {
    let mut rest = word.text[1..].chars();
    let letter = rest.next().ok_or(Unknown::Nothing)?;
    let (_, opt) = SHORT.iter().find(|(short, _)| *short == letter).ok_or(Unknown::Nothing)?;
    let glued = (!rest.as_str().is_empty()).then(|| glued(word, 1 + letter.len_utf8()));
    Ok(Found { opt: *opt, owner: Owner::Base, written: format!("-{letter}"), glued })
}

fn recognise_long(word: &Word, long: &str, owners: &[Owner]) -> Result<Found, Unknown> {
    let (name, value) = match long.find('=') {
        Some(at) => (&long[..at], Some(glued(word, 2 + at + 1))),
        None => (long, None),
    };
    let known = |(_, _, owner): &&(&str, Opt, Owner)| *owner == Owner::Base || owners.contains(owner);
    let found = |(name, opt, owner): &(&str, Opt, Owner)| {
        Ok(Found { opt: *opt, owner: *owner, written: format!("--{name}"), glued: value.clone() })
    };
    if let Some(exact) = LONG.iter().filter(known).find(|(option, ..)| *option == name) {
        return found(exact);
    }
    if words::OPTIONS.contains(&name) {
        return Err(Unknown::NotYet);
    }
    if let Some((option, _, owner)) = LONG.iter().find(|(option, ..)| *option == name) {
        return Err(Unknown::Of(option, *owner));
    }
    let mut meant: Vec<_> =
        LONG.iter().filter(known).filter(|(option, ..)| !name.is_empty() && option.starts_with(name)).collect();
    meant.dedup_by_key(|(_, opt, owner)| (*opt, *owner));
    match meant[..] {
        [] => Err(Unknown::Nothing),
        [one] => found(one),
        _ => Err(Unknown::Ambiguous(meant.iter().map(|(option, ..)| *option).collect())),
    }
}

fn glued(word: &Word, from: usize) -> Word {
    let column = word.column + word.text[..from].chars().count() as u32;
    Word { text: word.text[from..].to_owned(), column, bare: word.bare.saturating_sub(from) }
}

/// All long options, for hints.
pub(super) fn long_names() -> impl Iterator<Item = &'static str> {
    LONG.iter().map(|(name, ..)| *name)
}

impl Owner {
    /// How a rule names it.
    pub(super) fn spelled(self) -> &'static str {
        match self {
            Owner::Base => "",
            Owner::Tcp => "-p tcp",
            Owner::Udp => "-p udp",
            Owner::Multiport => "-m multiport",
            Owner::State => "-m state",
            Owner::Conntrack => "-m conntrack",
            Owner::Comment => "-m comment",
            Owner::Reject => "-j REJECT",
            Owner::Tproxy => "-j TPROXY",
        }
    }
}
