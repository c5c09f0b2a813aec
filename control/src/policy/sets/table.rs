//! A set's members in a hash table that one thread changes while others read.
//!
//! Linear probing over words. An IPv4 member is one word, so a reader sees it whole or not at all. Others are more (IPv6
//! three, with a second address two and five), of which the first says that the others are there: it is written last and
//! taken away first. A place that was
//! taken away is a grave, over which probing goes on; graves are not used again and count as load until the table is made
//! anew. At most half of the places are not empty, so every probe ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::member::Member;

const USED: u64 = 1 << 63;
const NOMATCH: u64 = 1 << 62;
/// A place that was used. It ends no probe and is no member.
const GRAVE: u64 = 1;
/// Places of an empty table, of each family.
const PLACES_MIN: usize = 16;

/// A table for both families. Members with a second address have places of their own.
#[derive(Debug)]
pub(super) struct Table {
    /// Whether members have ports.
    ported: bool,
    v4: Places<1>,
    v6: Places<3>,
    pairs_v4: Places<2>,
    pairs_v6: Places<5>,
}

/// Places of keys of so many words.
#[derive(Debug)]
struct Places<const N: usize> {
    words: Vec<[AtomicU64; N]>,
    /// Members and graves.
    taken: AtomicUsize,
    members: AtomicUsize,
    /// Lengths of prefixes that members have, as bits, and how many members have each.
    lengths: [AtomicU64; 3],
    of_length: Vec<AtomicU32>,
}

impl Table {
    /// A table with these members, and room to add some.
    pub(super) fn of(ported: bool, members: &[Member]) -> Table {
        let count = |v4: bool, pair: bool| {
            let of = |member: &&Member| (member.network.addr().is_ipv4(), member.second.is_some()) == (v4, pair);
            members.iter().filter(of).count()
        };
        let table = Table {
            ported,
            v4: Places::new(count(true, false), 33),
            v6: Places::new(count(false, false), 129),
            pairs_v4: Places::new(count(true, true), 33),
            pairs_v6: Places::new(count(false, true), 129),
        };
        for member in members {
            table.add(member);
        }
        table
    }

