//! One entry, its flags, and how it is laid out in eight words.
//!
//! ```text
//! 0  state       generation (32) | flags (32), the only word that cores may change
//! 1  ports       local (16) | foreign (16) | remote (16) | protocol (8) | families and presence (8)
//! 2  local       address, IPv4 in the low half of the first word
//! 4  foreign
//! 6  remote
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use bitflags::bitflags;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) const WORDS: usize = 8;
/// Those after the first.
pub(crate) type Words = [u64; WORDS - 1];
const LOCAL_V6: u64 = 1;
const FOREIGN_V6: u64 = 2;
const REMOTE_V6: u64 = 4;
const REMOTE: u64 = 8;

bitflags! {
    /// What an entry is for. The values are those of the original `ITP_` constants.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u32 {
        /// Connections of the local address leave with the foreign one.
        const CONNECT = 0x1;
        /// Connections to the foreign address are delivered to the local one.
        const LISTEN = 0x2;
        /// Both of the above for one known remote address.
        const ESTABLISHED = 0x4;
        /// The first connection uses the entry up.
        const ONCE = 0x1_0000;
        /// The entry only marks, so that `-m tproxy` matches. Read-only.
        const MARK = 0x2_0000;
        /// At least one connection has used the entry. Read-only.
        const APPLIED = 0x4_0000;
        /// Datagrams are rewritten one by one, without a flow.
        const UNIDIR = 0x8_0000;

        /// A program at the handoff socket has assigned it: what it takes is that program's. Internal.
        const PROGRAM = 0x2000_0000;
        /// Shares its foreign address with an earlier entry, so it may not listen. Internal.
        const CONNECT_ONLY = 0x1000_0000;
        /// The slot holds an entry. Internal.
        const LIVE = 0x4000_0000;
        /// An ONCE entry that a core has taken. Internal.
        const CLAIMED = 0x8000_0000;
    }
}

impl Flags {
    /// What FLAGS may set.
    pub const USER: Flags =
        Flags::CONNECT.union(Flags::LISTEN).union(Flags::ESTABLISHED).union(Flags::ONCE).union(Flags::UNIDIR);
    /// What a program gets to see.
    pub const VISIBLE: Flags = Flags::USER.union(Flags::MARK).union(Flags::APPLIED);

    fn names(self) -> impl Iterator<Item = &'static str> {
        (self & Flags::VISIBLE).iter_names().map(|(name, _)| name)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in self.names() {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

impl FromStr for Flags {
    type Err = String;

    /// Names with commas or bars between them, with or without `ITP_`, or a number as in C.
    fn from_str(text: &str) -> Result<Flags, String> {
        let text = text.trim();
        if let Some(number) = number(text) {
            return Ok(Flags::from_bits_retain(number));
        }
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Ok(Flags::empty());
        }
        text.split([',', '|']).map(one_flag).try_fold(Flags::empty(), |all, flag| Ok(all | flag?))
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn one_flag(word: &str) -> Result<Flags, String> {
    let name = word.trim().to_ascii_uppercase();
    let name = name.strip_prefix("ITP_").unwrap_or(&name);
    match Flags::from_name(name) {
        Some(flag) if Flags::VISIBLE.contains(flag) => Ok(flag),
        _ => Err(format!("{word:?} is no flag; there are {}", Flags::VISIBLE)),
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flags, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "flags are a list of names, a string such as \"LISTEN,ONCE\", or a number")]
        enum Form {
            Number(u32),
            Text(String),
            List(Vec<String>),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(bits) => Ok(Flags::from_bits_retain(bits)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Form::List(words) => words.join(",").parse().map_err(serde::de::Error::custom),
        }
    }
}

/// An entry as it was when it was looked up. Holding one does not keep it: [`super::Table::claim`] tells whether it
/// still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The protocol number: TCP or UDP.
    pub protocol: u8,
    /// Where the program that asked listens, or connects from.
    pub local: SocketAddr,
    /// What stands for it on the wire; equal to `local` when the entry only marks.
    pub foreign: SocketAddr,
    /// The only peer the entry is meant for, if CONNECT has named one.
    pub remote: Option<SocketAddr>,
    /// What the entry is for.
    pub flags: Flags,
    pub(crate) handle: Handle,
    /// Whose packet led to the entry; recorded when it claims it.
    pub(crate) asker: Option<SocketAddr>,
}

/// What is looked for, in the words of a line: one comparison of whole words decides, before anything is unpacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    /// Of the word of ports: which bits count, and what they are to be.
    mask: u64,
    ports: u64,
    /// The word at which the address begins that is looked for, and the address.
    at: usize,
    address: [u64; 2],
    remote: Option<[u64; 2]>,
    /// One of these flags must be set.
    purpose: Flags,
}

impl Pattern {
    /// Entries of this local address.
    #[inline]
    pub(crate) fn local(protocol: u8, local: SocketAddr) -> Pattern {
        let (address, v6) = pack(local.ip());
        Pattern {
            mask: 0xffff << 48 | 0xff << 8 | LOCAL_V6,
            ports: u64::from(local.port()) << 48 | u64::from(protocol) << 8 | if v6 { LOCAL_V6 } else { 0 },
            at: 1,
            address,
            remote: None,
            purpose: Flags::LIVE,
        }
    }

