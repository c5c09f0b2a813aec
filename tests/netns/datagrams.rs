//! UDP end to end: the kernel's tproxy selftest, DNS, iperf3, fragments, silence, refusals, entries, and programs at the
//! handoff socket. What holds without a gateway runs over kernel forwarding, too.

use std::net::SocketAddr;
use std::path::PathBuf;

use control::handoff::{Client, Datagrams, Event, Header};
use serde_json::Value;

use crate::address::Family;
use crate::host::{Host, script};
use crate::limits;
use crate::process::Process;
use crate::wait;
use crate::world::{Middle, World};

/// As nobody were between: each over Linux forwarding and over the gateway.
mod alike {
    use super::*;
    use crate::on_every_device;

    on_every_device!(
        kernel,
        the_selftest_reaches_both_servers_from_one_port,
        names_are_resolved_and_the_server_sees_who_asks,
        large_datagrams_pass_in_fragments,
        a_closed_port_refuses,
        iperf3_loses_nothing_at_its_ease
    );
}

mod gateway {
    use super::*;
    use crate::on_every_device;

    on_every_device!(
        silence_ends_a_flow,
        an_entry_takes_until_it_is_unassigned,
        a_program_answers_at_a_foreign_address,
        a_rule_leads_datagrams_to_a_program,
        a_program_speaks_from_a_foreign_address,
        the_example_answers_and_asks,
        a_program_that_is_killed_takes_its_flows_along
    );
}

/// Servers of datagrams in a host.
#[track_caller]
fn serve(host: &Host, name: &str, ports: &[u16]) -> Process {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let words: Vec<&str> = ports.iter().map(String::as_str).collect();
    let mut server =
        host.namespace.start(&[&["/usr/bin/python3", &script("datagrams.py"), "serve", name], &words[..]].concat());
    server.wait_for("listening", limits::SETTLE);
    server
}

#[track_caller]
fn ask(host: &Host, to: SocketAddr, more: &[&str]) -> Value {
    start(host, "ask", to, more).finish(limits::PROGRAM).successful().json()
}

fn start(host: &Host, what: &str, to: SocketAddr, more: &[&str]) -> Process {
    let (address, port) = (to.ip().to_string(), to.port().to_string());
    host.namespace.start(&[&["/usr/bin/python3", &script("datagrams.py"), what, &address, &port], more].concat())
}

/// Who answered and whom it saw: name, address, port.
#[track_caller]
fn seen(answer: &Value) -> (String, String, u64) {
    let seen: Value = serde_json::from_str(answer["received"].as_str().unwrap_or_default()).unwrap_or_default();
    let text = |key: &str| seen[key].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    (text("server"), text("peer"), seen["peer_port"].as_u64().unwrap_or_default())
}

/// `nft_tproxy_udp.sh`: from the client's one port 18888 to port 8080 of both servers; ns2 through the proxy, ns3 not. Their
/// proxy answers in its own name; ours is unseen, so that the listing says who was proxied.
fn the_selftest_reaches_both_servers_from_one_port(world: &World, family: Family) {
    let _servers = [serve(&world.server, "ns2", &[8080]), serve(&world.other, "ns3", &[8080])];
    for (to, name, step) in [(family.server(), "ns2", "proxy"), (family.other(), "ns3", "forward")] {
        let to = SocketAddr::new(to, 8080);
        let answer = ask(&world.client, to, &["--source-port", "18888"]);
        assert_eq!(seen(&answer), (name.to_owned(), family.client().to_string(), 18_888));
        if world.middle() != Middle::Kernel {
            let [flow] = &world.flows_to(to)[..] else { panic!("one flow to {to}") };
            assert_eq!(flow["step"], step, "{flow}");
            assert_eq!(flow["state"], "REPLIED", "{flow}");
        }
    }
}

