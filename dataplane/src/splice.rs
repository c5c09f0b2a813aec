//! Released sessions: the two ends speak to each other, and packets pass as they came.
//!
//! ```text
//!   handshake ──(a plug: the client's ACK)─────────────────┐
//!                                                          ↓            both FINs acknowledged
//!   two connections ──(their proxy is through, ────────→ released ────→ lingers, for late copies ──→ gone
//!                      nothing waits between them)         │ a reset, silence, an order: both ends are told
//!                                                          ↓
//!                                                         gone
//! ```
//!
//! A released packet is routed on with a hop less, its Ethernet header new and nothing else: where the handshake was
//! mirrored both legs have the same numbers, so there is no sequence number, window, timestamp or checksum to change. Who is
//! spoken to as somebody else (`router`, `source`, NAT policies) gets other addresses; whose ends agreed with us and not with
//! each other (`accept: immediate`, bytes that a proxy added) get other numbers.
//! Ends see each other: their congestion control, their acknowledgments, their keep-alives.
//!
//! What must hold: the session goes on, counted, listed and timed like one that is served, and has one record at its end.
//! What passes is looked at ([`crate::flow::tracking::tcp`]) and never held back, but for a reset that cannot be genuine;
//! what lies outside of the windows moves nothing here, so nobody from outside can prolong, end or miscount a session.
//! A released session is never forgotten while its ends go on: when it has to end both are reset, by exact numbers.
//!
//! The parts: `begin` of a handshake's, `handover` of two connections' release, `tails` they leave; `errors` about packets
//! that passed; `end`.

mod begin;
mod end;
mod errors;
pub mod handover;
mod tails;

use std::collections::VecDeque;
use std::time::Duration;

use slotmap::{SlotMap, new_key_type};
use tails::{Tail, Tails};
use tcp::{Flags, Header, Instant, Shift};

use crate::counters::Counter;
use crate::flow::tracking::tcp::{TcpTracking, before};
use crate::flow::tracking::{Direction, Invalid, Update};
use crate::flow::{FlowId, Key};
use crate::nic::Nic;
use crate::packet::Transport;
use crate::packet::emit::{Ends, Rewrite};
use crate::route::NextHop;
use crate::session::SessionKey;
use crate::timers::TimerId;
use crate::worker::{Arrival, Worker};

new_key_type! {
    /// A released session's record on this core; stale keys find nothing.
    pub struct SpliceKey;
}

/// What is kept of a released session's two connections. By direction: that of the client's packets, then the server's.
pub(crate) struct Splice {
    session: SessionKey,
    tracking: TcpTracking,
    flows: [FlowId; 2],
    hops: [NextHop; 2],
    /// Generation of the policy that the next hops were looked up in.
    generation: u64,
    /// Payload that passed, what was sent again not counted.
    bytes: [u64; 2],
    /// Behind the FIN, once it passed.
    fins: [Option<u32>; 2],
    /// When a byte last passed or was acknowledged.
    active: Instant,
    limits: SpliceLimits,
    timer: TimerId,
    /// What changes on the way there and back, where the ends did not agree on the same.
    shifts: Option<Box<[Shift; 2]>>,
    /// What is left of the connections that were here before.
    tails: Option<Box<Tails>>,
    /// The two legs have other addresses or ports: they are rewritten.
    translated: bool,
    /// The session is over, late copies pass.
    over: bool,
}

/// How long one may go on.
#[derive(Clone, Copy, Debug)]
struct SpliceLimits {
    /// No byte passed or was acknowledged.
    idle: Duration,
    /// Whatever passes.
    end: Option<Instant>,
}

/// Bytes of one.
#[cfg(test)]
pub(crate) const RECORD: usize = size_of::<Splice>();

/// All of a core.
pub(crate) struct Splices {
    records: SlotMap<SpliceKey, Splice>,
    /// Those that are over, with the time until which late copies pass; in that order. Some are gone since.
    lingering: VecDeque<(Instant, SpliceKey)>,
    /// How many records are of sessions that are over.
    over: usize,
}

