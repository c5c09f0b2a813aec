//! Who is where on the links: IP address to station address, for both families.
//!
//! One table per core, in the states of RFC 4861 7.3.2, which serve ARP as well. The order of calls: [`resolve`] for
//! every packet to be sent; [`hold`] the frame when the answer is [`Pending`]; [`handle_claim`] what neighbours say of
//! themselves (`local` checks whether they may); [`confirm`] when an upper layer sees progress; [`handle_timeout`] when
//! [`deadline`] has come. After any of these, [`poll`] until `None` and do what it says.
//!
//! What must hold: the table, each queue and all queues together are bounded (`limits.rs`); who looks for addresses that
//! nobody has can neither push out neighbours in use nor fill the table; a held frame comes back exactly once, from
//! `hold` or from `poll`. Left out: static entries and proxy ARP (nothing in the configuration asks for them), and
//! learning of routers from advertisements (routes are the operator's).
//!
//! [`resolve`]: Neighbours::resolve
//! [`hold`]: Neighbours::hold
//! [`Pending`]: Resolution::Pending
//! [`handle_claim`]: Neighbours::handle_claim
//! [`confirm`]: Neighbours::confirm
//! [`handle_timeout`]: Neighbours::handle_timeout
//! [`deadline`]: Neighbours::deadline
//! [`poll`]: Neighbours::poll

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use control::InterfaceId;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tcp::Instant;

use crate::limits;
use crate::nic::Frame;
use crate::packet::MacAddress;

mod entry;

pub use entry::{Claim, Learned, State};
use entry::{Entry, Expiry};

/// Where a packet for a neighbour is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// There.
    Known(MacAddress),
    /// It is being looked for: write the frame to [`MacAddress::ZERO`] and [`Neighbours::hold`] it.
    Pending,
    /// It did not answer a moment ago: unreachable, at once.
    Unreachable,
    /// So many are being looked for that this one is not: drop the packet.
    Full,
}

/// What is to be done; from [`Neighbours::poll`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event<F> {
    /// Ask for a neighbour: one station, or all.
    Solicit {
        /// On which link.
        interface: InterfaceId,
        /// For whom.
        target: IpAddr,
        /// The station that it was; `None`: ask all.
        unicast: Option<MacAddress>,
    },
    /// Send a frame that was held; it is addressed now.
    Send {
        /// Out of which interface.
        interface: InterfaceId,
        /// The frame.
        frame: F,
    },
    /// The neighbour does not answer: once for each frame that was held, then once without.
    Failed {
        /// On which link.
        interface: InterfaceId,
        /// Who.
        neighbour: IpAddr,
        /// A frame as it would have been sent.
        frame: Option<F>,
    },
}

/// Why [`Neighbours::hold`] gives a frame back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// A newer one took its place in the neighbour's queue.
    Replaced,
    /// As many frames as may wait for neighbours do.
    Total,
    /// The neighbour is not being looked for.
    NotPending,
}

impl Overflow {
    /// All, in order of [`Overflow::index`].
    pub const ALL: &'static [Self] = &[Self::Replaced, Self::Total, Self::NotPending];

    /// Place in [`Overflow::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The counter's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replaced => "neighbour_queue_replaced",
            Self::Total => "neighbour_queue_total",
            Self::NotPending => "neighbour_not_pending",
        }
    }

    /// What it means, for an operator.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Replaced => "the packet waited for a neighbour to answer and newer packets took its place",
            Self::Total => "too many packets wait for neighbours to answer",
            Self::NotPending => "the neighbour that the packet was to wait for was forgotten meanwhile",
        }
    }
}

/// How much a table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Neighbours in all.
    pub neighbours: usize,
    /// Of these, being looked for.
    pub incomplete: usize,
    /// Frames waiting for one.
    pub queue: usize,
    /// Frames waiting for all.
    pub queue_total: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            neighbours: limits::NEIGHBOURS,
            incomplete: limits::NEIGHBOURS_INCOMPLETE,
            queue: limits::NEIGHBOUR_QUEUE,
            queue_total: limits::NEIGHBOUR_QUEUE_TOTAL,
        }
    }
}

type Key = (InterfaceId, IpAddr);

/// A core's neighbours.
pub struct Neighbours<F> {
    bounds: Bounds,
    index: HashMap<Key, u32, RandomState>,
    entries: Vec<Option<Entry<F>>>,
    free: Vec<u32>,
    /// One for each entry that waits for something: exact, so that no churn can make it grow.
    timers: BTreeSet<(Instant, u32)>,
    incomplete: usize,
    /// Frames in queues and in `events`.
    held: usize,
    events: VecDeque<Event<F>>,
    /// Where the search for an entry to evict goes on.
    cursor: usize,
    random: u64,
}

impl<F: Frame> Neighbours<F> {
    /// An empty table; `seed` spreads its timers.
    pub fn new(seed: u64, bounds: Bounds) -> Self {
        assert!(bounds.incomplete <= bounds.neighbours && bounds.queue > 0, "bounds contradict each other");
        Self {
            bounds,
            index: HashMap::default(),
            entries: Vec::new(),
            free: Vec::new(),
            timers: BTreeSet::new(),
            incomplete: 0,
            held: 0,
            events: VecDeque::new(),
            cursor: 0,
            random: seed,
        }
    }

