//! Address translation as a decision hands it to the data plane: for the rules' DNAT, REDIRECT, SNAT and MASQUERADE, for
//! routers of forward services and for NAT policies alike.
//!
//! A rule names a range; a decision has narrowed it to one address, because the filter must see whom the flow really
//! goes to. The choice is a hash of the flow's addresses, as Linux' is: the same client finds the same address. Which
//! port of a range is free is what only the data plane knows, and its choice.

use std::fmt;
use std::net::IpAddr;

/// What becomes of a flow's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// The destination becomes one of this.
    pub destination: Option<NatRange>,
    /// The source becomes one of this.
    pub source: Option<NatRange>,
}

/// Addresses and ports to choose from. In a [`super::Decision`] the first address is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatRange {
    /// Which target asked for it.
    pub kind: NatKind,
    /// First and last address, both of the flow's family (a NAT64 or NAT46 policy's: of the other one). None: the
    /// address stays, or (REDIRECT, MASQUERADE) is the interface's.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// First and last port. None: the port stays where it is free.
    pub ports: Option<(u16, u16)>,
    /// `--random`: begin anywhere in the range of ports.
    pub random: bool,
    /// `--random-fully`: each port by chance.
    pub random_fully: bool,
    /// `--persistent`: the address depends on the client alone.
    pub persistent: bool,
}

/// Where a translation comes from, and at which end it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// `DNAT`, the router of a forward service, or a `dnat` policy.
    Dnat,
    /// `REDIRECT`: to the incoming interface's own address.
    Redirect,
    /// `SNAT`, or a `snat` policy.
    Snat,
    /// `MASQUERADE`: from the outgoing interface's own address.
    Masquerade,
}

impl NatKind {
    /// As written after `-j`.
    pub fn name(self) -> &'static str {
        match self {
            NatKind::Dnat => "DNAT",
            NatKind::Redirect => "REDIRECT",
            NatKind::Snat => "SNAT",
            NatKind::Masquerade => "MASQUERADE",
        }
    }
}

impl NatRange {
    /// A range that leaves everything as it is; the caller sets what changes.
    pub fn new(kind: NatKind) -> NatRange {
        NatRange { kind, addresses: None, ports: None, random: false, random_fully: false, persistent: false }
    }

    /// One translation after another: what this one leaves as it is, the one before has set.
    #[must_use]
    pub(super) fn after(self, before: Option<NatRange>) -> NatRange {
        let (addresses, ports) = before.map_or((None, None), |before| (before.addresses, before.ports));
        NatRange { addresses: self.addresses.or(addresses), ports: self.ports.or(ports), ..self }
    }

    /// The one address of a narrowed range.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.map(|(first, _)| first)
    }

    /// The range with one address of it: what both ends' addresses hash to.
    #[must_use]
    pub fn narrowed(self, source: IpAddr, destination: IpAddr) -> NatRange {
        let Some((first, last)) = self.addresses.filter(|(first, last)| first != last) else { return self };
        let to = if self.persistent { None } else { Some(destination) };
        let hash = mix(mix(bits(source)).wrapping_add(to.map_or(0, bits)));
        let address = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let count = u64::from(last.to_bits().saturating_sub(first.to_bits())) + 1;
                IpAddr::V4((first.to_bits() + ((u64::from(hash as u32) * count) >> 32) as u32).into())
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let count = last.to_bits().saturating_sub(first.to_bits()).saturating_add(1);
                // A range is a few networks at most; what is beyond 64 bits of it is not chosen from.
                let count = count.min(u128::from(u64::MAX));
                IpAddr::V6((first.to_bits() + ((u128::from(hash) * count) >> 64)).into())
            }
            (first, _) => first,
        };
        NatRange { addresses: Some((address, address)), ..self }
    }

    /// The range with one port of it, where it has any: the flow's own if it may stay, the first, or with `--random`
    /// one by chance.
    #[must_use]
    pub(super) fn with_port(self, own: u16, chance: u64) -> NatRange {
        let Some((first, last)) = self.ports else { return self };
        let count = u64::from(last.saturating_sub(first)) + 1;
        let drawn = first + ((u64::from(chance as u32) * count) >> 32) as u16;
        let port = if self.random || self.random_fully { drawn } else { self.port(own) };
        NatRange { ports: Some((port, port)), ..self }
    }

    /// The port a flow has after it, unless that is taken: its own where the range has it or says nothing.
    pub fn port(&self, own: u16) -> u16 {
        match self.ports {
            Some((first, last)) if !(first..=last).contains(&own) => first,
            _ => own,
        }
    }
}

impl fmt::Display for NatRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some((first, last)) = self.addresses {
            write!(f, " {first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        match self.ports {
            Some((first, last)) if first == last => write!(f, " port {first}"),
            Some((first, last)) => write!(f, " ports {first}-{last}"),
            None => Ok(()),
        }
    }
}

fn bits(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ (address.to_bits() as u64).rotate_left(32),
    }
}

/// Spreads neighbouring numbers over all of them (the finisher of SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let number = (number.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