    /// Entries that listen on this foreign address for this remote, or for all.
    #[inline]
    pub(crate) fn listener(protocol: u8, foreign: SocketAddr, remote: Option<SocketAddr>) -> Pattern {
        let (address, v6) = pack(foreign.ip());
        let mut mask = 0xffff << 32 | 0xff << 8 | FOREIGN_V6 | REMOTE;
        let mut ports = u64::from(foreign.port()) << 32 | u64::from(protocol) << 8 | if v6 { FOREIGN_V6 } else { 0 };
        let remote = remote.map(|remote| {
            let (address, v6) = pack(remote.ip());
            mask |= 0xffff << 16 | REMOTE_V6;
            ports |= u64::from(remote.port()) << 16 | REMOTE | if v6 { REMOTE_V6 } else { 0 };
            address
        });
        // ESTABLISHED without a remote stays set when FLAGS has refused it, and means nothing.
        let established = if remote.is_some() { Flags::ESTABLISHED } else { Flags::empty() };
        Pattern { mask, ports, at: 3, address, remote, purpose: Flags::LISTEN | Flags::MARK | established }
    }

    /// Is it this line's entry? `word` gives the words after the first.
    #[inline]
    pub(crate) fn fits(&self, flags: Flags, word: impl Fn(usize) -> u64) -> bool {
        flags.intersects(self.purpose)
            && (word(0) & self.mask) == self.ports
            && word(self.at) == self.address[0]
            && word(self.at + 1) == self.address[1]
            && self.remote.is_none_or(|remote| word(5) == remote[0] && word(6) == remote[1])
    }
}

/// Which slot, and the how-manieth entry in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Handle {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Entry {
    /// True for an entry that only marks, for `-m tproxy`.
    pub fn mark_only(&self) -> bool {
        self.flags.contains(Flags::MARK)
    }

    /// True if connections to the foreign address are for the local one, or marked.
    pub fn listens(&self) -> bool {
        self.mark_only() || self.flags.contains(Flags::LISTEN) || self.established()
    }

    /// True if connections from the local address leave with the foreign one, or are marked.
    pub fn connects(&self) -> bool {
        self.mark_only() || self.flags.contains(Flags::CONNECT) || self.established()
    }

    // FLAGS leaves the bit set although it has refused it for want of a remote; such an entry must match nothing.
    fn established(&self) -> bool {
        self.flags.contains(Flags::ESTABLISHED) && self.remote.is_some()
    }

    /// True if what the entry takes is for a program at the handoff socket.
    pub fn is_programs(&self) -> bool {
        self.flags.contains(Flags::PROGRAM)
    }

    pub(crate) fn to_words(self) -> Words {
        let (local, local_v6) = pack(self.local.ip());
        let (foreign, foreign_v6) = pack(self.foreign.ip());
        let (remote, remote_v6) = self.remote.map_or(([0; 2], false), |remote| pack(remote.ip()));
        let when = |holds: bool, bit: u64| if holds { bit } else { 0 };
        let shape = when(local_v6, LOCAL_V6)
            | when(foreign_v6, FOREIGN_V6)
            | when(remote_v6, REMOTE_V6)
            | when(self.remote.is_some(), REMOTE);
        let ports = (u64::from(self.local.port()) << 48)
            | (u64::from(self.foreign.port()) << 32)
            | (u64::from(self.remote.map_or(0, |remote| remote.port())) << 16)
            | (u64::from(self.protocol) << 8)
            | shape;
        [ports, local[0], local[1], foreign[0], foreign[1], remote[0], remote[1]]
    }

    #[inline]
    pub(crate) fn from_words(words: &Words, seen: Seen, asker: Option<&SocketAddr>) -> Entry {
        let ports = words[0];
        Entry {
            protocol: (ports >> 8) as u8,
            local: socket([words[1], words[2]], (ports >> 48) as u16, ports & LOCAL_V6 != 0),
            foreign: socket([words[3], words[4]], (ports >> 32) as u16, ports & FOREIGN_V6 != 0),
            remote: (ports & REMOTE != 0)
                .then(|| socket([words[5], words[6]], (ports >> 16) as u16, ports & REMOTE_V6 != 0)),
            flags: seen.flags(),
            handle: seen.handle(),
            asker: asker.copied(),
        }
    }
}

/// A line whose entry is the one that was looked for, and its first word as it was then. Two words, so that it is
/// handed on in registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) slot: u64,
    pub(crate) state: u64,
}

impl Seen {
    #[inline]
    pub(crate) fn flags(self) -> Flags {
        Flags::from_bits_retain(self.state as u32)
    }

    #[inline]
    pub(crate) fn handle(self) -> Handle {
        Handle { slot: self.slot as u32, generation: (self.state >> 32) as u32 }
    }
}

/// An address in two words; true for IPv6.
#[inline]
pub(crate) fn pack(address: IpAddr) -> ([u64; 2], bool) {
    match address {
        IpAddr::V4(v4) => ([u64::from(u32::from(v4)), 0], false),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            ([bits as u64, (bits >> 64) as u64], true)
        }
    }
}

/// The opposite, with a port.
#[inline]
pub(crate) fn socket(words: [u64; 2], port: u16, v6: bool) -> SocketAddr {
    if v6 {
        let address = Ipv6Addr::from_bits((u128::from(words[1]) << 64) | u128::from(words[0]));
        SocketAddr::V6(SocketAddrV6::new(address, port, 0, 0))
    } else {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from_bits(words[0] as u32), port))
    }
}
