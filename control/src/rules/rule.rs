//! One rule: its words, read option by option, into as many rules as its comma lists make.
//!
//! An option that is not understood ends the reading of its rule, for what follows cannot be told apart any more; a
//! wrong argument does not.

use std::sync::Arc;

use super::criteria::{Family, Not};
use super::draft::{Addresses, Draft, addresses, interface_name, protocol};
use super::lex::{Word, quote};
use super::options::{self, Found, Opt, Owner, Unknown};
use super::source::Source;
use super::{Rule, TableKind};
use crate::faults::{Faults, Place, nearest};
use crate::limits::CHAIN_NAME_MAX;
use crate::policy::{TCP, UDP};

/// What a line asks for.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// `-A CHAIN`.
    Append(Word),
    /// `-I CHAIN [n]`, counted from 1.
    Insert(Word, usize),
    /// `-N CHAIN`.
    NewChain(Word),
    /// `-P CHAIN POLICY`.
    Policy(Word, Word),
}

/// Where a rule is being read, and where what is wrong with it goes.
pub(super) struct Context<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) line: usize,
    pub(super) table: TableKind,
    pub(super) faults: &'a mut Faults,
    pub(super) warnings: &'a mut Faults,
}

impl Context<'_> {
    pub(super) fn place(&self, column: u32) -> Place {
        self.source.place(self.line, column)
    }

    pub(super) fn fault(&mut self, column: u32, message: impl Into<String>) {
        self.faults.add(self.place(column), message);
    }

    pub(super) fn fault_hint(&mut self, column: u32, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.add_hint(self.place(column), message, hint);
    }

    pub(super) fn warn(&mut self, column: u32, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.add_hint(self.place(column), message, hint);
    }
}

/// Reads a rule's words. None: it is not a rule, and `context` has been told why.
pub(super) fn read(words: &[Word], context: &mut Context<'_>) -> Option<(Command, Vec<Rule>)> {
    let mut reader = Reader { words, at: 0, not: None, draft: Draft::default(), text: Vec::new() };
    while let Some(word) = reader.next() {
        reader.word(word, context)?;
    }
    if let Some(column) = reader.not {
        context.fault(column, "`!` at the end of the rule inverts nothing");
    }
    let Reader { draft, text, .. } = reader;
    let Some(command) = draft.command.clone() else {
        context.fault_hint(1, "the line has no command", "rules begin with `-A CHAIN`");
        return None;
    };
    let rules = match &command {
        Command::Append(chain) | Command::Insert(chain, _) => draft.finish(&chain.text, &text, context),
        Command::NewChain(_) | Command::Policy(..) => Vec::new(),
    };
    Some((command, rules))
}

struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    /// Column of a `!` that waits for its option.
    not: Option<u32>,
    draft: Draft,
    /// The rule's words without command and chain.
    text: Vec<String>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Word> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn word(&mut self, word: &'a Word, context: &mut Context<'_>) -> Option<()> {
        if word.text == "!" && !word.is_quoted() {
            if self.not.replace(word.column).is_some() {
                context.fault(word.column, "`!` twice");
            }
            self.text.push("!".to_owned());
            return Some(());
        }
        if !options::is_option(word) {
            context.fault(word.column, format!("`{}` is no option, and no option before it takes it", word.text));
            return None;
        }
        let found = self.recognise(word, context)?;
        let is_command = matches!(found.opt, Opt::Append | Opt::Insert | Opt::NewChain | Opt::Policy);
        if is_command {
            return self.command(&found, word, context);
        }
        self.text.push(found.written.clone());
        self.option(&found, word, context)
    }

    /// Recognises an option; ports are known without `-m` once `-p tcp` or `-p udp` has been read.
    fn recognise(&mut self, word: &Word, context: &mut Context<'_>) -> Option<Found> {
        let mut owners = self.draft.matches.owners().to_vec();
        owners.extend(self.draft.target.owner());
        let protocol = match self.draft.protocol {
            Some((Not { not: false, value: TCP }, _)) => Some(Owner::Tcp),
            Some((Not { not: false, value: UDP }, _)) => Some(Owner::Udp),
            _ => None,
        };
        owners.extend(protocol);
        let (message, hint) = match options::recognise(word, &owners) {
            Ok(found) => return Some(found),
            Err(Unknown::NotYet) => (format!("`{}` is not in this version", word.text), None),
            Err(Unknown::Ambiguous(meant)) => {
                let meant = meant.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
                (format!("`{}` is short for several options", word.text), Some(format!("one of {meant}")))
            }
            Err(Unknown::Of(name, Owner::Tcp | Owner::Udp)) => (
                format!("`{}` without a protocol: ports belong to TCP or UDP", word.text),
                Some(format!("put `-p tcp` or `-p udp` before `--{name}`")),
            ),
            Err(Unknown::Of(_, owner)) => {
                (format!("`{}` is an option of `{}`, which is not before it", word.text, owner.spelled()), None)
            }
            Err(Unknown::Nothing) => {
                let meant = word.text.strip_prefix("--").and_then(|name| nearest(name, options::long_names()));
                (format!("`{}` is no option", word.text), meant.map(|meant| format!("was `--{meant}` meant?")))
            }
        };
        match hint {
            Some(hint) => context.fault_hint(word.column, message, hint),
            None => context.fault(word.column, message),
        }
        None
    }

    /// The argument of an option. `what` says what is expected.
    fn argument(&mut self, found: &Found, word: &Word, what: &str, context: &mut Context<'_>) -> Option<Word> {
        if let Some(glued) = &found.glued {
            return Some(glued.clone());
        }
        let end = word.column + word.text.chars().count() as u32;
        match self.words.get(self.at) {
            Some(next) if !options::is_option(next) || found.opt == Opt::Comment => {
                self.at += 1;
                Some(next.clone())
            }
            Some(next) => {
                let message =
                    format!("`{}` lacks its argument: {what} was expected before `{}`", found.written, next.text);
                context.fault(end, message);
                None
            }
            None => {
                context.fault(end, format!("`{}` lacks its argument: {what} was expected", found.written));
                None
            }
        }
    }

    /// The argument of an option that `!` may invert, and whether it did. `-d ! addr`, as iptables once wrote it, is
    /// read.
    fn invertible(
        &mut self,
        found: &Found,
        word: &Word,
        what: &str,
        context: &mut Context<'_>,
    ) -> Option<(bool, Word)> {
        let mut not = self.not.take().is_some();
        let mut value = self.argument(found, word, what, context)?;
        if value.text == "!" && !value.is_quoted() {
            let column = value.column;
            if not {
                context.fault(column, "`!` twice");
            }
            not = true;
            self.text.push("!".to_owned());
            value = self.argument(&Found { glued: None, ..found.clone() }, word, what, context)?;
            let hint = format!("write `! {} {}`", found.written, value.text);
            context.warn(column, format!("`{} !` is iptables' old way of inverting", found.written), hint);
        }
        self.text.push(shown(&value));
        Some((not, value))
    }

    /// The argument of an option that `!` does not invert.
    fn plain(&mut self, found: &Found, word: &Word, what: &str, context: &mut Context<'_>) -> Option<Word> {
        self.not_invertible(found, context);
        let value = self.argument(found, word, what, context)?;
        self.text.push(shown(&value));
        Some(value)
    }

    fn not_invertible(&mut self, found: &Found, context: &mut Context<'_>) {
        if let Some(column) = self.not.take() {
            context.fault(column, format!("`!` cannot invert `{}`", found.written));
        }
    }

    fn command(&mut self, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        self.not_invertible(found, context);
        let chain = self.argument(found, word, "a chain", context)?;
        chain_name(&chain, context)?;
        let command = match found.opt {
            Opt::Append => Command::Append(chain),
            Opt::NewChain => Command::NewChain(chain),
            Opt::Policy => Command::Policy(
                chain,
                self.argument(&Found { glued: None, ..found.clone() }, word, "ACCEPT or DROP", context)?,
            ),
            _ => {
                let number = self.words.get(self.at).and_then(|next| next.text.parse::<usize>().ok());
                self.at += usize::from(number.is_some());
                Command::Insert(chain, number.unwrap_or(1).max(1))
            }
        };
        if self.draft.command.replace(command).is_some() {
            context.fault(word.column, "the line has two commands");
        }
        Some(())
    }

    fn option(&mut self, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        match found.opt {
            Opt::Source | Opt::Destination => {
                let (not, value) = self.invertible(found, word, "an address", context)?;
                let text = self.text.len() - 1;
                let (slot, option) = match found.opt {
                    Opt::Source => (&mut self.draft.source, "-s"),
                    _ => (&mut self.draft.destination, "-d"),
                };
                let list = addresses(not, option, &value, context);
                once(slot, Addresses { not, list, option, text, column: value.column }, found, word, context);
            }
            Opt::Input | Opt::Output => {
                let (not, value) = self.invertible(found, word, "an interface", context)?;
                let slot = if found.opt == Opt::Input { &mut self.draft.input } else { &mut self.draft.output };
                interface_name(&value, context);
                once(slot, (Not { not, value: value.text }, value.column), found, word, context);
            }
            Opt::Protocol => {
                let (not, value) = self.invertible(found, word, "a protocol", context)?;
                if let Some(protocol) = protocol(not, &value, context) {
                    once(&mut self.draft.protocol, (protocol, value.column), found, word, context);
                }
            }
            Opt::Match => {
                let not = self.not.take();
                let value = self.argument(found, word, "a match", context)?;
                self.text.push(shown(&value));
                self.draft.matches.load(&value, context)?;
                if let (Some(column), false) = (not, not.is_some() && self.draft.matches.invert_tproxy()) {
                    context.fault(column, format!("`!` cannot invert `-m {}`", value.text));
                }
            }
            Opt::Jump | Opt::Goto => {
                let value = self.plain(found, word, "a target", context)?;
                self.draft.target.name(&value, found.opt == Opt::Goto, context)?;
            }
            Opt::OnPort | Opt::OnIp | Opt::RejectWith => {
                let value = self.plain(found, word, "a value", context)?;
                self.draft.target.option(found, &value, context);
            }
            Opt::Ipv4 | Opt::Ipv6 => {
                self.not_invertible(found, context);
                let family = if found.opt == Opt::Ipv4 { Family::V4 } else { Family::V6 };
                once(&mut self.draft.family, (family, word.column), found, word, context);
            }
            Opt::Counters => {
                once(&mut self.draft.counters, (), found, word, context);
                let packets = self.plain(found, word, "a number of packets", context)?;
                let bytes = self.plain(&Found { glued: None, ..found.clone() }, word, "a number of bytes", context)?;
                if packets.text.parse::<u64>().is_err() || bytes.text.parse::<u64>().is_err() {
                    context.fault(packets.column, "two numbers were expected, of packets and of bytes");
                }
            }
            Opt::Table => {
                context.fault_hint(
                    word.column,
                    "`-t` cannot stand in a rule",
                    "the table is that of the `*TABLE` line",
                );
                return None;
            }
            Opt::Fragments => {
                context.fault(word.column, format!("`{}` is not in this version", found.written));
                return None;
            }
            Opt::OtherCommand => {
                let hint = "a rules file is loaded as a whole: it has `-A`, `-I`, `-N` and `-P`";
                context.fault_hint(
                    word.column,
                    format!("the command `{}` is not in this version", found.written),
                    hint,
                );
                return None;
            }
            _ => return self.match_option(found, word, context),
        }
        Some(())
    }

    fn match_option(&mut self, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        match found.opt {
            Opt::Syn => {
                let not = self.not.take().is_some();
                self.draft.matches.syn(not, word, context);
            }
            Opt::TcpFlags => {
                let (not, mask) = self.invertible(found, word, "a list of flags", context)?;
                let set = self.plain(&Found { glued: None, ..found.clone() }, word, "a list of flags", context)?;
                self.draft.matches.tcp_flags(not, &mask, &set, context);
            }
            Opt::Comment => {
                let value = self.plain(found, word, "a comment", context)?;
                self.draft.matches.comment(&value, context);
            }
            _ => {
                let (not, value) = self.invertible(found, word, "a value", context)?;
                self.draft.matches.option(found, not, &value, context);
            }
        }
        Some(())
    }
}

/// As it is shown in a rule's text: quoted where it holds blanks.
fn shown(word: &Word) -> String {
    if word.text.is_empty() || word.text.contains([' ', '\t', '"', '\\']) {
        quote(&word.text)
    } else {
        word.text.clone()
    }
}

fn once<T>(slot: &mut Option<T>, value: T, found: &Found, word: &Word, context: &mut Context<'_>) {
    if slot.replace(value).is_some() {
        context.fault(word.column, format!("`{}` is there twice", found.written));
    }
}

/// A chain's name, wherever one may stand.
pub(super) fn chain_name(word: &Word, context: &mut Context<'_>) -> Option<()> {
    let name = &word.text;
    let good = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    if name.is_empty()
        || name.len() > CHAIN_NAME_MAX
        || !name.chars().all(good)
        || name.starts_with(['-', '!', ':', '*'])
    {
        let message =
            format!("`{name}` is no name of a chain: up to {CHAIN_NAME_MAX} characters without blanks were expected");
        context.fault(word.column, message);
        return None;
    }
    Some(())
}

/// A chain's name, shared by its rules.
pub(super) fn shared(name: &str) -> Arc<str> {
    name.into()
}
