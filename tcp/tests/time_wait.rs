//! TIME-WAIT as a record of its own behaves as the connection did.

mod peer;

use std::time::Duration;

use peer::{OURS, Script, header};
use tcp::{Discard, Flags, Header, Lingering, Options, SeqNumber, State, TimeWait, Timestamp};

fn closed(mut script: Script) -> (Script, TimeWait) {
    script.connection.shutdown(script.now);
    script.poll();
    script.give(header(1, 2, Flags::FIN | Flags::ACK), b"").unwrap();
    script.poll();
    assert_eq!(script.state(), State::TimeWait);
    let record = std::mem::replace(&mut script.connection, Script::established().connection).into_time_wait();
    (script, record.expect("in TIME-WAIT and read"))
}

#[test]
fn only_from_time_wait_and_only_when_all_was_read() {
    let script = Script::established();
    assert_eq!(script.connection.into_time_wait().unwrap_err().state(), State::Established);
    let mut script = Script::established();
    script.connection.shutdown(script.now);
    script.poll();
    script.give(header(1, 2, Flags::FIN | Flags::ACK), b"last words").unwrap();
    script.poll();
    let mut connection = script.connection.into_time_wait().unwrap_err();
    assert_eq!(connection.read().as_deref(), Some(&b"last words"[..]));
    assert!(connection.into_time_wait().is_ok());
}

#[test]
fn a_fin_again_is_acknowledged_and_begins_it_anew() {
    let (script, mut record) = closed(Script::established());
    assert_eq!(record.deadline(), script.now + Duration::from_secs(60));
    let later = script.now + Duration::from_secs(30);
    let Lingering::Reply(reply) = record.handle_segment(later, &header(1, 2, Flags::FIN | Flags::ACK), 0) else {
        panic!("no reply")
    };
    assert_eq!((reply.seq, reply.ack, reply.flags), (SeqNumber(OURS + 2), SeqNumber(peer::THEIRS + 2), Flags::ACK));
    assert_eq!(record.deadline(), later + Duration::from_secs(60));
}

#[test]
fn time_wait_record_assassination() {
    // RFC 1337, hazards H1 to H3: an old duplicate, the ACK it provokes, and the RST that would come back.
    let (script, mut record) = closed(Script::established());
    let deadline = record.deadline();
    let old = header(1, 1, Flags::ACK);
    assert!(matches!(record.handle_segment(script.now, &old, 100), Lingering::Reply(_)));
    for seq in [2, 1, 500] {
        let reset = header(seq, 2, Flags::RST);
        assert_eq!(record.handle_segment(script.now, &reset, 0), Lingering::Ignored(Discard::TimeWaitReset));
    }
    assert_eq!(record.deadline(), deadline);
}

#[test]
fn acknowledgments_do_not_answer_each_other_for_ever() {
    let (script, mut record) = closed(Script::established());
    let mut answers = 0;
    for _ in 0..1_000 {
        let reply = record.handle_segment(script.now, &header(90_000, 2, Flags::ACK), 0);
        answers += usize::from(matches!(reply, Lingering::Reply(_)));
    }
    assert_eq!(answers, 10);
    let expected = record.handle_segment(script.now, &header(2, 2, Flags::ACK), 0);
    assert_eq!(expected, Lingering::Ignored(Discard::Closed));
}

#[test]
fn a_syn_ends_it_only_if_it_cannot_be_old() {
    let (script, mut plain) = closed(Script::established());
    let syn = |seq| header(seq, 0, Flags::SYN);
    assert_eq!(plain.handle_segment(script.now, &syn(100_000), 0), Lingering::Reuse);
    assert!(matches!(plain.handle_segment(script.now, &syn(1), 0), Lingering::Reply(_)));
    assert!(matches!(
        plain.handle_segment(script.now, &header(9_000, 1, Flags::SYN | Flags::ACK), 0),
        Lingering::Reply(_)
    ));
    let (script, mut stamped) = closed(Script::with_timestamps());
    let stamp = |value, seq| Header {
        options: Options { timestamp: Some(Timestamp { value, echo: 0 }), ..Options::default() },
        ..syn(seq)
    };
    assert_eq!(stamped.handle_segment(script.now, &stamp(101, 0), 0), Lingering::Reuse);
    assert_eq!(stamped.handle_segment(script.now, &stamp(100, 100_000), 0), Lingering::Reuse);
    let Lingering::Reply(reply) = stamped.handle_segment(script.now, &stamp(99, 100_000), 0) else { panic!("reused") };
    assert_eq!(reply.options.timestamp.map(|timestamp| timestamp.echo), Some(100));
}
