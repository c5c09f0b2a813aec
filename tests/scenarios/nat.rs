//! Table nat: forwarded flows with other ends, of which each host sees one. What answers them, complains about them or
//! comes in pieces is translated too; what cannot be told from another flow gets another port, or ends by name.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use sim::frame::{self, Ip, Link};
use sim::town::yaml;
use sim::{HostId, Pattern, Step, Town, for_each_seed};

use crate::fragments::{fragments_out, long, send};
use crate::udp::{heard, say, unreachable};
use crate::{LONG, at};

/// The town with rules in table nat; the intranet is forwarded, but what goes to port 443.
pub(crate) fn changes(rules: &[&str]) -> Vec<(String, String)> {
    let nat: String = rules.iter().map(|rule| format!("  {rule}\n")).collect();
    let changes = [
        ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000"),
        (":FORWARD DROP\n", ":FORWARD ACCEPT\n"),
    ];
    let changes = changes.map(|(old, new)| (old.to_owned(), new.to_owned()));
    changes.into_iter().chain([("  *filter\n".to_owned(), format!("  *nat\n{nat}  COMMIT\n  *filter\n"))]).collect()
}

fn town(seed: u64, rules: &[&str]) -> Town {
    let changes = changes(rules);
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (&**old, &**new)).collect();
    Town::changed(seed, &changes)
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address and port"))
}

fn soon(town: &mut Town) {
    town.world.run(Duration::from_millis(100));
}

/// A second host of the intranet.
fn neighbour(town: &mut Town) -> HostId {
    let gateways = ["192.168.1.1", "fd00:1::1"];
    town.world.host("intra", "neighbour", &["192.168.1.3/24", "fd00:1::3/64"], &gateways)
}

/// Everything that leaves for the uplink has the gateway's address.
const MASQUERADE: &str = "-A POSTROUTING -o inter -j MASQUERADE";
/// Clients, hosts behind the uplink, and the gateway's own addresses there.
const FAMILIES: [(&str, &str, &str); 2] =
    [("192.168.1.2", "198.51.100.7", "203.0.113.1"), ("fd00:1::2", "2001:db8:99::7", "2001:db8:1::1")];
/// What is said to these hosts is for the server.
const PUBLISHED: [&str; 2] = [
    "-A PREROUTING -i intra -d 198.51.100.7 -j DNAT --to-destination 10.0.0.2",
    "-A PREROUTING -i intra -d 2001:db8:99::7 -j DNAT --to-destination fd00:2::2",
];
const SERVERS: [&str; 2] = ["10.0.0.2", "fd00:2::2"];

#[test]
fn dnat_leads_a_connection_to_another_host_and_port() {
    for_each_seed(3, |seed| {
        for ((client, meant, _), server) in FAMILIES.into_iter().zip(SERVERS) {
            let to = format!("-A PREROUTING -p tcp --dport 8443 -j DNAT --to-destination {}", at(server, 80));
            let mut town = town(seed, &[&to]);
            town.world.gateway.log_forwarded();
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 1, len: 60_000 };
            let script = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            let call = town.world.connect(town.client, &at(meant, 8_443), &script);
            town.world.finish(LONG);
            let [met] = &town.world.accepted(town.server)[..] else { panic!("one connection") };
            assert_eq!((met.local, met.remote), (socket(&at(server, 80)), town.world.report(call).local));
            assert_eq!(met.remote.ip().to_string(), client, "the source is the client's own");
            assert_eq!(town.world.gateway.audit().sessions, 0, "no proxy is in it");
            town.world.settle(LONG);
            town.world.no_faults();
            let [flow] = &town.world.gateway.forwarded[..] else { panic!("one line in the log") };
            assert_eq!(flow.destination, socket(&at(meant, 8_443)));
            assert_eq!((flow.translated_destination, flow.translated_source), (Some(socket(&at(server, 80))), None));
        }
    });
}

