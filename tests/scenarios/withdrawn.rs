//! Handshakes that do not come about: whoever gives up, and whatever comes instead of an answer, the other end is told
//! what it would have been told without a gateway.

use std::time::Duration;

use sim::frame::{ICMP, Ip};
use sim::{HostId, Town, for_each_seed};
use tcp::{Flags, Header};

use crate::LONG;
use crate::hand::{self, ATTACKER, PUPPET};

const SOON: Duration = Duration::from_millis(20);
/// The client's and the server's first numbers.
const CLIENT: u32 = 7;
const SERVER: u32 = 500;
const UP: (u16, u16) = (4_000, 80);
const DOWN: (u16, u16) = (80, 4_000);

/// A client and a server by hand, and between them a SYN that is held.
fn held(seed: u64) -> (Town, HostId, HostId) {
    let mut town = Town::new(seed);
    let (client, server) = (hand::attacker(&mut town), hand::puppet(&mut town));
    hand::send(&mut town, client, ATTACKER, PUPPET, &hand::syn(UP, CLIENT), &[]);
    town.world.run(SOON);
    assert_eq!(flags(&hand::received(&mut town, server)), [Flags::SYN]);
    (town, client, server)
}

fn flags(received: &[(Header, usize)]) -> Vec<Flags> {
    received.iter().map(|(header, _)| header.flags).collect()
}

fn from_client(town: &mut Town, host: HostId, kind: Flags, seq: u32, ack: u32) {
    hand::send(town, host, ATTACKER, PUPPET, &hand::segment(UP, kind, seq, ack), &[]);
    town.world.run(SOON);
}

fn from_server(town: &mut Town, host: HostId, kind: Flags, seq: u32, ack: u32) {
    let options = hand::syn(DOWN, 0).options;
    let header = hand::segment(DOWN, kind, seq, ack);
    let header = if kind.contains(Flags::SYN) { Header { options, ..header } } else { header };
    hand::send(town, host, PUPPET, ATTACKER, &header, &[]);
    town.world.run(SOON);
}

const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);

#[test]
fn a_reset_while_the_syn_is_held_reaches_the_server() {
    for_each_seed(3, |seed| {
        let (mut town, client, server) = held(seed);
        from_client(&mut town, client, Flags::RST, CLIENT + 1, 0);
        let told = hand::received(&mut town, server);
        assert_eq!((flags(&told), told[0].0.seq.0), (vec![Flags::RST], CLIENT + 1));
        // Its SYN-ACK was under way: it is told what the client would have said.
        from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
        let told = hand::received(&mut town, server);
        assert_eq!((flags(&told), told[0].0.seq.0), (vec![Flags::RST], CLIENT + 1));
        assert!(hand::received(&mut town, client).is_empty());
        assert_eq!(town.world.gateway.counter("mirror_withdrawn"), 1);
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.summaries[0].reason, "client_reset");
    });
}

#[test]
fn a_blind_reset_while_the_syn_is_held_does_nothing() {
    let (mut town, client, server) = held(2);
    from_client(&mut town, client, Flags::RST, CLIENT + 2, 0);
    assert!(hand::received(&mut town, server).is_empty());
    from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
    assert_eq!(flags(&hand::received(&mut town, client)), [SYN_ACK]);
    town.world.settle(LONG);
}

#[test]
fn a_reset_after_the_syn_ack_reaches_the_server() {
    for_each_seed(3, |seed| {
        let (mut town, client, server) = held(seed);
        from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
        let answer = hand::received(&mut town, client);
        assert_eq!((flags(&answer), answer[0].0.seq.0, answer[0].0.window), (vec![SYN_ACK], SERVER, 8_192));
        // As a scanner does that wants to know only whether the port is open.
        from_client(&mut town, client, Flags::RST, CLIENT + 1, 0);
        let told = hand::received(&mut town, server);
        assert_eq!((flags(&told), told[0].0.seq.0), (vec![Flags::RST], CLIENT + 1));
        town.world.settle(LONG);
        assert_eq!(town.world.gateway.audit().time_wait, 0);
    });
}

