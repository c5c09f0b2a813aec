//! `interfaces:` and `routes:`: the gateway's legs and the ways out of them. A route's gateway must stand in a network of
//! one of the interfaces.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::decode::{self, Mapping};
use super::tree::Node;
use crate::faults::{Faults, Place, nearest};
use crate::limits;
use crate::policy::{Interface, InterfaceId, Route};
use crate::prefix::PrefixMap;

mod kernel;

/// Reads `interfaces:`.
pub(super) fn interfaces(node: &Node, faults: &mut Faults) -> Vec<Interface> {
    let entries = decode::entries(node, "`interfaces`", faults).unwrap_or_default();
    decode::at_most(entries.len(), limits::INTERFACES_MAX, node, "interfaces", faults);
    let mut interfaces = Vec::new();
    let mut addresses = Addresses::default();
    let mut ports = HashMap::new();
    for (key, node) in entries {
        let (name, what) = (&key.name, format!("interface `{}`", key.name));
        interface_name(name, &key.place, faults);
        let Some(mut mapping) = Mapping::new(node, &what, faults) else {
            // Kept, so that rules and routes that name it are not faults as well.
            interfaces.push(Interface {
                name: name.clone(),
                port: String::new(),
                vlan: None,
                addresses: vec![],
                mtu: None,
                kernel: None,
            });
            continue;
        };
        let port = mapping.require("port", node, faults);
        let port_text = port.and_then(|port| device(port, &what, faults)).unwrap_or_default();
        let vlan_node = mapping.get("vlan");
        let vlan = vlan_node.and_then(|vlan| decode::number(vlan, "`vlan`", 1..=4094, faults));
        let mtu = mapping.get("mtu").and_then(|mtu| decode::number(mtu, "`mtu`", 68..=65_535, faults));
        let own = mapping.get("addresses").map(|list| addresses.read(list, &what, faults)).unwrap_or_default();
        let kernel = mapping.get("kernel").and_then(|node| kernel::device(node, name, &interfaces, faults));
        mapping.finish(faults);
        if let (Some(port), false) = (port, port_text.is_empty())
            && let Some(other) = ports.insert((port_text.clone(), vlan), name)
        {
            let which = vlan.map_or(String::new(), |vlan| format!(" with VLAN {vlan}"));
            let message = format!("port `{port_text}`{which} is interface `{other}` already");
            faults.add_hint(
                port.place.clone(),
                message,
                "interfaces that share a port each need a `vlan` of their own",
            );
        }
        interfaces.push(Interface { name: name.clone(), port: port_text, vlan, addresses: own, mtu, kernel });
    }
    interfaces
}

fn interface_name(name: &str, place: &Place, faults: &mut Faults) {
    let good = |c: char| !c.is_whitespace() && !c.is_control() && !"/!+\"'\\:,".contains(c);
    if name.is_empty() || name.len() > limits::INTERFACE_NAME_MAX || !name.chars().all(good) || name.starts_with('-') {
        let message = format!("`{name}` is no name of an interface: up to {} characters", limits::INTERFACE_NAME_MAX);
        faults.add(place.clone(), format!("{message} without blanks and without / ! + : , were expected"));
    }
}

fn device(node: &Node, what: &str, faults: &mut Faults) -> Option<String> {
    let port = decode::text(node, "`port`", faults)?.trim();
    if !port.is_empty() && !port.contains(char::is_whitespace) {
        return Some(port.to_owned());
    }
    let hint = "a PCI address such as 0000:03:00.0, or a driver with arguments such as net_af_packet0,iface=eth1";
    faults.add_hint(node.place.clone(), format!("the port of {what} is `{port}`, a device was expected"), hint);
    None
}

/// The addresses of all interfaces: none twice, no two interfaces in one network.
#[derive(Default)]
struct Addresses {
    seen: Vec<(IpNet, String, Place)>,
}

impl Addresses {
    fn read(&mut self, node: &Node, what: &str, faults: &mut Faults) -> Vec<IpNet> {
        let items = decode::list(node, "`addresses`", faults);
        decode::at_most(items.len(), limits::INTERFACE_ADDRESSES_MAX, node, "addresses", faults);
        let mut addresses = Vec::new();
        for item in items {
            if let Some(address) = interface_address(item, faults) {
                self.overlap(address, item, what, faults);
                self.seen.push((address, what.to_owned(), item.place.clone()));
                addresses.push(address);
            }
        }
        addresses
    }

    fn overlap(&self, address: IpNet, node: &Node, what: &str, faults: &mut Faults) {
        for (other, holder, place) in &self.seen {
            let (place, line) = (node.place.clone(), place.line);
            if other.addr() == address.addr() {
                faults
                    .add(place, format!("address {} is there twice, first in line {line} at {holder}", address.addr()));
                return;
            }
            // The same link-local network stands at every interface; two addresses of one interface may share a
            // network.
            let link_local = matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local());
            if !link_local && holder != what && (other.contains(&address.addr()) || address.contains(&other.addr())) {
                let message = format!("{address} of {what} overlaps {other} of {holder} (line {line})");
                faults.add_hint(place, message, "give each interface a network of its own, or a longer prefix");
                return;
            }
        }
    }
}

