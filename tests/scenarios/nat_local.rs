//! Table nat and the gateway itself: what REDIRECT and DNAT lead to a listener, to a program or to nobody, and what
//! programs say with other ends.

use std::net::SocketAddr;
use std::time::Duration;

use sim::{HostId, Pattern, Step, Town, for_each_seed};

use crate::nat::changes;
use crate::udp::{heard, say, unreachable};
use crate::{LONG, SERVERS, at};

const BYTES: Pattern = Pattern { key: 4, len: 30_000 };
const SESSION: [Step; 3] = [Step::Exchange(BYTES, BYTES), Step::Finish, Step::AwaitFinish];
/// Clients, hosts behind the uplink, and the gateway's own addresses in the intranet and there.
const FAMILIES: [(&str, &str, [&str; 2]); 2] = [
    ("192.168.1.2", "198.51.100.7", ["192.168.1.1", "203.0.113.1"]),
    ("fd00:1::2", "2001:db8:99::7", ["fd00:1::1", "2001:db8:1::1"]),
];
/// INPUT lets in what is redirected.
const LET_IN: (&str, &str) =
    ("  -A INPUT -p icmp -j", "  -A INPUT -i intra -m conntrack --ctstate DNAT -j ACCEPT\n  -A INPUT -p icmp -j");
/// The kernel has a part in two interfaces.
const KERNELS: [(&str, &str); 2] = [
    (r#""fd00:1::1/64"] }"#, r#""fd00:1::1/64"], kernel: lim-intra }"#),
    (r#""2001:db8:1::1/64"] }"#, r#""2001:db8:1::1/64"], kernel: lim-inter }"#),
];

fn town(seed: u64, rules: &[&str], more: &[(&str, &str)]) -> Town {
    let changes = changes(rules);
    let changes: Vec<(&str, &str)> =
        changes.iter().map(|(old, new)| (&**old, &**new)).chain(more.iter().copied()).collect();
    Town::changed(seed, &changes)
}

/// The host's kernel, as two hosts on the devices of the intranet's and the uplink's interface.
fn kernels(town: &mut Town) -> [HostId; 2] {
    let of = |town: &mut Town, device: &str, addresses: &[&str], gateways: &[&str], interface: &str| {
        let host = town.world.host(device, device, addresses, gateways);
        town.world.get_mut(host).mac = town.world.gateway.mac_of(interface);
        host
    };
    let intra = of(town, "lim-intra", &["192.168.1.1/24", "fd00:1::1/64"], &[], "intra");
    let uplink = ["203.0.113.254", "2001:db8:1::fe"];
    let inter = of(town, "lim-inter", &["203.0.113.1/24", "2001:db8:1::1/64"], &uplink, "inter");
    [intra, inter]
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address and port"))
}

fn soon(town: &mut Town) {
    town.world.run(Duration::from_millis(100));
}

#[test]
fn redirect_to_a_listener_is_proxied_to_the_server_that_was_meant() {
    for_each_seed(3, |seed| {
        for server in SERVERS {
            let rule = "-A PREROUTING -i intra -p tcp --dport 80 -j REDIRECT --to-ports 50000";
            let mut town = town(seed, &[rule], &[LET_IN]);
            town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
            let call = town.world.connect(town.client, &at(server, 80), &SESSION);
            town.world.finish(LONG);
            let [met] = &town.world.accepted(town.server)[..] else { panic!("one connection") };
            assert_eq!(met.remote, town.world.report(call).local, "the server sees the client, address and port");
            town.world.settle(LONG);
            town.world.no_faults();
            let [summary] = &town.world.gateway.summaries[..] else { panic!("one record") };
            assert_eq!((summary.service.as_str(), summary.destination), ("anything", socket(&at(server, 80))));
            let rule = summary.rule.as_deref().expect("the rule that led here");
            assert!(rule.starts_with("simulated.yaml:"), "{rule}");
        }
    });
}

#[test]
fn datagrams_are_redirected_to_a_listener_too() {
    for (client, server) in [("192.168.1.2:5000", "10.0.0.2:53"), ("[fd00:1::2]:5000", "[fd00:2::2]:53")] {
        let rule = "-A PREROUTING -i intra -p udp -j REDIRECT --to-ports 50000";
        let mut town = town(2, &[rule], &[LET_IN]);
        say(&mut town.world, town.client, client, server, b"who?");
        soon(&mut town);
        assert_eq!(heard(&mut town.world, town.server), [(socket(client), socket(server), b"who?".to_vec())]);
        say(&mut town.world, town.server, server, client, b"me");
        soon(&mut town);
        assert_eq!(heard(&mut town.world, town.client), [(socket(server), socket(client), b"me".to_vec())]);
        assert_eq!(town.world.gateway.report(town.world.now).sessions, 1);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn input_decides_about_what_is_redirected() {
    let rule = "-A PREROUTING -i intra -p tcp --dport 80 -j REDIRECT --to-ports 50000";
    let mut town = town(3, &[rule], &[]);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo]);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::Finish]);
    town.world.run(Duration::from_secs(2));
    assert_eq!(town.world.accepted(town.server).len(), 0, "neither proxied nor forwarded");
    assert!(town.world.gateway.counter("drop_filter_policy") > 0);
}

