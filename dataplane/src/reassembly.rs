//! Fragments wait here for the rest of their datagram (RFC 815, RFC 8200 4.5); whole ones go on as if they had come so.
//!
//! Every flow is decided by its ports, and only a first fragment has them: so everything that comes in fragments is put
//! together first, as Linux does before its connection tracking. What is forwarded is cut again on its way out.
//!
//! What must hold, whatever comes: memory, datagrams, pieces and time are bounded, for all and for each source
//! ([`crate::limits`]); a piece that overlaps another ends its datagram (RFC 5722, and for IPv4 alike: no sender makes
//! overlaps, teardrops and evasions live on them), and what belongs to such a datagram is dropped as long as it would
//! have waited. The wait is half of what RFC 8200 allows, so that an identification that comes round again finds nothing
//! of its former datagram (RFC 4963).
//!
//! Left out: the ICMP error about a wait that was in vain. It is the destination's to send; a gateway has no part in it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;

use control::policy::InterfaceId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcp::Instant;

use crate::counters::Counter;
use crate::limits;
use crate::packet::emit::Cut;
use crate::packet::fragment::{self, Parts};
use crate::packet::{Fragment, Ip};

/// What a fragment's datagram is known by (RFC 791 2.3; in IPv6 without the protocol, RFC 8200 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    interface: InterfaceId,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

/// A datagram that waits for its rest.
#[derive(Debug)]
struct Assembly {
    /// Tells it from another of the same key, in the queue of deadlines.
    number: u64,
    /// The pieces, in order of their offsets, without overlaps.
    pieces: Vec<Piece>,
    /// The whole's length, once its last piece is here.
    total: Option<usize>,
    /// Bytes of all pieces.
    have: usize,
    /// The first fragment's headers, from the Ethernet header on.
    head: Option<Head>,
    /// The longest fragment's IP packet.
    longest: u16,
    dont_fragment: bool,
    /// Bit n: a fragment had ECN codepoint n.
    ecn: u8,
    /// Something was wrong with it; its memory is free, its other fragments are dropped.
    dead: bool,
}

#[derive(Debug)]
struct Piece {
    at: u16,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
    /// Where in `bytes` the IP header begins.
    ip: usize,
    next_at: usize,
    next: u8,
}

/// What one source takes up.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    datagrams: u32,
    bytes: usize,
}

/// Datagrams that wait.
#[derive(Debug)]
pub struct Reassembly {
    waiting: HashMap<Key, Assembly, FixedState>,
    /// In the order in which they were begun, which is that of their deadlines; some of these are whole or gone.
    deadlines: VecDeque<(Instant, Key, u64)>,
    sources: HashMap<IpAddr, Share, FixedState>,
    bytes: usize,
    numbers: u64,
}

/// A datagram that was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The frame it would have come in.
    pub bytes: Vec<u8>,
    /// The longest fragment's IP packet.
    pub longest: u16,
    /// IPv4: its fragments said "don't fragment".
    pub dont_fragment: bool,
    /// IP headers that each fragment had.
    pub repeated: usize,
    /// IPv6: where in them the number of the next header is.
    pub next_at: usize,
    /// Which datagram.
    pub identification: u32,
}

impl Whole {
    /// How it is cut again into fragments of at most `limit` bytes.
    pub fn cut(&self, limit: usize) -> Cut {
        let Self { repeated, next_at, identification, dont_fragment, .. } = *self;
        Cut { limit, repeated, next_at, identification, dont_fragment }
    }
}

/// What came of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its datagram waits for more.
    Waits,
    /// Its datagram is whole.
    Whole(Box<Whole>),
    /// It is dropped.
    Dropped(Counter),
}

impl Reassembly {
    /// Nothing waits; `seed` keeps the table's order from those who send.
    pub fn new(seed: u64) -> Self {
        Self {
            waiting: HashMap::with_hasher(FixedState::with_seed(seed)),
            deadlines: VecDeque::new(),
            sources: HashMap::with_hasher(FixedState::with_seed(!seed)),
            bytes: 0,
            numbers: 0,
        }
    }

    /// A fragment that came in on `interface` in the frame `bytes`. Datagrams that make room for it are counted in
    /// `evicted`.
    pub fn handle(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        bytes: &[u8],
        ip: &Ip,
        evicted: &mut u64,
    ) -> Progress {
        let Some((fragment, parts)) = ip.fragment.zip(Parts::of(bytes, ip)) else {
            return Progress::Dropped(Counter::FragmentTiny);
        };
        let protocol = if ip.source.is_ipv4() { ip.protocol } else { 0 };
        let Fragment { identification, .. } = fragment;
        let key = Key { interface, source: ip.source, destination: ip.destination, protocol, identification };
        if let Err(counter) = self.begin(now, key, evicted) {
            return Progress::Dropped(counter);
        }
        let Some(assembly) = self.waiting.get_mut(&key) else { return Progress::Dropped(Counter::FragmentEvicted) };
        if assembly.dead {
            return Progress::Dropped(Counter::FragmentOfDropped);
        }
        let share = self.sources.get(&key.source).copied().unwrap_or_default();
        let added = match assembly.add(bytes, ip, fragment, &parts, share.bytes) {
            Ok(added) => added,
            Err(Counter::FragmentDuplicate) => return Progress::Dropped(Counter::FragmentDuplicate),
            Err(counter) => {
                self.kill(&key);
                return Progress::Dropped(counter);
            }
        };
        if assembly.is_whole() {
            self.account(key.source, added);
            return self.finish(&key);
        }
        self.account(key.source, added);
        self.make_room(&key, evicted);
        Progress::Waits
    }

