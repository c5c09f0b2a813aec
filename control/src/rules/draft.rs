//! What has been read of a rule, and the rules that its comma lists make of it: source outer, destination inner, as
//! iptables does.

use super::command::Command;
use super::criteria::{Criteria, Family, Match, Not};
use super::lex::Word;
use super::modules::{Facts, Instance, Made, number};
use super::rule::Context;
use super::target::Target;
use super::targets::TargetDraft;
use super::{Hook, Network, Rule};
use crate::limits::{INTERFACE_NAME_MAX, RULES_MAX};
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
    pub(super) any_protocol: Option<()>,
    pub(super) fragment: Option<(Not<()>, u32)>,
    pub(super) counters: Option<()>,
    pub(super) matches: Vec<Instance>,
    pub(super) target: Option<TargetDraft>,
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
    // An interface may be called anything, and so a macro that is not there would pass for one.
    let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if word.text.len() > 1 && word.text.starts_with(|c: char| c.is_ascii_uppercase()) && word.text.chars().all(shouted)
    {
        let hint = "define it, or write the name in small letters";
        context.warn(word.column, format!("no macro is called `{}`: it is taken for an interface", word.text), hint);
    }
}

/// The protocol of `-p`; none where it stands for all of them.
pub(super) fn protocol(not: bool, word: &Word, context: &mut Context<'_>) -> Option<Not<u8>> {
    match (&*word.text.to_ascii_lowercase(), protocol_by_name(&word.text)) {
        ("all", _) | (_, Some(0)) if not => {
            context.fault(word.column, format!("`! -p {}` matches nothing", word.text));
        }
        ("all", _) | (_, Some(0)) => {}
        (_, Some(value)) => return Some(Not { not, value }),
        (_, None) => {
            let expected = "a name such as tcp, udp, icmp, or a number up to 255 was expected";
            context.fault(word.column, format!("`{}` is no protocol: {expected}", word.text));
        }
    }
    None
}

/// A protocol by name, or by number as C reads it.
pub(super) fn protocol_by_name(word: &str) -> Option<u8> {
    protocol_number(word).or_else(|| number(word, 255).map(|number| number as u8))
}

pub(super) fn addresses(not: bool, option: &str, word: &Word, context: &mut Context<'_>) -> Vec<Network> {
    let mut list = Vec::new();
    let mut column = word.column;
    for part in word.text.split(',') {
        match Network::parse(part) {
            Ok(network) => {
                if not && network.is_all() {
                    context.warn(column, format!("`! {option} {part}` matches nothing"), "leave the rule out");
                }
                list.push(network);
            }
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

/// What a rule becomes for one source and one destination.
struct One<'a> {
    source: Option<&'a Network>,
    destination: Option<&'a Network>,
    family: Option<Family>,
    matches: Vec<Match>,
    target: Option<Target>,
}

impl Draft {
    /// The rules that the comma lists make: source outer, destination inner, as iptables orders them.
    pub(super) fn finish(self, chain: &str, text: &[String], context: &mut Context<'_>) -> Vec<Rule> {
        self.hook(chain, context);
        // iptables leaves out, without a word, what is for the other family's tool.
        if let (Some(only), Some((family, _))) = (context.only, self.family)
            && only != family
        {
            return Vec::new();
        }
        let many = |addresses: &Option<Addresses>| addresses.as_ref().map_or(1, |addresses| addresses.list.len());
        if many(&self.source).saturating_mul(many(&self.destination)) > RULES_MAX {
            context.fault(1, format!("the lists of addresses in this rule make more than {RULES_MAX} rules"));
            return Vec::new();
        }
        let before = context.faults.len();
        let mut rules = Vec::new();
        for source in each(self.source.as_ref()) {
            for destination in each(self.destination.as_ref()) {
                let Some(one) = self.one(source, destination, context) else { continue };
                rules.push(self.rule(one, text, context));
            }
        }
        if rules.is_empty() && context.faults.len() == before && self.is_readable() {
            let addresses = self.destination.as_ref().or(self.source.as_ref());
            let (column, option) = addresses.map_or((1, "-d"), |a| (a.column, a.option));
            context.fault(column, format!("the rule never matches: `{option}` and the rest are of different families"));
        }
        rules
    }

    /// Finishes matches and target for one pair of addresses. None: a fault, or addresses of different families.
    fn one<'a>(
        &self,
        source: Option<&'a Network>,
        destination: Option<&'a Network>,
        context: &mut Context<'_>,
    ) -> Option<One<'a>> {
        let fragment = self.fragment.as_ref().map(|_| Family::V4);
        let said = [
            context.only,
            self.family.map(|(family, _)| family),
            source.map(Network::family),
            destination.map(Network::family),
            fragment,
        ];
        let family = one_family(said.into_iter().flatten()).ok()?;
        let protocol = self.protocol.as_ref().map(|(protocol, _)| protocol);
        let mut facts = Facts { table: context.table, protocol, family, warnings: Vec::new() };
        let mut matches = Vec::new();
        for instance in &self.matches {
            if let Some(Made::Match(one)) = instance.finish(&mut facts, context) {
                matches.push(one);
            }
        }
        let target = self.target.as_ref().and_then(|target| target.finish(&mut facts, context));
        let of_modules = matches.iter().filter_map(Match::family).chain(target.as_ref().and_then(Target::family));
        let family = one_family(family.into_iter().chain(of_modules)).ok()?;
        Some(One { source, destination, family, matches, target })
    }

    fn rule(&self, one: One<'_>, text: &[String], context: &Context<'_>) -> Rule {
        let mut text = text.to_vec();
        let mut place = |addresses: &Option<Addresses>, one: Option<&Network>| {
            let addresses = addresses.as_ref()?;
            if addresses.list.len() > 1 {
                text[addresses.text] = one?.to_string();
            }
            Some(Not { not: addresses.not, value: *one? })
        };
        let (source, destination) = (place(&self.source, one.source), place(&self.destination, one.destination));
        Rule {
            criteria: Criteria {
                family: one.family,
                source,
                destination,
                input: named(self.input.as_ref()),
                output: named(self.output.as_ref()),
                protocol: self.protocol.as_ref().map(|(protocol, _)| protocol.clone()),
                fragment: self.fragment.as_ref().map(|(fragment, _)| fragment.clone()),
                matches: one.matches,
            },
            target: one.target,
            place: context.place(1),
            text: text.join(" "),
        }
    }

    /// Whether all addresses could be read; those that could not have been named.
    fn is_readable(&self) -> bool {
        [&self.source, &self.destination].into_iter().flatten().all(|addresses| !addresses.list.is_empty())
    }

    /// `-i` and `-o` where a packet has no such interface.
    fn hook(&self, chain: &str, context: &mut Context<'_>) {
        if let Some((_, column)) = &self.input
            && (chain == Hook::Output.name() || chain == Hook::Postrouting.name())
        {
            context
                .fault(*column, format!("`-i` cannot stand in {chain}: where the packet came in is not known there"));
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

fn one_family(mut named: impl Iterator<Item = Family>) -> Result<Option<Family>, ()> {
    let first = named.next();
    if named.all(|family| Some(family) == first) { Ok(first) } else { Err(()) }
}
