//! One test for each requirement of RFC 9293 that no behaviour test covers by the way; `requirements.md` says which.

mod peer;

use std::time::Duration;

use peer::{Out, Script, config, header, opening, options};
use tcp::{Config, Connection, Error, Flags, Header, Instant, KeepAlive, Options, Signals, State, Timestamp};

fn brief(out: &[Out]) -> Vec<(u32, usize, String)> {
    out.iter().map(Out::brief).collect()
}

#[test]
fn a_window_above_32767_is_used_whole() {
    let mut script = Script::established();
    script.window = 65_535;
    let mut acked = 1;
    script.write(100_000);
    for _ in 0..6 {
        acked += script.poll().iter().map(|out| u32::try_from(out.payload.len()).unwrap()).sum::<u32>();
        if acked > 60_000 {
            break;
        }
        script.wait(10);
        script.ack(acked, &[]).unwrap();
        let room = script.connection.writable();
        script.write(room);
    }
    assert!(script.connection.info().snd_wnd == 65_535 && script.connection.unacked() > 32_767);
}

#[test]
fn a_reset_in_syn_received_tells_how_it_was_opened() {
    // RFC 9293, 3.10.7.4: opened by us the user hears "connection refused"; by the peer, only the listener is left.
    let mut script = Script::connecting(&config(), opening());
    script.give(Header { options: options(), ..header(0, 0, Flags::SYN) }, b"").unwrap();
    assert_eq!(script.state(), State::SynReceived);
    script.poll();
    assert_eq!(script.give(header(1, 0, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
    let mut passive = Script::connecting(&config(), opening());
    let syn = header(0, 0, Flags::SYN);
    passive.connection = Connection::accept(passive.now, (40_000, 80), &config(), &syn, opening());
    passive.poll();
    assert_eq!(passive.give(header(1, 0, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!(passive.connection.error(), Some(Error::Reset));
    assert!(script.connection.is_closed() && passive.connection.is_closed());
}

#[test]
fn without_an_mss_option_segments_have_536_bytes() {
    let mut script = Script::established_with(&config(), opening(), Options::default());
    assert_eq!(script.connection.mss(), 536);
    script.write(1_072);
    assert_eq!(script.poll().iter().map(|out| out.payload.len()).collect::<Vec<_>>(), [536, 536]);
}

#[test]
fn the_effective_segment_size_counts_options_and_the_way_out() {
    // RFC 9293, 3.7.1: "Eff.snd.MSS = min(SendMSS+20, MMS_S) - TCPhdrsize - IPoptionsize".
    assert_eq!(Script::established().connection.mss(), 1_000);
    assert_eq!(Script::with_timestamps().connection.mss(), 988);
    let narrow = Config { mss_max: 700, ..config() };
    assert_eq!(Script::established_with(&narrow, opening(), options()).connection.mss(), 700);
}

#[test]
fn karn_takes_no_sample_from_what_was_sent_twice() {
    let bare = Options { mss: Some(1_000), ..Options::default() };
    let mut script = Script::established_with(&config(), opening(), bare);
    let measured = script.connection.info().rtt_us;
    script.write(500);
    script.poll();
    assert_eq!(brief(&script.wait(210)), [(1, 500, "PA".into())]);
    script.wait(40);
    script.ack(501, &[]).unwrap();
    assert_eq!(script.connection.info().rtt_us, measured);
    // The next one, sent once, counts.
    script.write(500);
    script.poll();
    script.wait(90);
    script.ack(1_001, &[]).unwrap();
    assert!(script.connection.info().rtt_us > measured);
}

#[test]
fn urgent_data_is_read_in_line() {
    let mut script = Script::established();
    let urgent = Header { urgent: 3, ..header(1, 1, Flags::ACK | Flags::URG) };
    assert_eq!(script.give(urgent, b"abcdef"), Ok(Signals::READABLE));
    let far = Header { urgent: 65_535, ..header(7, 1, Flags::ACK | Flags::URG) };
    assert_eq!(script.give(far, &[7; 900]), Ok(Signals::READABLE));
    assert_eq!(script.read().len(), 906);
    script.write(2_000);
    assert!(script.poll().iter().all(|out| out.header.urgent == 0 && !out.header.flags.contains(Flags::URG)));
}

#[test]
fn a_shrunk_window_stops_new_data_and_times_nothing_out() {
    let mut script = Script::established_with(&Config { retries: 3, ..config() }, opening(), options());
    script.write(8_000);
    assert_eq!(script.poll().len(), 8);
    script.write(8_000);
    // The edge was at 60,000; now it is at 3,001, before what is in flight.
    script.window = 2_000;
    script.ack(1_001, &[]).unwrap();
    let mut sent = brief(&script.poll());
    sent.extend(brief(&script.wait(2_000)));
    assert!(sent.iter().any(|(seq, ..)| *seq == 1_001), "{sent:?}");
    // What fits is taken; five segments remain beyond the edge, far longer than four timeouts last.
    script.window = 0;
    for _ in 0..60 {
        script.ack(3_001, &[]).unwrap();
        sent.extend(brief(&script.wait(1_000)));
        assert_eq!(script.state(), State::Established);
    }
    assert!(sent.iter().all(|(seq, ..)| *seq < 8_001), "new data beyond the edge: {sent:?}");
    script.window = 60_000;
    script.ack(3_001, &[]).unwrap();
    let more = script.wait(3_000);
    let more: Vec<_> = script.poll().into_iter().chain(more).collect();
    assert_eq!(script.state(), State::Established);
    assert!(brief(&more).iter().any(|(seq, ..)| *seq == 3_001), "{:?}", brief(&more));
}

#[test]
fn segments_taken_together_get_one_acknowledgment() {
    let mut script = Script::established();
    for i in 0..10 {
        script.data(1 + i * 1_000, &[0; 1_000]).unwrap();
    }
    let out = script.poll();
    assert_eq!((out.len(), out[0].ack()), (1, 10_001));
}

#[test]
fn what_is_written_goes_at_once_and_is_pushed_at_its_end() {
    let mut script = Script::established();
    for _ in 0..5 {
        script.write(500);
    }
    let expected = [(1, 1_000, "A".into()), (1_001, 1_000, "A".into()), (2_001, 500, "PA".into())];
    assert_eq!(script.brief(), expected);
}

#[test]
fn options_may_begin_at_any_byte() {
    for nops in 0..4 {
        let mut bytes = vec![0; 20];
        bytes.extend(std::iter::repeat_n(1, nops));
        bytes.extend([8, 10, 0, 0, 0, 9, 0, 0, 0, 7]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes[12] = u8::try_from(bytes.len() / 4).unwrap() << 4;
        let (header, _) = Header::parse(&bytes).unwrap();
        assert_eq!(header.options.timestamp, Some(Timestamp { value: 9, echo: 7 }), "after {nops}");
    }
}

#[test]
fn only_a_syn_announces_an_mss() {
    let mut script = Script::with_timestamps();
    script.write(20_000);
    script.data(1, b"x").unwrap();
    script.connection.shutdown(script.now);
    let mut out = script.poll();
    out.extend(script.wait(5_000));
    assert!(out.len() > 10);
    for Out { header, .. } in out {
        let Options { mss, window_scale, sack_permitted, .. } = header.options;
        assert_eq!((mss, window_scale, sack_permitted), (None, None, false));
    }
}

#[test]
fn a_closed_window_still_takes_acknowledgments_and_resets() {
    let full = || {
        let mut script = Script::established();
        for i in 0..20 {
            script.data(1 + i * 1_000, &[0; 1_000]).unwrap();
            script.poll();
        }
        assert_eq!(script.connection.info().rcv_wnd, 0);
        script.write(1_000);
        script.poll();
        script
    };
    let mut script = full();
    // Text that does not fit, but its acknowledgment does; the urgent pointer does no harm.
    let segment = Header { urgent: 1, ..header(20_001, 1_001, Flags::ACK | Flags::URG) };
    let _ = script.give(segment, b"x");
    assert_eq!((script.connection.unacked(), script.connection.readable()), (0, 20_000));
    let mut script = full();
    assert_eq!(script.give(header(20_001, 1, Flags::RST), b""), Ok(Signals::CLOSED | Signals::RESET));
}

#[test]
fn no_header_needs_padding() {
    // RFC 9293, 3.1: "The padding is composed of zeros": ours has none, as options are filled up by no-operations.
    let mut script = Script::with_timestamps();
    script.write(3_000);
    for gap in [2_001, 5_001, 9_001] {
        script.data(gap, b"out of order").unwrap();
    }
    for Out { header, .. } in script.poll() {
        let mut bytes = vec![0xaa; header.len()];
        header.emit(&mut bytes);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(Header::parse(&bytes).unwrap(), (header, bytes.len()));
    }
}

#[test]
fn a_reset_may_carry_data() {
    let mut script = Script::established();
    assert_eq!(script.give(header(1, 1, Flags::RST), b"go away"), Ok(Signals::CLOSED | Signals::RESET));
    assert_eq!((script.connection.readable(), script.connection.error()), (0, Some(Error::Reset)));
}

#[test]
fn defaults_are_what_the_rfc_wants() {
    let config = Config::default();
    assert_eq!(config.keepalive, None);
    assert!(KeepAlive::default().idle >= Duration::from_secs(7_200));
    assert!(config.delayed_ack < Duration::from_millis(500));
    assert!(config.time_wait >= Duration::from_secs(60));
}

/// Until it gives up, in seconds.
fn patience(script: &mut Script) -> u64 {
    let start: Instant = script.now;
    while script.connection.error().is_none() {
        script.now = script.connection.deadline().expect("it does not wait for ever");
        script.connection.handle_timeout(script.now);
        script.poll();
    }
    (script.now - start).as_secs()
}

#[test]
fn the_default_patience_is_beyond_100_seconds() {
    let mut script = Script::established_with(&Config::default(), opening(), options());
    script.write(1_000);
    script.poll();
    assert!(patience(&mut script) > 100);
    assert_eq!(patience(&mut Script::connecting(&Config::default(), opening())), 127);
    let patient = Config { syn_retries: 7, ..Config::default() };
    assert!(patience(&mut Script::connecting(&patient, opening())) > 180);
}

#[test]
fn a_closed_window_is_probed_after_the_timeout_and_then_ever_more_slowly() {
    let mut script = Script::established();
    script.window = 0;
    script.ack(1, &[]).unwrap();
    script.write(10);
    script.silent();
    let start = script.now;
    let mut at = Vec::new();
    while at.len() < 5 {
        script.now = script.connection.deadline().unwrap();
        script.connection.handle_timeout(script.now);
        if !script.poll().is_empty() {
            at.push((script.now - start).as_millis());
        }
    }
    assert_eq!(at, [210, 630, 1_470, 3_150, 6_510]);
}
