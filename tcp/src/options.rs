//! TCP options: what may follow the fixed header, parsed once into a plain struct.
//!
//! Read leniently, written strictly. RFC 9293, 3.1 (MUST-7): "TCP implementations MUST be prepared to handle an illegal
//! option length (e.g., zero)": parsing stops there and keeps what came before, as Linux does. Options we do not know
//! are skipped (MUST-6). Written in the order and padding Linux uses, so that a mirrored leg looks like an end; or, of
//! a SYN that had another, in that (`options/order.rs`).
//!
//! Left out: MD5 and AO (a middle has no key), Fast Open and multipath (never negotiated through a terminating middle).

mod order;

use smallvec::SmallVec;

pub use order::Order;

use crate::limits;
use crate::seq::SeqNumber;

/// Space for options in a header: the data offset counts to 15 words, 5 of them fixed.
pub(crate) const SPACE: usize = 40;

pub(crate) mod kind {
    pub(crate) const END: u8 = 0;
    pub(crate) const NOP: u8 = 1;
    pub(crate) const MSS: u8 = 2;
    pub(crate) const WINDOW_SCALE: u8 = 3;
    pub(crate) const SACK_PERMITTED: u8 = 4;
    pub(crate) const SACK: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 8;
}

/// RFC 7323, 3.2: the sender's clock and the echo of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// TSval: the sender's timestamp clock.
    pub value: u32,
    /// TSecr: the last TSval the sender saw, as RFC 7323, 4.3 chooses it.
    pub echo: u32,
}

/// The options this crate speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size (SYN only).
    pub mss: Option<u16>,
    /// Window scale, as sent: use at most 14 (SYN only).
    pub window_scale: Option<u8>,
    /// SACK permitted (SYN only).
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamp: Option<Timestamp>,
    /// SACK blocks, most recent first.
    pub sack: SackBlocks,
    /// In which order a SYN had them.
    pub order: Order,
}

/// At most four SACK blocks `[start, end)`, inline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(SeqNumber, SeqNumber); 4],
    count: u8,
}

impl SackBlocks {
    /// As many blocks as a header without other options holds.
    pub const MAX: usize = 4;

    /// No blocks.
    #[must_use]
    pub fn new() -> SackBlocks {
        SackBlocks::default()
    }

    /// Adds a block behind the others; false if there are four already.
    pub fn push(&mut self, start: SeqNumber, end: SeqNumber) -> bool {
        let index = usize::from(self.count);
        if index == SackBlocks::MAX {
            return false;
        }
        self.blocks[index] = (start, end);
        self.count += 1;
        true
    }

    /// The blocks.
    #[must_use]
    pub fn as_slice(&self) -> &[(SeqNumber, SeqNumber)] {
        &self.blocks[..usize::from(self.count)]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }
}

impl Options {
    /// Reads the option bytes of a header; what follows a malformed option is not read.
    #[must_use]
    pub fn parse(mut bytes: &[u8]) -> Options {
        // RFC 7323, appendix A: nearly every segment has just these, and their order is nobody's concern.
        if let &[kind::NOP, kind::NOP, kind::TIMESTAMP, 10, a, b, c, d, e, f, g, h] = bytes {
            let (value, echo) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
            return Options { timestamp: Some(Timestamp { value, echo }), ..Options::default() };
        }
        let mut options = Options::default();
        let mut order = Order::default();
        while let Some((&first, rest)) = bytes.split_first() {
            match first {
                kind::END => break,
                kind::NOP => {
                    order.push(kind::NOP);
                    bytes = rest;
                }
                other => {
                    let length = rest.first().map_or(0, |length| usize::from(*length));
                    if length < 2 || length > bytes.len() {
                        break;
                    }
                    let (option, after) = bytes.split_at(length);
                    options.take(other, &option[2..]);
                    order.push(other);
                    bytes = after;
                }
            }
        }
        // Only a SYN has these; nobody mirrors the order of another segment's.
        let of_syn = options.mss.is_some() || options.window_scale.is_some() || options.sack_permitted;
        if of_syn && options.sack.is_empty() {
            options.order = order.unless_usual(&options);
        }
        options
    }

