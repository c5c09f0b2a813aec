//! Policy rules in a form in which thousands of them cost a flow what a few do.
//!
//! For each dimension a look-up gives the set of rules that the flow fits in it, a bit per rule; a word of each set at a
//! time is combined. Rules are numbered so that those that can score most come first: the search ends when nothing
//! behind can be better. Equal sets are kept once. What a rule really scores is then computed by the rule itself
//! ([`PolicyRule::score`]), which is also what the tests hold this index against.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;

use super::{Chosen, Depths, Flow, PolicyRule, PolicyRuleId, Score};
use crate::policy::network::InterfaceId;
use crate::policy::zones::{Zone, ZoneId, lineage};
use crate::prefix::PrefixMap;

/// A bit per rule.
type Bits = Arc<[u64]>;

/// Policy rules, compiled.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Index {
    /// In the order in which they are searched.
    rules: Vec<Ranked>,
    depths: Depths,
    words: usize,
    input: Keyed<InterfaceId>,
    protocol: Keyed<u8>,
    source_port: Ports,
    destination_port: Ports,
    source: Ends,
    destination: Ends,
    output: Keyed<InterfaceId>,
}

#[derive(Clone, Debug)]
struct Ranked {
    id: PolicyRuleId,
    best: Score,
    rule: PolicyRule,
}

/// Sets by a value; `others` for values that no rule names.
#[derive(Clone, Debug)]
struct Keyed<K> {
    sets: HashMap<K, Bits, FixedState>,
    others: Bits,
}

/// Sets by port: from each border up to the next one.
#[derive(Clone, Debug, Default)]
struct Ports {
    borders: Vec<u16>,
    sets: Vec<Bits>,
}

/// Sets by one end's network, and by its zone; rules that ask for neither are in those by zone.
#[derive(Clone, Debug, Default)]
struct Ends {
    subnets: PrefixMap<Bits>,
    zones: Vec<Bits>,
    no_zone: Bits,
}

impl<K> Default for Keyed<K> {
    fn default() -> Self {
        Keyed { sets: HashMap::default(), others: Bits::default() }
    }
}

impl Index {
    /// Compiles rules, whose indexes lead to what is there.
    pub(in crate::policy) fn new(list: &[PolicyRule], zones: &[Zone]) -> Index {
        let depths = Depths::new(zones);
        let mut rules: Vec<Ranked> = (0..)
            .zip(list)
            .map(|(at, rule)| Ranked { id: PolicyRuleId(at), best: rule.best(&depths), rule: rule.clone() })
            .collect();
        rules.sort_by_key(|ranked| (std::cmp::Reverse(ranked.best), ranked.rule.id));
        let mut sets = Sets { words: rules.len().div_ceil(64), known: HashMap::default() };
        let list: Vec<&PolicyRule> = rules.iter().map(|ranked| &ranked.rule).collect();
        Index {
            words: sets.words,
            input: sets.keyed(&list, |rule| &rule.src_iface, true),
            protocol: sets.keyed(&list, |rule| &rule.proto, true),
            source_port: sets.ports(&list, |rule| &rule.src_port),
            destination_port: sets.ports(&list, |rule| &rule.dst_port),
            source: sets.ends(&list, zones, |rule| (&rule.src_subnet, &[], &rule.src_zone)),
            destination: sets.ends(&list, zones, |rule| (&rule.dst_subnet, &rule.dst_iface, &rule.dst_zone)),
            // Only an alternative to networks and zones: who names no interface is not fitted by it.
            output: sets.keyed(&list, |rule| &rule.dst_iface, false),
            rules,
            depths,
        }
    }