    /// The datagram of a key, made if there is none.
    fn begin(&mut self, now: Instant, key: Key, evicted: &mut u64) -> Result<(), Counter> {
        if self.waiting.contains_key(&key) {
            return Ok(());
        }
        if self.sources.get(&key.source).is_some_and(|share| share.datagrams >= limits::FRAGMENTED_PER_SOURCE) {
            return Err(Counter::FragmentSourceLimit);
        }
        while self.waiting.len() >= limits::FRAGMENTED_MAX {
            *evicted += 1;
            self.evict_oldest(None);
        }
        self.numbers += 1;
        self.waiting.insert(key, Assembly::new(self.numbers));
        self.deadlines.push_back((now + limits::FRAGMENT_WAIT, key, self.numbers));
        // Those of datagrams that became whole stay behind; they must not add up to what arrives within a wait.
        if self.deadlines.len() > 2 * limits::FRAGMENTED_MAX {
            let waiting = &self.waiting;
            self.deadlines.retain(|(_, key, number)| waiting.get(key).is_some_and(|each| each.number == *number));
        }
        self.sources.entry(key.source).or_default().datagrams += 1;
        Ok(())
    }

    fn account(&mut self, source: IpAddr, bytes: usize) {
        self.bytes += bytes;
        self.sources.entry(source).or_default().bytes += bytes;
    }

    /// The oldest go when memory is full: honest datagrams are whole within a millisecond.
    fn make_room(&mut self, keep: &Key, evicted: &mut u64) {
        while self.bytes > limits::FRAGMENT_MEMORY && self.waiting.len() > 1 {
            *evicted += 1;
            self.evict_oldest(Some(keep));
        }
    }

    fn evict_oldest(&mut self, keep: Option<&Key>) {
        while let Some((at, key, number)) = self.deadlines.pop_front() {
            if self.waiting.get(&key).is_none_or(|assembly| assembly.number != number) {
                continue;
            }
            if keep == Some(&key) {
                // Its turn comes behind all others'; the deadline stays the same.
                self.deadlines.push_back((at, key, number));
                continue;
            }
            self.remove(&key);
            return;
        }
    }

    /// Datagrams that have waited in vain: how many.
    pub fn expire(&mut self, now: Instant) -> u64 {
        let mut expired = 0;
        while let Some(&(at, key, number)) = self.deadlines.front() {
            let waits = self.waiting.get(&key).is_some_and(|assembly| assembly.number == number);
            if waits && at > now {
                break;
            }
            self.deadlines.pop_front();
            if waits {
                // One that was dropped for another reason has been counted.
                expired += u64::from(self.remove(&key).is_some_and(|assembly| !assembly.dead));
            }
        }
        expired
    }

    /// When the first of them will have waited in vain.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _, _)| *at)
    }

    /// How many datagrams wait, or are remembered as dropped.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn finish(&mut self, key: &Key) -> Progress {
        let Some(assembly) = self.remove(key) else { return Progress::Dropped(Counter::FragmentEvicted) };
        match assembly.join(key.identification) {
            Ok(whole) => Progress::Whole(Box::new(whole)),
            Err(counter) => Progress::Dropped(counter),
        }
    }

    /// Frees what a datagram holds, and remembers that its other fragments are to be dropped.
    fn kill(&mut self, key: &Key) {
        let Some(assembly) = self.waiting.get_mut(key) else { return };
        let freed = assembly.held();
        (assembly.pieces, assembly.head, assembly.have, assembly.dead) = (Vec::new(), None, 0, true);
        self.release(key.source, freed, 0);
    }

    fn remove(&mut self, key: &Key) -> Option<Assembly> {
        let assembly = self.waiting.remove(key)?;
        self.release(key.source, assembly.held(), 1);
        Some(assembly)
    }

    fn release(&mut self, source: IpAddr, bytes: usize, datagrams: u32) {
        self.bytes -= bytes;
        let Some(share) = self.sources.get_mut(&source) else { return };
        share.bytes -= bytes;
        share.datagrams -= datagrams;
        if share.datagrams == 0 {
            self.sources.remove(&source);
        }
    }
}

impl Assembly {
    fn new(number: u64) -> Self {
        Self {
            number,
            pieces: Vec::new(),
            total: None,
            have: 0,
            head: None,
            longest: 0,
            dont_fragment: false,
            ecn: 0,
            dead: false,
        }
    }

