//! The answer to a segment that belongs to no connection (RFC 9293, 3.10.7.1); nothing is kept of either.

use crate::options::Options;
use crate::segment::{Flags, Header};
use crate::seq::SeqNumber;

/// RFC 9293, 3.10.7.1: the RST for a segment that belongs to no connection; none for a RST.
///
/// "If the ACK bit is off, sequence number zero is used, `<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>`. If the ACK bit
/// is on, `<SEQ=SEG.ACK><CTL=RST>`."
#[must_use]
pub fn reset_for(header: &Header, payload_len: usize) -> Option<Header> {
    if header.flags.contains(Flags::RST) {
        return None;
    }
    let (seq, ack, flags) = if header.flags.contains(Flags::ACK) {
        (header.ack, SeqNumber(0), Flags::RST)
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "an IP packet holds less than 2^32 bytes")]
        let mut length = payload_len as u32;
        length += u32::from(header.flags.contains(Flags::SYN)) + u32::from(header.flags.contains(Flags::FIN));
        (SeqNumber(0), header.seq + length, Flags::RST | Flags::ACK)
    };
    Some(Header {
        src_port: header.dst_port,
        dst_port: header.src_port,
        seq,
        ack,
        flags,
        window: 0,
        urgent: 0,
        options: Options::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: Flags) -> Header {
        let options = Options::default();
        Header {
            src_port: 1,
            dst_port: 2,
            seq: SeqNumber(100),
            ack: SeqNumber(700),
            flags,
            window: 9,
            urgent: 0,
            options,
        }
    }

    #[test]
    fn a_reset_gets_none() {
        assert_eq!(reset_for(&header(Flags::RST), 0), None);
        assert_eq!(reset_for(&header(Flags::RST | Flags::ACK), 9), None);
    }

    #[test]
    fn with_an_acknowledgment_it_says_that_number() {
        let reset = reset_for(&header(Flags::ACK | Flags::FIN), 5).unwrap();
        assert_eq!((reset.seq, reset.flags, reset.src_port, reset.dst_port), (SeqNumber(700), Flags::RST, 2, 1));
    }

    #[test]
    fn without_one_it_acknowledges_all_of_the_segment() {
        let reset = reset_for(&header(Flags::SYN), 0).unwrap();
        assert_eq!((reset.seq, reset.ack, reset.flags), (SeqNumber(0), SeqNumber(101), Flags::RST | Flags::ACK));
        assert_eq!(reset_for(&header(Flags::FIN), 10).unwrap().ack, SeqNumber(111));
    }
}