    /// The rule that fits best.
    pub(in crate::policy) fn choose(&self, flow: &Flow) -> Option<Chosen> {
        let input = self.input.get(flow.input.as_ref());
        let protocol = self.protocol.get(Some(&flow.protocol));
        let (from_port, to_port) =
            (self.source_port.get(flow.source.port())?, self.destination_port.get(flow.destination.port())?);
        let (from_net, from_zone) = self.source.get(flow.source.ip(), flow.client);
        let (to_net, to_zone) = self.destination.get(flow.destination.ip(), flow.server);
        let output = self.output.get(flow.output.as_ref());
        let word = |bits: Option<&Bits>, at: usize| bits.map_or(0, |bits| bits[at]);
        let mut found: Option<(Score, &Ranked, Option<PolicyRuleId>)> = None;
        for at in 0..self.words {
            let source = from_zone[at] | word(from_net, at);
            let destination = to_zone[at] | word(to_net, at) | output[at];
            let mut fits = input[at] & protocol[at] & from_port[at] & to_port[at] & source & destination;
            while fits != 0 {
                let ranked = &self.rules[at * 64 + fits.trailing_zeros() as usize];
                fits &= fits - 1;
                if found.as_ref().is_some_and(|(best, ..)| ranked.best < *best) {
                    return found.map(chosen);
                }
                let Some(score) = ranked.rule.score(flow, &self.depths) else { continue };
                found = Some(match found {
                    Some((best, other, tie)) if score < best => (best, other, tie),
                    Some((best, other, _)) if score == best => {
                        let (winner, loser) =
                            if other.rule.id <= ranked.rule.id { (other, ranked) } else { (ranked, other) };
                        (best, winner, Some(loser.id))
                    }
                    _ => (score, ranked, None),
                });
            }
        }
        found.map(chosen)
    }
}

fn chosen((_, ranked, tie): (Score, &Ranked, Option<PolicyRuleId>)) -> Chosen {
    Chosen { rule: ranked.id, tie }
}

impl<K: std::hash::Hash + Eq> Keyed<K> {
    fn get(&self, key: Option<&K>) -> &Bits {
        key.and_then(|key| self.sets.get(key)).unwrap_or(&self.others)
    }
}

impl Ports {
    fn get(&self, port: u16) -> Option<&Bits> {
        let at = self.borders.partition_point(|border| *border <= port);
        self.sets.get(at.checked_sub(1)?)
    }
}

impl Ends {
    fn get(&self, address: IpAddr, zone: Option<ZoneId>) -> (Option<&Bits>, &Bits) {
        let by_zone = zone.and_then(|zone| self.zones.get(zone.0 as usize)).unwrap_or(&self.no_zone);
        (self.subnets.lookup(address).map(|(_, bits)| bits), by_zone)
    }
}

/// Makes sets; equal ones are the same memory.
struct Sets {
    words: usize,
    known: HashMap<Box<[u64]>, Bits, FixedState>,
}

impl Sets {
    fn keep(&mut self, bits: Box<[u64]>) -> Bits {
        self.known.entry(bits).or_insert_with_key(|bits| Bits::from(&bits[..])).clone()
    }

    fn empty(&self) -> Box<[u64]> {
        vec![0; self.words].into()
    }

    fn of(&mut self, rules: &[&PolicyRule], fits: impl Fn(&PolicyRule) -> bool) -> Bits {
        let mut bits = self.empty();
        rules.iter().enumerate().filter(|(_, rule)| fits(rule)).for_each(|(at, _)| set(&mut bits, at));
        self.keep(bits)
    }

    /// `unasked`: whether rules without this condition fit.
    fn keyed<K: Copy + Eq + std::hash::Hash>(
        &mut self,
        rules: &[&PolicyRule],
        list: impl Fn(&PolicyRule) -> &[K],
        unasked: bool,
    ) -> Keyed<K> {
        let others = self.of(rules, |rule| unasked && list(rule).is_empty());
        let mut raw: HashMap<K, Box<[u64]>, FixedState> = HashMap::default();
        for (at, rule) in rules.iter().enumerate() {
            for key in list(rule) {
                set(raw.entry(*key).or_insert_with(|| others.to_vec().into()), at);
            }
        }
        let sets = raw.into_iter().map(|(key, bits)| (key, self.keep(bits))).collect();
        Keyed { sets, others }
    }

