//! A rules file, line by line: tables, chains, policies, rules.
//!
//! `*`, `:`, `#` and `COMMIT` count in the first column only, as for iptables-restore. A table that is named again
//! replaces what it held. Counters are read and not kept.

use super::command::{self, Command};
use super::criteria::Family;
use super::lex::{self, Word};
use super::macros::Macros;
use super::rule::{self, Context};
use super::source::Source;
use super::target::{ChainPolicy, Target};
use super::{Chain, Rule, Ruleset, Table, TableKind, targets};
use crate::faults::{Faults, Place, nearest};
use crate::limits::{CHAINS_MAX, FILE_BYTES_MAX, RULES_MAX};

/// Reads all tables of a text.
pub(super) fn ruleset(
    source: &Source<'_>,
    macros: &Macros,
    only: Option<Family>,
    faults: &mut Faults,
    warnings: &mut Faults,
) -> Ruleset {
    let mut parser = Parser { macros, ruleset: Ruleset::default(), open: Open::No, rules: 0 };
    if source.text.len() > FILE_BYTES_MAX {
        faults.add(source.place(0, 0), format!("the rules are larger than {} MiB", FILE_BYTES_MAX >> 20));
        return parser.ruleset;
    }
    let mut last = 0;
    for (line, text) in source.text.lines().enumerate() {
        last = line;
        let open = match &parser.open {
            Open::Table(table, _) => table.kind,
            _ => TableKind::Filter,
        };
        let mut context = Context { source, line, table: open, only, faults, warnings };
        parser.line(text, &mut context);
        if parser.rules > RULES_MAX {
            let hint = "macros and comma lists multiply: look for several in one rule";
            context.fault_hint(0, format!("there are more than {RULES_MAX} rules"), hint);
            return parser.ruleset;
        }
    }
    if let Open::Table(table, _) = parser.open {
        faults.add(source.place(last, 0), format!("table {} has no COMMIT at its end", table.kind.name()));
        parser.ruleset.tables.push(table);
    }
    parser.ruleset
}

struct Parser<'a> {
    macros: &'a Macros,
    ruleset: Ruleset,
    open: Open,
    rules: usize,
}

/// Where in the file the parser is.
enum Open {
    /// Between tables.
    No,
    /// In a table, which began there.
    Table(Table, Place),
    /// In a table that is not served, which has been said.
    Skipped,
}