fn names_are_resolved_and_the_server_sees_who_asks(world: &World, family: Family) {
    let log = world.directory().join("dnsmasq.log");
    let words = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--log-queries=extra",
        &format!("--log-facility={}", log.display()),
        "--host-record=name.test,192.0.2.7,2001:db8::7",
        "--bind-interfaces",
        &format!("--listen-address={}", family.server()),
    ];
    let _server = world.server.namespace.start(&words);
    wait::until("dnsmasq has started", limits::SETTLE, || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("started").then_some(())
    });
    let (server, client) = (family.server().to_string(), family.client().to_string());
    let script = script("datagrams.py");
    let asked = world.client.namespace.start(&["/usr/bin/python3", &script, "resolve", &server, "name.test"]);
    let answer = asked.finish(limits::PROGRAM).successful().json();
    assert_eq!(answer["A"], serde_json::json!(["192.0.2.7"]), "{answer}");
    assert_eq!(answer["AAAA"], serde_json::json!(["2001:db8::7"]), "{answer}");
    assert_eq!(answer["TCP"], answer["A"], "{answer}");
    let text = std::fs::read_to_string(&log).expect("its log");
    for port in answer["ports"].as_array().expect("two ports") {
        assert!(text.contains(&format!("{client}/{port} query")), "{client}/{port} in\n{text}");
    }
}

/// DPDK's af_packet driver joins a fan-out group that has Linux put IPv4 fragments together, and cuts what does not fit a
/// frame of its ring: nothing longer reaches the gateway there.
fn sizes(world: &World, family: Family) -> &'static [&'static str] {
    match (world.middle(), family) {
        (Middle::AfPacket, Family::V4) => &["10", "1472", "1473", "1800"],
        _ => &["10", "1472", "1473", "20000", "60000"],
    }
}

fn large_datagrams_pass_in_fragments(world: &World, family: Family) {
    let _server = serve(&world.server, "ns2", &[8001, 8201]);
    for port in [8001, 8201] {
        for size in sizes(world, family) {
            let answer = ask(&world.client, family.server_at(port), &["--size", size]);
            assert_eq!(
                (&answer["result"], &answer["same"]),
                (&"ok".into(), &true.into()),
                "{size} to {port}: {answer}"
            );
        }
    }
}

fn a_closed_port_refuses(world: &World, family: Family) {
    for port in [8050, 8250] {
        let answer = ask(&world.client, family.server_at(port), &[]);
        assert_eq!(answer["result"], "ECONNREFUSED", "{port}: {answer}");
    }
}

/// Ten megabits a second: what a device's queue holds is a second of it and more. What the receiver's own socket had no room
/// for, its kernel counts.
fn iperf3_loses_nothing_at_its_ease(world: &World, family: Family) {
    let server = world.server.namespace.start(&["iperf3", "--server", "--one-off", "--forceflush"]);
    wait::until("iperf3 listens", limits::SETTLE, || server.stdout().contains("listening").then_some(()));
    let to = family.server().to_string();
    let words = ["iperf3", "--client", &to, "--udp", "--bitrate", "10M", "--time", "2", "--length", "1400", "--json"];
    let before = overflows(&world.server, family);
    let report = world.client.namespace.run(&words).successful().json();
    let sum = &report["end"]["sum"];
    let number = |key: &str| sum[key].as_f64().unwrap_or_else(|| panic!("no {key} in {sum}"));
    let (packets, lost) = (number("packets"), number("lost_packets"));
    let overflows = overflows(&world.server, family) - before;
    eprintln!("iperf3 -u: {lost} of {packets} datagrams lost, {overflows} of them by the receiver's socket");
    assert!(packets > 1_000.0, "{sum}");
    assert!(lost - overflows <= packets / 100.0, "{sum}");
    drop(server);
    if world.middle() != Middle::Kernel {
        let to = SocketAddr::new(family.server(), 5201);
        let flow =
            world.flows_to(to).into_iter().find(|flow| flow["protocol"] == "udp").expect("the flow of datagrams");
        let passed = flow["bytes_to_server"].as_f64().unwrap_or_default();
        assert!(passed >= (packets - lost) * 1_400.0, "{flow}");
    }
}

