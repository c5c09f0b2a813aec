//! Every field by itself, and that a right checksum stays right for any header.

use proptest::prelude::*;

use super::*;
use crate::connection::Clocks;
use crate::options::{Options, Timestamp};
use crate::segment::Flags;

fn standing() -> Standing {
    Standing {
        received: SeqNumber(1_000),
        offered: SeqNumber(66_000),
        written: SeqNumber(5_000),
        acknowledged: SeqNumber(5_000),
        window: 65_000,
        shifts: (7, 7),
        clocks: Some(Clocks { ours: 400, theirs: 900, since: 0 }),
        sack: true,
        ecn: false,
        mss: (1_460, 1_460),
    }
}

/// Two legs that were mirrored: each has the other's numbers and clock.
fn mirrored() -> (Standing, Standing) {
    let a = standing();
    let clocks = Some(Clocks { ours: 901, theirs: 400, since: 1 });
    let b = Standing { received: a.written, written: a.received, clocks, shifts: (7, 7), ..a };
    (a, b)
}

fn write(header: &Header) -> Vec<u8> {
    let mut bytes = vec![0; header.len()];
    header.emit(&mut bytes);
    let sum = checksum::finish(checksum::sum(&bytes, 0));
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn header() -> Header {
    let mut sack = SackBlocks::new();
    sack.push(SeqNumber(5_100), SeqNumber(5_200));
    sack.push(SeqNumber(u32::MAX), SeqNumber(10));
    Header {
        src_port: 4_000,
        dst_port: 80,
        seq: SeqNumber(1_000),
        ack: SeqNumber(5_000),
        flags: Flags::ACK,
        window: 512,
        urgent: 0,
        options: Options { timestamp: Some(Timestamp { value: 1_000, echo: 390 }), sack, ..Options::default() },
    }
}

#[test]
fn mirrored_legs_differ_in_nothing() {
    let (a, b) = mirrored();
    for shift in [Shift::between(&a, &b), Shift::between(&b, &a)] {
        let shift = shift.expect("alike");
        assert!(shift.is_none(), "{shift:?}");
        let mut bytes = write(&header());
        shift.rewrite(&mut bytes);
        assert_eq!(bytes, write(&header()));
    }
}

#[test]
fn every_field_has_its_own_shift() {
    let a = standing();
    let b = Standing {
        received: SeqNumber(77_000),
        written: SeqNumber(u32::MAX),
        shifts: (4, 2),
        clocks: Some(Clocks { ours: 7, theirs: 1 << 31, since: 0 }),
        ..a
    };
    let shift = Shift::between(&a, &b).expect("nothing stands against it");
    let mut bytes = write(&header());
    shift.rewrite(&mut bytes);
    assert_eq!(checksum::finish(checksum::sum(&bytes, 0)), 0, "the checksum is right");
    let (there, _) = Header::parse(&bytes).expect("a header");
    assert_eq!((there.seq.0, there.ack.0), (u32::MAX, 77_000));
    assert_eq!(there.window, 4_096, "512 units of 128 bytes, in units of 16");
    let timestamp = there.options.timestamp.expect("timestamps");
    // Our clock said 7 to B when A's said 900, and 400 to A when B's said 2^31.
    assert_eq!((timestamp.value, timestamp.echo), (107, 390u32.wrapping_add((1 << 31) - 400)));
    let edges = there.options.sack;
    assert_eq!(edges.as_slice()[0], (SeqNumber(77_100), SeqNumber(77_200)));
    assert_eq!(edges.as_slice()[1].1, SeqNumber(72_010));
    // And what B says comes back as it went.
    let back = Shift::between(&b, &a).expect("nothing stands against it");
    let mut again = bytes.clone();
    again[14..16].copy_from_slice(&[0, 1]);
    back.rewrite(&mut again);
    let (answer, _) = Header::parse(&again).expect("a header");
    assert_eq!(answer.seq, SeqNumber(u32::MAX) + 5_000 - 77_000);
    assert_eq!(answer.window, 0, "one unit of four bytes is less than one of 128");
}

#[test]
fn what_cannot_be_put_together() {
    let a = standing();
    let refused = |b: Standing| Shift::between(&a, &b).expect_err("it differs");
    assert_eq!(refused(Standing { clocks: None, ..a }), Mismatch::Timestamps);
    assert_eq!(refused(Standing { ecn: true, ..a }), Mismatch::Ecn);
    assert_eq!(refused(Standing { mss: (1_460, 1_459), ..a }), Mismatch::SegmentSize);
}

#[test]
fn sack_blocks_for_who_knows_none_are_left_out() {
    let (a, b) = mirrored();
    let shift = Shift::between(&a, &Standing { sack: false, ..b }).expect("it can be helped");
    let mut bytes = write(&header());
    shift.rewrite(&mut bytes);
    let (there, length) = Header::parse(&bytes).expect("a header");
    assert_eq!((there.options.sack.is_empty(), length), (true, header().len()));
    assert_eq!(checksum::finish(checksum::sum(&bytes, 0)), 0);
}

#[test]
fn a_window_too_large_for_the_other_field_is_the_largest() {
    let (a, b) = mirrored();
    let shift = Shift::between(&a, &Standing { shifts: (0, 7), ..b }).expect("it can be helped");
    assert_eq!(shift.header(&header()).window, u16::MAX);
}

proptest! {
    /// Whatever the bytes are: nothing panics, the length stays, a right checksum is right afterwards and a wrong one wrong.
    #[test]
    fn any_header(mut bytes in prop::collection::vec(any::<u8>(), 0..64), seq: u32, ack: u32, value: u32, from in 0..=14u8, to in 0..=14u8) {
        if bytes.len() % 2 == 1 {
            bytes.pop();
        }
        let shift = Shift { seq, ack, value, echo: value ^ 7, from, to, no_sack: seq % 2 == 0 };
        if bytes.len() >= 20 {
            bytes[16..18].fill(0);
            let sum = checksum::finish(checksum::sum(&bytes, 0));
            bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        }
        let mut damaged = bytes.clone();
        shift.rewrite(&mut bytes);
        if bytes.len() >= 20 {
            prop_assert_eq!(checksum::finish(checksum::sum(&bytes, 0)), 0);
            damaged[1] ^= 1;
            shift.rewrite(&mut damaged);
            prop_assert_ne!(checksum::finish(checksum::sum(&damaged, 0)), 0);
        }
    }
}