impl Parser<'_> {
    fn line(&mut self, text: &str, context: &mut Context<'_>) {
        match text.chars().next() {
            None | Some('#') => {}
            Some('*') => self.table(&text[1..], context),
            Some(':') => self.chain(&text[1..], context),
            _ if text.trim_end() == "COMMIT" => self.commit(text, context),
            _ if text.trim().is_empty() => {}
            _ => self.rule(text, context),
        }
    }

    fn table(&mut self, text: &str, context: &mut Context<'_>) {
        if let Open::Table(table, place) = std::mem::replace(&mut self.open, Open::Skipped) {
            let message = format!("table {} (line {}) has no COMMIT before this table", table.kind.name(), place.line);
            context.fault(1, message);
            self.close(table);
        }
        let name = self.single(text.split([' ', '\t']).next().unwrap_or_default(), context);
        let Some(kind) = TableKind::ALL.into_iter().find(|kind| kind.name() == name) else {
            if name == "security" {
                return context.fault_hint(2, "table `security` is not served", "there are no security labels");
            }
            let known = || TableKind::ALL.iter().map(|kind| kind.name());
            let hint = match nearest(&name, known()) {
                Some(meant) => format!("was `{meant}` meant?"),
                None => format!("tables: {}", known().collect::<Vec<_>>().join(", ")),
            };
            return context.fault_hint(2, format!("`{name}` is no table"), hint);
        };
        let place = context.place(1);
        let built_in = |hook: &super::Hook| Chain {
            name: rule::shared(hook.name()),
            policy: Some(ChainPolicy::Accept),
            rules: Vec::new(),
            place: place.clone(),
        };
        self.open = Open::Table(Table { kind, chains: kind.hooks().iter().map(built_in).collect() }, place.clone());
    }

    fn close(&mut self, table: Table) {
        if let Some(again) = self.ruleset.tables.iter().position(|other| other.kind == table.kind) {
            let replaced = self.ruleset.tables.remove(again);
            self.rules -= replaced.chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
        }
        self.ruleset.tables.push(table);
    }

    fn commit(&mut self, text: &str, context: &mut Context<'_>) {
        if text != "COMMIT" {
            context.fault_hint(7, "there are blanks after COMMIT", "iptables-restore wants the word alone");
        }
        match std::mem::replace(&mut self.open, Open::No) {
            Open::Table(table, _) => self.close(table),
            Open::Skipped => {}
            Open::No => context.fault(1, "COMMIT without a table"),
        }
    }

    /// `:CHAIN POLICY [packets:bytes]`.
    fn chain(&mut self, text: &str, context: &mut Context<'_>) {
        let words = match lex::words(text) {
            Ok(words) => words,
            Err((column, message)) => return context.fault(column, message),
        };
        let [name, policy, rest @ ..] = &words[..] else {
            return context.fault_hint(
                1,
                "a chain's line is `:NAME POLICY`",
                "POLICY is ACCEPT or DROP, and `-` for your own chains",
            );
        };
        // Columns were counted behind the colon.
        let word = |word: &Word, text: String| Word { column: word.column + 1, text, bare: word.bare };
        let name = word(name, self.single(&name.text, context));
        let policy = word(policy, policy.text.clone());
        if rest.len() > 1 || rest.iter().any(|word| !is_counters(&word.text)) {
            context
                .fault(rest[0].column + 1, format!("`{}` is no counter: `[packets:bytes]` was expected", rest[0].text));
        }
        if self.declare(&name, context).is_some() && policy.text != "-" {
            self.policy(&name, &policy, context);
        } else if policy.text == "-" && context.table.hooks().iter().any(|hook| hook.name() == name.text) {
            context.fault(policy.column, format!("the built-in chain {} needs ACCEPT or DROP", name.text));
        }
    }

    /// Makes sure that a chain is there.
    fn declare(&mut self, name: &Word, context: &mut Context<'_>) -> Option<()> {
        let Open::Table(table, _) = &mut self.open else {
            self.outside(context);
            return None;
        };
        rule::chain_name(name, context)?;
        if targets::is_target(&name.text) {
            context.fault(name.column, format!("a chain cannot be called `{}`, as a target is", name.text));
            return None;
        }
        let place = context.place(name.column);
        let full = table.chains.len() >= CHAINS_MAX;
        match table.chains.iter_mut().find(|chain| *chain.name == *name.text) {
            None if full => {
                context.fault(name.column, format!("table {} has {CHAINS_MAX} chains already", table.kind.name()));
                return None;
            }
            None => {
                let chain = Chain { name: rule::shared(&name.text), policy: None, rules: Vec::new(), place };
                table.chains.push(chain);
            }
            Some(chain) if chain.policy.is_some() => chain.place = place,
            Some(chain) => {
                let line = chain.place.line;
                context.fault(name.column, format!("chain `{}` is there twice, first in line {line}", name.text));
            }
        }
        Some(())
    }

    fn policy(&mut self, name: &Word, policy: &Word, context: &mut Context<'_>) {
        let Open::Table(table, _) = &mut self.open else { return self.outside(context) };
        let value = match &*policy.text {
            "ACCEPT" => ChainPolicy::Accept,
            "DROP" => ChainPolicy::Drop,
            other => {
                context.fault(policy.column, format!("`{other}` is no policy: ACCEPT or DROP was expected"));
                return;
            }
        };
        if value == ChainPolicy::Drop && table.kind == TableKind::Nat {
            return context.fault_hint(policy.column, "DROP cannot stand in table nat", "table filter is for that");
        }
        match table.chains.iter_mut().find(|chain| *chain.name == *name.text) {
            Some(chain) if chain.policy.is_some() => chain.policy = Some(value),
            Some(_) => {
                let hint = format!("write `:{} -`; a rule at its end can drop", name.text);
                context.fault_hint(policy.column, format!("`{}` is your own chain, it has no policy", name.text), hint);
            }
            None => {
                let message = format!("there is no chain `{}` in table {}", name.text, table.kind.name());
                context.fault(name.column, message);
            }
        }
    }

    fn rule(&mut self, text: &str, context: &mut Context<'_>) {
        if matches!(self.open, Open::Skipped) {
            return;
        }
        if text.starts_with([' ', '\t']) && text.trim_start().starts_with(['*', ':', '#']) {
            let hint = "iptables-restore knows `*`, `:` and `#` in the first column only";
            return context.fault_hint(1, "the line begins with blanks", hint);
        }
        if matches!(self.open, Open::No) {
            return self.outside(context);
        }
        let words = match lex::words(text) {
            Ok(words) => words,
            Err((column, message)) => return context.fault(column, message),
        };
        let words = match words.first() {
            Some(first) if first.text.starts_with('[') && is_counters(&first.text) => &words[1..],
            Some(first) if first.text.starts_with('[') => {
                return context
                    .fault(first.column, format!("`{}` is no counter: `[packets:bytes]` was expected", first.text));
            }
            _ => &words[..],
        };
        let mut empty = None;
        let bound = RULES_MAX - self.rules.min(RULES_MAX);
        let Some(copies) = self.macros.expand(words, bound, &mut empty) else {
            return context.fault(1, format!("the macros in this rule make more than {bound} copies of it"));
        };
        if let Some(name) = empty {
            let hint = "an allow-list that empties allows nobody; a deny-list that empties denies nobody: look twice";
            context.warn(1, format!("macro `{name}` is empty: the rule is left out"), hint);
        }
        for copy in copies {
            match rule::read(&copy, context) {
                Some((command, rules)) => self.command(command, rules, context),
                // The copies are wrong in the same way, or differ in a word that has been named.
                None if context.faults.len() > crate::limits::FAULTS_MAX => return,
                None => {}
            }
            // Comma lists multiply once more; who reads the lines says that there are too many.
            if self.rules > RULES_MAX {
                return;
            }
        }
    }

    fn command(&mut self, command: Command, rules: Vec<Rule>, context: &mut Context<'_>) {
        match command {
            Command::NewChain(name) => {
                self.declare(&name, context);
            }
            Command::Policy(name, policy) => self.policy(&name, &policy, context),
            command => {
                let Open::Table(table, _) = &mut self.open else { return };
                if table.kind == TableKind::Nat && rules.iter().any(|rule| rule.target == Some(Target::Drop)) {
                    return context.fault_hint(1, "DROP cannot stand in table nat", "table filter is for that");
                }
                if !matches!(command, Command::Delete(..)) {
                    self.rules += rules.len();
                }
                command::apply(command, rules, table, context);
            }
        }
    }

    fn outside(&self, context: &mut Context<'_>) {
        if matches!(self.open, Open::No) {
            context.fault_hint(1, "the line is in no table", "begin with `*filter` or `*tproxy`");
        }
    }

    /// A name in which a macro of one word may stand.
    fn single(&self, word: &str, context: &mut Context<'_>) -> String {
        match self.macros.get(word) {
            Some([one]) => one.clone(),
            Some(words) => {
                let message = format!("macro `{word}` has {} words, a name wants one", words.len());
                context.fault(2, message);
                word.to_owned()
            }
            None => word.to_owned(),
        }
    }
}

/// `[packets:bytes]`.
fn is_counters(word: &str) -> bool {
    let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    let counters = inner.and_then(|inner| inner.split_once(':'));
    let number = |word: &str| !word.is_empty() && word.len() < 21 && word.bytes().all(|b| b.is_ascii_digit());
    counters.is_some_and(|(packets, bytes)| number(packets) && number(bytes))
}
