//! Attacks on what a gateway holds for others, one scenario each, named after the attack. Each is counted under a name,
//! takes no more than its session may have, and honest connections go on.

use std::time::Duration;

use sim::town::TERMINATED;
use sim::{ConnectionId, HostId, Pattern, Progress, Step, Town, for_each_seed};
use tcp::{Flags, Header, Options};

use crate::hand::{self, ATTACKER};
use crate::{LONG, SERVERS, at};

const PORTS: (u16, u16) = (4_000, 80);
const CLIENT: u32 = 7;
/// More than anything between could hold.
const MUCH: Pattern = Pattern { key: 9, len: 3_000_000 };

/// A town with a server that sends much on port 80, an echo on port 81, and sessions that may idle for 30 s.
fn town(seed: u64) -> (Town, HostId) {
    let idle = [(TERMINATED.0, "anything: { proxy: plug, accept: mirror, idle_s: 30, release: never }")];
    let mut town = Town::changed(seed, &idle);
    let attacker = hand::attacker(&mut town);
    let server = [Step::Exchange(MUCH, Pattern { key: 0, len: 0 }), Step::AwaitReset];
    town.world.get_mut(town.server).tcp.listen(80, &server);
    town.world.get_mut(town.server).tcp.listen(81, &[Step::Echo, Step::Finish]);
    (town, attacker)
}

/// An honest connection, begun now.
fn honest(town: &mut Town) -> ConnectionId {
    let bytes = Pattern { key: 1, len: 50_000 };
    let client = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
    town.world.connect(town.client, &at(SERVERS[0], 81), &client)
}

fn lives(town: &mut Town, call: ConnectionId) {
    town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
    assert_eq!(town.world.report(call).bytes, (50_000, 50_000), "{}", town.world.gateway.state());
}

fn say(town: &mut Town, attacker: HostId, flags: Flags, seq: u32, ack: u32, window: u16) {
    let header = Header { window, ..hand::segment(PORTS, flags, seq, ack) };
    hand::send(town, attacker, ATTACKER, SERVERS[0], &header, &[]);
}

#[test]
fn zero_window_squatting() {
    let (mut town, attacker) = town(2);
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &hand::syn(PORTS, CLIENT));
    let mut next = answer.seq.0.wrapping_add(1);
    // Whatever comes is acknowledged, and every probe is answered: no room.
    for _ in 0..120 {
        let came = hand::received(&mut town, attacker);
        let end = came.iter().map(|(header, text)| header.seq.0.wrapping_add(*text as u32));
        next = end.fold(next, |next, end| if end.wrapping_sub(next) < 1 << 30 { end } else { next });
        if came.iter().any(|(header, _)| header.flags.contains(Flags::RST)) {
            break;
        }
        say(&mut town, attacker, Flags::ACK, CLIENT + 1, next, 0);
        town.world.run(Duration::from_millis(500));
    }
    let held = town.world.gateway.frames_in_use();
    assert!(held <= 900, "no more than the buffers of one session: {held} frames");
    assert_eq!(town.world.gateway.counter("session_idle_timeout"), 1, "{}", town.world.gateway.state());
    let call = honest(&mut town);
    lives(&mut town, call);
    town.world.settle(LONG);
}

#[test]
fn fin_wait_squatting() {
    let (mut town, attacker) = town(3);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::send(1, 100), Step::Finish, Step::AwaitReset]);
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &hand::syn(PORTS, CLIENT));
    // The server's bytes and its FIN are acknowledged; a FIN of its own never comes.
    say(&mut town, attacker, Flags::ACK, CLIENT + 1, answer.seq.0.wrapping_add(102), 8_192);
    town.world.run(Duration::from_secs(1));
    assert_eq!(town.world.gateway.audit().sessions, 1);
    let call = honest(&mut town);
    lives(&mut town, call);
    town.world.run(Duration::from_secs(60));
    assert_eq!(town.world.gateway.counter("session_idle_timeout"), 1, "{}", town.world.gateway.state());
    assert_eq!(town.world.gateway.audit().sessions, 0, "{}", town.world.gateway.state());
    town.world.settle(LONG);
}

