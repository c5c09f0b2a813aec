use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{Config, Ecn, Opening, Segment, SeqNumber, TimestampClock};

fn opening(isn: u32) -> Opening {
    let timestamp = Some(TimestampClock::with_offset(isn));
    Opening { isn: SeqNumber(isn), mss: 1_000, window_scale: Some(4), sack_permitted: true, timestamp }
}

/// Everything that both have to say arrives at once, but what `lose` says is lost.
fn talk(now: Instant, ends: &mut [Connection<Bytes>; 2], mut lose: impl FnMut(usize) -> bool) {
    let (mut chunks, mut count) = (Vec::new(), 0);
    let mut silent = 0;
    while silent < 2 {
        silent = 0;
        for from in [0, 1] {
            let Some(header) = ends[from].poll_transmit(now, 1_000, &mut chunks) else {
                silent += 1;
                continue;
            };
            count += 1;
            if !lose(count) {
                let payload = chunks.drain(..).collect();
                let _ = ends[1 - from].handle_segment(now, Segment { header, payload, ecn: Ecn::NotCapable });
            }
            while ends[1 - from].read().is_some() {}
        }
    }
}

/// Until nobody waits for anything any more.
fn wait(mut now: Instant, ends: &mut [Connection<Bytes>; 2]) -> Instant {
    while let Some(at) = ends.iter().filter_map(Connection::deadline).min() {
        now = at;
        for end in ends.iter_mut() {
            end.handle_timeout(now);
        }
        talk(now, ends, |_| false);
        assert!(ends.iter().all(|end| end.deadline().is_none_or(|deadline| deadline > now)));
    }
    now
}

#[test]
fn an_idle_connection_gives_back_what_it_can_do_without() {
    let mut now = Instant::from_micros(5_000_000);
    let config = Config::default();
    let mut client: Connection<Bytes> = Connection::connect(now, (1, 2), &config, opening(7));
    let syn = client.poll_transmit(now, 1_000, &mut Vec::new()).expect("a SYN");
    let server = Connection::accept(now, (2, 1), &config, &syn, opening(9));
    let mut ends = [client, server];
    talk(now, &mut ends, |_| false);
    now = wait(now, &mut ends);
    for round in 0..3 {
        for end in &mut ends {
            end.write(Bytes::from_static(&[7; 50_000]));
        }
        now += Duration::from_millis(20);
        // Some of it is lost, and some then comes too early.
        talk(now, &mut ends, |count| round == 1 && count % 7 == 3);
        let busy = now;
        now = wait(now, &mut ends);
        assert!(now - busy >= limits::REST, "not given back with every pause");
        for end in &ends {
            assert_eq!((end.is_held(), end.unacked(), end.readable()), (false, 0, 0), "round {round}");
        }
    }
    // And it goes on as if nothing had been.
    ends[0].write(Bytes::from_static(b"again"));
    talk(now, &mut ends, |_| false);
    assert_eq!(ends[1].info().bytes_received, 150_005);
}
