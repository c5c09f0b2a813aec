//! Addresses in rules: IPv4 and IPv6, with a prefix length or any mask.
//!
//! IPv4 is read as iptables reads it (`inet_aton` with its own short forms): octets may be octal (`010`) or hexadecimal
//! (`0x10`), missing ones are zeros *on the right* (`10.1` is 10.1.0.0/32), host bits are cleared, and a mask need
//! not be contiguous. Host names are not resolved: a rule must mean the same tomorrow.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::criteria::Family;
use super::modules::number;

/// An address under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4.
    V4 {
        /// Masked address.
        address: u32,
        /// Any mask.
        mask: u32,
    },
    /// IPv6.
    V6 {
        /// Masked address.
        address: u128,
        /// Any mask.
        mask: u128,
    },
}

impl Network {
    /// Whether an address is in it; one of the other family never is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (*self, address) {
            (Network::V4 { address, mask }, IpAddr::V4(asked)) => asked.to_bits() & mask == address,
            (Network::V6 { address, mask }, IpAddr::V6(asked)) => asked.to_bits() & mask == address,
            _ => false,
        }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        match self {
            Network::V4 { .. } => Family::V4,
            Network::V6 { .. } => Family::V6,
        }
    }

    /// Whether every address of the family is in it.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Network::V4 { mask: 0, .. } | Network::V6 { mask: 0, .. })
    }

    /// Reads one address of a rule.
    pub(super) fn parse(word: &str) -> Result<Network, String> {
        let (address, mask) = match word.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (word, None),
        };
        if address.contains(':') {
            return parse_v6(address, mask);
        }
        let address = parse_v4(address)?;
        let mask = match mask {
            None => u32::MAX,
            Some(mask) => parse_v4_mask(mask)?,
        };
        Ok(Network::V4 { address: address & mask, mask })
    }
}

fn parse_v6(address: &str, mask: Option<&str>) -> Result<Network, String> {
    let parsed = |word: &str| word.parse::<Ipv6Addr>().map(Ipv6Addr::to_bits);
    let bits = parsed(address).map_err(|_| format!("`{address}` is no IPv6 address"))?;
    let mask = match mask {
        None => u128::MAX,
        Some(mask) if mask.contains(':') => parsed(mask).map_err(|_| format!("`{mask}` is no IPv6 mask"))?,
        Some(length) => match number(length, 128) {
            Some(length) => u128::MAX.checked_shl(128 - length as u32).unwrap_or(0),
            None => return Err(format!("`/{length}` is no prefix length of IPv6, 0 to 128 or a mask was expected")),
        },
    };
    Ok(Network::V6 { address: bits & mask, mask })
}

fn parse_v4_mask(mask: &str) -> Result<u32, String> {
    if mask.contains('.') {
        // A mask has no short form.
        let whole = Some(mask).filter(|mask| mask.split('.').count() == 4);
        return whole.and_then(|mask| parse_v4(mask).ok()).ok_or_else(|| format!("`{mask}` is no IPv4 mask"));
    }
    match number(mask, 32) {
        Some(length) => Ok(u32::MAX.checked_shl(32 - length as u32).unwrap_or(0)),
        None => Err(format!("`/{mask}` is no prefix length of IPv4, 0 to 32 or a mask was expected")),
    }
}

fn parse_v4(word: &str) -> Result<u32, String> {
    let wrong = || {
        let name = word.starts_with(|c: char| c.is_ascii_alphabetic());
        let why = if name { "names are not resolved and no macro is called so; " } else { "" };
        format!("`{word}` is no address: {why}a.b.c.d or an IPv6 address was expected, with /length or /mask after it")
    };
    let octets: Vec<&str> = word.split('.').collect();
    if octets.len() > 4 {
        return Err(wrong());
    }
    let mut bytes = [0u8; 4];
    for (byte, octet) in bytes.iter_mut().zip(&octets) {
        *byte = parse_octet(octet).ok_or_else(wrong)?;
    }
    Ok(u32::from_be_bytes(bytes))
}

/// A number as `strtoul` with base 0 reads it.
fn parse_octet(word: &str) -> Option<u8> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(hex) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return u8::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'));
    }
    match word.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u8::from_str_radix(octal, 8).ok(),
        _ => word.parse().ok(),
    }
}

impl fmt::Display for Network {
    /// As `iptables-save`: always with a length, or with the mask where it has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Network::V4 { address, mask } => {
                write!(f, "{}/", Ipv4Addr::from_bits(address))?;
                match mask.leading_ones() {
                    ones if ones == mask.count_ones() => write!(f, "{ones}"),
                    _ => write!(f, "{}", Ipv4Addr::from_bits(mask)),
                }
            }
            Network::V6 { address, mask } => {
                write!(f, "{}/", Ipv6Addr::from_bits(address))?;
                match mask.leading_ones() {
                    ones if ones == mask.count_ones() => write!(f, "{ones}"),
                    _ => write!(f, "{}", Ipv6Addr::from_bits(mask)),
                }
            }
        }
    }
}