#[test]
fn tiny_mss() {
    let (mut town, attacker) = town(4);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::send(1, 20_000), Step::AwaitReset]);
    let options = Options { mss: Some(1), ..Options::default() };
    let syn = Header { options, window: u16::MAX, ..hand::syn(PORTS, CLIENT) };
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &syn);
    let (mut next, mut packets) = (answer.seq.0.wrapping_add(1), 0);
    for _ in 0..200 {
        let came = hand::received(&mut town, attacker);
        packets += came.iter().filter(|(_, text)| *text > 0).count();
        let end = came.iter().map(|(header, text)| header.seq.0.wrapping_add(*text as u32));
        next = end.fold(next, |next, end| if end.wrapping_sub(next) < 1 << 30 { end } else { next });
        say(&mut town, attacker, Flags::ACK, CLIENT + 1, next, u16::MAX);
        town.world.run(Duration::from_millis(10));
    }
    assert_eq!(next.wrapping_sub(answer.seq.0), 20_001, "it gets its bytes");
    assert!(packets <= 20_000 / 200, "{packets} packets for 20,000 bytes");
    say(&mut town, attacker, Flags::RST, CLIENT + 1, 0, 0);
    let call = honest(&mut town);
    lives(&mut town, call);
    town.world.settle(LONG);
}

#[test]
fn ack_flood() {
    for_each_seed(2, |seed| {
        let (mut town, attacker) = town(seed);
        let call = honest(&mut town);
        for n in 0..3_000u32 {
            let header = hand::segment(((n % 60_000) as u16 + 1, 80), Flags::ACK, n.wrapping_mul(77_777), n << 16);
            hand::send(&mut town, attacker, ATTACKER, SERVERS[0], &header, &[]);
            town.world.run(Duration::from_micros(50));
        }
        assert!(town.world.gateway.counter("tcp_out_of_state") >= 2_990, "{}", town.world.gateway.state());
        assert!(hand::received(&mut town, attacker).is_empty(), "nothing is answered for others");
        assert!(town.world.gateway.audit().flows <= 3);
        lives(&mut town, call);
        town.world.settle(LONG);
    });
}

#[test]
fn rst_flood() {
    for_each_seed(2, |seed| {
        let (mut town, attacker) = town(seed);
        // An idle connection of somebody else, whose addresses and ports the attacker knows.
        let bytes = Pattern { key: 1, len: 5_000 };
        let wait = Step::Wait(Duration::from_secs(5));
        let client =
            [Step::Exchange(bytes, bytes), wait, Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        let call = town.world.connect(town.client, &at(SERVERS[0], 81), &client);
        town.world.run(Duration::from_secs(1));
        let port = town.world.report(call).local.port();
        for _ in 0..3_000 {
            let seq = town.world.random.number() as u32;
            let header = hand::segment((port, 81), Flags::RST, seq, 0);
            hand::send(&mut town, attacker, "192.168.1.2", SERVERS[0], &header, &[]);
            town.world.run(Duration::from_micros(50));
        }
        let gateway = &town.world.gateway;
        let ignored = gateway.counter("tcp_reset_outside") + gateway.counter("tcp_reset_challenged");
        assert_eq!(ignored, 3_000, "{}", gateway.state());
        town.world.run_until(LONG, |world| world.report(call).progress != Progress::Running);
        assert_eq!(town.world.report(call).bytes, (10_000, 10_000));
        town.world.settle(LONG);
    });
}

#[test]
fn optimistic_ack() {
    let (mut town, attacker) = town(6);
    let syn = Header { window: u16::MAX, ..hand::syn(PORTS, CLIENT) };
    let answer = hand::handshake(&mut town, attacker, SERVERS[0], &syn);
    let first = answer.seq.0.wrapping_add(1);
    // It acknowledges ever more than it was sent, so as to be sent ever faster.
    for n in 1..200u32 {
        say(&mut town, attacker, Flags::ACK, CLIENT + 1, first.wrapping_add(n * 100_000), u16::MAX);
        town.world.run(Duration::from_millis(5));
    }
    let came = hand::received(&mut town, attacker);
    let bytes: usize = came.iter().map(|(_, text)| *text).sum();
    assert!(bytes <= 200_000, "an initial window and what is sent again: {bytes}");
    assert!(town.world.gateway.counter("tcp_ack_ahead") >= 150, "{}", town.world.gateway.state());
    let call = honest(&mut town);
    lives(&mut town, call);
    say(&mut town, attacker, Flags::RST, CLIENT + 1, 0, 0);
    town.world.settle(LONG);
}
