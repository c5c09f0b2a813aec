//! What is left of a released session's two connections: bytes that were acknowledged to one end and not yet by the other.
//!
//! Each connection goes on, with its own timers and retransmissions, until all it sent is acknowledged and all it received
//! too; then it is gone without a word. Of what passes by it hears what is about its own bytes. What it must not happen to is
//! that an end takes an acknowledgment for its own bytes that was for ours, so pure acknowledgments of ours end here.

use tcp::{Flags, Header, Instant, SeqNumber, Signals};

use super::{Splice, SpliceKey};
use crate::flow::tracking::Direction;
use crate::nic::Nic;
use crate::session::SessionKey;
use crate::socket::{Leg, SocketKey};
use crate::worker::Worker;

/// By direction: the client's connection, which the client's packets pass, and the server's.
pub(super) struct Tails(pub(super) [Option<Tail>; 2]);

/// One connection that packets pass by.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    pub(super) socket: SocketKey,
    /// What comes before this was received here.
    pub(super) received: SeqNumber,
    /// What was sent before this was sent from here.
    pub(super) written: SeqNumber,
    /// The last timestamp that passed to this connection's peer.
    pub(super) said: Option<u32>,
}

impl<N: Nic> Worker<N> {
    /// A packet is about to pass. True: it was about this connection's own bytes only, and ends here.
    pub(super) fn pass_tail(
        &mut self,
        now: Instant,
        id: SpliceKey,
        direction: Direction,
        header: &Header,
        payload: usize,
    ) -> bool {
        let Some(tail) = self.splices.tail(id, direction) else { return false };
        if header.flags.intersects(Flags::RST | Flags::SYN) || !header.flags.contains(Flags::ACK) {
            return false;
        }
        let signals = {
            let mut sockets = self.shared.sockets.borrow_mut();
            let Some(socket) = sockets.get_mut(tail.socket) else { return false };
            let heard = socket.connection.overhear(now, header, payload);
            sockets.touch(tail.socket);
            match heard {
                Ok(signals) => signals,
                Err(discard) => {
                    self.counters.count(discard);
                    Signals::empty()
                }
            }
        };
        debug_assert!(!signals.contains(Signals::RESET), "an acknowledgment ends nothing");
        let ours = header.ack < tail.written;
        let empty = payload == 0 && !header.flags.contains(Flags::FIN);
        // Sent again because our acknowledgment was lost: it is said again.
        let old = payload > 0 && header.seq + payload as u32 <= tail.received;
        empty && ours || old
    }

    /// A connection that packets pass by has said what it had to for now: is that all?
    pub(crate) fn tail_spoke(&mut self, session: SessionKey, leg: Leg, key: SocketKey) {
        let over = self.shared.sockets.borrow().get(key).is_none_or(|socket| socket.connection.is_at_rest());
        if !over {
            return;
        }
        self.shared.take_socket(key);
        let Some(id) = self.sessions.get(session).and_then(|session| session.splice) else { return };
        let Some(splice) = self.splices.records.get_mut(id) else { return };
        if let Some(tails) = &mut splice.tails {
            tails.0[side(leg)] = None;
            if tails.0.iter().all(Option::is_none) {
                splice.tails = None;
            }
        }
    }

    /// Its peer does not answer any more: nothing can be delivered, so the session ends.
    pub(crate) fn tail_failed(&mut self, now: Instant, session: SessionKey, leg: Leg) {
        let reason = match leg {
            Leg::Server => proxy::Reason::ServerTimedOut,
            Leg::Client | Leg::Related(_) => proxy::Reason::ClientTimedOut,
        };
        self.cut_splice(now, session, reason);
    }

    /// The timestamp that what is said again must not lie before (RFC 7323, 5: PAWS).
    pub(crate) fn tail_said(&self, session: SessionKey, leg: Leg) -> Option<u32> {
        let splice = self.splices.records.get(self.sessions.get(session)?.splice?)?;
        splice.tails.as_ref()?.0[side(leg)]?.said
    }
}

impl Splice {
    /// A packet passed with this timestamp.
    pub(super) fn note_stamp(&mut self, direction: Direction, header: &Header) {
        let Some(stamp) = header.options.timestamp else { return };
        let value = self.shifts.as_ref().map_or(stamp.value, |shifts| shifts[direction as usize].value(stamp.value));
        if let Some(tail) = self.tails.as_mut().and_then(|tails| tails.0[direction.reversed() as usize].as_mut())
            && tail.said.is_none_or(|said| value.wrapping_sub(said).cast_signed() > 0)
        {
            tail.said = Some(value);
        }
    }
}

fn side(leg: Leg) -> usize {
    match leg {
        Leg::Server => Direction::Reply as usize,
        Leg::Client | Leg::Related(_) => Direction::Original as usize,
    }
}