    /// Where a packet for this neighbour is to be sent. Groups need no asking.
    pub fn resolve(&mut self, now: Instant, interface: InterfaceId, address: IpAddr) -> Resolution {
        let Some(&at) = self.index.get(&(interface, address)) else {
            return match MacAddress::for_group(address) {
                Some(mac) => Resolution::Known(mac),
                None => self.begin(now, interface, address),
            };
        };
        let entry = self.entry_mut(at);
        match entry.handle_use(now) {
            (resolution, false) => resolution,
            (resolution, true) => {
                self.arm(at);
                resolution
            }
        }
    }

    /// Keeps a frame until its neighbour has answered. Returns the frame for which there is no room: the oldest, when
    /// the neighbour's queue is full (RFC 4861 7.2.2: "any additional packets ... replacing the oldest").
    pub fn hold(&mut self, interface: InterfaceId, address: IpAddr, frame: F) -> Option<(F, Overflow)> {
        let Some(&at) = self.index.get(&(interface, address)) else { return Some((frame, Overflow::NotPending)) };
        let (bounds, held) = (self.bounds, self.held);
        let entry = self.entry_mut(at);
        if entry.state != State::Incomplete {
            return Some((frame, Overflow::NotPending));
        }
        if entry.held.len() >= bounds.queue {
            let oldest = entry.held.pop_front();
            entry.held.push_back(frame);
            return oldest.map(|oldest| (oldest, Overflow::Replaced));
        }
        if held >= bounds.queue_total {
            return Some((frame, Overflow::Total));
        }
        entry.held.push_back(frame);
        self.held += 1;
        None
    }

    /// What a neighbour says of itself; the caller has made sure that it may.
    pub fn handle_claim(&mut self, now: Instant, interface: InterfaceId, address: IpAddr, claim: Claim) -> Learned {
        let reachable = self.reachable_time();
        let Some(&at) = self.index.get(&(interface, address)) else {
            return match claim {
                Claim::Asks { mac } => self.meet(now, interface, address, mac),
                // RFC 4861 7.2.5: "If no entry exists, the advertisement SHOULD be silently discarded."
                Claim::Answers { .. } => Learned::Ignored,
            };
        };
        let entry = self.entry_mut(at);
        let was = entry.state;
        let learned = entry.handle_claim(now, claim, reachable);
        if was == State::Incomplete && entry.state != State::Incomplete {
            self.incomplete -= 1;
            self.release(at);
        }
        self.arm(at);
        learned
    }

    /// An upper layer sees progress that needs the neighbour to be there (RFC 4861 7.3.1). Cheap, but a look-up: once
    /// for a burst is enough.
    pub fn confirm(&mut self, now: Instant, interface: InterfaceId, address: IpAddr) {
        let Some(&at) = self.index.get(&(interface, address)) else { return };
        let reachable = self.reachable_time();
        if self.entry_mut(at).handle_confirmation(now, reachable) {
            self.arm(at);
        }
    }