fn interface_address(node: &Node, faults: &mut Faults) -> Option<IpNet> {
    let word = decode::text(node, "the address", faults)?.trim();
    if let Ok(address) = word.parse::<IpAddr>() {
        let length = if address.is_ipv4() { 24 } else { 64 };
        let message = format!("address `{word}` has no prefix length");
        faults.add_hint(node.place.clone(), message, format!("write {word}/{length} if that is its network"));
        return None;
    }
    let address: IpNet =
        decode::parsed(node, "the address", "an address with prefix length such as 192.168.1.1/24", faults)?;
    let host = address.addr();
    let wide = address.prefix_len() < address.max_prefix_len() - 1;
    let why = if host.is_unspecified() || host.is_multicast() {
        Some("no host can have it")
    } else if wide && host == address.network() {
        Some("it is the address of the network itself")
    } else if wide && host.is_ipv4() && host == address.broadcast() {
        Some("it is the network's broadcast address")
    } else {
        None
    };
    match why {
        None => Some(address),
        Some(why) => {
            faults.add(node.place.clone(), format!("`{address}` cannot be an interface's address: {why}"));
            None
        }
    }
}

/// Reads a network; host bits must be zero, so that a typing error does not silently mean another network.
pub(super) fn network(node: &Node, what: &str, faults: &mut Faults) -> Option<IpNet> {
    let word = decode::text(node, what, faults)?.trim();
    let network: IpNet = match word.parse::<IpAddr>() {
        Ok(host) => IpNet::from(host),
        Err(_) => decode::parsed(node, what, "a network such as 10.0.0.0/24 or fd00:1::/64", faults)?,
    };
    if network.addr() != network.network() {
        let message = format!("{what} is `{network}`, which has bits beyond its prefix");
        faults.add_hint(node.place.clone(), message, format!("was {} meant?", network.trunc()));
        return None;
    }
    Some(network)
}

/// Reads `routes:`.
pub(super) fn routes(node: &Node, interfaces: &[Interface], faults: &mut Faults) -> Vec<Route> {
    let items = decode::list(node, "`routes`", faults);
    decode::at_most(items.len(), limits::ROUTES_MAX, node, "routes", faults);
    let mut seen: PrefixMap<u32> = PrefixMap::new();
    let mut routes = Vec::new();
    for item in items {
        let Some(mut mapping) = Mapping::new(item, "a route", faults) else { continue };
        let to_node = mapping.require("to", item, faults);
        let to = to_node.and_then(|to| network(to, "`to`", faults));
        let via_node = mapping.get("via");
        let via = via_node.and_then(|via| decode::parsed::<IpAddr>(via, "`via`", "an address", faults));
        let interface_node = mapping.get("interface");
        let named = interface_node.and_then(|name| interface_named(name, interfaces, faults));
        mapping.finish(faults);
        let (Some(to), Some(to_node)) = (to, to_node) else { continue };
        if let Some(line) = seen.insert(to, to_node.place.line) {
            faults.add(to_node.place.clone(), format!("there are two routes to {to}, the first in line {line}"));
        }
        let interface = match (via, via_node, named) {
            (Some(via), Some(via_node), named) => gateway(to, via, via_node, named, interfaces, faults),
            (None, Some(_), _) => None,
            (_, None, Some(named)) => Some(named),
            (_, None, None) if interface_node.is_some() => None,
            (_, None, None) => {
                let message = format!("the route to {to} leads nowhere");
                faults.add_hint(
                    item.place.clone(),
                    message,
                    "give it `via:` a gateway, or `interface:` where it is on the wire",
                );
                None
            }
        };
        routes.extend(interface.map(|interface| Route { to, via, interface }));
    }
    routes
}

fn interface_named(node: &Node, interfaces: &[Interface], faults: &mut Faults) -> Option<InterfaceId> {
    let name = decode::text(node, "`interface`", faults)?;
    let found = interfaces.iter().position(|interface| interface.name == name).map(|at| InterfaceId(at as u16));
    if found.is_none() {
        let message = format!("no interface is called `{name}`");
        match nearest(name, interfaces.iter().map(|interface| &*interface.name)) {
            Some(meant) => faults.add_hint(node.place.clone(), message, format!("was `{meant}` meant?")),
            None => faults.add(node.place.clone(), message),
        }
    }
    found
}

/// The interface whose network the gateway is in.
fn gateway(
    to: IpNet,
    via: IpAddr,
    node: &Node,
    named: Option<InterfaceId>,
    interfaces: &[Interface],
    faults: &mut Faults,
) -> Option<InterfaceId> {
    let mut fail = |message: String, hint: Option<String>| {
        match hint {
            Some(hint) => faults.add_hint(node.place.clone(), message, hint),
            None => faults.add(node.place.clone(), message),
        }
        None
    };
    if via.is_ipv4() != to.addr().is_ipv4() {
        return fail(format!("gateway {via} is not of the family of {to}"), None);
    }
    let all = || interfaces.iter().enumerate().flat_map(|(at, i)| i.addresses.iter().map(move |net| (at, i, net)));
    if let Some((_, interface, _)) = all().find(|(_, _, net)| net.addr() == via) {
        return fail(format!("gateway {via} is the gateway's own address, at interface `{}`", interface.name), None);
    }
    let link_local = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
    if let (true, Some(named)) = (link_local, named) {
        return Some(named);
    }
    if link_local {
        let hint = "link-local addresses stand on every wire: add `interface:`".to_owned();
        return fail(format!("gateway {via} could be on any interface"), Some(hint));
    }
    let reached = all().filter(|(_, _, net)| net.contains(&via)).max_by_key(|(_, _, net)| net.prefix_len());
    match (reached, named) {
        (None, _) => {
            let nets: Vec<String> = all().map(|(_, i, net)| format!("{} ({})", net.trunc(), i.name)).take(8).collect();
            let hint = format!("a gateway is in the network of an interface: {}", nets.join(", "));
            fail(format!("gateway {via} is not reachable"), (!nets.is_empty()).then_some(hint))
        }
        (Some((at, interface, _)), Some(named)) if at != named.index() => {
            fail(format!("gateway {via} is on interface `{}`", interface.name), None)
        }
        (Some((at, ..)), _) => Some(InterfaceId(at as u16)),
    }
}
