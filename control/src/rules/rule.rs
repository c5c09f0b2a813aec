//! One rule: its words, read option by option, into as many rules as its comma lists make.
//!
//! An option that is not understood ends the reading of its rule, for what follows cannot be told apart any more; a
//! wrong argument does not.

use std::sync::Arc;

use super::command::Command;
use super::criteria::{Family, Not};
use super::draft::{Addresses, Draft, addresses, interface_name, protocol};
use super::lex::{Word, quote};
use super::modules::{Instance, Module};
use super::options::{self, Found, Opt, Spec, What};
use super::source::Source;
use super::targets::TargetDraft;
use super::{Rule, TableKind, matches, targets};
use crate::faults::{Faults, Place};
use crate::limits::CHAIN_NAME_MAX;

/// Where a rule is being read, and where what is wrong with it goes.
pub(super) struct Context<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) line: usize,
    pub(super) table: TableKind,
    /// Only this family's rules are read, as its tool reads them.
    pub(super) only: Option<Family>,
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
    let draft = Draft::default();
    let mut reader =
        Reader { words, at: 0, not: None, draft, loaded: Vec::new(), by_protocol: false, text: Vec::new() };
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
    let rules = match command.rule_of() {
        Some(chain) => draft.finish(&chain.text, &text, context),
        None if text.is_empty() => Vec::new(),
        None => {
            context.fault(1, format!("`{}` does not belong to this command", text[0]));
            return None;
        }
    };
    Some((command, rules))
}

struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    /// Column of a `!` that waits for its option.
    not: Option<u32>,
    draft: Draft,
    /// The matches and the target, in the order in which the rule names them.
    loaded: Vec<Loaded>,
    /// The protocol's own match has been brought by `-p` already.
    by_protocol: bool,
    /// The rule's words without command and chain.
    text: Vec<String>,
}

