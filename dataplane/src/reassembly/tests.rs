//! Any order gives the datagram, any lie ends it, and nobody takes up more than their share.

use std::ops::Range;

use control::policy::InterfaceId;
use proptest::prelude::*;
use tcp::Instant;

use super::{Progress, Reassembly, Whole, join_ecn};
use crate::counters::Counter;
use crate::limits;
use crate::packet::{self, Network, RxChecks};

const NOW: Instant = Instant::from_micros(1_000_000);

/// A frame with the bytes `range` of a datagram of `len`, from the `from`th host; a UDP header is at its start.
fn fragment(from: u32, id: u16, len: usize, range: Range<usize>) -> Vec<u8> {
    let more = range.end < len;
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    out.extend([0x45, 0]);
    out.extend((20 + range.len() as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(((range.start as u16 / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
    out.extend([64, 17, 0, 0]);
    out.extend((0x0a00_0001 + from).to_be_bytes());
    out.extend([10, 255, 0, 2]);
    let sum = ::tcp::checksum::finish(::tcp::checksum::sum(&out[14..34], 0));
    out[24..26].copy_from_slice(&sum.to_be_bytes());
    out.extend(body(len, range));
    out
}

fn body(len: usize, range: Range<usize>) -> Vec<u8> {
    let mut whole: Vec<u8> = (0..len).map(|byte| (byte % 253) as u8).collect();
    whole[..8].copy_from_slice(&[0, 9, 0, 9, (len >> 8) as u8, len as u8, 0, 0]);
    whole[range].to_vec()
}

struct Bench {
    reassembly: Reassembly,
    evicted: u64,
}

impl Bench {
    fn new() -> Self {
        Self { reassembly: Reassembly::new(7), evicted: 0 }
    }

    fn take(&mut self, now: Instant, frame: &[u8]) -> Progress {
        let parsed = packet::parse(frame, RxChecks::default()).expect("a good packet");
        let Network::Ip(ip) = &parsed.network else { panic!("IP") };
        self.reassembly.handle(now, InterfaceId(0), frame, ip, &mut self.evicted)
    }
}

fn is_right(whole: &Whole, len: usize) {
    let parsed = packet::parse(&whole.bytes, RxChecks::default()).expect("a good packet");
    let Network::Ip(ip) = parsed.network else { panic!("IP") };
    assert_eq!(ip.fragment, None);
    assert_eq!(whole.bytes[ip.transport], body(len, 0..len));
}

proptest! {
    #[test]
    fn any_order_with_repetitions_gives_the_datagram(
        len in 9..4_000usize, size in 1..60usize, order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let size = size * 8;
        let mut ranges: Vec<Range<usize>> =
            (0..len).step_by(size).map(|at| at..(at + size).min(len)).collect();
        prop_assume!(ranges.len() > 1 && ranges.len() <= limits::FRAGMENTS_PER_DATAGRAM);
        for (at, other) in order.iter().enumerate() {
            let (a, b) = (at % ranges.len(), other.index(ranges.len()));
            ranges.swap(a, b);
        }
        let mut bench = Bench::new();
        let (last, rest) = ranges.split_last().expect("there are two");
        for range in rest {
            prop_assert_eq!(bench.take(NOW, &fragment(0, 1, len, range.clone())), Progress::Waits);
            let again = bench.take(NOW, &fragment(0, 1, len, range.clone()));
            prop_assert_eq!(again, Progress::Dropped(Counter::FragmentDuplicate));
        }
        let Progress::Whole(whole) = bench.take(NOW, &fragment(0, 1, len, last.clone())) else {
            return Err(TestCaseError::fail("it is whole"));
        };
        is_right(&whole, len);
        prop_assert!(bench.reassembly.is_empty());
        prop_assert_eq!(bench.reassembly.bytes(), 0);
    }

    #[test]
    fn whatever_comes_stays_within_its_bounds(
        pieces in prop::collection::vec((0..3u32, 0..4u16, 1..40usize, 1..40usize, any::<bool>()), 1..400),
    ) {
        let mut bench = Bench::new();
        for (at, (from, id, start, length, last)) in pieces.into_iter().enumerate() {
            let range = start * 8..(start + length) * 8;
            let len = if last { range.end } else { 4_096 };
            bench.take(NOW + std::time::Duration::from_millis(at as u64 * 100), &fragment(from, id, len, range));
            prop_assert!(bench.reassembly.len() <= limits::FRAGMENTED_MAX);
        }
        bench.reassembly.expire(NOW + std::time::Duration::from_secs(3_600));
        prop_assert!(bench.reassembly.is_empty());
        prop_assert_eq!(bench.reassembly.bytes(), 0);
        prop_assert_eq!(bench.reassembly.deadline(), None);
    }
}

#[test]
fn a_crowd_of_sources_evicts_the_oldest() {
    let mut bench = Bench::new();
    let most = limits::FRAGMENTED_MAX as u32;
    for from in 0..most + 10 {
        assert_eq!(bench.take(NOW, &fragment(from, 1, 64, 0..32)), Progress::Waits);
    }
    assert_eq!((bench.reassembly.len(), bench.evicted), (limits::FRAGMENTED_MAX, 10));
    let Progress::Whole(whole) = bench.take(NOW, &fragment(most + 9, 1, 64, 32..64)) else { panic!("the youngest") };
    is_right(&whole, 64);
    assert_eq!(bench.take(NOW, &fragment(0, 1, 64, 32..64)), Progress::Waits, "the oldest is forgotten");
}

#[test]
fn one_source_has_so_much_memory_and_all_together_so_much() {
    let mut bench = Bench::new();
    let mut refused = 0;
    for id in 0..limits::FRAGMENTED_PER_SOURCE as u16 {
        for at in 0..8 {
            let progress = bench.take(NOW, &fragment(0, id, 60_000, at * 1_480..(at + 1) * 1_480));
            refused += u32::from(progress == Progress::Dropped(Counter::FragmentSourceLimit));
        }
        assert!(bench.reassembly.bytes() <= limits::FRAGMENT_MEMORY_PER_SOURCE);
    }
    assert!(refused > 0);
    for from in 1..100 {
        for at in 0..40 {
            bench.take(NOW, &fragment(from, 1, 60_000, at * 1_480..(at + 1) * 1_480));
        }
        assert!(bench.reassembly.bytes() <= limits::FRAGMENT_MEMORY + 2_000);
    }
    assert!(bench.evicted > 0);
}

#[test]
fn datagrams_that_became_whole_leave_nothing_behind() {
    let mut bench = Bench::new();
    for id in 0..10 * limits::FRAGMENTED_MAX {
        let (from, id) = ((id % 200) as u32, id as u16);
        assert_eq!(bench.take(NOW, &fragment(from, id, 64, 0..32)), Progress::Waits);
        let Progress::Whole(whole) = bench.take(NOW, &fragment(from, id, 64, 32..64)) else { panic!("it is whole") };
        is_right(&whole, 64);
        assert!(bench.reassembly.deadlines.len() <= 2 * limits::FRAGMENTED_MAX);
    }
    assert!(bench.reassembly.is_empty() && bench.reassembly.bytes() == 0 && bench.reassembly.sources.is_empty());
}

#[test]
fn what_waits_too_long_is_forgotten_and_begins_anew() {
    let mut bench = Bench::new();
    assert_eq!(bench.take(NOW, &fragment(0, 1, 64, 0..32)), Progress::Waits);
    let late = NOW + limits::FRAGMENT_WAIT;
    assert_eq!(bench.reassembly.deadline(), Some(late));
    assert_eq!(bench.reassembly.expire(late), 1);
    assert_eq!(bench.take(late, &fragment(0, 1, 64, 32..64)), Progress::Waits);
}

#[test]
fn rfc_3168_5_3() {
    const NOT_ECT: u8 = 1;
    const ECT_1: u8 = 2;
    const ECT_0: u8 = 4;
    const CE: u8 = 8;
    let cases = [(NOT_ECT, Some(0)), (ECT_0, Some(2)), (ECT_1, Some(1)), (ECT_0 | CE, Some(3)), (CE, Some(3))];
    for (seen, wanted) in cases {
        assert_eq!(join_ecn(seen), wanted);
    }
    assert_eq!(join_ecn(NOT_ECT | CE), None);
    assert_eq!(join_ecn(NOT_ECT | ECT_0), Some(0));
}
