use bytes::Bytes;

use super::*;
use crate::options::{Options, Timestamp};
use crate::state::State;

const START: Instant = Instant::from_micros(90_000_000);
const CLIENT: SeqNumber = SeqNumber(u32::MAX);
const SERVER: SeqNumber = SeqNumber(5_000);
const PATIENCE: Duration = Duration::from_secs(30);

fn after(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn segment(flags: Flags, seq: SeqNumber, ack: SeqNumber) -> Header {
    let timestamp = Some(Timestamp { value: 700, echo: 0 });
    let options =
        Options { mss: Some(9_000), window_scale: Some(7), sack_permitted: true, timestamp, ..Options::default() };
    let options = if flags.contains(Flags::SYN) { options } else { Options { timestamp, ..Options::default() } };
    Header { src_port: 4_000, dst_port: 80, seq, ack, flags, window: 4_321, urgent: 0, options }
}

fn syn() -> Header {
    segment(Flags::SYN, CLIENT, SeqNumber(0))
}

fn syn_ack() -> Header {
    let header = segment(Flags::SYN | Flags::ACK, SERVER, CLIENT + 1);
    Header { src_port: 80, dst_port: 4_000, window: 1_234, ..header }
}

fn ack() -> Header {
    segment(Flags::ACK, CLIENT + 1, SERVER + 1)
}

/// Held, the SYN said; and answered 20 ms later, the SYN-ACK said.
fn answered() -> Embryo {
    let mut embryo = Embryo::held(START, &syn());
    embryo.say_syn(START, (4_000, 80), 1_460);
    assert_eq!(embryo.on_server(after(20), &syn_ack()), FromServer::Answered);
    embryo.say_syn_ack(after(20), (80, 4_000), 1_460);
    embryo
}

#[test]
fn each_end_is_told_what_the_other_said() {
    let mut embryo = Embryo::held(START, &syn());
    let said = embryo.say_syn(after(3), (4_000, 80), 1_460);
    assert_eq!((said.seq, said.flags, said.window, said.options.mss), (CLIENT, Flags::SYN, 4_321, Some(1_460)));
    assert_eq!(said.options.timestamp, Some(Timestamp { value: 703, echo: 0 }), "the client's clock goes on");
    assert_eq!(embryo.on_server(after(20), &syn_ack()), FromServer::Answered);
    let said = embryo.say_syn_ack(after(25), (80, 4_000), 1_460);
    assert_eq!((said.seq, said.ack, said.window, said.src_port), (SERVER, CLIENT + 1, 1_234, 80));
    assert_eq!(said.options.timestamp, Some(Timestamp { value: 705, echo: 700 }));
    let bare = Header { options: Options::default(), ..syn() };
    assert_eq!(
        Embryo::held(START, &bare).say_syn(START, (1, 2), 1_460).options,
        Options::default(),
        "nothing is added"
    );
}

#[test]
fn the_last_ack_makes_two_connections_in_one_sequence_space() {
    let mut embryo = answered();
    assert_eq!(embryo.on_client(after(50), &ack(), 0), FromClient::Established);
    let config = Config::default();
    let mut client: Connection<Bytes> = embryo.client_leg(after(50), (80, 4_000), &config);
    let segment = Segment { header: ack(), payload: SmallVec::new(), ecn: Ecn::NotCapable };
    assert!(client.handle_segment(after(50), segment).unwrap().contains(Signals::ESTABLISHED));
    let mut server: Connection<Bytes> = embryo.server_leg((4_000, 80), &config).unwrap();
    assert_eq!((client.state(), server.state()), (State::Established, State::Established));
    let last = server.poll_transmit(after(50), 1_460, &mut Vec::new()).unwrap();
    assert_eq!((last.seq, last.ack, last.flags), (CLIENT + 1, SERVER + 1, Flags::ACK));
    assert_eq!(last.options.timestamp, Some(Timestamp { value: 750, echo: 700 }));
    assert_eq!((client.info().rtt_us, server.info().rtt_us), (30_000, 20_000), "each leg knows its round trip");
    assert_eq!((client.info().snd_wscale, server.info().rcv_wscale), (7, 7));
}

#[test]
fn a_syn_that_had_to_be_repeated_measures_no_round_trip() {
    let mut embryo = Embryo::held(START, &syn());
    embryo.say_syn(START, (4_000, 80), 1_460);
    assert_eq!((embryo.due(after(999), PATIENCE), embryo.due(after(1_000), PATIENCE)), (Due::Nothing, Due::Again));
    embryo.say_syn(after(1_000), (4_000, 80), 1_460);
    assert_eq!(embryo.deadline(PATIENCE), after(3_000));
    assert_eq!(embryo.on_server(after(1_020), &syn_ack()), FromServer::Answered);
    let server: Connection<Bytes> = embryo.server_leg((4_000, 80), &Config::default()).unwrap();
    assert_eq!(server.info().rtt_us, 0);
}

#[test]
fn waiting_ends() {
    let mut embryo = Embryo::held(START, &syn());
    let mut now = START;
    let mut said = 0;
    loop {
        embryo.say_syn(now, (4_000, 80), 1_460);
        said += 1;
        now = embryo.deadline(PATIENCE);
        if embryo.due(now, PATIENCE) == Due::Over {
            break;
        }
    }
    assert_eq!((said, now), (5, START + PATIENCE), "at 0, 1, 3, 7 and 15 s");
    let mut embryo = Embryo::answered(START, &syn(), &syn_ack());
    let mut now = START;
    let mut said = 0;
    while embryo.due(now, PATIENCE) != Due::Over {
        embryo.say_syn_ack(now, (80, 4_000), 1_460);
        said += 1;
        now = embryo.deadline(PATIENCE);
    }
    assert_eq!((said, now), (6, START + Duration::from_secs(63)));
}

#[test]
fn the_server_may_refuse_but_nobody_for_it() {
    let refusal = segment(Flags::RST | Flags::ACK, SeqNumber(0), CLIENT + 1);
    assert_eq!(Embryo::held(START, &syn()).on_server(START, &refusal), FromServer::Refused);
    let forged = Header { ack: CLIENT + 2, ..refusal };
    let mut embryo = Embryo::held(START, &syn());
    assert_eq!(embryo.on_server(START, &forged), FromServer::Ignored(Discard::HandshakeAck));
    assert_eq!(
        embryo.on_server(START, &Header { flags: Flags::RST, ..refusal }),
        FromServer::Ignored(Discard::HandshakeReset)
    );
    let mut embryo = answered();
    let blind = segment(Flags::RST, SERVER + 9, SeqNumber(0));
    assert_eq!(embryo.on_server(after(30), &blind), FromServer::Ignored(Discard::ResetOutside));
    assert_eq!(embryo.on_server(after(30), &Header { seq: SERVER + 1, ..blind }), FromServer::Reset);
}

#[test]
fn an_old_answer_is_reset_in_the_clients_name() {
    let mut embryo = Embryo::held(START, &syn());
    let old = Header { ack: SeqNumber(77), ..syn_ack() };
    let FromServer::Reply(reset) = embryo.on_server(START, &old) else { panic!("a RST") };
    assert_eq!((reset.flags, reset.seq, reset.dst_port), (Flags::RST, SeqNumber(77), 80));
    assert_eq!(embryo.stage(), Stage::Held);
}

#[test]
fn a_split_handshake_turns_nothing_round() {
    let mut embryo = Embryo::held(START, &syn());
    let bare = Header { flags: Flags::SYN, ack: SeqNumber(0), ..syn_ack() };
    assert_eq!(embryo.on_server(START, &bare), FromServer::Crossed);
    let ack_alone = Header { flags: Flags::ACK, options: Options::default(), ..syn_ack() };
    assert_eq!(embryo.on_server(START, &ack_alone), FromServer::Ignored(Discard::HandshakeNoSyn));
    assert_eq!(embryo.stage(), Stage::Held);
    assert_eq!(embryo.on_server(START, &syn_ack()), FromServer::Answered, "both opened at once: this is the answer");
}

#[test]
fn a_client_that_takes_its_syn_back_leaves_the_server_none() {
    let mut embryo = Embryo::held(START, &syn());
    embryo.say_syn(START, (4_000, 80), 1_460);
    let reset = segment(Flags::RST, CLIENT + 1, SeqNumber(0));
    let blind = Header { seq: CLIENT + 5, ..reset };
    assert_eq!(embryo.on_client(START, &blind, 0), FromClient::Ignored(Discard::ResetOutside));
    assert_eq!(embryo.on_client(START, &reset, 0), FromClient::Withdrawn);
    let FromServer::Reply(answer) = embryo.on_server(after(20), &syn_ack()) else { panic!("a RST") };
    assert_eq!((answer.seq, answer.flags), (CLIENT + 1, Flags::RST));
    assert_eq!(embryo.due(embryo.deadline(PATIENCE), PATIENCE), Due::Over);
    assert_eq!(embryo.on_client(after(30), &syn(), 0), FromClient::Replaced, "the tuple is free");
}

#[test]
fn syns_of_the_client_again() {
    let mut held = Embryo::held(START, &syn());
    assert_eq!(held.on_client(after(900), &syn(), 0), FromClient::Repeated);
    assert_eq!(held.on_client(after(900), &Header { seq: SeqNumber(1), ..syn() }, 0), FromClient::Replaced);
    let mut embryo = answered();
    assert_eq!(embryo.on_client(after(100), &syn(), 0), FromClient::Repeated, "answered a moment ago");
    assert_eq!(embryo.on_client(after(600), &syn(), 0), FromClient::AnswerAgain);
    let other = Header { seq: SeqNumber(1), ..syn() };
    assert_eq!(embryo.on_client(after(600), &other, 0), FromClient::Ignored(Discard::SynChallenged));
}

#[test]
fn only_the_right_ack_establishes() {
    let mut embryo = answered();
    let FromClient::Reply(reset) = embryo.on_client(after(30), &Header { ack: SERVER, ..ack() }, 0) else {
        panic!("a RST")
    };
    assert_eq!((reset.flags, reset.seq), (Flags::RST, SERVER));
    let beyond = Header { seq: CLIENT + 70_000, ..ack() };
    assert_eq!(embryo.on_client(after(30), &beyond, 0), FromClient::Ignored(Discard::BeyondWindow));
    let bare = Header { flags: Flags::PSH, ..ack() };
    assert_eq!(embryo.on_client(after(30), &bare, 5), FromClient::Ignored(Discard::NoAck));
    assert_eq!(Embryo::held(START, &syn()).on_client(START, &ack(), 0), FromClient::Ignored(Discard::NoAck));
}

#[test]
fn ecn_is_between_the_ends() {
    let both = Flags::ECE | Flags::CWR;
    let mut embryo = Embryo::held(START, &Header { flags: Flags::SYN | both | Flags::AE, ..syn() });
    assert_eq!(embryo.say_syn(START, (1, 2), 1_460).flags, Flags::SYN | both, "accurate ECN falls back");
    assert_eq!(embryo.say_syn(after(1_000), (1, 2), 1_460).flags, Flags::SYN);
}