    fn take(&mut self, option: u8, data: &[u8]) {
        match (option, data) {
            (kind::MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (kind::WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (kind::SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (kind::TIMESTAMP, &[a, b, c, d, e, f, g, h]) => {
                let (value, echo) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
                self.timestamp = Some(Timestamp { value, echo });
            }
            (kind::SACK, data) if data.len() % 8 == 0 => {
                for &[a, b, c, d, e, f, g, h] in data.as_chunks::<8>().0 {
                    let start = SeqNumber(u32::from_be_bytes([a, b, c, d]));
                    let end = SeqNumber(u32::from_be_bytes([e, f, g, h]));
                    if !self.sack.push(start, end) {
                        break;
                    }
                }
            }
            _ => {}
        }
    }

    /// Bytes these options take in a header, padding included: a multiple of four, at most 40.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.order.is_said() {
            let mut bytes = SmallVec::new();
            self.write(&mut bytes);
            return bytes.len();
        }
        let mut len = if self.mss.is_some() { 4 } else { 0 };
        len += match (self.sack_permitted, self.timestamp.is_some()) {
            (false, false) => 0,
            (true, false) => 4,
            (_, true) => 12,
        };
        len += if self.window_scale.is_some() { 4 } else { 0 };
        let blocks = self.sack.len().min(sack_room(len));
        if blocks == 0 { len } else { len + 4 + 8 * blocks }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Options::default()
    }

    /// RFC 7323, 2.3: "If a Window Scale option is received with a shift.cnt value larger than 14, the TCP SHOULD log
    /// the error but MUST use 14 instead".
    pub(crate) fn window_shift(&self) -> Option<u8> {
        self.window_scale.map(|shift| shift.min(limits::WINDOW_SCALE_MAX))
    }

    /// How many SACK blocks fit beside the other options.
    pub(crate) fn sack_room(timestamps: bool) -> usize {
        if timestamps { 3 } else { 4 }
    }

    pub(crate) fn write(&self, out: &mut SmallVec<[u8; SPACE]>) {
        if self.order.is_said() {
            self.write_in_order(out);
            if out.len() <= SPACE {
                return;
            }
            out.clear();
        }
        self.write_as_usual(out);
    }

    fn write_as_usual(&self, out: &mut SmallVec<[u8; SPACE]>) {
        if let Some(mss) = self.mss {
            out.extend_from_slice(&[kind::MSS, 4]);
            out.extend_from_slice(&mss.to_be_bytes());
        }
        match (self.sack_permitted, self.timestamp) {
            (true, Some(_)) => out.extend_from_slice(&[kind::SACK_PERMITTED, 2]),
            (true, None) => out.extend_from_slice(&[kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]),
            (false, Some(_)) => out.extend_from_slice(&[kind::NOP, kind::NOP]),
            (false, None) => {}
        }
        if let Some(Timestamp { value, echo }) = self.timestamp {
            out.extend_from_slice(&[kind::TIMESTAMP, 10]);
            out.extend_from_slice(&value.to_be_bytes());
            out.extend_from_slice(&echo.to_be_bytes());
        }
        if let Some(shift) = self.window_scale {
            out.extend_from_slice(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        self.write_sack(out);
    }

    fn write_sack(&self, out: &mut SmallVec<[u8; SPACE]>) {
        let blocks = &self.sack.as_slice()[..self.sack.len().min(sack_room(out.len()))];
        let length = match blocks.len() {
            0 => return,
            1 => 10,
            2 => 18,
            3 => 26,
            _ => 34,
        };
        out.extend_from_slice(&[kind::NOP, kind::NOP, kind::SACK, length]);
        for (start, end) in blocks {
            out.extend_from_slice(&start.0.to_be_bytes());
            out.extend_from_slice(&end.0.to_be_bytes());
        }
    }
}

/// SACK blocks that fit behind `len` bytes of other options, two NOPs and their own head.
fn sack_room(len: usize) -> usize {
    (SPACE - len).saturating_sub(4) / 8
}

#[cfg(test)]
pub(crate) mod tests;
