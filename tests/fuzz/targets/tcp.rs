//! Any bytes as a TCP header, and any sequence of segments, calls and delays to a connection.
//!
//! The connection must answer within bounds, keep its deadline in the future, and hold no more than its buffers.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tcp::{
    Config, Connection, Flags, Header, IcmpError, IcmpKind, Instant, Opening, Options, Segment, SeqNumber,
    TimestampClock,
};

/// Segments one call to the connection can give rise to: its send buffer in the smallest segments, and some.
const SEGMENTS_MAX: usize = 4_096;
const BUFFER: u32 = 1 << 16;
/// The peer's initial number; what the input names is near it, or nothing would ever fit.
const PEER: u32 = u32::MAX - 500;
const OURS: u32 = u32::MAX - 900;

fuzz_target!(|data: &[u8]| {
    round_trip(data);
    let Some((first, rest)) = data.split_first() else { return };
    let mut now = Instant::from_micros(1 << 32);
    let mut connection = open(now, *first);
    let mut sent = settle(&mut connection, now);
    for op in rest.chunks_exact(8) {
        now = now + Duration::from_micros(u64::from(op[7]) << (op[6] & 31));
        if connection.deadline().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        act(&mut connection, now, op, sent);
        sent = settle(&mut connection, now).max(sent);
        assert!(connection.readable() <= BUFFER as usize * 2, "{} unread", connection.readable());
    }
});

/// What can be read can be written, and reads the same again.
fn round_trip(data: &[u8]) {
    let Ok((header, length)) = Header::parse(data) else { return };
    assert!((20..=60).contains(&length));
    let mut out = [0; 60];
    header.emit(&mut out);
    let (again, _) = Header::parse(&out[..header.len()]).expect("what was written can be read");
    assert_eq!(again, header);
    if let Some(reset) = tcp::reset_for(&header, data.len() - length) {
        assert!(reset.flags.contains(Flags::RST));
    }
}

fn open(now: Instant, first: u8) -> Connection<Bytes> {
    let config = Config { receive_buffer: BUFFER, send_buffer: BUFFER, ..Config::default() };
    let opening = Opening {
        isn: SeqNumber(OURS),
        mss: 1_000,
        window_scale: (first & 1 != 0).then_some(first >> 4),
        sack_permitted: first & 2 != 0,
        timestamp: (first & 4 != 0).then(|| TimestampClock::with_offset(u32::MAX - 5)),
    };
    if first & 8 != 0 {
        return Connection::connect(now, (1, 2), &config, opening);
    }
    let mut syn = header(Flags::SYN, 0, 0, 4_096);
    syn.options = Options {
        mss: Some(100),
        window_scale: opening.window_scale.map(|_| 3),
        sack_permitted: true,
        ..Options::default()
    };
    Connection::accept(now, (1, 2), &config, &syn, opening)
}

fn header(flags: Flags, seq: u32, ack: u32, window: u16) -> Header {
    let (seq, ack) = (SeqNumber(PEER.wrapping_add(seq)), SeqNumber(OURS.wrapping_add(ack)));
    Header { src_port: 2, dst_port: 1, seq, ack, flags, window, urgent: 0, options: Options::default() }
}

/// One thing happens to the connection.
fn act(connection: &mut Connection<Bytes>, now: Instant, op: &[u8], sent: u32) {
    let near = u32::from(op[1]) * 64 + u32::from(op[2] & 63);
    match op[0] & 15 {
        0..=8 => {
            let flags = Flags::from_bits_truncate(u16::from(op[3])) ^ Flags::ACK;
            // Mostly what we have sent is acknowledged, sometimes a bit more or less.
            let ack = sent.wrapping_add(u32::from(op[4] & 7)).wrapping_sub(u32::from(op[4] >> 6));
            let payload: &[u8] = &[7; 1_400][..usize::from(op[5]) * 5];
            let mut header = header(flags, near, ack, u16::from(op[5]) << (op[4] & 8));
            if op[4] & 16 != 0 {
                header.options.timestamp = Some(tcp::Timestamp { value: near, echo: now.as_millis() as u32 });
            }
            if op[4] & 32 != 0 {
                header.options.sack.push(SeqNumber(OURS.wrapping_add(near)), SeqNumber(OURS.wrapping_add(near + 100)));
            }
            let payload = [Bytes::copy_from_slice(payload)].into_iter().filter(|bytes| !bytes.is_empty()).collect();
            let _discard = connection.handle_segment(now, Segment { header, payload, ecn: tcp::Ecn::from_bits(op[6]) });
        }
        9 => {
            let kind = match op[3] & 3 {
                0 => IcmpKind::Unreachable { hard: op[3] & 4 != 0 },
                1 => IcmpKind::TimeExceeded,
                _ => IcmpKind::TooBig { mtu: u16::from(op[4]) << 4 },
            };
            connection.handle_icmp(now, IcmpError { kind, seq: SeqNumber(OURS.wrapping_add(near)) });
        }
        10 => while connection.read().is_some() {},
        11 | 12 if connection.writable() > 0 && connection.state().may_send() => {
            connection.write(Bytes::from(vec![8; usize::from(op[3]) * 16 + 1]));
        }
        13 => connection.shutdown(now),
        14 if op[3] > 250 => connection.abort(),
        14 => connection.set_memory_pressure(op[3] & 1 != 0),
        _ => {}
    }
}

/// Takes all it has to say; gives how far into its sequence space that went.
fn settle(connection: &mut Connection<Bytes>, now: Instant) -> u32 {
    let mut chunks = Vec::new();
    let mut furthest = 0;
    for count in 0.. {
        assert!(count < SEGMENTS_MAX, "it does not stop talking in {:?}", connection.state());
        chunks.clear();
        let Some(header) = connection.poll_transmit(now, 1_000, &mut chunks) else { break };
        let payload: usize = chunks.iter().map(Bytes::len).sum();
        assert!(payload <= 1_000);
        if !header.flags.contains(Flags::RST) {
            let past = u32::from(header.flags.contains(Flags::SYN)) + u32::from(header.flags.contains(Flags::FIN));
            furthest = furthest.max(header.seq.0.wrapping_sub(OURS).wrapping_add(payload as u32 + past));
        }
    }
    assert!(connection.deadline().is_none_or(|at| at > now), "a deadline in the past in {:?}", connection.state());
    furthest
}
