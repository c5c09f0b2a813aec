//! `policy_rules:`: services by the conditions that fit best, an alternative to listeners.

use std::collections::HashMap;

use ipnet::IpNet;

use super::decode::{self, Mapping};
use super::network::network;
use super::tree::Node;
use super::zones::{service_named, zones_named};
use crate::faults::{Faults, Place};
use crate::limits;
use crate::policy::{Interface, InterfaceId, PolicyRule, Service, TCP, UDP, ZoneId, protocol_name, protocol_number};

/// What policy rules may name.
pub(super) struct Known<'a> {
    pub(super) interfaces: &'a [Interface],
    pub(super) zones: &'a [&'a str],
    pub(super) services: &'a [Service],
}

/// Reads `policy_rules:`.
pub(super) fn policy_rules(node: &Node, known: &Known<'_>, faults: &mut Faults) -> Vec<(PolicyRule, Place)> {
    let items = decode::list(node, "`policy_rules`", faults);
    decode::at_most(items.len(), limits::POLICY_RULES_MAX, node, "policy rules", faults);
    let mut ids = HashMap::new();
    let mut rules = Vec::new();
    for (item, number) in items.iter().zip(1..) {
        let Some((rule, id_place)) = policy_rule(item, number, known, faults) else { continue };
        if let Some(line) = ids.insert(rule.id, id_place.line) {
            faults.add(id_place, format!("a policy rule with id {} is there already, in line {line}", rule.id));
        }
        rules.push((rule, item.place.clone()));
    }
    rules
}

fn policy_rule(node: &Node, number: u32, known: &Known<'_>, faults: &mut Faults) -> Option<(PolicyRule, Place)> {
    let mut mapping = Mapping::new(node, "a policy rule", faults)?;
    let id_node = mapping.get("id");
    let id = id_node.and_then(|node| decode::number(node, "`id`", 1..=u64::from(u32::MAX), faults));
    let service_node = mapping.require("service", node, faults);
    let service = service_node.and_then(|node| Some((decode::text(node, "`service`", faults)?, node)));
    let service = service.and_then(|(name, node)| service_named(name, node, known.services, faults));
    let mut lists = Lists { mapping: &mut mapping, known, faults };
    let rule = PolicyRule {
        id: id.unwrap_or(number),
        service: service.unwrap_or(crate::policy::ServiceId(0)),
        src_iface: lists.interfaces("src_iface"),
        proto: lists.protocols("proto"),
        src_port: lists.ports("src_port"),
        dst_port: lists.ports("dst_port"),
        src_subnet: lists.networks("src_subnet"),
        src_zone: lists.zones("src_zone"),
        dst_subnet: lists.networks("dst_subnet"),
        dst_iface: lists.interfaces("dst_iface"),
        dst_zone: lists.zones("dst_zone"),
    };
    mapping.finish(faults);
    service.map(|_| (rule, id_node.unwrap_or(node).place.clone()))
}

/// Conditions of one rule: lists, or one thing in the place of a list.
struct Lists<'a, 'b> {
    mapping: &'b mut Mapping<'a>,
    known: &'b Known<'b>,
    faults: &'b mut Faults,
}

impl<'a> Lists<'a, '_> {
    fn items(&mut self, key: &'static str) -> &'a [Node] {
        let Some(node) = self.mapping.get(key) else { return &[] };
        let items = decode::some(node);
        decode::at_most(
            items.len(),
            limits::POLICY_RULE_CONDITIONS_MAX,
            node,
            format!("words in `{key}`"),
            self.faults,
        );
        if items.is_empty() {
            let message = format!("`{key}` is an empty list: leave it out where any will do");
            self.faults.add(node.place.clone(), message);
        }
        items
    }

    fn interfaces(&mut self, key: &'static str) -> Vec<InterfaceId> {
        let items = self.items(key);
        let one = |item| {
            let name = decode::text(item, "the interface", self.faults)?;
            let names = self.known.interfaces.iter().map(|interface| &*interface.name);
            decode::named_one(name, item, "interface", "interfaces", names, self.faults)
        };
        items.iter().filter_map(one).map(|at| InterfaceId(at as u16)).collect()
    }

    fn zones(&mut self, key: &'static str) -> Vec<ZoneId> {
        let items = self.items(key);
        items.iter().flat_map(|item| zones_named(item, "the zone", self.known.zones, self.faults)).collect()
    }

    fn networks(&mut self, key: &'static str) -> Vec<IpNet> {
        let items = self.items(key);
        items.iter().filter_map(|item| network(item, "the network", self.faults)).collect()
    }

    fn protocols(&mut self, key: &'static str) -> Vec<u8> {
        let items = self.items(key);
        let one = |item: &Node| {
            let word = decode::text(item, "the protocol", self.faults)?;
            let number = protocol_number(word).filter(|number| [TCP, UDP].contains(number));
            if number.is_none() {
                let expected = format!(
                    "`{}` or `{}` was expected: no other is redirected",
                    protocol_name(TCP),
                    protocol_name(UDP)
                );
                self.faults.add(item.place.clone(), format!("the protocol is `{word}`, {expected}"));
            }
            number
        };
        items.iter().filter_map(one).collect()
    }

    fn ports(&mut self, key: &'static str) -> Vec<(u16, u16)> {
        let items = self.items(key);
        let one = |item: &Node| {
            let word = decode::text(item, "the port", self.faults)?;
            let (first, last) = word.split_once(['-', ':']).unwrap_or((word, word));
            let range = first.trim().parse().ok().zip(last.trim().parse().ok()).filter(|(first, last)| first <= last);
            if range.is_none() {
                let expected = "a port or a range such as 1024-65535 was expected";
                self.faults.add(item.place.clone(), format!("the port is `{word}`, {expected}"));
            }
            range
        };
        items.iter().filter_map(one).collect()
    }
}
