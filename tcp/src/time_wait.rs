//! TIME-WAIT in 64 bytes: what is left to say of a connection that is over.
//!
//! RFC 9293, 3.6.1 (MUST-13): "When a connection is closed actively, it MUST linger in the TIME-WAIT state for a time 2xMSL";
//! a gateway has tens of thousands of them at a time, so they keep numbers and clocks and nothing else.
//!
//! What must hold: a RST or old data does not end it early (RFC 1337); a SYN ends it only if it cannot be an old one
//! (RFC 6191); nobody makes two such ends answer each other for ever.

use std::time::Duration;

use crate::challenge::ChallengeLimit;
use crate::discard::Discard;
use crate::limits;
use crate::open::TimestampClock;
use crate::options::{Options, Timestamp};
use crate::segment::{Flags, Header};
use crate::seq::SeqNumber;
use crate::time::Instant;

/// The end of a connection, to be made a record of.
pub(crate) struct Last {
    pub(crate) ports: (u16, u16),
    /// SND.NXT and RCV.NXT.
    pub(crate) next: (SeqNumber, SeqNumber),
    pub(crate) window: u16,
    pub(crate) clock: Option<TimestampClock>,
    /// TS.Recent and its age.
    pub(crate) recent: (u32, u32),
    pub(crate) until: Instant,
    pub(crate) length: Duration,
}

/// A connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub struct TimeWait {
    until: Instant,
    /// In milliseconds modulo 2^32.
    recent_at: u32,
    challenge: ChallengeLimit,
    length_ms: u32,
    send_next: SeqNumber,
    receive_next: SeqNumber,
    recent: u32,
    clock: Option<TimestampClock>,
    ports: (u16, u16),
    window: u16,
}

// A cache line.
const _: () = assert!(size_of::<TimeWait>() <= 64);

/// What a segment in TIME-WAIT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lingering {
    /// Send this.
    Reply(Header),
    /// It begins a new connection: forget this one and let the SYN open it.
    Reuse,
    /// Nothing.
    Ignored(Discard),
}

impl TimeWait {
    pub(crate) fn new(last: &Last) -> TimeWait {
        TimeWait {
            until: last.until,
            recent_at: last.recent.1,
            challenge: ChallengeLimit::default(),
            length_ms: u32::try_from(last.length.as_millis()).unwrap_or(u32::MAX),
            send_next: last.next.0,
            receive_next: last.next.1,
            recent: last.recent.0,
            clock: last.clock,
            ports: last.ports,
            window: last.window,
        }
    }

    /// When to forget it.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.until
    }

    /// A segment of the old connection, or a SYN. `text`: bytes of payload.
    pub fn handle_segment(&mut self, now: Instant, header: &Header, text: usize) -> Lingering {
        let flags = header.flags;
        if flags.contains(Flags::RST) {
            // RFC 1337, fix F1: "Ignore RST segments in TIME-WAIT state."
            return Lingering::Ignored(Discard::TimeWaitReset);
        }
        if flags.contains(Flags::SYN) {
            if self.may_reuse(header) {
                return Lingering::Reuse;
            }
            // RFC 5961, 4.2: a challenge, whatever its number.
            return self.challenge(now, Discard::SynChallenged);
        }
        let old = self.is_old(now, header);
        if text == 0 && !flags.contains(Flags::FIN) {
            // It may be half of a loop of acknowledgments.
            let expected = header.seq == self.receive_next && !old;
            return if expected {
                Lingering::Ignored(Discard::Closed)
            } else {
                self.challenge(now, Discard::Duplicate)
            };
        }
        if flags.contains(Flags::FIN) && !old && header.seq <= self.receive_next {
            // "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and
            // restart the 2 MSL timeout."
            self.until = now + Duration::from_millis(u64::from(self.length_ms));
        }
        Lingering::Reply(self.acknowledgment(now))
    }

    /// PAWS (RFC 7323, 5.3).
    fn is_old(&self, now: Instant, header: &Header) -> bool {
        let age = header.options.timestamp.map(|timestamp| timestamp.value.wrapping_sub(self.recent).cast_signed());
        self.clock.is_some() && age.is_some_and(|age| age < 0) && {
            u128::from(now.tick().wrapping_sub(self.recent_at)) <= limits::TIMESTAMP_LIFETIME.as_millis()
        }
    }

    fn may_reuse(&self, syn: &Header) -> bool {
        !syn.flags.contains(Flags::ACK) && is_later(syn, self.receive_next, self.clock.map(|_| self.recent))
    }

    fn challenge(&mut self, now: Instant, discard: Discard) -> Lingering {
        if self.challenge.allow(now) { Lingering::Reply(self.acknowledgment(now)) } else { Lingering::Ignored(discard) }
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    fn acknowledgment(&self, now: Instant) -> Header {
        let timestamp = self.clock.map(|clock| Timestamp { value: clock.value(now), echo: self.recent });
        Header {
            src_port: self.ports.0,
            dst_port: self.ports.1,
            seq: self.send_next,
            ack: self.receive_next,
            flags: Flags::ACK,
            window: self.window,
            urgent: 0,
            options: Options { timestamp, ..Options::default() },
        }
    }
}

/// RFC 6191, 2, and RFC 9293, 3.6.1: a later timestamp, or a later number, than all of the old connection, whose next number and,
/// with timestamps, last one these are.
pub(crate) fn is_later(syn: &Header, next: SeqNumber, recent: Option<u32>) -> bool {
    let later = syn.seq > next;
    match syn.options.timestamp.zip(recent) {
        Some((timestamp, recent)) => match timestamp.value.wrapping_sub(recent).cast_signed() {
            1.. => true,
            0 => later,
            _ => false,
        },
        None => later,
    }
}