/// Datagrams that a host's sockets had no room for.
fn overflows(host: &Host, family: Family) -> f64 {
    let (file, name) = match family {
        Family::V4 => ("/proc/net/snmp", "Udp:"),
        Family::V6 => ("/proc/net/snmp6", "Udp6RcvbufErrors"),
    };
    let text = host.namespace.run(&["cat", file]).successful().stdout;
    let mut lines = text.lines().filter(|line| line.starts_with(name)).map(str::split_whitespace);
    let count = match family {
        Family::V4 => lines.next().and_then(|mut names| {
            let at = names.position(|name| name == "RcvbufErrors")?;
            lines.next()?.nth(at)
        }),
        Family::V6 => lines.next().and_then(|mut words| words.nth(1)),
    };
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn silence_ends_a_flow(world: &World, family: Family) {
    let _server = serve(&world.server, "ns2", &[8107]);
    let (to, before) = (family.server_at(8107), world.counter("session_idle_timeout"));
    let mut held = start(&world.client, "hold", to, &[]);
    let first = held.wait_for("held", limits::VISIBLE)["held"].clone();
    assert_eq!(seen(&first).1, family.client().to_string());
    assert_eq!(world.flows_to(to)[0]["service"], "brief");
    world.wait_for_counter("session_idle_timeout", before);
    assert!(world.flows_to(to).is_empty());
    // What is said later begins anew, from the same port.
    held.go_on();
    let again = held.wait_for("again", limits::VISIBLE)["again"].clone();
    assert_eq!(seen(&again), seen(&first));
}

fn an_entry_takes_until_it_is_unassigned(world: &World, family: Family) {
    let _server = serve(&world.server, "ns2", &[8607]);
    let (local, to) = (SocketAddr::from((family.gateway(1), 50000)).to_string(), family.server_at(8607));
    world.limpid(&["assign", "udp", &local, &to.to_string(), "--flags", "LISTEN"]);
    let mut held = start(&world.client, "hold", to, &["--timeout", "3"]);
    let first = held.wait_for("held", limits::VISIBLE)["held"].clone();
    assert_eq!(first["result"], "ok", "{first}");
    let before = world.counter("datagrams_unassigned");
    world.limpid(&["unassign", "udp", &local]);
    world.wait_for_counter("datagrams_unassigned", before);
    held.go_on();
    let again = held.wait_for("again", limits::VISIBLE)["again"].clone();
    assert_eq!(again["result"], "timeout", "its flow went with it: {again}");
}

fn handoff(world: &World) -> PathBuf {
    PathBuf::from(format!("{}.handoff", world.gateway().socket()))
}

/// A program's socket at a foreign address.
#[track_caller]
fn program(world: &World, family: Family, foreign: SocketAddr) -> (Client, u32, Datagrams) {
    let mut program = Client::connect_to(&handoff(world)).expect("it answers");
    let (socket, _, datagrams) = program.bind_datagrams((family.gateway(1), 0).into()).expect("bound");
    program.assign(socket, foreign).expect("assigned");
    (program, socket, datagrams)
}

#[track_caller]
fn receive(datagrams: &Datagrams) -> (Header, Vec<u8>) {
    let mut buffer = vec![0; 65_536];
    let (header, length) = datagrams.receive(&mut buffer).expect("a datagram").expect("it is open");
    buffer.truncate(length);
    (header, buffer)
}

fn a_program_answers_at_a_foreign_address(world: &World, family: Family) {
    let foreign = family.server_at(8650);
    let (mut program, socket, datagrams) = program(world, family, foreign);
    program.listen(socket, false).expect("listening");
    for size in sizes(world, family) {
        let caller = start(&world.client, "ask", foreign, &["--size", size]);
        let (Header { source, destination }, text) = receive(&datagrams);
        assert_eq!((source.ip(), destination), (family.client(), foreign));
        datagrams.send(&Header { source: destination, destination: source }, &text).expect("taken");
        let answer = caller.finish(limits::PROGRAM).successful().json();
        assert_eq!((&answer["same"], &answer["local_port"]), (&true.into(), &source.port().into()), "{answer}");
    }
    // The client has gone: its kernel says so.
    let caller = start(&world.client, "ask", foreign, &["--timeout", "0.1"]);
    let (Header { source, destination }, text) = receive(&datagrams);
    caller.finish(limits::PROGRAM);
    datagrams.send(&Header { source: destination, destination: source }, &text).expect("taken");
    let fault = program.event().expect("it is told");
    let Event::Fault { socket: which, errno, destination: peer, .. } = &fault else { panic!("{fault:?}") };
    assert_eq!((*which, errno.as_str(), *peer), (socket, "ECONNREFUSED", source));
}

fn a_rule_leads_datagrams_to_a_program(world: &World, family: Family) {
    let to = family.server_at(8850);
    assert_eq!(ask(&world.client, to, &[])["result"], "ECONNREFUSED", "nobody is there");
    let mut program = Client::connect_to(&handoff(world)).expect("it answers");
    let (socket, _, datagrams) = program.bind_datagrams((family.gateway(1), 50800).into()).expect("bound");
    program.listen(socket, false).expect("listening");
    let caller = start(&world.client, "ask", to, &[]);
    let (Header { source, destination }, text) = receive(&datagrams);
    assert_eq!(destination, to);
    datagrams.send(&Header { source: to, destination: source }, &text).expect("taken");
    assert_eq!(caller.finish(limits::PROGRAM).successful().json()["same"], true);
    // Closing the descriptor closes the socket, and frees its address.
    drop(datagrams);
    wait::until("the socket is closed", limits::VISIBLE, || {
        program.bind_datagrams((family.gateway(1), 50800).into()).ok()
    });
}

fn a_program_speaks_from_a_foreign_address(world: &World, family: Family) {
    let _server = serve(&world.client, "ns1", &[8007]);
    let foreign = family.server_at(8651);
    let (mut program, socket, datagrams) = program(world, family, foreign);
    let to = SocketAddr::new(family.client(), 8007);
    assert_eq!(program.connect_datagrams(socket, to, false).expect("it may"), foreign);
    let nobody = SocketAddr::new(if family == Family::V4 { [0, 0, 0, 0].into() } else { [0_u16; 8].into() }, 0);
    datagrams.send(&Header { source: nobody, destination: nobody }, b"who am I?").expect("taken");
    let (header, text) = receive(&datagrams);
    assert_eq!(header, Header { source: to, destination: foreign });
    let seen: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!((&seen["peer"], &seen["peer_port"]), (&foreign.ip().to_string().into(), &8_651.into()));
    // To the gateway itself it may not.
    datagrams
        .send(&Header { source: foreign, destination: SocketAddr::new(family.gateway(2), 9) }, b"?")
        .expect("taken");
    let fault = program.event().expect("it is told");
    assert!(matches!(&fault, Event::Fault { errno, .. } if errno == "EACCES"), "{fault:?}");
}

fn example(world: &World, family: Family, foreign: SocketAddr) -> Process {
    let script = format!("{}/../control/examples/datagrams.py", env!("CARGO_MANIFEST_DIR"));
    let (socket, local) = (handoff(world), family.gateway(1).to_string());
    let (host, port) = (foreign.ip().to_string(), foreign.port().to_string());
    let words = ["/usr/bin/python3", &script, socket.to_str().expect("a plain path"), &local, &host, &port];
    let mut program = world.router.start(&words);
    program.wait_for("listening", limits::VISIBLE);
    program
}

fn the_example_answers_and_asks(world: &World, family: Family) {
    let foreign = family.server_at(8652);
    let _program = example(world, family, foreign);
    let client = family.client();
    let answer = ask(&world.client, foreign, &["--text", "hello", "--source-port", "18889"]);
    let expected = format!("hello from {} to {foreign}", SocketAddr::new(client, 18_889));
    assert_eq!(answer["received"], *expected, "{answer}");
    let _server = serve(&world.client, "ns1", &[8107]);
    let answer = ask(&world.client, foreign, &["--text", &format!("ask {client} 8107 ?")]);
    let (name, peer, port) = seen(&answer);
    assert_eq!((name.as_str(), peer), ("ns1", foreign.ip().to_string()));
    assert_ne!(port, u64::from(foreign.port()), "by a port of its own");
}

fn a_program_that_is_killed_takes_its_flows_along(world: &World, family: Family) {
    let foreign = family.server_at(8653);
    let program = example(world, family, foreign);
    let mut held = start(&world.client, "hold", foreign, &["--timeout", "3"]);
    assert_eq!(held.wait_for("held", limits::VISIBLE)["held"]["result"], "ok");
    assert_eq!(world.flows_to(foreign)[0]["service"], "programs");
    program.signal("KILL");
    wait::until("its flows and entries are gone", limits::VISIBLE, || {
        let entries = &world.limpid(&["status"])["tproxy"]["entries"];
        (*entries == 0 && world.flows_to(foreign).is_empty()).then_some(())
    });
    held.go_on();
    assert_eq!(held.wait_for("again", limits::VISIBLE)["again"]["result"], "timeout");
}