impl Splices {
    /// Room for so many is taken at once: moving them to a larger place would stop the core for milliseconds.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { records: SlotMap::with_capacity_and_key(capacity), lingering: VecDeque::new(), over: 0 }
    }

    /// How many sessions are released.
    pub(crate) fn len(&self) -> usize {
        self.records.len() - self.over
    }

    /// How many are over.
    pub(crate) fn lingering(&self) -> usize {
        self.over
    }

    /// When the first of those that are over is to be forgotten.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.lingering.front().map(|(until, _)| *until)
    }

    /// Whose it is; none: that session is over.
    pub(crate) fn session(&self, key: SpliceKey) -> Option<SessionKey> {
        self.records.get(key).map(|splice| splice.session)
    }

    /// The connection that packets of this direction pass, while there is one.
    fn tail(&self, key: SpliceKey, direction: Direction) -> Option<Tail> {
        self.records.get(key)?.tails.as_ref()?.0[direction as usize]
    }

    /// Where packets of this direction come in.
    fn flow(&self, key: SpliceKey, direction: Direction) -> FlowId {
        self.records[key].flows[direction as usize]
    }

    /// What changes on the way there and back.
    fn shifts(&self, key: SpliceKey) -> Option<[Shift; 2]> {
        self.records.get(key)?.shifts.as_deref().copied()
    }

    /// Payload that passed, to the server and to the client, and when a byte last did.
    pub(crate) fn progress(&self, key: SpliceKey) -> Option<([u64; 2], Instant)> {
        self.records.get(key).map(|splice| (splice.bytes, splice.active))
    }
}

/// What a packet means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    /// It goes on.
    Open,
    /// This packet passes the first FIN's answer: both directions may yet have something to acknowledge.
    Finishing,
    /// Both FINs were acknowledged.
    Finished,
    /// It is a reset that ends the connection.
    Reset,
    /// It begins another connection with the same ends.
    Anew,
}

impl Splice {
    /// A header in the client's numbers.
    fn header(&self, direction: Direction, header: &Header) -> Header {
        match &self.shifts {
            Some(shifts) if direction == Direction::Reply => shifts[1].header(header),
            _ => *header,
        }
    }

    /// Takes note of a packet.
    fn note(
        &mut self,
        now: Instant,
        direction: Direction,
        header: &Header,
        payload: usize,
    ) -> Result<Passage, Invalid> {
        let (way, back) = (direction as usize, direction.reversed());
        let (sent, acknowledged) = (self.tracking.sent(direction), self.tracking.acknowledged(direction));
        match self.tracking.update(direction, header, payload)? {
            Update::Live(_) => {}
            Update::Keep => return Ok(Passage::Open),
            // The state that is guessed may be ahead of what was acknowledged: a FIN that was sent again looks like both.
            Update::Over if self.over => return Ok(Passage::Anew),
            Update::Over => return Ok(Passage::Open),
        }
        if header.flags.contains(Flags::RST) {
            // RFC 5961, 3.2: only one that "exactly matches the next expected sequence number" resets, another one in the
            // window may be forged, and is answered. What was sent may not have been acknowledged yet.
            let exact = header.seq.0 == sent || self.tracking.acknowledged(back) == Some(header.seq.0);
            return Ok(if exact { Passage::Reset } else { Passage::Open });
        }
        let new = self.tracking.sent(direction).wrapping_sub(sent);
        let is_fin = header.flags.contains(Flags::FIN);
        // What came out of order fills a gap that was counted with what came before it.
        self.bytes[way] += u64::from(new.saturating_sub(u32::from(is_fin)));
        if new > 0 || self.tracking.acknowledged(direction) != acknowledged {
            self.active = now;
        }
        let end = header.seq.0.wrapping_add(payload as u32).wrapping_add(1);
        // Nothing was sent behind a FIN.
        if is_fin && self.fins[way].is_none() && end == self.tracking.sent(direction) {
            self.fins[way] = Some(end);
            // A segment behind a FIN that was lost before it came here counted it as a byte.
            self.bytes[way] = self.bytes[way].saturating_sub(u64::from(new == 0));
            if self.fins[back as usize].is_some() {
                return Ok(Passage::Finishing);
            }
        }
        Ok(if self.is_finished() { Passage::Finished } else { Passage::Open })
    }

