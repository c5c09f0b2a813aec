//! What has been read of a rule, and the rules that its comma lists make of it: source outer, destination inner, as
//! iptables does.

use super::criteria::{Criteria, Family, Not};
use super::lex::Word;
use super::matches::MatchDrafts;
use super::rule::{Command, Context};
use super::target::Target;
use super::targets::TargetDraft;
use super::{Hook, Network, Rule};
use crate::limits::INTERFACE_NAME_MAX;
use crate::policy::protocol_number;

/// What has been read of a rule.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) command: Option<Command>,
    pub(super) family: Option<(Family, u32)>,
    pub(super) source: Option<Addresses>,
    pub(super) destination: Option<Addresses>,
    pub(super) input: Option<(Not<String>, u32)>,
    pub(super) output: Option<(Not<String>, u32)>,
    pub(super) protocol: Option<(Not<u8>, u32)>,
    pub(super) counters: Option<()>,
    pub(super) matches: MatchDrafts,
    pub(super) target: TargetDraft,
}

/// A comma list of addresses, and which word of the text it is.
pub(super) struct Addresses {
    pub(super) not: bool,
    pub(super) list: Vec<Network>,
    pub(super) option: &'static str,
    pub(super) text: usize,
    pub(super) column: u32,
}

pub(super) fn interface_name(word: &Word, context: &mut Context<'_>) {
    if word.text.is_empty() || word.text.len() > INTERFACE_NAME_MAX {
        let message = format!("`{}` is no interface: 1 to {INTERFACE_NAME_MAX} characters were expected", word.text);
        context.fault(word.column, message);
    }
}

pub(super) fn protocol(not: bool, word: &Word, context: &mut Context<'_>) -> Option<Not<u8>> {
    let any = matches!(&*word.text, "all" | "0");
    match (any, protocol_number(&word.text)) {
        (true, _) if not => context.fault(word.column, format!("`! -p {}` matches nothing", word.text)),
        (true, _) => {}
        (false, Some(value)) => return Some(Not { not, value }),
        (false, None) => {
            let expected = "a name such as tcp, udp, icmp, or a number up to 255 was expected";
            context.fault(word.column, format!("`{}` is no protocol: {expected}", word.text));
        }
    }
    None
}

pub(super) fn addresses(not: bool, option: &str, word: &Word, context: &mut Context<'_>) -> Vec<Network> {
    let mut list = Vec::new();
    let mut column = word.column;
    for part in word.text.split(',') {
        match Network::parse(part) {
            Ok(network) if not && network.is_all() => {
                context.fault(column, format!("`! {option} {part}` matches nothing"));
            }
            Ok(network) => list.push(network),
            Err(why) => context.fault(column, why),
        }
        column += part.chars().count() as u32 + 1;
    }
    // Each address of an inverted list would be a rule of its own, and together they would match everything. One
    // address of each family is another matter: a flow meets the rule of its own family only.
    let of = |family| list.iter().filter(|network: &&Network| network.family() == family).count();
    if not && (of(Family::V4) > 1 || of(Family::V6) > 1) {
        let hint = "write a chain that returns for each of them; one IPv4 and one IPv6 address are possible";
        context.fault_hint(word.column, "`!` cannot invert a list of addresses", hint);
    }
    list
}

impl Draft {
    /// The rules that the comma lists make: source outer, destination inner, as iptables orders them.
    pub(super) fn finish(self, chain: &str, text: &[String], context: &mut Context<'_>) -> Vec<Rule> {
        self.hook(chain, context);
        let readable = self.is_readable();
        let protocol = self.protocol.as_ref().map(|(protocol, _)| protocol.clone());
        let target = self.target.finish(protocol.as_ref(), context);
        let matches = self.matches.finish(protocol.as_ref(), context);
        let target_family = target.as_ref().and_then(Target::family);
        let mut rules = Vec::new();
        for source in each(self.source.as_ref()) {
            for destination in each(self.destination.as_ref()) {
                let families = [
                    self.family.map(|(f, _)| f),
                    source.map(Network::family),
                    destination.map(Network::family),
                    target_family,
                ];
                let Ok(family) = one_family(families) else { continue };
                let mut text = text.to_vec();
                let mut place = |addresses: &Option<Addresses>, one: Option<&Network>| {
                    let addresses = addresses.as_ref()?;
                    if addresses.list.len() > 1 {
                        text[addresses.text] = one?.to_string();
                    }
                    Some(Not { not: addresses.not, value: *one? })
                };
                let (source, destination) = (place(&self.source, source), place(&self.destination, destination));
                rules.push(Rule {
                    criteria: Criteria {
                        family,
                        source,
                        destination,
                        input: named(self.input.as_ref()),
                        output: named(self.output.as_ref()),
                        protocol: protocol.clone(),
                        fragment: None,
                        matches: matches.clone(),
                    },
                    target: target.clone(),
                    place: context.place(1),
                    text: text.join(" "),
                });
            }
        }
        if rules.is_empty() && readable {
            let addresses = self.destination.as_ref().or(self.source.as_ref());
            let (column, option) = addresses.map_or((1, "-d"), |a| (a.column, a.option));
            context.fault(column, format!("the rule never matches: `{option}` and the rest are of different families"));
        }
        rules
    }

    /// Whether all addresses could be read; those that could not have been named.
    fn is_readable(&self) -> bool {
        [&self.source, &self.destination].into_iter().flatten().all(|addresses| !addresses.list.is_empty())
    }

    /// `-i` and `-o` where a packet has no such interface.
    fn hook(&self, chain: &str, context: &mut Context<'_>) {
        if let Some((_, column)) = &self.input
            && chain == Hook::Output.name()
        {
            context.fault(*column, format!("`-i` cannot stand in {chain}: what leaves the gateway came in nowhere"));
        }
        if let Some((_, column)) = &self.output
            && (chain == Hook::Input.name() || chain == Hook::Prerouting.name())
        {
            context.fault(*column, format!("`-o` cannot stand in {chain}: where the packet goes is not known there"));
        }
    }
}

/// `-i +` is any interface, and so no criterion; inverted it matches nothing, and stays.
fn named(interface: Option<&(Not<String>, u32)>) -> Option<Not<String>> {
    interface.map(|(name, _)| name.clone()).filter(|name| name.not || name.value != "+")
}

fn each(addresses: Option<&Addresses>) -> Vec<Option<&Network>> {
    addresses.map_or_else(|| vec![None], |addresses| addresses.list.iter().map(Some).collect())
}

fn one_family(families: [Option<Family>; 4]) -> Result<Option<Family>, ()> {
    let mut named = families.into_iter().flatten();
    let first = named.next();
    if named.all(|family| Some(family) == first) { Ok(first) } else { Err(()) }
}