#[derive(Clone, Copy)]
enum Loaded {
    Match(usize),
    Target,
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
        match found.what {
            What::Base(opt) if opt.is_command() => self.command(opt, &found, word, context),
            What::Base(opt) => {
                self.text.push(found.written.clone());
                self.option(opt, &found, word, context)
            }
            What::Module(at, spec) => {
                self.text.push(found.written.clone());
                self.module_option(self.loaded[at], spec, &found, word, context)
            }
        }
    }

    /// The modules whose options are known.
    fn modules(&self) -> Vec<&'static Module> {
        let module = |loaded: &Loaded| match (loaded, &self.draft.target) {
            (Loaded::Match(at), _) => Some(self.draft.matches[*at].module),
            (Loaded::Target, Some(TargetDraft::Module(instance))) => Some(instance.module),
            (Loaded::Target, _) => None,
        };
        self.loaded.iter().filter_map(module).collect()
    }

    /// Recognises an option; a protocol's are known without `-m` once `-p` has been read.
    fn recognise(&mut self, word: &Word, context: &mut Context<'_>) -> Option<Found> {
        let mut modules = self.modules();
        let why = match options::recognise(word, &modules) {
            Ok(found) => return Some(found),
            Err(why) => why,
        };
        if let Some((Not { not: false, value }, _)) = self.draft.protocol
            && !self.by_protocol
            && let Some(module) = matches::of_protocol(value)
        {
            modules.push(module);
            if let Ok(found) = options::recognise(word, &modules) {
                self.by_protocol = true;
                self.load(Instance::new(module, word.column));
                return Some(found);
            }
        }
        let (message, hint) = why.told(word);
        match hint {
            Some(hint) => context.fault_hint(word.column, message, hint),
            None => context.fault(word.column, message),
        }
        None
    }

    fn load(&mut self, instance: Instance) {
        self.loaded.push(Loaded::Match(self.draft.matches.len()));
        self.draft.matches.push(instance);
    }

    /// The argument of an option. `what` says what is expected.
    fn argument(&mut self, found: &Found, word: &Word, what: &str, context: &mut Context<'_>) -> Option<Word> {
        if let Some(glued) = &found.glued {
            return Some(glued.clone());
        }
        let end = word.column + word.text.chars().count() as u32;
        match self.words.get(self.at) {
            Some(next)
                if !options::is_option(next) || matches!(found.what, What::Module(_, Spec { text: true, .. })) =>
            {
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

    /// The next word, where an argument may but need not stand.
    fn optional(&mut self, found: &Found) -> Option<Word> {
        if let Some(glued) = &found.glued {
            return Some(glued.clone());
        }
        let next = self.words.get(self.at).filter(|next| !options::is_option(next) && next.text != "!")?;
        self.at += 1;
        Some(next.clone())
    }

    /// A rule's number in its chain, from 1.
    fn number(&mut self, context: &mut Context<'_>) -> Option<usize> {
        let next = self.words.get(self.at)?;
        let number = next.text.parse::<usize>().ok()?;
        self.at += 1;
        if number == 0 {
            context.fault(next.column, "rules are counted from 1");
        }
        Some(number.max(1))
    }

    fn command(&mut self, opt: Opt, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        self.not_invertible(found, context);
        let again = Found { glued: None, ..found.clone() };
        let chain = match opt {
            Opt::Flush | Opt::Zero | Opt::DeleteChain => self.optional(found),
            _ => Some(self.argument(found, word, "a chain", context)?),
        };
        if let Some(chain) = &chain {
            chain_name(chain, context)?;
        }
        let command = match (opt, chain) {
            (Opt::Append, Some(chain)) => Command::Append(chain),
            (Opt::Insert, Some(chain)) => Command::Insert(chain, self.number(context).unwrap_or(1)),
            (Opt::Delete, Some(chain)) => Command::Delete(chain, self.number(context)),
            (Opt::NewChain, Some(chain)) => Command::NewChain(chain),
            (Opt::Policy, Some(chain)) => {
                Command::Policy(chain, self.argument(&again, word, "ACCEPT or DROP", context)?)
            }
            (Opt::RenameChain, Some(chain)) => {
                let new = self.argument(&again, word, "the new name", context)?;
                chain_name(&new, context)?;
                Command::RenameChain(chain, new)
            }
            (Opt::Replace, Some(chain)) => match self.number(context) {
                Some(number) => Command::Replace(chain, number),
                None => {
                    context.fault(word.column, format!("`{}` needs the number of a rule", found.written));
                    return None;
                }
            },
            (Opt::Flush, chain) => Command::Flush(chain),
            (Opt::DeleteChain, chain) => Command::DeleteChain(chain),
            (_, chain) => {
                let number = if chain.is_some() { self.number(context) } else { None };
                Command::Zero(chain, number)
            }
        };
        if self.draft.command.replace(command).is_some() {
            context.fault(word.column, "the line has two commands");
        }
        Some(())
    }

    fn option(&mut self, opt: Opt, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        match opt {
            Opt::Source | Opt::Destination => {
                let (not, value) = self.invertible(found, word, "an address", context)?;
                let text = self.text.len() - 1;
                let (slot, option) = match opt {
                    Opt::Source => (&mut self.draft.source, "-s"),
                    _ => (&mut self.draft.destination, "-d"),
                };
                let list = addresses(not, option, &value, context);
                once(slot, Addresses { not, list, option, text, column: value.column }, found, word, context);
            }
            Opt::Input | Opt::Output => {
                let (not, value) = self.invertible(found, word, "an interface", context)?;
                let slot = if opt == Opt::Input { &mut self.draft.input } else { &mut self.draft.output };
                interface_name(&value, context);
                once(slot, (Not { not, value: value.text }, value.column), found, word, context);
            }
            Opt::Protocol => {
                let (not, value) = self.invertible(found, word, "a protocol", context)?;
                once(&mut self.draft.any_protocol, (), found, word, context);
                let protocol = protocol(not, &value, context);
                self.draft.protocol = protocol.map(|protocol| (protocol, value.column));
            }
            Opt::Fragment => {
                let not = self.not.take().is_some();
                once(&mut self.draft.fragment, (Not { not, value: () }, word.column), found, word, context);
            }
            Opt::Match => return self.named_match(found, word, context),
            Opt::Jump | Opt::Goto => {
                let value = self.plain(found, word, "a target", context)?;
                if self.draft.target.is_some() {
                    context.fault(value.column, "the rule has two targets");
                }
                self.draft.target = Some(targets::load(&value, opt == Opt::Goto, context)?);
                if matches!(self.draft.target, Some(TargetDraft::Module(_))) {
                    self.loaded.push(Loaded::Target);
                }
            }
            Opt::Ipv4 | Opt::Ipv6 => {
                self.not_invertible(found, context);
                let family = if opt == Opt::Ipv4 { Family::V4 } else { Family::V6 };
                once(&mut self.draft.family, (family, word.column), found, word, context);
            }
            Opt::Counters => {
                once(&mut self.draft.counters, (), found, word, context);
                let packets = self.plain(found, word, "a number of packets", context)?;
                let good = |word: &str| word.parse::<u64>().is_ok();
                let (first, both) = match packets.text.split_once(',') {
                    Some((packets, bytes)) => (packets, good(bytes)),
                    None => {
                        let again = Found { glued: None, ..found.clone() };
                        let bytes = self.plain(&again, word, "a number of bytes", context)?;
                        (&*packets.text, good(&bytes.text))
                    }
                };
                if !both || !good(first) {
                    context.fault(packets.column, "two numbers were expected, of packets and of bytes");
                }
            }
            Opt::Verbose => self.not_invertible(found, context),
            Opt::Table => {
                let hint = "the table is that of the `*TABLE` line";
                context.fault_hint(word.column, "`-t` cannot stand in a rule", hint);
                return None;
            }
            _ => {
                let hint = "a rules file changes rules: `limpid rules show` lists them, `limpid explain` asks them";
                context.fault_hint(word.column, format!("the command `{}` is not served", found.written), hint);
                return None;
            }
        }
        Some(())
    }

    fn named_match(&mut self, found: &Found, word: &Word, context: &mut Context<'_>) -> Option<()> {
        let not = self.not.take();
        let value = self.argument(found, word, "a match", context)?;
        self.text.push(shown(&value));
        let mut instance = matches::load(&value, context)?;
        if let Some(column) = not
            && !instance.invert()
        {
            context.fault(column, format!("`!` cannot invert `-m {}`", value.text));
        }
        self.load(instance);
        Some(())
    }

    /// An option of a match or target with its arguments.
    fn module_option(
        &mut self,
        of: Loaded,
        spec: &'static Spec,
        found: &Found,
        word: &Word,
        context: &mut Context<'_>,
    ) -> Option<()> {
        let mut not = self.not.take();
        let mut values = Vec::new();
        for at in 0..spec.takes {
            let (found, what) = match at {
                0 => (found.clone(), "a value"),
                _ => (Found { glued: None, ..found.clone() }, "a second value"),
            };
            let mut value = self.argument(&found, word, what, context)?;
            if at == 0 && spec.not && not.is_none() && value.text == "!" && !value.is_quoted() {
                not = Some(value.column);
                self.text.push("!".to_owned());
                value = self.argument(&Found { glued: None, ..found.clone() }, word, what, context)?;
                let hint = format!("write `! {} {}`", found.written, value.text);
                let message = format!("`{} !` is iptables' old way of inverting", found.written);
                context.warn(word.column, message, hint);
            }
            self.text.push(shown(&value));
            values.push(value);
        }
        if let Some(column) = not.filter(|_| !spec.not) {
            context.fault(column, format!("`!` cannot invert `{}`", found.written));
        }
        let instance = match (of, &mut self.draft.target) {
            (Loaded::Match(at), _) => &mut self.draft.matches[at],
            (Loaded::Target, Some(TargetDraft::Module(instance))) => instance,
            (Loaded::Target, _) => return None,
        };
        instance.option(spec, found, not.is_some(), &values, word.column, context);
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
