//! What changes in a segment that goes from one connection to another past both: numbers, windows, timestamps.
//!
//! Where the handshake was mirrored nothing does ([`Shift::is_none`]). Else, from A's connection to B's:
//!
//! | field | becomes |
//! | - | - |
//! | SEQ | what was written to B, in place of what was received from A |
//! | ACK, SACK blocks | the inverse for what B says: received from B, in place of what was written to A |
//! | window | A's, in units of the shift that B was told (RFC 7323, 2.2) |
//! | `TSval` | not before what B has seen (RFC 7323, 5: PAWS); from here on A's clock |
//! | `TSecr` | A's clock, as A said it |
//!
//! What must hold: checksums change by the difference (RFC 1624), so a damaged segment stays damaged; a segment whose options
//! cannot be read is left as it is, but for its fixed fields.
//!
//! Left out: segments that are larger than B takes, and options that one has and the other has not agreed on, but for SACK,
//! which can be left out of any segment. Who cannot be put together is told so ([`Mismatch`]).

use crate::checksum;
use crate::connection::Standing;
use crate::options::{SackBlocks, kind};
use crate::segment::Header;
use crate::seq::SeqNumber;

/// One way of two connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    seq: u32,
    ack: u32,
    value: u32,
    echo: u32,
    /// Window fields: by how much they are shifted on the way in, and on the way out.
    from: u8,
    to: u8,
    /// The other end knows no SACK.
    no_sack: bool,
}

/// Why the segments of one end are nothing for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// One of them has timestamps in every segment (RFC 7323, 3.2), the other in none.
    Timestamps,
    /// One of them has ECN.
    Ecn,
    /// One of them may send more at once than the other takes.
    SegmentSize,
}

impl Shift {
    /// What changes from `from` to `to`, at this moment.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn between(from: &Standing, to: &Standing) -> Result<Shift, Mismatch> {
        if from.ecn != to.ecn {
            return Err(Mismatch::Ecn);
        }
        if from.mss.0 > to.mss.1 {
            return Err(Mismatch::SegmentSize);
        }
        if from.clocks.is_some() != to.clocks.is_some() {
            return Err(Mismatch::Timestamps);
        }
        Ok(Shift {
            seq: to.written.since(from.received),
            ack: to.received.since(from.written),
            value: clock(from, to),
            echo: clock(to, from).wrapping_neg(),
            from: from.shifts.1,
            to: to.shifts.0,
            no_sack: from.sack && !to.sack,
        })
    }

    /// Nothing changes.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Shift { from: self.from, to: self.from, ..Shift::default() }
    }

    /// A sequence number of who is sent to, as who sends says it.
    #[must_use]
    pub fn back(&self, seq: SeqNumber) -> SeqNumber {
        seq - self.seq
    }

    /// A sequence number of who sends, as it is sent on.
    #[must_use]
    pub fn forth(&self, seq: SeqNumber) -> SeqNumber {
        seq + self.seq
    }

    /// A timestamp of who sends, as it is sent on.
    #[must_use]
    pub fn value(&self, value: u32) -> u32 {
        value.wrapping_add(self.value)
    }

    /// A header's numbers and window; its options stay.
    #[must_use]
    pub fn header(&self, header: &Header) -> Header {
        Header { seq: header.seq + self.seq, ack: header.ack + self.ack, window: self.window(header.window), ..*header }
    }

    fn window(&self, field: u16) -> u16 {
        let bytes = u32::from(field) << self.from >> self.to;
        u16::try_from(bytes).unwrap_or(u16::MAX)
    }

    /// Rewrites a TCP header in place, options included.
    pub fn rewrite(&self, header: &mut [u8]) {
        if header.len() < 20 {
            return;
        }
        let before = checksum::sum(header, 0);
        add(header, 4, self.seq);
        // RFC 9293, 3.1: without the ACK bit the field means nothing.
        if header[13] & 0x10 != 0 {
            add(header, 8, self.ack);
        }
        let window = self.window(u16::from_be_bytes([header[14], header[15]]));
        header[14..16].copy_from_slice(&window.to_be_bytes());
        self.rewrite_options(header);
        // RFC 1624, 3: HC' = ~(~HC + ~m + m'), with all of the header as m: the sum of its own old field is in both.
        let after = checksum::sum(header, 0);
        let kept = u64::from(!u16::from_ne_bytes([header[16], header[17]]));
        let minus = u64::from(!fold(before));
        let sum = checksum::finish(kept + minus + u64::from(fold(after)));
        header[16..18].copy_from_slice(&sum.to_be_bytes());
    }

    fn rewrite_options(&self, header: &mut [u8]) {
        let mut at = 20;
        while let Some(&found) = header.get(at) {
            match found {
                kind::END => return,
                kind::NOP => at += 1,
                other => {
                    let Some(length) = header.get(at + 1).map(|length| usize::from(*length)) else { return };
                    if length < 2 || at + length > header.len() {
                        return;
                    }
                    match (other, length) {
                        (kind::TIMESTAMP, 10) => {
                            add(header, at + 2, self.value);
                            let echo = [header[at + 6], header[at + 7], header[at + 8], header[at + 9]];
                            // RFC 7323, 3.2: "When TSecr is not valid, its value MUST be zero".
                            if echo != [0; 4] {
                                add(header, at + 6, self.echo);
                            }
                        }
                        (kind::SACK, _) if self.no_sack => header[at..at + length].fill(kind::NOP),
                        (kind::SACK, _) => {
                            for edge in (at + 2..at + length).step_by(4).take(2 * SackBlocks::MAX) {
                                if edge + 4 <= at + length {
                                    add(header, edge, self.ack);
                                }
                            }
                        }
                        _ => {}
                    }
                    at += length;
                }
            }
        }
    }
}

/// What is added to a clock's values on their way from one connection to the other: nothing where ours went along with theirs
/// (a mirrored leg), for then none of theirs is older than what we said.
fn clock(from: &Standing, to: &Standing) -> u32 {
    let Some((from, to)) = from.clocks.zip(to.clocks) else { return 0 };
    let ahead = to.ours.wrapping_sub(from.theirs.wrapping_add(from.since)).cast_signed();
    if (-IN_STEP..=IN_STEP).contains(&ahead) { 0 } else { to.ours.wrapping_sub(from.theirs) }
}

/// Clocks that are rounded to milliseconds in three places may differ by so many.
const IN_STEP: i32 = 2;

fn add(header: &mut [u8], at: usize, what: u32) {
    let Some(field) = header.get_mut(at..at + 4) else { return };
    let value = u32::from_be_bytes([field[0], field[1], field[2], field[3]]).wrapping_add(what);
    field.copy_from_slice(&value.to_be_bytes());
}

/// A running sum as one word, in the machine's byte order.
fn fold(acc: u64) -> u16 {
    !u16::to_be(checksum::finish(acc))
}

#[cfg(test)]
mod tests;
