//! `nat_policies:`: named mappings of addresses that services use as `snat` and `dnat`.

use std::net::SocketAddr;

use ipnet::{IpNet, Ipv6Net};

use super::decode::{self, Mapping};
use super::network::network;
use super::services::endpoint;
use super::tree::Node;
use crate::faults::Faults;
use crate::limits;
use crate::policy::nat::PREFIX_LENGTHS;
use crate::policy::{GeneralRow, Mapping as NatMapping, NatPolicy};

/// The kinds, for the schema, too.
#[derive(Clone, Copy, schemars::JsonSchema)]
#[schemars(rename = "NatKindWord", rename_all = "snake_case")]
pub(super) enum Kind {
    General,
    Static,
    OneToOne,
    OneToOneMulti,
    Random,
    Hash,
    Nat64,
    Nat46,
}

const KINDS: [(&str, Kind); 8] = [
    ("general", Kind::General),
    ("static", Kind::Static),
    ("one_to_one", Kind::OneToOne),
    ("one_to_one_multi", Kind::OneToOneMulti),
    ("random", Kind::Random),
    ("hash", Kind::Hash),
    ("nat64", Kind::Nat64),
    ("nat46", Kind::Nat46),
];

/// The prefix that RFC 6052 2.1 sets aside for everybody.
const WELL_KNOWN: &str = "64:ff9b::/96";

/// Reads `nat_policies:`. One with a fault is kept, so that what names it is not a fault as well.
pub(super) fn nat_policies(node: &Node, faults: &mut Faults) -> Vec<NatPolicy> {
    let entries = decode::named(node, "`nat_policies`", faults);
    decode::at_most(entries.len(), limits::NAT_POLICIES_MAX, node, "NAT policies", faults);
    entries.iter().map(|(key, node)| nat_policy(&key.name, node, faults)).collect()
}

fn nat_policy(name: &str, node: &Node, faults: &mut Faults) -> NatPolicy {
    let mut policy = NatPolicy { name: name.to_owned(), mapping: NatMapping::General(Vec::new()), cacheable: true };
    let what = format!("NAT policy `{name}`");
    let Some(mut mapping) = Mapping::new(node, &what, faults) else { return policy };
    let kind = mapping.require("kind", node, faults).and_then(|node| decode::choice(node, "`kind`", &KINDS, faults));
    let cacheable = mapping.get("cacheable").and_then(|node| decode::boolean(node, "`cacheable`", faults));
    policy.cacheable = cacheable.unwrap_or(true);
    let Some(kind) = kind else { return policy };
    let read = match kind {
        Kind::General => general(&mut mapping, node, faults),
        Kind::Static => {
            let address = mapping.require("address", node, faults).and_then(|node| address(node, faults));
            address.map(NatMapping::Static)
        }
        Kind::OneToOne => {
            let pair = pair(&mut mapping, node, faults);
            let reject_outside = reject_outside(&mut mapping, faults);
            pair.map(|pair| NatMapping::OneToOne { pairs: vec![pair], reject_outside })
        }
        Kind::OneToOneMulti => one_to_one_multi(&mut mapping, node, faults),
        Kind::Random => addresses(&mut mapping, node, faults).map(NatMapping::Random),
        Kind::Hash => addresses(&mut mapping, node, faults).map(NatMapping::Hash),
        Kind::Nat64 => prefix(&mut mapping, faults).map(NatMapping::Nat64),
        Kind::Nat46 => prefix(&mut mapping, faults).map(NatMapping::Nat46),
    };
    mapping.finish(faults);
    if let Some(read) = read {
        policy.mapping = read;
    }
    policy
}