#[test]
fn a_servers_reset_after_its_syn_ack_reaches_the_client() {
    let (mut town, client, server) = held(3);
    from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
    hand::received(&mut town, client);
    from_server(&mut town, server, Flags::RST, SERVER + 1, 0);
    let told = hand::received(&mut town, client);
    assert_eq!((flags(&told), told[0].0.seq.0), (vec![Flags::RST], SERVER + 1));
    town.world.settle(LONG);
    assert_eq!(town.world.gateway.summaries[0].reason, "server_reset");
}

#[test]
fn an_icmp_error_about_the_syn_ack_reaches_the_server() {
    let (mut town, client, server) = held(4);
    from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
    let answer = hand::received(&mut town, client)[0].0;
    // RFC 5927, 4.1: who does not know the number is not believed.
    for (seq, believed) in [(SERVER + 77, false), (SERVER, true)] {
        let quoted = Header { seq: tcp::SeqNumber(seq), ..answer };
        let error = hand::unreachable(ATTACKER, (PUPPET, ATTACKER), &quoted);
        let now = town.world.now;
        town.world.get_mut(client).send(now, error);
        town.world.run(SOON);
        let told: Vec<Ip> = town.world.get_mut(server).inbox.drain(..).map(|(_, ip)| ip).collect();
        let error = told.iter().find(|ip| ip.protocol == ICMP);
        assert_eq!(error.is_some(), believed, "{told:?}");
        let Some(error) = error else { continue };
        assert_eq!((error.payload[0], error.payload[1], error.source.to_string()), (3, 3, ATTACKER.to_owned()));
        let (quoted, length) = (&error.payload[8..], 20);
        assert_eq!(quoted[12..16], [10, 0, 0, 66], "it quotes the server's own segment");
        assert_eq!(quoted[length + 4..length + 8], SERVER.to_be_bytes());
    }
    town.world.settle(LONG);
}

#[test]
fn simultaneous_open_becomes_one_connection() {
    let (mut town, client, server) = held(5);
    from_server(&mut town, server, Flags::SYN, SERVER, 0);
    assert_eq!(town.world.gateway.counter("mirror_syn_crossed"), 1);
    assert!(hand::received(&mut town, client).is_empty());
    // RFC 9293, 3.5, figure 7: each answers the other's SYN by a SYN-ACK with its own number again.
    from_server(&mut town, server, SYN_ACK, SERVER, CLIENT + 1);
    assert_eq!(flags(&hand::received(&mut town, client)), [SYN_ACK]);
    from_client(&mut town, client, Flags::ACK, CLIENT + 1, SERVER + 1);
    let told = hand::received(&mut town, server);
    let last = told.last().expect("an ACK").0;
    assert_eq!((last.flags, last.seq.0, last.ack.0), (Flags::ACK, CLIENT + 1, SERVER + 1));
    assert_eq!(town.world.gateway.audit().sessions, 1);
    from_client(&mut town, client, Flags::RST, CLIENT + 1, 0);
    town.world.settle(LONG);
}

#[test]
fn split_handshake_turns_nothing_round() {
    let (mut town, client, server) = held(6);
    // The attacking server acknowledges, then opens a connection of its own under the same tuple.
    from_server(&mut town, server, Flags::ACK, SERVER, CLIENT + 1);
    from_server(&mut town, server, Flags::SYN, SERVER, 0);
    assert!(hand::received(&mut town, server).is_empty(), "no SYN-ACK: it is not the client");
    assert!(hand::received(&mut town, client).is_empty());
    from_server(&mut town, server, Flags::ACK, SERVER + 1, CLIENT + 1);
    assert_eq!(town.world.gateway.audit().sessions, 0);
    town.world.settle(LONG);
    assert_eq!(town.world.gateway.counter("sessions_served"), 0);
}