#[test]
fn masquerade_is_the_outgoing_interfaces_address_and_keeps_the_port() {
    for_each_seed(3, |seed| {
        for (_, meant, own) in FAMILIES {
            let mut town = town(seed, &[MASQUERADE]);
            town.world.get_mut(town.router).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 2, len: 60_000 };
            let script = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            let call = town.world.connect(town.client, &at(meant, 80), &script);
            town.world.finish(LONG);
            let [met] = &town.world.accepted(town.router)[..] else { panic!("one connection") };
            let port = town.world.report(call).local.port();
            assert_eq!((met.local, met.remote), (socket(&at(meant, 80)), socket(&at(own, port))));
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_proxys_connection_is_masqueraded_as_well() {
    for (_, meant, own) in FAMILIES {
        let mut town = town(4, &[MASQUERADE]);
        town.world.get_mut(town.router).tcp.listen(443, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 3, len: 20_000 };
        let script = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        town.world.connect(town.client, &at(meant, 443), &script);
        town.world.finish(LONG);
        let [met] = &town.world.accepted(town.router)[..] else { panic!("one connection") };
        assert_eq!(met.remote.ip().to_string(), own);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn of_two_flows_that_would_be_alike_one_gets_another_port_of_its_class() {
    for_each_seed(3, |seed| {
        for (client, meant, own) in FAMILIES {
            for (port, class) in [(5_000, 1_024..=65_535), (400, 1..=511), (600, 600..=1_023)] {
                let mut town = town(seed, &[MASQUERADE]);
                let other = neighbour(&mut town);
                let other_address = format!("{}3", &client[..client.len() - 1]);
                say(&mut town.world, town.client, &at(client, port), &at(meant, 53), b"one");
                soon(&mut town);
                say(&mut town.world, other, &at(&other_address, port), &at(meant, 53), b"two");
                soon(&mut town);
                let said = heard(&mut town.world, town.router);
                let [(first, _, one), (second, _, two)] = &said[..] else { panic!("{said:?}") };
                assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
                assert_eq!(*first, socket(&at(own, port)), "who comes first keeps its own");
                assert_eq!(second.ip(), first.ip());
                assert!(second.port() != port && class.contains(&second.port()), "{port} became {second}");
                // Each gets its own answer.
                for (to, text) in [(first, b"for one"), (second, b"for two")] {
                    say(&mut town.world, town.router, &at(meant, 53), &to.to_string(), text);
                }
                soon(&mut town);
                let answers = [(town.client, client, b"for one"), (other, &other_address, b"for two")];
                for (host, address, text) in answers {
                    let (from, to) = (socket(&at(meant, 53)), socket(&at(address, port)));
                    assert_eq!(heard(&mut town.world, host), [(from, to, text.to_vec())]);
                }
                town.world.settle(LONG);
                town.world.no_faults();
            }
        }
    });
}

#[test]
fn a_range_of_ports_that_is_used_up_ends_the_next_flow_by_name() {
    for (client, meant, own) in FAMILIES {
        let range = format!("-A POSTROUTING -o inter -p udp -j SNAT --to-source {}-7003", at(own, 7_000));
        let mut town = town(5, &[&range]);
        for port in 5_000..5_006 {
            say(&mut town.world, town.client, &at(client, port), &at(meant, 53), b"may I?");
            soon(&mut town);
        }
        let sources = heard(&mut town.world, town.router).into_iter().map(|(from, ..)| from);
        let sources: HashSet<SocketAddr> = sources.collect();
        let all: HashSet<SocketAddr> = (7_000..=7_003).map(|port| socket(&at(own, port))).collect();
        assert_eq!(sources, all, "none is left out, none is given twice");
        assert_eq!(town.world.gateway.counter("nat_exhausted"), 2);
        // To somebody else the same ports may go.
        say(&mut town.world, town.client, &at(client, 5_006), &at(meant, 54), b"and there?");
        soon(&mut town);
        assert_eq!(heard(&mut town.world, town.router).len(), 1);
        // Flows that have ended give theirs back.
        town.world.run(Duration::from_secs(31));
        say(&mut town.world, town.client, &at(client, 5_005), &at(meant, 53), b"now?");
        soon(&mut town);
        assert_eq!(heard(&mut town.world, town.router).len(), 1);
        assert_eq!(town.world.gateway.counter("nat_exhausted"), 2);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn a_port_that_the_range_has_stays_and_random_ones_are_drawn() {
    let sources = |rule: &str| -> Vec<u16> {
        let mut town = town(6, &[rule]);
        for port in 5_000..5_020 {
            say(&mut town.world, town.client, &at("192.168.1.2", port), "198.51.100.7:53", b"who am I?");
            soon(&mut town);
        }
        let said = heard(&mut town.world, town.router);
        assert!(said.iter().all(|(from, ..)| from.ip().to_string() == "203.0.113.1"));
        town.world.settle(LONG);
        said.into_iter().map(|(from, ..)| from.port()).collect()
    };
    let own: Vec<u16> = (5_000..5_020).collect();
    assert_eq!(sources("-A POSTROUTING -p udp -j MASQUERADE --to-ports 4000-6000"), own);
    for random in ["--random", "--random-fully"] {
        let drawn = sources(&format!("-A POSTROUTING -p udp -j MASQUERADE --to-ports 4000-6000 {random}"));
        assert_ne!(drawn, own);
        assert!(drawn.iter().all(|port| (4_000..=6_000).contains(port)), "{drawn:?}");
        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 20);
    }
}

#[test]
fn a_persistent_address_is_the_clients_whoever_is_spoken_to() {
    let addresses = |persistent: &str| -> HashSet<String> {
        let rule = format!("-A POSTROUTING -j SNAT --to-source 203.0.113.10-203.0.113.200 {persistent}");
        let mut town = town(7, &[&rule]);
        for host in 1..30 {
            say(&mut town.world, town.client, "192.168.1.2:5000", &format!("198.51.100.{host}:53"), b"who am I?");
            soon(&mut town);
        }
        let said = heard(&mut town.world, town.router);
        assert_eq!(said.len(), 29);
        said.into_iter().map(|(from, ..)| from.ip().to_string()).collect()
    };
    assert_eq!(addresses("--persistent").len(), 1);
    assert!(addresses("").len() > 10);
}

#[test]
fn a_random_destination_port_is_the_one_that_the_filter_is_asked_about() {
    let rule = "-A PREROUTING -d 198.51.100.7 -p udp -j DNAT --to-destination 10.0.0.2:3000-3001 --random";
    let mut changes = changes(&[rule]);
    changes.push((
        "  -A INPUT -p icmp -j".to_owned(),
        "  -A FORWARD -p udp --dport 3001 -j DROP\n  -A INPUT -p icmp -j".to_owned(),
    ));
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (&**old, &**new)).collect();
    let mut town = Town::changed(8, &changes);
    for port in 5_000..5_040 {
        say(&mut town.world, town.client, &at("192.168.1.2", port), "198.51.100.7:53", b"which?");
        soon(&mut town);
    }
    let said = heard(&mut town.world, town.server);
    let dropped = town.world.gateway.counter("drop_filter_rule") as usize;
    assert!(said.iter().all(|(_, to, _)| *to == socket("10.0.0.2:3000")), "{said:?}");
    assert_eq!(said.len() + dropped, 40);
    assert!(said.len() > 5 && dropped > 5, "{dropped} of 40 were dropped");
    town.world.settle(LONG);
}

#[test]
fn echoes_are_told_apart_by_their_identifiers() {
    for_each_seed(3, |seed| {
        for (_, meant, _) in FAMILIES {
            let mut town = town(seed, &[MASQUERADE]);
            let other = neighbour(&mut town);
            let to = meant.parse().expect("an address");
            // Both have the same identifier, as all hosts of the simulator.
            for (host, number) in [(town.client, 7), (other, 8)] {
                let now = town.world.now;
                town.world.get_mut(host).ping(now, to, number);
            }
            town.world.run(Duration::from_secs(1));
            assert_eq!(town.world.get(town.client).echoes, [(to, 7)]);
            assert_eq!(town.world.get(other).echoes, [(to, 8)]);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn an_echo_is_answered_by_who_stands_for_the_other() {
    for (_, meant, _) in FAMILIES {
        let mut town = town(9, &PUBLISHED);
        let to = meant.parse().expect("an address");
        let now = town.world.now;
        town.world.get_mut(town.client).ping(now, to, 9);
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.get(town.client).echoes, [(to, 9)], "in the name of whom the client meant");
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

/// Has `host` complain about the packet it got.
fn complain(town: &mut Town, host: HostId) {
    let (_, got) = town.world.get_mut(host).inbox.pop_front().expect("a datagram");
    unreachable(&mut town.world, host, &got);
    soon(town);
}

#[test]
fn errors_about_a_masqueraded_packet_quote_what_the_client_sent() {
    for (client, meant, own) in FAMILIES {
        let mut town = town(10, &[MASQUERADE]);
        let (client_end, meant_end) = (at(client, 5_000), at(meant, 53));
        say(&mut town.world, town.client, &client_end, &meant_end, b"anybody?");
        soon(&mut town);
        let host = town.router;
        complain(&mut town, host);
        let told = town.world.get(town.client).icmp.clone();
        assert_eq!(told.len(), 1, "{}", town.world.gateway.state());
        assert_eq!(told[0].about, (socket(&client_end), socket(&meant_end)));
        assert_eq!(told[0].from.to_string(), meant, "nobody has translated that end");
        // And the other way: an error of the client about the answer.
        say(&mut town.world, town.router, &meant_end, &at(own, 5_000), b"yes");
        soon(&mut town);
        let host = town.client;
        complain(&mut town, host);
        let told = town.world.get(town.router).icmp.clone();
        assert_eq!(told.len(), 1, "{}", town.world.gateway.state());
        assert_eq!(told[0].about, (socket(&meant_end), socket(&at(own, 5_000))));
        assert_eq!(told[0].from.to_string(), own, "whoever complains is hidden");
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn errors_about_a_led_packet_come_from_who_was_meant() {
    for (client, meant, _) in FAMILIES {
        let mut town = town(11, &PUBLISHED);
        let (client_end, meant_end) = (at(client, 5_000), at(meant, 53));
        say(&mut town.world, town.client, &client_end, &meant_end, b"anybody?");
        soon(&mut town);
        let host = town.server;
        complain(&mut town, host);
        let told = town.world.get(town.client).icmp.clone();
        assert_eq!(told.len(), 1, "{}", town.world.gateway.state());
        assert_eq!(told[0].about, (socket(&client_end), socket(&meant_end)));
        assert_eq!(told[0].from.to_string(), meant);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn our_own_errors_quote_what_the_client_sent() {
    // One hop to live, and a host that is not there.
    let absent = "-A PREROUTING -d 198.51.100.7 -p udp --dport 99 -j DNAT --to-destination 10.0.0.77";
    let mut town = town(12, &[MASQUERADE, absent]);
    let (client, meant) = (socket("192.168.1.2:5000"), socket("198.51.100.7:53"));
    let packet = Ip { ttl: 1, ..crate::udp::datagram(client, meant, b"hop") };
    let now = town.world.now;
    town.world.get_mut(town.client).send(now, packet);
    soon(&mut town);
    say(&mut town.world, town.client, "192.168.1.2:5001", "198.51.100.7:99", b"lost");
    town.world.run(Duration::from_secs(5));
    let told = town.world.get(town.client).icmp.clone();
    let about: Vec<_> = told.iter().map(|told| (told.kind, told.about)).collect();
    let lost = (socket("192.168.1.2:5001"), socket("198.51.100.7:99"));
    assert_eq!(about, [((11, 0), (client, meant)), ((3, 1), lost)], "{}", town.world.gateway.state());
    assert_eq!(heard(&mut town.world, town.router), []);
    town.world.settle(LONG);
    town.world.no_faults();
}

#[test]
fn who_is_led_to_a_closed_port_is_refused_by_who_was_meant() {
    for (_, meant, _) in FAMILIES {
        let mut town = town(13, &PUBLISHED);
        town.world.connect(town.client, &at(meant, 81), &[Step::AwaitReset]);
        town.world.finish(LONG);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn fragments_are_translated_whole_and_cut_again() {
    for (client, meant, own) in FAMILIES {
        let mut town = town(14, &[MASQUERADE]);
        // Everybody learns everybody's station address.
        say(&mut town.world, town.client, &at(client, 4_999), &at(meant, 53), b"hello");
        soon(&mut town);
        town.world.get_mut(town.router).inbox.clear();
        town.world.record();
        let packet = long(&at(client, 5_000), &at(meant, 53), 4_000);
        send(&mut town, &packet, 7, &[(1_400, 2_800, true), (2_800, 4_008, false), (0, 1_400, true)]);
        soon(&mut town);
        let (bytes, longest, count) = fragments_out(&mut town, 2);
        assert_eq!((bytes.len(), count), (4_008, 3));
        assert!(longest <= 1_500);
        let translated = Ip { source: own.parse().expect("an address"), ..packet };
        let link = Link { destination: [2; 6], source: [2; 6], vlan: None };
        let right = frame::ip(&link, &translated);
        assert!(right.ends_with(&bytes), "its sum is that of the new address");
        // A long answer finds its way back although it is for an address of ours.
        let answer = crate::udp::datagram(socket(&at(meant, 53)), socket(&at(own, 5_000)), &[7; 4_000]);
        town.world.record();
        let router = town.router;
        crate::fragments::send_from(
            &mut town,
            router,
            "inter",
            &answer,
            9,
            &[(0, 1_400, true), (1_400, 2_800, true), (2_800, 4_008, false)],
        );
        soon(&mut town);
        let (bytes, _, count) = fragments_out(&mut town, 0);
        assert_eq!((bytes.len(), count), (4_008, 3), "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("fragment_too_long"), 0);
        town.world.get_mut(town.router).faults.clear();
        town.world.get_mut(town.client).faults.clear();
        town.world.settle(LONG);
    }
}

#[test]
fn a_half_closed_connection_stays_translated() {
    for (_, meant, _) in FAMILIES {
        let mut town = town(15, &[MASQUERADE]);
        let answer = [
            Step::receive(1, 10_000),
            Step::AwaitFinish,
            // A minute is what tracking gives a half of a connection, here as in Linux.
            Step::Wait(Duration::from_secs(50)),
            Step::send(2, 100_000),
            Step::Finish,
        ];
        town.world.get_mut(town.router).tcp.listen(80, &answer);
        let script = [Step::send(1, 10_000), Step::Finish, Step::receive(2, 100_000), Step::AwaitFinish];
        town.world.connect(town.client, &at(meant, 80), &script);
        town.world.finish(LONG);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn flows_keep_their_translation_over_a_reload_and_new_ones_have_the_new_rules() {
    for_each_seed(3, |seed| {
        for redecide in [false, true] {
            let mut town = town(seed, &[MASQUERADE]);
            town.world.get_mut(town.router).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let bytes = Pattern { key: 5, len: 20_000 };
            let pause = Step::Wait(Duration::from_secs(5));
            let script =
                [Step::Exchange(bytes, bytes), pause, Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            let old = town.world.connect(town.client, "198.51.100.7:80", &script);
            town.world.run(Duration::from_secs(1));
            // Now it is the DMZ that stands for the host that is meant.
            let changed = changes(&PUBLISHED);
            let changed: Vec<(&str, &str)> = changed.iter().map(|(old, new)| (&**old, &**new)).collect();
            let now = town.world.now;
            let gateway = &mut town.world.gateway;
            let loaded = if redecide {
                gateway.reload_and_redecide(now, &yaml(&changed))
            } else {
                gateway.reload(now, &yaml(&changed))
            };
            loaded.expect("a good configuration");
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let new = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
            town.world.connect(town.client, "198.51.100.7:80", &new);
            town.world.finish(LONG);
            assert_eq!(town.world.report(old).bytes, (40_000, 40_000));
            assert_eq!(town.world.accepted(town.router).len(), 1);
            assert_eq!(town.world.accepted(town.server).len(), 1);
            town.world.settle(LONG);
            town.world.no_faults();
        }
    });
}

#[test]
fn who_speaks_to_himself_through_the_gateway_needs_both_ends_translated() {
    // A hairpin: the server of the name that the client uses stands beside it.
    for ((_, meant, _), (server, own)) in
        FAMILIES.into_iter().zip([("192.168.1.3", "192.168.1.1"), ("fd00:1::3", "fd00:1::1")])
    {
        let to = format!("-A PREROUTING -d {meant} -j DNAT --to-destination {server}");
        let back = format!("-A POSTROUTING -o intra -d {server} -j MASQUERADE");
        let mut town = town(16, &[&to, &back]);
        let other = neighbour(&mut town);
        town.world.get_mut(other).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 6, len: 20_000 };
        let script = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        town.world.connect(town.client, &at(meant, 80), &script);
        town.world.finish(LONG);
        let [met] = &town.world.accepted(other)[..] else { panic!("one connection") };
        assert_eq!(met.remote.ip().to_string(), own);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn an_unknown_answer_to_a_masqueraded_address_is_for_the_gateway() {
    let mut town = town(17, &[MASQUERADE]);
    say(&mut town.world, town.router, "198.51.100.7:53", "203.0.113.1:5000", b"who asked?");
    soon(&mut town);
    assert_eq!(town.world.gateway.counter("drop_filter_policy"), 1, "INPUT decides it");
    assert_eq!(heard(&mut town.world, town.client), []);
    town.world.settle(LONG);
}
