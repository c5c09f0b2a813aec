//! A SYN or SYN-ACK in twenty bytes: all that this crate reads of one, for connections and for records of handshakes that
//! have none yet. Ports and addresses are the owner's, who found the record by them. What we say ourselves in a handshake has
//! the same form; its timestamp is our clock's offset.

use crate::open::{Opening, TimestampClock};
use crate::options::{Options, Order, Timestamp};
use crate::segment::{Flags, Header};
use crate::seq::SeqNumber;

/// What a SYN or SYN-ACK said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactSyn {
    seq: SeqNumber,
    timestamp: u32,
    order: Order,
    window: u16,
    mss: u16,
    flags: Flags,
    /// Which of the options it had.
    said: u8,
    window_scale: u8,
}

const _: () = assert!(size_of::<CompactSyn>() <= 20);

const MSS: u8 = 1;
const SCALE: u8 = 2;
const SACK: u8 = 4;
const STAMPS: u8 = 8;

impl From<&Header> for CompactSyn {
    fn from(header: &Header) -> CompactSyn {
        let Options { mss, window_scale, sack_permitted, timestamp, order, .. } = header.options;
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        CompactSyn {
            seq: header.seq,
            timestamp: timestamp.map_or(0, |timestamp| timestamp.value),
            order,
            window: header.window,
            mss: mss.unwrap_or(0),
            flags: header.flags,
            said: bit(mss.is_some(), MSS)
                | bit(window_scale.is_some(), SCALE)
                | bit(sack_permitted, SACK)
                | bit(timestamp.is_some(), STAMPS),
            window_scale: window_scale.unwrap_or(0),
        }
    }
}

impl From<&Opening> for CompactSyn {
    fn from(opening: &Opening) -> CompactSyn {
        let Opening { isn, mss, window_scale, sack_permitted, timestamp } = *opening;
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        CompactSyn {
            seq: isn,
            timestamp: timestamp.map_or(0, TimestampClock::offset),
            order: Order::default(),
            window: 0,
            mss,
            flags: Flags::SYN,
            said: MSS
                | bit(window_scale.is_some(), SCALE)
                | bit(sack_permitted, SACK)
                | bit(timestamp.is_some(), STAMPS),
            window_scale: window_scale.unwrap_or(0),
        }
    }
}

impl CompactSyn {
    /// What it was made from.
    pub(crate) fn opening(&self) -> Opening {
        let said = |bit: u8| self.said & bit != 0;
        Opening {
            isn: self.seq,
            mss: self.mss,
            window_scale: said(SCALE).then_some(self.window_scale),
            sack_permitted: said(SACK),
            timestamp: said(STAMPS).then(|| TimestampClock::with_offset(self.timestamp)),
        }
    }

    /// Its initial sequence number.
    #[must_use]
    pub fn seq(&self) -> SeqNumber {
        self.seq
    }

    /// Its flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// It again, but for what nobody needs: the acknowledgment and the echo of a timestamp are zero.
    #[must_use]
    pub fn header(&self, (src_port, dst_port): (u16, u16)) -> Header {
        let said = |bit: u8| self.said & bit != 0;
        let options = Options {
            mss: said(MSS).then_some(self.mss),
            window_scale: said(SCALE).then_some(self.window_scale),
            sack_permitted: said(SACK),
            timestamp: said(STAMPS).then_some(Timestamp { value: self.timestamp, echo: 0 }),
            order: self.order,
            ..Options::default()
        };
        let Self { seq, flags, window, .. } = *self;
        Header { src_port, dst_port, seq, ack: SeqNumber(0), flags, window, urgent: 0, options }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_all_again() {
        let timestamp = Some(Timestamp { value: 70, echo: 0 });
        let full =
            Options { mss: Some(1_400), window_scale: Some(0), sack_permitted: true, timestamp, ..Options::default() };
        for options in [Options::default(), full, Options { timestamp: None, ..full }, Options { mss: None, ..full }] {
            let header = Header {
                src_port: 1,
                dst_port: 2,
                seq: SeqNumber(u32::MAX),
                ack: SeqNumber(0),
                flags: Flags::SYN | Flags::ECE | Flags::CWR,
                window: 8_000,
                urgent: 0,
                options,
            };
            assert_eq!(CompactSyn::from(&header).header((1, 2)), header);
        }
    }
}
