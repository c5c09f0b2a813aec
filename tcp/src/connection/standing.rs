//! Between two connections that relay each other's bytes: where each stands when nothing is left to relay, and what is left of
//! them when segments pass by.
//!
//! ```text
//!   terminated:  A ⇄ [connection │ relay │ connection] ⇄ B          both standing: nothing waits between them
//!   passing by:  A ←──────────── segments ───────────→ B
//!                 ⇄ [connection]         [connection] ⇄             what they have not been acknowledged yet, and owe
//!   after that:  A ←──────────── segments ───────────→ B
//! ```
//!
//! What must hold: a byte that was acknowledged to one end is delivered to the other one by who acknowledged it, however often
//! it must be sent again; so a connection stays until it is [at rest](Connection::is_at_rest), and hears of each segment that
//! passes by what that says about its own bytes.

use smallvec::SmallVec;

use crate::connection::{Connection, Signals};
use crate::discard::Discard;
use crate::options::{Options, SackBlocks};
use crate::payload::Payload;
use crate::segment::{Ecn, Flags, Header, Segment};
use crate::seq::SeqNumber;
use crate::state::State;
use crate::time::Instant;

/// Where a connection stands. Numbers are those of its own segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// RCV.NXT: all before it was read.
    pub received: SeqNumber,
    /// RCV.NXT + RCV.WND: the peer may send up to here.
    pub offered: SeqNumber,
    /// Behind the last byte written; all is sent.
    pub written: SeqNumber,
    /// SND.UNA.
    pub acknowledged: SeqNumber,
    /// The window the peer offers, bytes.
    pub window: u32,
    /// How far our window fields are shifted, and the peer's.
    pub shifts: (u8, u8),
    /// If timestamps were agreed on.
    pub clocks: Option<Clocks>,
    /// SACK was agreed on.
    pub sack: bool,
    /// ECN was agreed on.
    pub ecn: bool,
    /// What we announced as largest segment, and what the peer did, bytes.
    pub mss: (u16, u16),
}

/// What the two clocks of a connection have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Ours says now.
    pub ours: u32,
    /// TS.Recent: what the peer's said last.
    pub theirs: u32,
    /// Milliseconds since it was heard.
    pub since: u32,
}

impl<P: Payload> Connection<P> {
    /// Where it stands; none while there is something to be read, sent, repaired or finished.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Option<Standing> {
        let (receive, transmit) = (&self.receive, &self.transmit);
        let quiet = self.beat.state == State::Established
            && !self.is_deaf()
            && receive.unread() == 0
            && receive.early() == 0
            && !receive.is_finished()
            && !transmit.has_unsent()
            && !transmit.is_finishing()
            && self.aside.is_none();
        let clocks = transmit.clock().map(|clock| Clocks {
            ours: clock.value(now),
            theirs: self.beat.recent,
            since: now.tick().wrapping_sub(self.beat.last_heard),
        });
        quiet.then(|| Standing {
            received: receive.next().seq(),
            offered: receive.right().seq(),
            written: transmit.head.nxt().seq(),
            acknowledged: transmit.head.una.seq(),
            window: u32::try_from(transmit.window().size()).unwrap_or(u32::MAX),
            shifts: (self.agreed.receive_shift, self.agreed.send_shift),
            clocks,
            sack: self.agreed.sack,
            ecn: self.beat.notification.is_agreed(),
            mss: (self.opening.header(self.ports).options.mss.unwrap_or(u16::MAX), self.peers_mss()),
        })
    }

    fn peers_mss(&self) -> u16 {
        self.peer.header(self.ports).options.mss.unwrap_or(crate::limits::MSS_DEFAULT)
    }

    /// Nothing that it sent is unacknowledged, and nothing that came is.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.transmit.held() == 0 && self.receive.acked() == self.receive.next() && !self.receive.acknowledge.now
    }

    /// A segment of the peer's passes by to the other end: here counts what it says about bytes that were sent from here, and
    /// if all of it came before, that it did.
    ///
    /// # Errors
    /// [`Discard`]: it says nothing here.
    pub fn overhear(&mut self, now: Instant, header: &Header, payload: usize) -> Result<Signals, Discard> {
        let (una, nxt) = (self.transmit.head.una, self.transmit.head.nxt());
        let ack = una.near(header.ack).min(nxt);
        #[expect(clippy::cast_possible_truncation, reason = "payload of one packet")]
        let end = self.receive.next().near(header.seq + payload as u32);
        let old = payload > 0 && end <= self.receive.next();
        // RFC 5681, 2: what carries data is no duplicate acknowledgment, whatever it looks like without it.
        if !old && payload > 0 && ack <= una {
            return Ok(Signals::empty());
        }
        let mut sack = SackBlocks::new();
        for &(start, to) in header.options.sack.as_slice() {
            if una.near(to) <= nxt {
                sack.push(start, to);
            }
        }
        let seq = if old { header.seq } else { self.receive.next().seq() };
        let options = Options { timestamp: header.options.timestamp, sack, ..Options::default() };
        let header = Header { seq, ack: ack.seq(), flags: Flags::ACK, urgent: 0, options, ..*header };
        self.handle_segment(now, Segment { header, payload: SmallVec::new(), ecn: Ecn::NotCapable })
    }
}
