//! Translation: DNAT, REDIRECT, SNAT, MASQUERADE. Which address and port inside a range is the data plane's choice.

use std::net::IpAddr;

use super::super::TableKind;
use super::super::criteria::AddressRange;
use super::super::modules::{Draft, Facts, Given, Made, Module, within};
use super::super::options::Spec;
use super::super::ports;
use super::super::target::{Target, Translation};

const RANDOM: Spec = Spec::flag("random");
const FULLY: Spec = Spec::flag("random-fully");
const PERSISTENT: Spec = Spec::flag("persistent");

pub(super) static DNAT: Module = Module {
    name: "DNAT",
    spelled: "-j DNAT",
    options: &[Spec::value("to-destination"), RANDOM, PERSISTENT],
    new: || Box::new(NatDraft::of("DNAT", "to-destination")),
};

pub(super) static REDIRECT: Module = Module {
    name: "REDIRECT",
    spelled: "-j REDIRECT",
    options: &[Spec::value("to-ports"), RANDOM],
    new: || Box::new(NatDraft::of("REDIRECT", "to-ports")),
};

pub(super) static SNAT: Module = Module {
    name: "SNAT",
    spelled: "-j SNAT",
    options: &[Spec::value("to-source"), RANDOM, FULLY, PERSISTENT],
    new: || Box::new(NatDraft::of("SNAT", "to-source")),
};

pub(super) static MASQUERADE: Module = Module {
    name: "MASQUERADE",
    spelled: "-j MASQUERADE",
    options: &[Spec::value("to-ports"), RANDOM, FULLY],
    new: || Box::new(NatDraft::of("MASQUERADE", "to-ports")),
};

struct NatDraft {
    name: &'static str,
    needs: &'static str,
    given: bool,
    to: Translation,
}

impl NatDraft {
    fn of(name: &'static str, needs: &'static str) -> NatDraft {
        NatDraft { name, needs, given: false, to: Translation::default() }
    }
}

impl Draft for NatDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        match given.option {
            "random" => self.to.random = true,
            "random-fully" => self.to.random_fully = true,
            "persistent" => self.to.persistent = true,
            "to-ports" => self.to.ports = Some(port_range(given.value)?),
            _ => {
                self.given = true;
                let (addresses, ports) = split(given.value)?;
                self.to.addresses = addresses.map(address_range).transpose()?;
                if let Some(ports) = ports {
                    let (range, base) = ports.split_once('/').map_or((ports, None), |(r, base)| (r, Some(base)));
                    self.to.ports = Some(port_range(range)?);
                    self.to.base = base.map(port_base).transpose()?;
                }
            }
        }
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let (name, to) = (self.name, self.to);
        if facts.table != TableKind::Nat {
            return Err(format!("{name} stands in table nat, not in {}", facts.table.name()));
        }
        if !self.given && matches!(name, "DNAT" | "SNAT") {
            return Err(format!("{name} needs `--{}`", self.needs));
        }
        if to.ports.is_some() && !facts.is_protocol(&WITH_PORTS) {
            return Err(format!("ports in `--{}` need `-p tcp` or another protocol with ports", self.needs));
        }
        if to.base.is_some() && name == "SNAT" {
            return Err("a base belongs to DNAT".to_owned());
        }
        Ok(Made::Target(match name {
            "DNAT" => Target::Dnat(to),
            "REDIRECT" => Target::Redirect(to),
            "SNAT" => Target::Snat(to),
            _ => Target::Masquerade(to),
        }))
    }
}

/// TCP, UDP, SCTP, DCCP and, as iptables has it, ICMP, whose identifiers are chosen as ports are.
const WITH_PORTS: [u8; 6] = [6, 17, 132, 33, 1, 58];

/// `ADDRESSES[:PORTS]`, with brackets around IPv6's where ports follow.
fn split(word: &str) -> Result<(Option<&str>, Option<&str>), String> {
    if let Some((addresses, rest)) = word.strip_prefix('[').and_then(|word| word.split_once(']')) {
        return match rest.strip_prefix(':') {
            None if !rest.is_empty() => Err(format!("`{word}`: `[FIRST-LAST]:PORTS` was expected")),
            ports => Ok((Some(addresses), ports)),
        };
    }
    Ok(match word.split_once(':') {
        Some((_, rest)) if rest.contains(':') => (Some(word), None),
        Some((addresses, ports)) => (Some(addresses).filter(|addresses| !addresses.is_empty()), Some(ports)),
        None => (Some(word), None),
    })
}

/// `FIRST-LAST`, or one address; here in full, and in neither form of a network.
fn address_range(word: &str) -> Result<AddressRange, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let address = |word: &str| word.parse::<IpAddr>().map_err(|_| format!("`{word}` is no address"));
    let (first, last) = (address(first)?, address(last)?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(format!("`{word}` begins in one family and ends in the other"));
    }
    if first > last { Err(format!("`{word}` runs backwards")) } else { Ok(AddressRange { first, last }) }
}

/// `a`, `a-b`, or the name of a service.
fn port_range(word: &str) -> Result<(u16, u16), String> {
    if word.contains(':') {
        return Err(format!("`{word}`: a range of ports has a `-` here"));
    }
    let numbers = word.split_once('-').filter(|(first, _)| first.starts_with(|c: char| c.is_ascii_digit()));
    let (first, last) = numbers.unwrap_or((word, word));
    let (first, last) = (ports::port(first)?, ports::port(last)?);
    if first > last { Err(format!("`{word}` runs backwards")) } else { Ok((first, last)) }
}

fn port_base(word: &str) -> Result<u16, String> {
    within(word, 1, 65_535).map(|base| base as u16)
}