    /// Whether both FINs were acknowledged.
    fn is_finished(&self) -> bool {
        [Direction::Original, Direction::Reply].into_iter().all(|direction| {
            let fin = self.fins[direction as usize];
            let acknowledged = self.tracking.acknowledged(direction.reversed());
            fin.zip(acknowledged).is_some_and(|(fin, acknowledged)| !before(acknowledged, fin))
        })
    }

    /// Whether both FINs have passed.
    fn is_finishing(&self) -> bool {
        self.fins.iter().all(Option::is_some)
    }
}

impl<N: Nic> Worker<N> {
    /// A packet of a released session.
    pub(crate) fn spliced(
        &mut self,
        now: Instant,
        id: SpliceKey,
        direction: Direction,
        key: Key,
        arrival: Arrival<'_, N::Frame>,
    ) {
        let (Transport::Tcp { header, payload }, Some(splice)) = (&arrival.ip.kind, self.splices.records.get_mut(id))
        else {
            return self.counters.count(Counter::TcpOutOfState);
        };
        if splice.tails.is_some() && self.pass_tail(now, id, direction, header, payload.len()) {
            return;
        }
        let Some(splice) = self.splices.records.get_mut(id) else { return };
        let passage = match splice.note(now, direction, &splice.header(direction, header), payload.len()) {
            Ok(passage) => passage,
            Err(invalid) => return self.counters.count(invalid),
        };
        if splice.tails.is_some() {
            splice.note_stamp(direction, header);
        }
        if passage == Passage::Anew {
            self.forget_splice(id);
            return self.classify(now, key, &arrival);
        }
        if splice.generation != self.policy.generation() {
            self.reroute_splice(id);
        }
        let Some(splice) = self.splices.records.get(id) else { return };
        let next_hop = splice.hops[direction as usize];
        let shift = splice.shifts.as_ref().map(|shifts| shifts[direction as usize]);
        let ends = if splice.translated { self.splice_leaves(id, direction) } else { None };
        self.counters.count(Counter::Released);
        self.send_through(now, arrival, &next_hop, Rewrite { ends: ends.as_ref(), shift: shift.as_ref() });
        match passage {
            Passage::Open | Passage::Anew => {}
            Passage::Finishing => self.watch_splice(id),
            Passage::Finished => self.splice_finished(now, id),
            Passage::Reset => self.splice_reset(now, id, direction),
        }
    }

    /// The ends that packets leave with: those of what arrives the other way, turned round.
    fn splice_leaves(&self, id: SpliceKey, direction: Direction) -> Option<Ends> {
        let splice = self.splices.records.get(id)?;
        let key = self.flows.key(splice.flows[direction.reversed() as usize])?;
        Some(Ends { source: key.destination(), destination: key.source() })
    }

    /// The routes have changed since. Packets of a flow come in where its table entry says, so a reload moves none to
    /// another link.
    fn reroute_splice(&mut self, id: SpliceKey) {
        let Some(splice) = self.splices.records.get_mut(id) else { return };
        splice.generation = self.policy.generation();
        for direction in [Direction::Original, Direction::Reply] {
            let Some(key) = self.flows.key(splice.flows[direction.reversed() as usize]) else { continue };
            let found = self.routes.lookup_from(key.interface(), key.source().ip());
            if let Some(next_hop) = found.filter(|hop| hop.interface == key.interface()) {
                splice.hops[direction as usize] = next_hop;
            }
        }
    }
}