    /// Bytes it takes up: what came, and what each piece costs beside.
    fn held(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| head.bytes.len());
        self.have + head + self.pieces.len() * size_of::<Piece>()
    }

    /// One more fragment; how many bytes more are held for it.
    fn add(
        &mut self,
        frame: &[u8],
        ip: &Ip,
        fragment: Fragment,
        parts: &Parts,
        held_for_source: usize,
    ) -> Result<usize, Counter> {
        let before = self.held();
        let body = &frame[parts.body.clone()];
        let at = usize::from(fragment.offset);
        if body.is_empty() || (fragment.is_first() && ip.transport.len() < fragment::first_min(ip.protocol)) {
            return Err(Counter::FragmentTiny);
        }
        let place = self.place(at..at + body.len(), body)?;
        self.check_length(at + body.len(), fragment.more)?;
        if self.pieces.len() >= limits::FRAGMENTS_PER_DATAGRAM {
            return Err(Counter::FragmentTooMany);
        }
        if held_for_source + body.len() + size_of::<Piece>() > limits::FRAGMENT_MEMORY_PER_SOURCE {
            return Err(Counter::FragmentSourceLimit);
        }
        if fragment.is_first() {
            let bytes = frame[..parts.header.end].to_vec();
            self.head = Some(Head { bytes, ip: parts.header.start, next_at: parts.next_at, next: parts.next });
        }
        self.pieces.insert(place, Piece { at: fragment.offset, bytes: body.to_vec() });
        self.have += body.len();
        self.longest = self.longest.max(u16::try_from(ip.datagram().len()).unwrap_or(u16::MAX));
        self.dont_fragment |= ip.source.is_ipv4() && ip.dont_fragment;
        self.ecn |= 1 << (ip.tos & 3);
        Ok(self.held() - before)
    }

    /// Where among the pieces one of this range belongs.
    fn place(&self, range: Range<usize>, body: &[u8]) -> Result<usize, Counter> {
        let place = self.pieces.partition_point(|piece| usize::from(piece.at) < range.start);
        if let Some(next) = self.pieces.get(place) {
            // RFC 8200 4.5: "it is possible for a fragment to be duplicated in the network", which is no overlap.
            if usize::from(next.at) == range.start && next.bytes == body {
                return Err(Counter::FragmentDuplicate);
            }
            if usize::from(next.at) < range.end {
                return Err(Counter::FragmentOverlap);
            }
        }
        let before = place.checked_sub(1).and_then(|before| self.pieces.get(before));
        match before {
            Some(piece) if usize::from(piece.at) + piece.bytes.len() > range.start => Err(Counter::FragmentOverlap),
            _ => Ok(place),
        }
    }

    /// The last piece says how long the whole is: none may end behind it, and no other say otherwise.
    fn check_length(&mut self, end: usize, more: bool) -> Result<(), Counter> {
        let reached = self.pieces.last().map_or(0, |piece| usize::from(piece.at) + piece.bytes.len());
        match self.total {
            Some(total) if end > total || (!more && end != total) => Err(Counter::FragmentOverlap),
            None if !more && reached > end => Err(Counter::FragmentOverlap),
            None if !more => {
                self.total = Some(end);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_whole(&self) -> bool {
        // Pieces do not overlap and none ends behind the last: that their lengths add up is enough.
        self.total == Some(self.have) && self.head.is_some()
    }

    fn join(self, identification: u32) -> Result<Whole, Counter> {
        let Some(head) = self.head else { return Err(Counter::FragmentTiny) };
        let ecn = join_ecn(self.ecn).ok_or(Counter::FragmentEcn)?;
        let repeated = head.bytes.len() - head.ip;
        // Headers and body together must be a packet that IP can carry.
        let length = if head.bytes[head.ip] >> 4 == 4 { repeated + self.have } else { repeated - 40 + self.have };
        if length > usize::from(u16::MAX) {
            return Err(Counter::FragmentOverlap);
        }
        let mut bytes = Vec::with_capacity(head.bytes.len() + self.have);
        bytes.extend_from_slice(&head.bytes);
        for piece in &self.pieces {
            bytes.extend_from_slice(&piece.bytes);
        }
        let header = &mut bytes[head.ip..head.ip + repeated];
        fragment::whole_header(header, head.next_at, head.next, self.have, self.dont_fragment, ecn);
        let Self { longest, dont_fragment, .. } = self;
        Ok(Whole { bytes, longest, dont_fragment, repeated, next_at: head.next_at, identification })
    }
}

/// RFC 3168 5.3: a fragment that met congestion makes the whole so. Together with one of a sender that does not know ECN
/// it contradicts itself, and the datagram is dropped.
fn join_ecn(seen: u8) -> Option<u8> {
    const NOT_ECT: u8 = 1;
    const CE: u8 = 1 << 3;
    match seen {
        seen if seen & CE != 0 => (seen & NOT_ECT == 0).then_some(3),
        seen if seen & NOT_ECT != 0 => Some(0),
        seen => Some(if seen & 2 != 0 { 1 } else { 2 }),
    }
}

#[cfg(test)]
mod tests;
