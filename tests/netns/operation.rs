//! The gateway as a program: its exit codes, what it says, its control socket, and that faults leave it untouched.

use crate::address::Family;
use crate::gateway::{Device, Gateway, binary};
use crate::limits;
use crate::process::Process;
use crate::servers::port;
use crate::wait;
use crate::world::{Middle, World};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn sigterm_drains_and_exits_0() {
    let Some(mut world) = World::new(Middle::AfPacket) else { return };
    let (server, port) = (Family::V4.server().to_string(), port::MIRRORED + port::ECHO);
    let mut held = world.client.start_client(&["hold", &server, &port.to_string()]);
    held.wait_for("held", limits::VISIBLE);
    world.gateway().signal("TERM");
    // Draining: nothing new is taken, what there is goes on.
    wait::until("new connections are no longer taken", limits::STOP, || {
        let result = world.client.client(&["connect", &server, &port.to_string(), "--timeout", "0.5"]);
        (result["result"] != "connected").then_some(())
    });
    assert!(world.gateway().is_running(), "it ended with a connection open");
    held.go_on();
    assert_eq!(held.finish(limits::VISIBLE).successful().json()["received"], "still here\n");
    let ended = world.take_gateway().finish(limits::STOP);
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn an_idle_gateway_stops_at_once_and_leaves_no_socket() {
    let Some(mut world) = World::new(Middle::AfPacket) else { return };
    let gateway = world.take_gateway();
    let socket = gateway.socket().to_owned();
    let ended = gateway.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(!fs::exists(&socket).unwrap_or(true), "{socket} was left behind");
    let asked = world.router.run(&[&binary(), "status", "-s", &socket]);
    assert_eq!(asked.code(), 1, "nobody to ask: {asked:?}");
}

#[test]
fn bad_configuration_names_every_fault_and_exits_2() {
    let Some(world) = World::bare() else { return };
    let path = world.directory().join("faulty.yaml");
    let good = Gateway::configuration(Device::AfPacket, world.slot().core(), &world.directory().join("control.sock"));
    let faulty = good
        .replace("accept: immediate", "accept: sometimes")
        .replace("10.0.3.1/24", "10.0.3.1/42")
        .replace("--dport 8300:8309", "--dport 8309:8300")
        .replace("port: 50700, service: not_let_in", "port: 50700, service: unheard_of");
    fs::write(&path, &faulty).expect("the world's directory takes a file");
    let path = path.to_str().expect("a plain path");
    for command in ["check", "run"] {
        let ended = world.router.run(&[&binary(), command, "-c", path]);
        assert_eq!(ended.code(), 2, "{command}: {ended:?}");
        for word in ["sometimes", "10.0.3.1/42", "8309:8300", "unheard_of"] {
            let line = 1 + faulty.lines().position(|line| line.contains(word)).expect("the fault is in the file");
            let place = format!("{path}:{line}:");
            let named = ended.stderr.lines().any(|said| said.contains(&place)) || ended.stdout.contains(&place);
            assert!(named, "limpid {command} does not name {word} at {place}\n{}{}", ended.stdout, ended.stderr);
        }
    }
}

#[test]
fn a_missing_device_is_named_and_exits_1() {
    let Some(world) = World::bare() else { return };
    let path = world.directory().join("absent.yaml");
    let config = Gateway::configuration(Device::AfPacket, world.slot().core(), &world.directory().join("control.sock"));
    fs::write(&path, config.replace("iface=g2", "iface=absent0")).expect("the world's directory takes a file");
    let ended = world.router.run(&[&binary(), "run", "-c", path.to_str().expect("a plain path")]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    // g1 and g3 are missing as well here: all of them are said, not only the first.
    assert!(ended.stderr.contains("absent0"), "{ended:?}");
    assert!(!ended.stdout.lines().any(|line| line.trim() == "ready"), "{ended:?}");
}

#[test]
fn the_running_gateway_answers_its_operator() {
    let Some(world) = World::new(Middle::AfPacket) else { return };
    a_faulty_reload_changes_nothing(&world);
    a_reload_changes_the_rules_for_new_flows(&world);
    the_control_socket_speaks_http(&world);
    explain_says_why(&world);
}

fn a_faulty_reload_changes_nothing(world: &World) {
    let generation = generation(world);
    let config = world.gateway().config();
    let good = fs::read_to_string(config).expect("the configuration");
    fs::write(config, good.replace("--on-port 50100", "--on-port many")).expect("a faulty one");
    let ended = world.gateway().cli(&world.router, &["reload"]);
    assert_ne!(ended.code(), 0, "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains("many"), "the fault is named: {ended:?}");
    assert_eq!(self::generation(world), generation);
    assert_eq!(echo(world, port::MIRRORED + port::ECHO), "hello through the gateway\n");
    fs::write(config, good).expect("the good one again");
}

fn a_reload_changes_the_rules_for_new_flows(world: &World) {
    let generation = generation(world);
    let (server, port) = (Family::V4.server().to_string(), port::MIRRORED + port::ECHO);
    let mut held = world.client.start_client(&["hold", &server, &port.to_string()]);
    held.wait_for("held", limits::VISIBLE);
    let config = world.gateway().config();
    let good = fs::read_to_string(config).expect("the configuration");
    let rule = "-A PRns1 -p tcp --dport 8000:8099 -j TPROXY --on-port 50000";
    fs::write(config, good.replace(rule, "-A PRns1 -p tcp --dport 8000:8099 -j DROP")).expect("another one");
    world.gateway().cli(&world.router, &["reload"]).successful();
    wait::until("the new generation", limits::VISIBLE, || (self::generation(world) > generation).then_some(()));
    let dropped = ["connect", &server, &port.to_string(), "--timeout", &limits::SILENCE_S.to_string()];
    assert_eq!(world.client.client(&dropped)["result"], "timeout", "a new flow, by the new rules");
    held.go_on();
    let result = held.finish(limits::VISIBLE).successful().json();
    assert_eq!(result["received"], "still here\n", "an old flow, by the rules it began with");
    fs::write(config, good).expect("the good one again");
    world.gateway().cli(&world.router, &["reload"]).successful();
    assert_eq!(echo(world, port), "hello through the gateway\n");
}

fn the_control_socket_speaks_http(world: &World) {
    assert_eq!(curl(world, &["http://limpid/healthz"]).0, "200");
    let (code, status) = curl(world, &["http://limpid/v1/status"]);
    assert_eq!(code, "200");
    assert!(serde_json::from_str::<Value>(&status).is_ok_and(|status| status.is_object()), "{status}");
    let (code, metrics) = curl(world, &["http://limpid/metrics"]);
    assert_eq!(code, "200");
    assert!(metrics.lines().any(|line| line.starts_with("# HELP limpid_")), "{metrics}");
    let refused = r#"{"protocol": "tcp", "local": "10.0.1.1:50000"}"#;
    let (code, answer) = curl(world, &["-d", refused, "http://limpid/v1/tproxy/query"]);
    assert!(code.starts_with('4'), "{code} {answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    assert_eq!(answer["errno"], "ENOENT", "{answer}");
    assert!(answer["error"].is_string(), "{answer}");
    let (code, _) = curl(world, &["http://limpid/v1/no-such-thing"]);
    assert_eq!(code, "404");
}

fn explain_says_why(world: &World) {
    let config = fs::read_to_string(world.gateway().config()).expect("the configuration");
    for family in Family::BOTH {
        let explain = |port: u16| {
            let source = std::net::SocketAddr::from((family.client(), 40000)).to_string();
            world.limpid(&["explain", "ns1", "tcp", &source, &family.server_at(port).to_string()])
        };
        let taken = explain(port::MIRRORED);
        assert_eq!(taken["verdict"], "proxy", "{taken}");
        assert_eq!(taken["service"], "plug", "{taken}");
        assert_eq!(taken["zones"]["client"], "clients", "{taken}");
        let rule = "-A PRns1 -p tcp --dport 8000:8099 -j TPROXY";
        let line = 1 + config.lines().position(|line| line.contains(rule)).expect("the rule is in the file");
        assert_eq!((&taken["rule"]["chain"], &taken["rule"]["line"]), (&"PRns1".into(), &line.into()), "{taken}");
        let dropped = explain(port::UNTOUCHED);
        assert_eq!((&dropped["verdict"], &dropped["reason"]), (&"drop".into(), &"filter_policy".into()), "{dropped}");
        assert!(dropped["steps"].to_string().contains("FORWARD"), "{dropped}");
        let denied = explain(port::NOT_LET_IN);
        assert_eq!((&denied["verdict"], &denied["reason"]), (&"drop".into(), &"inbound_denied".into()), "{denied}");
    }
}

/// Status code and body of a request to the control socket.
#[track_caller]
fn curl(world: &World, words: &[&str]) -> (String, String) {
    let fixed = ["curl", "-sS", "-m", "5", "-w", "%{stderr}%{http_code}", "--unix-socket", world.gateway().socket()];
    let ended = world.router.run(&[&fixed, words].concat()).successful();
    (ended.stderr.trim().to_owned(), ended.stdout)
}

#[track_caller]
fn echo(world: &World, port: u16) -> String {
    let result = world.client.client(&["echo", &Family::V4.server().to_string(), &port.to_string()]);
    result["received"].as_str().unwrap_or_default().to_owned()
}

/// The policy that every core decides by: the oldest that one still has.
#[track_caller]
fn generation(world: &World) -> u64 {
    let status = world.limpid(&["status"]);
    let cores = status["cores"].as_array().unwrap_or_else(|| panic!("no cores in {status}"));
    let generations = cores.iter().filter_map(|core| core["generation"].as_u64());
    generations.min().unwrap_or_else(|| panic!("no generation in {status}"))
}

/// The configurations that readers copy.
#[test]
fn the_examples_in_the_documentation_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace");
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let (_, example) = readme.split_once("```yaml\n").expect("README.md has a configuration");
    let (example, _) = example.split_once("```").expect("it ends");
    let directory = TempDir::with_prefix("limpid-examples-").expect("a directory");
    let first = directory.path().join("readme.yaml");
    fs::write(&first, example).expect("a file");
    for path in [first, root.join("tests/demo/limpid.yaml")] {
        let ended = Process::start(directory.path(), Command::new(binary()).args(["check", "-c"]).arg(&path));
        ended.finish(limits::PROGRAM).successful();
    }
}