#[test]
fn a_listener_that_is_connected_directly_serves_nobody() {
    // Without a rule it is a closed port; with one the server would be the gateway itself.
    for (rules, counter) in [
        (&[][..], "local_closed_port"),
        (&["-A PREROUTING -p tcp -j REDIRECT --to-ports 50000"][..], "drop_connected_directly"),
    ] {
        let open = ("  -A INPUT -p icmp -j", "  -A INPUT -p tcp -j ACCEPT\n  -A INPUT -p icmp -j");
        let mut town = town(4, rules, &[open]);
        town.world.connect(town.client, "192.168.1.1:50000", &[Step::Finish]);
        town.world.run(Duration::from_secs(1));
        assert!(town.world.gateway.counter(counter) > 0, "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.report(town.world.now).sessions, 0);
    }
}

#[test]
fn where_nobody_listens_the_client_is_refused_by_who_was_meant() {
    for (client, meant, _) in FAMILIES {
        let mut town = town(5, &["-A PREROUTING -i intra -j REDIRECT"], &[LET_IN]);
        town.world.connect(town.client, &at(meant, 80), &[Step::AwaitReset]);
        town.world.finish(LONG);
        say(&mut town.world, town.client, &at(client, 5_000), &at(meant, 53), b"anybody?");
        let now = town.world.now;
        let to = meant.parse().expect("an address");
        town.world.get_mut(town.client).ping(now, to, 3);
        town.world.run(Duration::from_secs(1));
        let [told] = &town.world.get(town.client).icmp[..] else { panic!("{}", town.world.gateway.state()) };
        assert_eq!(told.about, (socket(&at(client, 5_000)), socket(&at(meant, 53))));
        assert_eq!(town.world.get(town.client).echoes, [(to, 3)], "the gateway answers for itself");
        assert_eq!(heard(&mut town.world, town.router), []);
        town.world.settle(LONG);
        town.world.no_faults();
    }
}

#[test]
fn redirect_reaches_a_program_which_sees_its_own_address() {
    for_each_seed(3, |seed| {
        for (_, meant, [own, _]) in FAMILIES {
            let rule = "-A PREROUTING -i intra -p tcp --dport 2222 -j REDIRECT --to-ports 22";
            let mut town = town(seed, &[rule], &[KERNELS[0], KERNELS[1], LET_IN]);
            let [kernel, _] = kernels(&mut town);
            town.world.get_mut(kernel).tcp.listen(22, &[Step::Echo, Step::Finish]);
            // Two hosts are meant from one port: to the program they would be one connection.
            let other = format!("{}8", &meant[..meant.len() - 1]);
            let now = town.world.now;
            let local = socket(&at(if own.contains(':') { "fd00:1::2" } else { "192.168.1.2" }, 40_000));
            for to in [meant, &other] {
                let host = town.world.get_mut(town.client);
                host.connect_from(now, local, socket(&at(to, 2_222)), &SESSION);
            }
            town.world.finish(LONG);
            let met = town.world.accepted(kernel);
            assert_eq!(met.len(), 2);
            assert!(met.iter().all(|met| met.local == socket(&at(own, 22)) && met.remote.ip() == local.ip()));
            assert_eq!(met[0].remote, local);
            assert_ne!(met[1].remote, local, "the second gets another port");
            assert_eq!(town.world.gateway.audit().sessions, 0);
            town.world.no_faults();
        }
    });
}

#[test]
fn a_programs_errors_about_redirected_packets_come_from_who_was_meant() {
    for (client, meant, [own, _]) in FAMILIES {
        let rule = "-A PREROUTING -i intra -p udp --dport 53 -j REDIRECT --to-ports 5353";
        let mut town = town(6, &[rule], &[KERNELS[0], KERNELS[1], LET_IN]);
        let [kernel, _] = kernels(&mut town);
        say(&mut town.world, town.client, &at(client, 5_000), &at(meant, 53), b"anybody?");
        soon(&mut town);
        let (_, got) = town.world.get_mut(kernel).inbox.pop_front().expect("the datagram");
        assert_eq!(got.destination.to_string(), own);
        unreachable(&mut town.world, kernel, &got);
        soon(&mut town);
        let [told] = &town.world.get(town.client).icmp[..] else { panic!("{}", town.world.gateway.state()) };
        assert_eq!(told.about, (socket(&at(client, 5_000)), socket(&at(meant, 53))));
        assert_eq!(told.from.to_string(), meant);
        // An answer, and the client's complaint about it.
        say(&mut town.world, kernel, &at(own, 5_353), &at(client, 5_000), b"here");
        soon(&mut town);
        let (_, got) = town.world.get_mut(town.client).inbox.pop_front().expect("the answer");
        assert_eq!(got.source.to_string(), meant);
        unreachable(&mut town.world, town.client, &got);
        soon(&mut town);
        let [told] = &town.world.get(kernel).icmp[..] else { panic!("{}", town.world.gateway.state()) };
        assert_eq!(told.about, (socket(&at(own, 5_353)), socket(&at(client, 5_000))));
        town.world.no_faults();
    }
}

#[test]
fn what_a_program_sends_is_translated_and_its_answers_back() {
    for_each_seed(3, |seed| {
        for ((_, meant, [_, own]), server) in FAMILIES.into_iter().zip(SERVERS) {
            let source = format!("-A POSTROUTING -o inter -p tcp --dport 80 -j SNAT --to-source {}", at(own, 6_000));
            let to = format!("-A OUTPUT -p tcp -d {meant} --dport 81 -j DNAT --to-destination {}", at(server, 80));
            let mut town = town(seed, &[&source, &to], &KERNELS);
            let [_, kernel] = kernels(&mut town);
            for host in [town.router, town.server] {
                town.world.get_mut(host).tcp.listen(80, &[Step::Echo, Step::Finish]);
            }
            town.world.connect(kernel, &at(meant, 80), &SESSION);
            let led = town.world.connect(kernel, &at(meant, 81), &SESSION);
            town.world.finish(LONG);
            let [met] = &town.world.accepted(town.router)[..] else { panic!("one connection") };
            assert_eq!(met.remote, socket(&at(own, 6_000)));
            let [met] = &town.world.accepted(town.server)[..] else { panic!("one connection") };
            assert_eq!(met.remote, town.world.report(led).local, "by another interface, as who it is");
            town.world.no_faults();
        }
    });
}

#[test]
fn a_program_gives_way_to_a_flow_that_has_its_port() {
    for (client, meant, [_, own]) in FAMILIES {
        let mut town = town(7, &["-A POSTROUTING -o inter -j MASQUERADE"], &KERNELS);
        let [_, kernel] = kernels(&mut town);
        let meant = at(meant, 53);
        say(&mut town.world, town.client, &at(client, 5_000), &meant, b"client");
        soon(&mut town);
        say(&mut town.world, kernel, &at(own, 5_000), &meant, b"program");
        soon(&mut town);
        let said = heard(&mut town.world, town.router);
        let [(first, ..), (second, ..)] = &said[..] else { panic!("{said:?}, {}", town.world.gateway.state()) };
        assert_eq!(*first, socket(&at(own, 5_000)));
        assert!(first.ip() == second.ip() && first.port() != second.port());
        for (to, text) in [(first, &b"to the client"[..]), (second, &b"to a program"[..])] {
            say(&mut town.world, town.router, &meant, &to.to_string(), text);
        }
        soon(&mut town);
        assert_eq!(heard(&mut town.world, town.client)[0].2, b"to the client");
        let [(from, to, text)] = &heard(&mut town.world, kernel)[..] else { panic!("one answer") };
        assert_eq!((*from, *to, &text[..]), (socket(&meant), socket(&at(own, 5_000)), &b"to a program"[..]));
        town.world.no_faults();
    }
}

#[test]
fn what_leads_from_a_program_back_to_the_gateway_ends_by_name() {
    for (_, meant, [own, _]) in FAMILIES {
        let rule = format!("-A OUTPUT -d {meant} -j DNAT --to-destination {own}");
        let open = (":INPUT DROP", ":INPUT ACCEPT");
        let mut town = town(8, &[&rule], &[KERNELS[0], KERNELS[1], open]);
        let [_, kernel] = kernels(&mut town);
        let from = at(if own.contains(':') { "2001:db8:1::1" } else { "203.0.113.1" }, 5_000);
        say(&mut town.world, kernel, &from, &at(meant, 53), b"me?");
        soon(&mut town);
        assert_eq!(town.world.gateway.counter("nat_unserved"), 1, "{}", town.world.gateway.state());
        assert_eq!(heard(&mut town.world, town.router), []);
    }
}