    /// One with the same members, without graves, and with room for as many again.
    pub(super) fn grown(&self) -> Table {
        let table = Table {
            ported: self.ported,
            v4: Places::new(self.v4.len() + 1, 33),
            v6: Places::new(self.v6.len() + 1, 129),
            pairs_v4: Places::new(self.pairs_v4.len() + 1, 33),
            pairs_v6: Places::new(self.pairs_v6.len() + 1, 129),
        };
        for member in self.members() {
            table.add(&member);
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len() + self.pairs_v4.len() + self.pairs_v6.len()
    }

    /// Whether an address, with a port and a second address if the set has them, is in the set: the longest network
    /// decides.
    pub(super) fn contains(&self, address: IpAddr, port: Option<(u8, u16)>, second: Option<IpAddr>) -> bool {
        match (address, second) {
            (IpAddr::V4(address), None) => self.v4.longest(|length| key_v4(address.to_bits(), length, port)),
            (IpAddr::V6(address), None) => self.v6.longest(|length| key_v6(address.to_bits(), length, port)),
            // Pairs are of whole addresses: one place to look at.
            (IpAddr::V4(address), Some(IpAddr::V4(second))) => {
                self.pairs_v4.place(&pair_v4(address.to_bits(), port, second)).is_some()
            }
            (IpAddr::V6(address), Some(IpAddr::V6(second))) => {
                self.pairs_v6.place(&pair_v6(address.to_bits(), port, second)).is_some()
            }
            // A flow has two ends of one family.
            _ => false,
        }
    }

    /// Whether it has exactly this network.
    pub(super) fn has(&self, member: &Member) -> bool {
        match key(member) {
            Keyed::V4(key, _) => self.v4.place(&key).is_some(),
            Keyed::V6(key, _) => self.v6.place(&key).is_some(),
            Keyed::PairV4(key) => self.pairs_v4.place(&key).is_some(),
            Keyed::PairV6(key) => self.pairs_v6.place(&key).is_some(),
        }
    }

    /// Adds a member; false: it was there. None: the table must grow first.
    pub(super) fn add(&self, member: &Member) -> Option<bool> {
        match key(member) {
            Keyed::V4(key, length) => self.v4.add(&key, length, member.nomatch),
            Keyed::V6(key, length) => self.v6.add(&key, length, member.nomatch),
            Keyed::PairV4(key) => self.pairs_v4.add(&key, 32, member.nomatch),
            Keyed::PairV6(key) => self.pairs_v6.add(&key, 128, member.nomatch),
        }
    }

    /// Takes a member out; false: it was not there.
    pub(super) fn delete(&self, member: &Member) -> bool {
        match key(member) {
            Keyed::V4(key, length) => self.v4.delete(&key, length),
            Keyed::V6(key, length) => self.v6.delete(&key, length),
            Keyed::PairV4(key) => self.pairs_v4.delete(&key, 32),
            Keyed::PairV6(key) => self.pairs_v6.delete(&key, 128),
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = Member> {
        let port = |word: u64| self.ported.then_some(((word >> 48) as u8, (word >> 32) as u16));
        let member = move |network: IpNet, word: u64, second: Option<IpAddr>| {
            let nomatch = word & NOMATCH != 0;
            Member { network, port: port(word), second, nomatch }
        };
        let v4 = move |word: u64| Ipv4Net::new((word as u32).into(), (word >> 56) as u8 & 0x3f).ok();
        let v6 = move |word: u64, high: u64, low: u64| Ipv6Net::new(join(high, low).into(), word as u8).ok();
        let one_v4 = self.v4.iter().filter_map(move |[word]| Some(member(v4(word)?.into(), word, None)));
        let one_v6 =
            self.v6.iter().filter_map(move |[word, high, low]| Some(member(v6(word, high, low)?.into(), word, None)));
        let two_v4 = self.pairs_v4.iter().filter_map(move |[word, second]| {
            Some(member(v4(word)?.into(), word, Some(Ipv4Addr::from_bits(second as u32).into())))
        });
        let two_v6 = self.pairs_v6.iter().filter_map(move |[word, high, low, second_high, second_low]| {
            let second = Ipv6Addr::from_bits(join(second_high, second_low));
            Some(member(v6(word, high, low)?.into(), word, Some(second.into())))
        });
        one_v4.chain(one_v6).chain(two_v4).chain(two_v6)
    }
}

/// A member as it is kept, and the length of its prefix.
enum Keyed {
    V4([u64; 1], u8),
    V6([u64; 3], u8),
    PairV4([u64; 2]),
    PairV6([u64; 5]),
}

fn key(member: &Member) -> Keyed {
    let length = member.network.prefix_len();
    match (member.network, member.second) {
        (IpNet::V4(network), Some(IpAddr::V4(second))) => {
            Keyed::PairV4(pair_v4(network.addr().to_bits(), member.port, second))
        }
        (IpNet::V6(network), Some(IpAddr::V6(second))) => {
            Keyed::PairV6(pair_v6(network.addr().to_bits(), member.port, second))
        }
        // Members of two families are of no kind ([`Member::is_of`]).
        (IpNet::V4(network), _) => Keyed::V4(key_v4(network.addr().to_bits(), length, member.port), length),
        (IpNet::V6(network), _) => Keyed::V6(key_v6(network.addr().to_bits(), length, member.port), length),
    }
}

/// Bits 0–31 the address, 32–47 the port, 48–55 the protocol, 56–61 the length.
fn key_v4(address: u32, length: u8, port: Option<(u8, u16)>) -> [u64; 1] {
    let kept = address & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    [USED | (u64::from(length) << 56) | ported(port) | u64::from(kept)]
}

/// The first word as that of IPv4, but the length in bits 0–7; then the address.
fn key_v6(address: u128, length: u8, port: Option<(u8, u16)>) -> [u64; 3] {
    let kept = address & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    [USED | ported(port) | u64::from(length), (kept >> 64) as u64, kept as u64]
}

/// As without a second address, which follows.
fn pair_v4(address: u32, port: Option<(u8, u16)>, second: Ipv4Addr) -> [u64; 2] {
    let [word] = key_v4(address, 32, port);
    [word, u64::from(second.to_bits())]
}

fn pair_v6(address: u128, port: Option<(u8, u16)>, second: Ipv6Addr) -> [u64; 5] {
    let [word, high, low] = key_v6(address, 128, port);
    [word, high, low, (second.to_bits() >> 64) as u64, second.to_bits() as u64]
}

fn join(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

fn ported(port: Option<(u8, u16)>) -> u64 {
    port.map_or(0, |(protocol, port)| (u64::from(protocol) << 48) | (u64::from(port) << 32))
}

impl<const N: usize> Places<N> {
    fn new(members: usize, lengths: usize) -> Places<N> {
        let places = (members * 4).next_power_of_two().max(PLACES_MIN);
        Places {
            words: (0..places).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
            taken: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
            lengths: Default::default(),
            of_length: (0..lengths).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn len(&self) -> usize {
        self.members.load(Ordering::Relaxed)
    }

    /// Whether the longest of the networks that are there says yes.
    fn longest(&self, key: impl Fn(u8) -> [u64; N]) -> bool {
        for at in (0..self.lengths.len()).rev() {
            let mut lengths = self.lengths[at].load(Ordering::Acquire);
            while lengths != 0 {
                let length = 63 - lengths.leading_zeros();
                lengths &= !(1 << length);
                if let Some(place) = self.place(&key((at * 64) as u8 + length as u8)) {
                    return self.words[place][0].load(Ordering::Relaxed) & NOMATCH == 0;
                }
            }
        }
        false
    }

    /// Where the member is.
    fn place(&self, key: &[u64; N]) -> Option<usize> {
        let mut at = self.first(key);
        loop {
            let place = &self.words[at];
            let word = place[0].load(Ordering::Acquire);
            if word == 0 {
                return None;
            }
            if word & !NOMATCH == key[0] && (1..N).all(|n| place[n].load(Ordering::Relaxed) == key[n]) {
                return Some(at);
            }
            at = (at + 1) & (self.words.len() - 1);
        }
    }

    fn add(&self, key: &[u64; N], length: u8, nomatch: bool) -> Option<bool> {
        let word = key[0] | if nomatch { NOMATCH } else { 0 };
        if let Some(at) = self.place(key) {
            // The same network may become an exception, or cease to be one.
            return Some(self.words[at][0].swap(word, Ordering::Release) != word);
        }
        if (self.taken.load(Ordering::Relaxed) + 1) * 2 > self.words.len() {
            return None;
        }
        let mut at = self.first(key);
        while self.words[at][0].load(Ordering::Relaxed) != 0 {
            at = (at + 1) & (self.words.len() - 1);
        }
        for (word, value) in self.words[at].iter().zip(key).skip(1) {
            word.store(*value, Ordering::Relaxed);
        }
        self.words[at][0].store(word, Ordering::Release);
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.members.fetch_add(1, Ordering::Relaxed);
        if self.of_length[usize::from(length)].fetch_add(1, Ordering::Relaxed) == 0 {
            self.lengths[usize::from(length / 64)].fetch_or(1 << (length % 64), Ordering::Release);
        }
        Some(true)
    }

    fn delete(&self, key: &[u64; N], length: u8) -> bool {
        let Some(at) = self.place(key) else { return false };
        self.words[at][0].store(GRAVE, Ordering::Release);
        self.members.fetch_sub(1, Ordering::Relaxed);
        if self.of_length[usize::from(length)].fetch_sub(1, Ordering::Relaxed) == 1 {
            self.lengths[usize::from(length / 64)].fetch_and(!(1 << (length % 64)), Ordering::Release);
        }
        true
    }

    fn iter(&self) -> impl Iterator<Item = [u64; N]> {
        let words = self.words.iter().map(|place| std::array::from_fn(|n| place[n].load(Ordering::Relaxed)));
        words.filter(|words: &[u64; N]| words[0] & USED != 0)
    }

    fn first(&self, key: &[u64; N]) -> usize {
        let hash = key.iter().fold(0u64, |hash, word| {
            let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 32)
        });
        (hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as usize & (self.words.len() - 1)
    }
}