fn general(mapping: &mut Mapping<'_>, node: &Node, faults: &mut Faults) -> Option<NatMapping> {
    let list = mapping.require("mappings", node, faults)?;
    let items = decode::list(list, "`mappings`", faults);
    decode::at_most(items.len(), limits::NAT_POLICY_ROWS_MAX, list, "mappings", faults);
    let mut rows = Vec::new();
    for item in items {
        let Some(mut row) = Mapping::new(item, "a mapping", faults) else { continue };
        let mut net = |key: &'static str| {
            let node = row.require(key, item, faults)?;
            network(node, &format!("`{key}`"), faults)
        };
        let (source, destination, mapped) = (net("source"), net("destination"), net("mapped"));
        row.finish(faults);
        let (Some(source), Some(destination), Some(mapped)) = (source, destination, mapped) else { continue };
        if source.addr().is_ipv4() != destination.addr().is_ipv4() || mapped.addr().is_ipv4() != source.addr().is_ipv4()
        {
            faults.add(item.place.clone(), "`source`, `destination` and `mapped` must be of one family");
        }
        rows.push(GeneralRow { source, destination, mapped });
    }
    Some(NatMapping::General(rows))
}

fn one_to_one_multi(mapping: &mut Mapping<'_>, node: &Node, faults: &mut Faults) -> Option<NatMapping> {
    let list = mapping.require("mappings", node, faults)?;
    let items = decode::list(list, "`mappings`", faults);
    decode::at_most(items.len(), limits::NAT_POLICY_ROWS_MAX, list, "mappings", faults);
    let mut pairs = Vec::new();
    for item in items {
        let Some(mut row) = Mapping::new(item, "a mapping", faults) else { continue };
        pairs.extend(pair(&mut row, item, faults));
        row.finish(faults);
    }
    Some(NatMapping::OneToOne { pairs, reject_outside: reject_outside(mapping, faults) })
}

/// `from` and `to`, networks of one size.
fn pair(mapping: &mut Mapping<'_>, node: &Node, faults: &mut Faults) -> Option<(IpNet, IpNet)> {
    let from = mapping.require("from", node, faults).and_then(|node| network(node, "`from`", faults));
    let to = mapping.require("to", node, faults).and_then(|node| network(node, "`to`", faults));
    let (from, to) = (from?, to?);
    let same = from.prefix_len() == to.prefix_len() && from.addr().is_ipv4() == to.addr().is_ipv4();
    if !same {
        let message = format!("{from} and {to} differ in size or family: one address must map to one");
        faults.add(node.place.clone(), message);
    }
    same.then_some((from, to))
}

fn reject_outside(mapping: &mut Mapping<'_>, faults: &mut Faults) -> bool {
    let choices = [("reject", true), ("keep", false)];
    let outside = mapping.get("outside").and_then(|node| decode::choice(node, "`outside`", &choices, faults));
    outside.unwrap_or(true)
}

fn addresses(mapping: &mut Mapping<'_>, node: &Node, faults: &mut Faults) -> Option<Vec<SocketAddr>> {
    let list = mapping.require("addresses", node, faults)?;
    let items = decode::list(list, "`addresses`", faults);
    decode::at_most(items.len(), limits::NAT_POLICY_ROWS_MAX, list, "addresses", faults);
    if items.is_empty() {
        faults.add(list.place.clone(), "`addresses` is empty, one at least was expected");
    }
    Some(items.iter().filter_map(|item| address(item, faults)).collect())
}

fn address(node: &Node, faults: &mut Faults) -> Option<SocketAddr> {
    let word = decode::text(node, "the address", faults)?;
    let address = endpoint(word).filter(|address| !address.ip().is_unspecified() && !address.ip().is_multicast());
    if address.is_none() {
        let expected = "ADDRESS or ADDRESS:PORT was expected";
        faults.add(node.place.clone(), format!("the address is `{word}`, {expected}"));
    }
    address
}

fn prefix(mapping: &mut Mapping<'_>, faults: &mut Faults) -> Option<Ipv6Net> {
    let Some(node) = mapping.get("prefix") else { return WELL_KNOWN.parse().ok() };
    let prefix = decode::parsed::<Ipv6Net>(node, "`prefix`", "an IPv6 network such as 64:ff9b::/96", faults)?;
    if !PREFIX_LENGTHS.contains(&prefix.prefix_len()) || prefix.trunc() != prefix {
        let message = format!("`prefix` is {prefix}, one of 32, 40, 48, 56, 64 or 96 bits was expected (RFC 6052)");
        faults.add(node.place.clone(), message);
        return None;
    }
    Some(prefix)
}
