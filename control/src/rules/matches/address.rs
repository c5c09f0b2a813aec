//! Matches by address beyond `-s` and `-d`: iprange, addrtype, mac.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use std::net::IpAddr;

use super::super::Network;
use super::super::criteria::{AddressRange, AddressTypes, Match, Not, Side};
use super::super::modules::{Draft, Facts, Given, Made, Module, by_beginning};
use super::super::options::Spec;

pub(super) static IPRANGE: Module = Module {
    name: "iprange",
    spelled: "-m iprange",
    options: &[Spec::value("src-range").not(), Spec::value("dst-range").not()],
    new: || Box::new(IpRangeDraft { source: None, destination: None }),
};

struct IpRangeDraft {
    source: Option<Not<AddressRange>>,
    destination: Option<Not<AddressRange>>,
}

impl Draft for IpRangeDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let range = given.not(range(given.value)?);
        if given.option == "src-range" {
            self.source = range;
        } else {
            self.destination = range;
        }
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        if self.source.is_none() && self.destination.is_none() {
            return Err("`-m iprange` needs `--src-range` or `--dst-range`".to_owned());
        }
        if let (Some(source), Some(destination)) = (&self.source, &self.destination)
            && source.value.first.is_ipv4() != destination.value.first.is_ipv4()
        {
            return Err("the two ranges are of different families".to_owned());
        }
        Ok(Made::Match(Match::IpRange { source: self.source.clone(), destination: self.destination.clone() }))
    }
}

/// `FIRST-LAST`, or one address.
fn range(word: &str) -> Result<AddressRange, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (address(first)?, address(last)?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(format!("`{word}` begins in one family and ends in the other"));
    }
    if first > last { Err(format!("`{word}` runs backwards")) } else { Ok(AddressRange { first, last }) }
}

fn address(word: &str) -> Result<IpAddr, String> {
    if word.contains('/') {
        return Err(format!("`{word}` is a network: an address was expected"));
    }
    Ok(match Network::parse(word)? {
        Network::V4 { address, .. } => std::net::Ipv4Addr::from_bits(address).into(),
        Network::V6 { address, .. } => std::net::Ipv6Addr::from_bits(address).into(),
    })
}

pub(super) static ADDRTYPE: Module = Module {
    name: "addrtype",
    spelled: "-m addrtype",
    options: &[
        Spec::value("src-type").not(),
        Spec::value("dst-type").not(),
        Spec::flag("limit-iface-in"),
        Spec::flag("limit-iface-out"),
    ],
    new: || Box::new(AddrTypeDraft { source: None, destination: None, interface: None }),
};

/// Kinds of addresses in the order in which iptables prints them.
pub(super) const ADDRESS_TYPES: [(&str, AddressTypes); 9] = [
    ("UNSPEC", AddressTypes::UNSPEC),
    ("UNICAST", AddressTypes::UNICAST),
    ("LOCAL", AddressTypes::LOCAL),
    ("BROADCAST", AddressTypes::BROADCAST),
    ("ANYCAST", AddressTypes::ANYCAST),
    ("MULTICAST", AddressTypes::MULTICAST),
    ("BLACKHOLE", AddressTypes::BLACKHOLE),
    ("UNREACHABLE", AddressTypes::UNREACHABLE),
    ("PROHIBIT", AddressTypes::PROHIBIT),
];

struct AddrTypeDraft {
    source: Option<Not<AddressTypes>>,
    destination: Option<Not<AddressTypes>>,
    interface: Option<Side>,
}

impl Draft for AddrTypeDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let side = match given.option {
            "src-type" => {
                self.source = given.not(types(given.value)?);
                return Ok(());
            }
            "dst-type" => {
                self.destination = given.not(types(given.value)?);
                return Ok(());
            }
            "limit-iface-in" => Side::In,
            _ => Side::Out,
        };
        match self.interface.replace(side) {
            Some(_) => Err("`--limit-iface-in` and `--limit-iface-out` exclude each other".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        if self.source.is_none() && self.destination.is_none() {
            return Err("`-m addrtype` needs `--src-type` or `--dst-type`".to_owned());
        }
        let (source, destination, interface) = (self.source.clone(), self.destination.clone(), self.interface);
        Ok(Made::Match(Match::AddrType { source, destination, interface }))
    }
}

fn types(word: &str) -> Result<AddressTypes, String> {
    let mut types = AddressTypes::empty();
    for name in word.split(',') {
        types |= by_beginning(name, &ADDRESS_TYPES).ok_or_else(|| {
            let names: Vec<&str> = ADDRESS_TYPES.iter().map(|(name, _)| *name).collect();
            format!("`{name}` is no kind of address: one of {} was expected", names.join(", "))
        })?;
    }
    Ok(types)
}

pub(super) static MAC: Module = Module {
    name: "mac",
    spelled: "-m mac",
    options: &[Spec::value("mac-source").not()],
    new: || Box::new(MacDraft(None)),
};

struct MacDraft(Option<Not<[u8; 6]>>);

impl Draft for MacDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let wrong = || format!("`{}` is no MAC address: xx:xx:xx:xx:xx:xx was expected", given.value);
        let mut mac = [0; 6];
        let mut words = given.value.split(':');
        for byte in &mut mac {
            let word = words.next().filter(|word| (1..=2).contains(&word.len())).ok_or_else(wrong)?;
            let digits = word.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(word, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
        }
        if words.next().is_some() {
            return Err(wrong());
        }
        self.0 = given.not(mac);
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::Mac(self.0.clone().ok_or("`-m mac` needs `--mac-source`")?)))
    }
}