    fn ports(&mut self, rules: &[&PolicyRule], list: impl Fn(&PolicyRule) -> &[(u16, u16)]) -> Ports {
        let ranges = || rules.iter().flat_map(|rule| list(rule));
        let mut borders: Vec<u16> = std::iter::once(0)
            .chain(ranges().flat_map(|(first, last)| [Some(*first), last.checked_add(1)]).flatten())
            .collect();
        borders.sort_unstable();
        borders.dedup();
        // Bits change only at borders: a sweep turns those on and off that begin and end there.
        let mut turns: Vec<(u16, usize, i32)> = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            for (first, last) in list(rule) {
                turns.push((*first, at, 1));
                turns.extend(last.checked_add(1).map(|next| (next, at, -1)));
            }
        }
        turns.sort_unstable();
        let mut open = vec![0i32; rules.len()];
        let mut bits = self.empty();
        rules.iter().enumerate().filter(|(_, rule)| list(rule).is_empty()).for_each(|(at, _)| set(&mut bits, at));
        let mut turns = turns.into_iter().peekable();
        let mut sets = Vec::with_capacity(borders.len());
        for border in &borders {
            while let Some((_, at, by)) = turns.next_if(|(port, ..)| port == border) {
                open[at] += by;
                if open[at] > 0 { set(&mut bits, at) } else { bits[at / 64] &= !(1 << (at % 64)) }
            }
            sets.push(self.keep(bits.clone()));
        }
        Ports { borders, sets }
    }

    fn ends<'a>(
        &mut self,
        rules: &[&'a PolicyRule],
        zones: &[Zone],
        lists: impl Fn(&'a PolicyRule) -> (&'a [IpNet], &'a [InterfaceId], &'a [ZoneId]),
    ) -> Ends {
        let mut unasked = self.empty();
        let mut by_zone: HashMap<ZoneId, Box<[u64]>, FixedState> = HashMap::default();
        let mut by_net: HashMap<IpNet, Box<[u64]>, FixedState> = HashMap::default();
        for (at, rule) in rules.iter().enumerate() {
            let (nets, interfaces, zones) = lists(rule);
            if nets.is_empty() && interfaces.is_empty() && zones.is_empty() {
                set(&mut unasked, at);
            }
            for zone in zones {
                set(by_zone.entry(*zone).or_insert_with(|| vec![0; self.words].into()), at);
            }
            for net in nets {
                set(by_net.entry(net.trunc()).or_insert_with(|| vec![0; self.words].into()), at);
            }
        }
        let zones = (0..zones.len() as u32).map(|id| {
            let mut bits = unasked.clone();
            lineage(zones, ZoneId(id)).filter_map(|id| by_zone.get(&id)).for_each(|own| add(&mut bits, own));
            self.keep(bits)
        });
        let zones = zones.collect();
        Ends { subnets: self.nested(by_net), zones, no_zone: self.keep(unasked) }
    }

    /// The longest network that covers an address answers for the shorter ones that cover it.
    fn nested(&mut self, by_net: HashMap<IpNet, Box<[u64]>, FixedState>) -> PrefixMap<Bits> {
        let mut nets: Vec<(IpNet, Box<[u64]>)> = by_net.into_iter().collect();
        nets.sort_by_key(|(net, _)| (net.prefix_len(), *net));
        let mut map: PrefixMap<Bits> = PrefixMap::new();
        for (net, mut bits) in nets {
            if let Some((_, around)) = map.lookup(net.network()) {
                add(&mut bits, around);
            }
            let bits = self.keep(bits);
            map.insert(net, bits);
        }
        map
    }
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

fn add(bits: &mut [u64], others: &[u64]) {
    bits.iter_mut().zip(others).for_each(|(bits, others)| *bits |= others);
}
