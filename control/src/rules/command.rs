//! What a line of a table asks for, and what it does to the table: the commands of iptables-restore.
//!
//! A file is read from nothing, so deleting and replacing mean what stands above in the same file. Each rule of a
//! comma list is inserted at the number given, so that they stand in reverse, as iptables has it.

use super::lex::Word;
use super::rule::Context;
use super::target::Target;
use super::{Rule, Table, rule};
use crate::faults::nearest;

/// What a line asks for.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// `-A CHAIN`.
    Append(Word),
    /// `-I CHAIN [n]`, counted from 1.
    Insert(Word, usize),
    /// `-R CHAIN n`.
    Replace(Word, usize),
    /// `-D CHAIN n`, or by what the rule says.
    Delete(Word, Option<usize>),
    /// `-N CHAIN`.
    NewChain(Word),
    /// `-X [CHAIN]`.
    DeleteChain(Option<Word>),
    /// `-E OLD NEW`.
    RenameChain(Word, Word),
    /// `-F [CHAIN]`.
    Flush(Option<Word>),
    /// `-Z [CHAIN [n]]`.
    Zero(Option<Word>, Option<usize>),
    /// `-P CHAIN POLICY`.
    Policy(Word, Word),
}

impl Command {
    /// The chain whose rule the rest of the line is.
    pub(super) fn rule_of(&self) -> Option<&Word> {
        match self {
            Command::Append(chain) | Command::Insert(chain, _) | Command::Replace(chain, _) => Some(chain),
            Command::Delete(chain, None) => Some(chain),
            _ => None,
        }
    }
}

/// Does to a table what a command with its rules asks for. Chains are made and policies set by the parser.
pub(super) fn apply(command: Command, rules: Vec<Rule>, table: &mut Table, context: &mut Context<'_>) {
    match command {
        Command::Append(name) => {
            if let Some(at) = existing(&name, table, context) {
                table.chains[at].rules.extend(rules);
            }
        }
        Command::Insert(name, number) => {
            let Some(at) = existing(&name, table, context) else { return };
            let chain = &mut table.chains[at].rules;
            if number > chain.len() + 1 {
                let message = format!("`-I {} {number}`: the chain has {} rules", name.text, chain.len());
                return context.fault(name.column, message);
            }
            chain.splice(number - 1..number - 1, rules.into_iter().rev());
        }
        Command::Replace(name, number) => {
            let Some(at) = numbered(&name, number, "-R", table, context) else { return };
            let Ok([one]) = <[Rule; 1]>::try_from(rules) else {
                return context.fault(name.column, "a rule is replaced by one rule, and this is several");
            };
            table.chains[at].rules[number - 1] = one;
        }
        Command::Delete(name, Some(number)) => {
            if let Some(at) = numbered(&name, number, "-D", table, context) {
                table.chains[at].rules.remove(number - 1);
            }
        }
        Command::Delete(name, None) => delete(&name, &rules, table, context),
        Command::Flush(Some(name)) => {
            if let Some(at) = existing(&name, table, context) {
                table.chains[at].rules.clear();
            }
        }
        Command::Flush(None) => table.chains.iter_mut().for_each(|chain| chain.rules.clear()),
        Command::DeleteChain(Some(name)) => delete_chain(&name, table, context),
        Command::DeleteChain(None) => delete_chains(table, context),
        Command::RenameChain(old, new) => rename(&old, &new, table, context),
        // Counters begin at nothing: there is nothing to clear, and the chain or rule must be there.
        Command::Zero(Some(name), Some(number)) => {
            numbered(&name, number, "-Z", table, context);
        }
        Command::Zero(Some(name), None) => {
            existing(&name, table, context);
        }
        Command::Zero(None, _) | Command::NewChain(_) | Command::Policy(..) => {}
    }
}

/// The place of a chain, or a fault that says there is none.
fn existing(name: &Word, table: &Table, context: &mut Context<'_>) -> Option<usize> {
    let found = table.chains.iter().position(|chain| *chain.name == *name.text);
    if found.is_none() {
        let message = format!("there is no chain `{}` in table {}", name.text, table.kind.name());
        let hint = match nearest(&name.text, table.chains.iter().map(|chain| &*chain.name)) {
            Some(meant) => format!("was `{meant}` meant?"),
            None => format!("declare it: `:{} -` below `*{}`", name.text, table.kind.name()),
        };
        context.fault_hint(name.column, message, hint);
    }
    found
}

/// The place of a chain that has a rule of that number.
fn numbered(name: &Word, number: usize, command: &str, table: &Table, context: &mut Context<'_>) -> Option<usize> {
    let at = existing(name, table, context)?;
    let rules = table.chains[at].rules.len();
    if number > rules {
        context.fault(name.column, format!("`{command} {} {number}`: the chain has {rules} rules", name.text));
        return None;
    }
    Some(at)
}

/// Deletes the first rule that says the same as each of these.
fn delete(name: &Word, rules: &[Rule], table: &mut Table, context: &mut Context<'_>) {
    let Some(at) = existing(name, table, context) else { return };
    let chain = &mut table.chains[at].rules;
    for rule in rules {
        let same = |other: &Rule| other.criteria == rule.criteria && other.target == rule.target;
        match chain.iter().position(same) {
            Some(found) => {
                chain.remove(found);
            }
            None => context.fault(name.column, format!("`-D {}`: no rule above says this", name.text)),
        }
    }
}

fn is_named(rule: &Rule, name: &str) -> bool {
    matches!(&rule.target, Some(Target::Jump(to) | Target::Goto(to)) if **to == *name)
}

fn delete_chain(name: &Word, table: &mut Table, context: &mut Context<'_>) {
    let Some(at) = existing(name, table, context) else { return };
    let chain = &table.chains[at];
    let why = if chain.policy.is_some() {
        "it is a built-in chain"
    } else if !chain.rules.is_empty() {
        "it has rules"
    } else if table.chains.iter().flat_map(|chain| &chain.rules).any(|rule| is_named(rule, &name.text)) {
        "rules lead to it"
    } else {
        table.chains.remove(at);
        return;
    };
    context.fault(name.column, format!("chain `{}` cannot be deleted: {why}", name.text));
}

fn delete_chains(table: &mut Table, context: &mut Context<'_>) {
    let names: Vec<_> = table.chains.iter().filter(|chain| chain.policy.is_none()).map(|c| c.name.clone()).collect();
    for name in names {
        delete_chain(&Word { text: name.to_string(), column: 1, bare: name.len() }, table, context);
    }
}

fn rename(old: &Word, new: &Word, table: &mut Table, context: &mut Context<'_>) {
    let Some(at) = existing(old, table, context) else { return };
    if table.chains[at].policy.is_some() {
        return context.fault(old.column, format!("`{}` is a built-in chain, and keeps its name", old.text));
    }
    if table.chains.iter().any(|chain| *chain.name == *new.text) {
        return context.fault(new.column, format!("there is a chain `{}` already", new.text));
    }
    let shared = rule::shared(&new.text);
    for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
        if let Some(Target::Jump(to) | Target::Goto(to)) = &mut rule.target
            && **to == *old.text
        {
            *to = shared.clone();
        }
    }
    table.chains[at].name = shared;
}
