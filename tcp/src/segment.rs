//! Segments: the header as a plain struct, parsed once and written once, and the payload beside it.
//!
//! A [`Header`] that exists is valid: lengths are checked in [`Header::parse`] and nowhere else. The checksum is the
//! caller's business on both ways (hardware does it, or [`crate::checksum`]). Combinations of flags that make no sense
//! (SYN and FIN) parse: what to do with them is the state machine's decision.

use bitflags::bitflags;
use smallvec::SmallVec;

use crate::options::Options;
use crate::seq::SeqNumber;

/// Length of a header without options.
const FIXED: usize = 20;

bitflags! {
    /// The control bits, with the value they have in the 16 bits that hold the data offset too.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u16 {
        /// No more data from the sender.
        const FIN = 0x001;
        /// Synchronize sequence numbers.
        const SYN = 0x002;
        /// Reset the connection.
        const RST = 0x004;
        /// Push.
        const PSH = 0x008;
        /// The acknowledgment field counts.
        const ACK = 0x010;
        /// The urgent pointer counts.
        const URG = 0x020;
        /// ECN echo (RFC 3168).
        const ECE = 0x040;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x080;
        /// Accurate ECN (RFC 9768), once the nonce sum.
        const AE = 0x100;
    }
}

/// A TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte (of the SYN, if there is one).
    pub seq: SeqNumber,
    /// Acknowledgment number.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: Flags,
    /// Window, not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: Options,
}

/// Why bytes are not a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseError {
    /// Fewer bytes than a header has.
    Truncated,
    /// A data offset below five words.
    OffsetTooSmall,
    /// A data offset beyond the end of the segment.
    OffsetTooLarge,
}

impl ParseError {
    /// All of them, in the order of their index.
    pub const ALL: &'static [ParseError] =
        &[ParseError::Truncated, ParseError::OffsetTooSmall, ParseError::OffsetTooLarge];

    /// A name for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ParseError::Truncated => "tcp_header_truncated",
            ParseError::OffsetTooSmall => "tcp_offset_too_small",
            ParseError::OffsetTooLarge => "tcp_offset_too_large",
        }
    }

    /// A sentence for the operator.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            ParseError::Truncated => "The packet ends before the TCP header does.",
            ParseError::OffsetTooSmall => "The TCP data offset is smaller than a TCP header.",
            ParseError::OffsetTooLarge => "The TCP data offset points beyond the end of the packet.",
        }
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for ParseError {}

impl Header {
    /// Reads a header; also gives its length, which is where the payload starts.
    pub fn parse(bytes: &[u8]) -> Result<(Header, usize), ParseError> {
        let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let double = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let length = usize::from(fixed[12] >> 4) * 4;
        if length < FIXED {
            return Err(ParseError::OffsetTooSmall);
        }
        let options = bytes.get(FIXED..length).ok_or(ParseError::OffsetTooLarge)?;
        let header = Header {
            src_port: word(0),
            dst_port: word(2),
            seq: SeqNumber(double(4)),
            ack: SeqNumber(double(8)),
            flags: Flags::from_bits_truncate(word(12)),
            window: word(14),
            urgent: word(18),
            options: if options.is_empty() { Options::default() } else { Options::parse(options) },
        };
        Ok((header, length))
    }

    /// Length on the wire: 20 to 60, a multiple of four.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        FIXED + if self.options.is_empty() { 0 } else { self.options.len() }
    }

    /// Writes the header to the front of `out`, which must hold [`Header::len`] bytes; the checksum field is zero.
    pub fn emit(&self, out: &mut [u8]) {
        let mut options = SmallVec::new();
        self.options.write(&mut options);
        let length = FIXED + options.len();
        #[expect(clippy::cast_possible_truncation, reason = "at most 15 words")]
        let offset = (length / 4) as u16;
        out[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        out[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        out[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        out[12..14].copy_from_slice(&(offset << 12 | self.flags.bits()).to_be_bytes());
        out[14..16].copy_from_slice(&self.window.to_be_bytes());
        out[16..18].copy_from_slice(&[0, 0]);
        out[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        out[FIXED..length].copy_from_slice(&options);
    }
}

/// The two ECN bits of the IP header (RFC 3168, 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotCapable,
    /// ECT(1).
    Capable1,
    /// ECT(0).
    Capable0,
    /// Congestion experienced.
    CongestionExperienced,
}

impl Ecn {
    /// From the low two bits of the traffic class or TOS byte.
    #[must_use]
    pub fn from_bits(bits: u8) -> Ecn {
        match bits & 0b11 {
            0b00 => Ecn::NotCapable,
            0b01 => Ecn::Capable1,
            0b10 => Ecn::Capable0,
            _ => Ecn::CongestionExperienced,
        }
    }

    /// The two bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Ecn::NotCapable => 0b00,
            Ecn::Capable1 => 0b01,
            Ecn::Capable0 => 0b10,
            Ecn::CongestionExperienced => 0b11,
        }
    }
}

/// A received segment. The payload may be in several pieces (a chain of buffers, coalesced segments); they are
/// consecutive from `header.seq` on.
#[derive(Clone, Debug)]
pub struct Segment<P> {
    /// The header.
    pub header: Header,
    /// The payload, in order.
    pub payload: SmallVec<[P; 1]>,
    /// What the IP header said about congestion.
    pub ecn: Ecn,
}

#[cfg(test)]
mod tests;