    /// When [`Neighbours::handle_timeout`] is to be called next.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Does what time has come for.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(time, at)) = self.timers.first().filter(|&&(time, _)| time <= now) {
            self.timers.remove(&(time, at));
            let entry = self.entry_mut(at);
            entry.armed = None;
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                self.expire(now, at);
            } else {
                self.arm(at);
            }
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Event<F>> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Send { .. } | Event::Failed { frame: Some(_), .. }) {
            self.held -= 1;
        }
        Some(event)
    }

    /// Frames that wait here, in queues or for [`Neighbours::poll`].
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many neighbours are known or being looked for.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (InterfaceId, IpAddr, State, Option<MacAddress>)> {
        self.entries.iter().flatten().map(|entry| (entry.interface, entry.address, entry.state, entry.mac))
    }

    /// Forgets those that are not wanted any more (after a reload); what they held comes back as failed.
    pub fn retain(&mut self, mut wanted: impl FnMut(InterfaceId, IpAddr) -> bool) {
        for at in 0..self.entries.len() as u32 {
            let unwanted = self.entries[at as usize].as_ref().is_some_and(|e| !wanted(e.interface, e.address));
            if unwanted {
                self.fail(at);
                self.remove(at);
            }
        }
    }

    /// Begins to look for a neighbour.
    fn begin(&mut self, now: Instant, interface: InterfaceId, address: IpAddr) -> Resolution {
        if self.incomplete >= self.bounds.incomplete || !self.make_room(State::Reachable) {
            return Resolution::Full;
        }
        let mut entry = Entry::new(now, interface, address, State::Incomplete);
        entry.attempts = 1;
        entry.deadline = Some(now + limits::NEIGHBOUR_RETRANSMIT);
        self.incomplete += 1;
        self.insert(entry);
        self.events.push_back(Event::Solicit { interface, target: address, unicast: None });
        Resolution::Pending
    }

    /// Remembers a neighbour that asked for us (RFC 4861 7.2.3: "the reachability state ... MUST be set to STALE").
    fn meet(&mut self, now: Instant, interface: InterfaceId, address: IpAddr, mac: MacAddress) -> Learned {
        if !self.make_room(State::Stale) {
            return Learned::NoRoom;
        }
        let mut entry = Entry::new(now, interface, address, State::Stale);
        entry.mac = Some(mac);
        self.insert(entry);
        Learned::New
    }

    fn expire(&mut self, now: Instant, at: u32) {
        let entry = self.entry_mut(at);
        let (interface, target) = (entry.interface, entry.address);
        match entry.handle_timeout(now) {
            Expiry::Stale => {}
            Expiry::Solicit(unicast) => {
                self.events.push_back(Event::Solicit { interface, target, unicast });
                self.arm(at);
            }
            Expiry::Failed => {
                self.incomplete -= 1;
                self.fail_held(at);
                self.arm(at);
            }
            Expiry::Gone => self.remove(at),
        }
    }

    /// Hands the frames held for an answered neighbour out, addressed.
    fn release(&mut self, at: u32) {
        let entry = self.entries[at as usize].as_mut().expect("indexes point to entries");
        let mac = entry.mac.expect("an entry that is complete has a station address");
        for mut frame in entry.held.drain(..) {
            if let Some(destination) = frame.data_mut().get_mut(..6) {
                destination.copy_from_slice(&mac.0);
            }
            self.events.push_back(Event::Send { interface: entry.interface, frame });
        }
    }

    /// Hands the frames of a neighbour that will not be found back.
    fn fail_held(&mut self, at: u32) {
        let entry = self.entries[at as usize].as_mut().expect("indexes point to entries");
        let (interface, neighbour) = (entry.interface, entry.address);
        for frame in entry.held.drain(..) {
            self.events.push_back(Event::Failed { interface, neighbour, frame: Some(frame) });
        }
        self.events.push_back(Event::Failed { interface, neighbour, frame: None });
    }

    fn fail(&mut self, at: u32) {
        if self.entry_mut(at).state == State::Incomplete {
            self.incomplete -= 1;
            self.fail_held(at);
        }
    }

    /// Makes room for one more by forgetting one that is no better than `worst`; the least recently used of those
    /// looked at goes first, and those that are being asked are never forgotten.
    fn make_room(&mut self, worst: State) -> bool {
        if self.index.len() < self.bounds.neighbours {
            return true;
        }
        let len = self.entries.len();
        let window = (0..limits::NEIGHBOUR_EVICTION_SCAN.min(len)).map(|step| (self.cursor + step) % len);
        let candidates = window.filter_map(|at| {
            let entry = self.entries[at].as_ref()?;
            let rank = entry.state.eviction_rank()?;
            (Some(rank) <= worst.eviction_rank()).then_some((rank, entry.used, at))
        });
        let best = candidates.min();
        self.cursor = (self.cursor + limits::NEIGHBOUR_EVICTION_SCAN) % len;
        match best {
            Some((_, _, at)) => {
                self.remove(at as u32);
                true
            }
            None => false,
        }
    }

    fn insert(&mut self, entry: Entry<F>) {
        let key = (entry.interface, entry.address);
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = Some(entry);
                at
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as u32 - 1
            }
        };
        self.index.insert(key, at);
        self.arm(at);
    }

    fn remove(&mut self, at: u32) {
        let entry = self.entries[at as usize].take().expect("indexes point to entries");
        debug_assert!(entry.held.is_empty(), "held frames are handed back before an entry goes");
        if let Some(time) = entry.armed {
            self.timers.remove(&(time, at));
        }
        self.index.remove(&(entry.interface, entry.address));
        self.free.push(at);
    }

    /// Sees to it that a timer goes off when the entry's deadline has come, or before: a deadline that moves away, as it
    /// does with every confirmation, costs nothing here.
    fn arm(&mut self, at: u32) {
        let entry = self.entries[at as usize].as_mut().expect("indexes point to entries");
        let Some(deadline) = entry.deadline else { return };
        match entry.armed {
            Some(armed) if armed <= deadline => return,
            Some(armed) => {
                self.timers.remove(&(armed, at));
            }
            None => {}
        }
        entry.armed = Some(deadline);
        self.timers.insert((deadline, at));
    }

    fn entry_mut(&mut self, at: u32) -> &mut Entry<F> {
        self.entries[at as usize].as_mut().expect("indexes point to entries")
    }

    /// RFC 4861 6.3.2: "a uniformly distributed random value between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR times
    /// BaseReachableTime".
    fn reachable_time(&mut self) -> Duration {
        // A step of splitmix64: its only task is that neighbours do not go stale in step.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let base = limits::NEIGHBOUR_REACHABLE;
        base / 2 + Duration::from_micros((base.as_micros() as u64 * (mixed >> 48)) >> 16)
    }
}

#[cfg(test)]
mod tests;
