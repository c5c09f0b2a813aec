//! Handshakes that wait for their last ACK: one compact record each, in a table of fixed size.
//!
//! Every record that was answered so often waits equally long, so each number of tries has a list in order of time, and
//! the next deadline is at the head of one of a few lists. Nothing is allocated after [`HalfOpen::new`].

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use siphasher::sip::SipHasher24;

use crate::limits;
use crate::open::CompactSyn;
use crate::segment::Header;
use crate::seq::SeqNumber;
use crate::syn_cookie::{Flow, flow_hash};
use crate::time::Instant;

const NONE: u32 = u32::MAX;
const LISTS: usize = limits::SYN_ACK_TRIES_MAX as usize;

/// A SYN as it was, and the answer's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    hash: u64,
    /// Local, remote; IPv4 as mapped addresses.
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    syn: CompactSyn,
    pub(crate) isn: SeqNumber,
    /// SYN-ACKs sent, the first one when, and the last.
    pub(crate) tries: u8,
    /// RSTs that were challenged.
    challenges: u8,
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    before: u32,
    after: u32,
}

// A million of them in 96 MB.
const _: () = assert!(size_of::<Record>() <= 96);

impl Record {
    pub(crate) fn flow(&self) -> Flow {
        let end = |index: usize| {
            let address = Ipv6Addr::from(self.addresses[index]);
            let address = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
            SocketAddr::new(address, self.ports[index])
        };
        Flow { local: end(0), remote: end(1) }
    }

    /// The SYN.
    pub(crate) fn syn(&self) -> Header {
        self.syn.header((self.ports[1], self.ports[0]))
    }

    /// Its number.
    pub(crate) fn irs(&self) -> SeqNumber {
        self.syn.seq()
    }

    fn new(hash: u64, flow: &Flow, syn: &Header, isn: SeqNumber, now: Instant) -> Record {
        let octets = |end: SocketAddr| match end.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Record {
            hash,
            addresses: [octets(flow.local), octets(flow.remote)],
            ports: [flow.local.port(), flow.remote.port()],
            syn: syn.into(),
            isn,
            tries: 1,
            challenges: 0,
            first: now,
            last: now,
            before: NONE,
            after: NONE,
        }
    }

    /// RFC 6298, 2.1 and 5.5: a second, doubled each time.
    fn due(&self) -> Instant {
        self.last + limits::RTO_INITIAL.saturating_mul(1 << (self.tries - 1).min(16))
    }
}

/// The keys are good hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    secret: SipHasher24,
    index: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    records: Vec<Record>,
    free: Vec<u32>,
    capacity: usize,
    /// By tries: the first and the last.
    lists: [(u32, u32); LISTS],
}

impl HalfOpen {
    pub(crate) fn new(capacity: usize, secret: [u8; 16]) -> HalfOpen {
        let capacity = capacity.min(limits::HALF_OPEN_MAX);
        HalfOpen {
            secret: SipHasher24::new_with_key(&secret),
            index: HashMap::with_capacity_and_hasher(capacity, BuildHasherDefault::default()),
            records: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            lists: [(NONE, NONE); LISTS],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        let at = *self.index.get(&flow_hash(self.secret, flow, None))?;
        (self.get(at).flow() == *flow).then_some(at)
    }

    pub(crate) fn get(&self, at: u32) -> &Record {
        &self.records[at as usize]
    }

    /// A SYN that was answered now; false if there is no room. Two flows of one hash do not happen by chance: no room either.
    pub(crate) fn insert(&mut self, now: Instant, flow: &Flow, syn: &Header, isn: SeqNumber) -> bool {
        let hash = flow_hash(self.secret, flow, None);
        if self.len() >= self.capacity || self.index.contains_key(&hash) {
            return false;
        }
        let record = Record::new(hash, flow, syn, isn, now);
        let at = match self.free.pop() {
            Some(at) => {
                self.records[at as usize] = record;
                at
            }
            None => {
                self.records.push(record);
                u32::try_from(self.records.len() - 1).expect("bounded by HALF_OPEN_MAX")
            }
        };
        self.index.insert(hash, at);
        self.append(at);
        true
    }

    /// Handshakes it has room for.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn remove(&mut self, at: u32) {
        self.unlink(at);
        self.index.remove(&self.records[at as usize].hash);
        self.free.push(at);
    }

    /// The SYN-ACK went out once more.
    pub(crate) fn again(&mut self, at: u32, now: Instant) {
        self.unlink(at);
        let record = &mut self.records[at as usize];
        record.tries = (record.tries + 1).min(limits::SYN_ACK_TRIES_MAX);
        record.last = now;
        self.append(at);
    }

    /// Whether a RST for it may be challenged once more; counts it. RFC 5961, 7: a limit; a record lives two minutes.
    pub(crate) fn may_challenge(&mut self, at: u32) -> bool {
        let record = &mut self.records[at as usize];
        let may = record.challenges < limits::CHALLENGE_ACKS_MAX;
        record.challenges += u8::from(may);
        may
    }

    /// The record whose time comes first.
    pub(crate) fn next(&self) -> Option<(Instant, u32)> {
        let heads = self.lists.iter().filter(|(head, _)| *head != NONE);
        heads.map(|(head, _)| (self.get(*head).due(), *head)).min()
    }

    fn append(&mut self, at: u32) {
        let list = usize::from(self.get(at).tries - 1);
        let (head, tail) = self.lists[list];
        (self.records[at as usize].before, self.records[at as usize].after) = (tail, NONE);
        if tail == NONE {
            self.lists[list] = (at, at);
        } else {
            self.records[tail as usize].after = at;
            self.lists[list] = (head, at);
        }
    }

    fn unlink(&mut self, at: u32) {
        let Record { before, after, tries, .. } = *self.get(at);
        let (head, tail) = &mut self.lists[usize::from(tries - 1)];
        if before == NONE {
            *head = after;
        } else {
            self.records[before as usize].after = after;
        }
        if after == NONE {
            *tail = before;
        } else {
            self.records[after as usize].before = before;
        }
    }
}

/// How long a record waits after it was answered so often, for who wants to know.
#[cfg(test)]
pub(crate) fn patience(tries: u8) -> std::time::Duration {
    (1..=tries).map(|n| limits::RTO_INITIAL.saturating_mul(1 << (n - 1))).sum()
}
