//! The handshake's words: what our SYN says, what the peer's said, and what both then agree on.
//!
//! What must hold: an option is in use only if both SYNs had it, and [`Opening`] is followed to the bit, because in
//! mirror mode it is what the other end said. `accept` therefore answers only options that the peer's SYN had.

mod compact;

pub use compact::CompactSyn;

use crate::ecn::Notification;
use crate::limits;
use crate::options::{Options, Timestamp};
use crate::segment::{Flags, Header};
use crate::seq::SeqNumber;
use crate::time::Instant;

/// What our own SYN or SYN-ACK says; in mirror mode taken from the other end's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Initial sequence number.
    pub isn: SeqNumber,
    /// Largest segment we take.
    pub mss: u16,
    /// Our window scale; `None` keeps every window within 65,535 bytes.
    pub window_scale: Option<u8>,
    /// We take SACK blocks and send them.
    pub sack_permitted: bool,
    /// Our timestamp clock, if we offer timestamps.
    pub timestamp: Option<TimestampClock>,
}

impl Opening {
    /// The smallest window scale with which a buffer of that size can be offered.
    #[must_use]
    pub fn window_scale_for(buffer: u32) -> u8 {
        (0..limits::WINDOW_SCALE_MAX).find(|shift| buffer >> shift <= 0xffff).unwrap_or(limits::WINDOW_SCALE_MAX)
    }

    /// Our SYN-ACK to `syn`, offering `window` bytes. `ports`: ours, the peer's.
    #[must_use]
    pub fn syn_ack(&self, now: Instant, ports: (u16, u16), syn: &Header, window: u16, ecn: bool) -> Header {
        Header {
            src_port: ports.0,
            dst_port: ports.1,
            seq: self.isn,
            ack: syn.seq + 1,
            flags: Flags::SYN | Flags::ACK | Notification::default().accept(ecn, &PeerSyn::from(syn)),
            window,
            urgent: 0,
            options: self.options(now, Some(&syn.options)),
        }
    }

    /// What is left of it when nobody remembers the handshake and a cookie brought `syn` back: without timestamps no option
    /// but the MSS was agreed on.
    #[must_use]
    pub fn after_cookie(self, syn: &Header) -> Opening {
        if self.timestamp.is_some() && syn.options.timestamp.is_some() {
            return self;
        }
        Opening { window_scale: None, sack_permitted: false, ..self }
    }

    /// The options of our SYN, or of our SYN-ACK to `peer`.
    pub(crate) fn options(&self, now: Instant, peer: Option<&Options>) -> Options {
        let had = |option: fn(&Options) -> bool| peer.is_none_or(option);
        let echo = peer.and_then(|options| options.timestamp).map_or(0, |timestamp| timestamp.value);
        Options {
            mss: Some(self.mss),
            window_scale: self.window_scale.filter(|_| had(|options| options.window_scale.is_some())),
            sack_permitted: self.sack_permitted && had(|options| options.sack_permitted),
            timestamp: self
                .timestamp
                .filter(|_| had(|options| options.timestamp.is_some()))
                .map(|clock| Timestamp { value: clock.value(now), echo }),
            ..Options::default()
        }
    }
}

/// A timestamp clock that ticks every millisecond (RFC 7323, 5.4 wants between 1 ms and 1 s a tick).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampClock {
    offset: u32,
}

impl TimestampClock {
    /// Goes on from what another end's clock says now, so that a mirrored leg speaks with that end's clock.
    #[must_use]
    pub fn continuing(now: Instant, last_value: u32) -> TimestampClock {
        TimestampClock { offset: last_value.wrapping_sub(now.tick()) }
    }

    /// Our own clock with a random offset (RFC 7323, 5.4); [`IsnGenerator::timestamp_offset`] gives one.
    ///
    /// [`IsnGenerator::timestamp_offset`]: crate::IsnGenerator::timestamp_offset
    #[must_use]
    pub fn with_offset(offset: u32) -> TimestampClock {
        TimestampClock { offset }
    }

    fn offset(self) -> u32 {
        self.offset
    }

    /// What it says now.
    #[must_use]
    pub fn value(&self, now: Instant) -> u32 {
        now.tick().wrapping_add(self.offset)
    }
}

/// The peer's SYN or SYN-ACK, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSyn {
    /// Its initial sequence number.
    pub seq: SeqNumber,
    /// Its flags.
    pub flags: Flags,
    /// Its window (never scaled on a SYN).
    pub window: u16,
    /// Its options.
    pub options: Options,
}

impl From<&Header> for PeerSyn {
    fn from(header: &Header) -> PeerSyn {
        PeerSyn { seq: header.seq, flags: header.flags, window: header.window, options: header.options }
    }
}

/// What both SYNs together mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Largest segment we may send, options included in the count (RFC 6691).
    pub(crate) send_mss: u16,
    /// How far the windows we receive are shifted.
    pub(crate) send_shift: u8,
    /// How far the windows we send are shifted.
    pub(crate) receive_shift: u8,
    /// Both do timestamps.
    pub(crate) timestamps: bool,
    /// Both do SACK.
    pub(crate) sack: bool,
}

impl Agreed {
    pub(crate) fn new(ours: &Opening, theirs: &Options, mss_max: u16) -> Agreed {
        // RFC 9293, 3.7.1 (MUST-15): "If an MSS Option is not received at connection setup, TCP implementations MUST
        // assume a default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6": the smaller fits both.
        let announced = theirs.mss.unwrap_or(limits::MSS_DEFAULT);
        // RFC 7323, 2.2: both "MUST send the Window Scale option in their SYN segments to enable window scaling".
        let shifts = ours.window_scale.zip(theirs.window_shift());
        Agreed {
            send_mss: announced.min(mss_max).max(limits::MSS_MIN),
            send_shift: shifts.map_or(0, |(_, theirs)| theirs),
            receive_shift: shifts.map_or(0, |(ours, _)| ours.min(limits::WINDOW_SCALE_MAX)),
            timestamps: ours.timestamp.is_some() && theirs.timestamp.is_some(),
            sack: ours.sack_permitted && theirs.sack_permitted,
        }
    }
}

#[cfg(test)]
mod tests;
