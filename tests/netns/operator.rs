//! The operator's day on a live gateway: rules with macros generated, tested, committed, with traffic going through, as
//! in the README: three zones with a PR and a LO chain each, SSH to the gateway for two addresses, everything else
//! dropped and logged. And what must survive: a killed shell, and rules that lock the operator out.

use crate::address::Family;
use crate::gateway::{Device, Gateway, binary};
use crate::limits;
use crate::process::{Ended, Process};
use crate::servers::port;
use crate::wait;
use crate::world::{Middle, World};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The rules of the three zones. ns1 is the intranet, whose clients may reach servers and, two of them, the gateway.
const RULES: &str = "\
*tproxy
:PREROUTING ACCEPT
:OUTPUT ACCEPT
:PRns1 -
:PRns2 -
:PRns3 -
-A PREROUTING -i ns1 ! -d 10.0.1.1 -j PRns1
-A PREROUTING -i ns2 ! -d 10.0.2.1 -j PRns2
-A PREROUTING -i ns3 ! -d 10.0.3.1 -j PRns3
-A PRns1 -p tcp --dport OPEN -j TPROXY --on-port 50000
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
:LOns1 -
:LOns2 -
:LOns3 -
-A INPUT -m tproxy -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i ns1 -j LOns1
-A INPUT -i ns2 -j LOns2
-A INPUT -i ns3 -j LOns3
-A LOns1 -p tcp -s SSH_PERMITTED --dport 22 -j ACCEPT
-A LOns1 -j DROP
-A LOns2 -p tcp -s SSH_PERMITTED --dport 22 -j ACCEPT
-A LOns2 -j LOG --log-prefix \"LOns2: \" --log-level info
-A LOns2 -j DROP
-A LOns3 -j DROP
COMMIT
";

const MACROS: &str = "what the rules speak of\n#define SSH_PERMITTED 10.0.1.99 10.0.1.3\n#define OPEN 8000:8099\n";

struct Operator {
    world: World,
    gateway: Gateway,
    rules: PathBuf,
}

impl Operator {
    /// The world with the gateway that reads a rules file; none without root.
    fn new() -> Option<Operator> {
        let mut world = World::new(Middle::AfPacket)?;
        world.take_gateway().stop();
        let directory = world.directory().to_owned();
        let socket = directory.join("operator.sock");
        let config = Gateway::configuration(Device::AfPacket, world.slot().core(), &socket);
        let (before, rest) = config.split_once("rules: |").expect("the rules are in the file");
        let (_, after) = rest.split_once("\ncontrol:").expect("the control section follows");
        let (config, rules) =
            (format!("{before}rules_file: iptables.conf\ncontrol:{after}"), directory.join("iptables.conf"));
        let path = directory.join("operator.yaml");
        fs::write(&path, config).expect("the world's directory takes a file");
        fs::write(directory.join("iptables.conf.in"), RULES).expect("a file");
        fs::write(directory.join("iptables.conf.var"), MACROS).expect("a file");
        // Nothing runs yet: gen needs files only.
        let words = [&*binary(), "rules", "gen", "-c", path.to_str().expect("plain")];
        world.router.run(&words).successful();
        fs::copy(directory.join("iptables.conf.new"), &rules).expect("the first rules");
        let gateway = Gateway::start(&world.router, &path, &socket);
        Some(Operator { world, gateway, rules })
    }

    fn file(&self, suffix: &str) -> String {
        let path = format!("{}{suffix}", self.rules.display());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, suffix: &str, text: &str) {
        fs::write(format!("{}{suffix}", self.rules.display()), text).expect("a file");
    }

    /// `limpid rules …`, in a session of its own, as from a new log-in.
    #[track_caller]
    fn rules(&self, words: &[&str]) -> Ended {
        self.world.router.run(&self.words(words))
    }

    fn start(&self, words: &[&str]) -> Process {
        self.world.router.start(&self.words(words))
    }

    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let program: &'a str = Box::leak(binary().into_boxed_str());
        [&["setsid", "--wait", program, "rules", "-s", self.gateway.socket()], words].concat()
    }

    #[track_caller]
    fn ends(&self, code: i32, words: &[&str]) -> Ended {
        let ended = self.rules(words);
        assert_eq!(ended.code(), code, "limpid rules {words:?}: {ended:?}\n{}", self.gateway.said());
        ended
    }

    fn status(&self) -> Value {
        self.gateway.json(&self.world.router, &["status"])
    }

    fn generation(&self) -> u64 {
        self.status()["cores"][0]["generation"].as_u64().expect("a generation")
    }

    /// What becomes of a connection from ns1 to a server in ns2.
    fn tries(&self, seconds: &str) -> String {
        let (server, port) = (Family::V4.server().to_string(), (port::MIRRORED + port::ECHO).to_string());
        let result = self.world.client.client(&["connect", &server, &port, "--timeout", seconds]);
        result["result"].as_str().unwrap_or_default().to_owned()
    }

    /// The rules that `.in` and `.var` say, with other ports open.
    #[track_caller]
    fn generate(&self, open: &str) {
        self.write(".var", &MACROS.replace("8000:8099", open));
        self.ends(0, &["gen"]);
    }
}

/// Port 8001 is not among these.
const CLOSED: &str = "8050:8099";
const OPEN: &str = "8000:8099";

#[test]
fn rules_are_generated_tested_committed_and_confirmed_under_traffic() {
    let Some(operator) = Operator::new() else { return };
    ssh_is_for_two_addresses_and_the_rest_is_logged(&operator);
    a_test_ends_as_it_began(&operator);
    a_killed_shell_changes_nothing(&operator);
    two_operators_do_not_undo_each_others_work(&operator);
    what_nobody_confirms_is_taken_back(&operator);
    what_is_confirmed_stays_and_is_in_the_file(&operator);
    what_is_committed_stays_and_can_be_undone(&operator);
    what_is_wrong_is_not_loaded(&operator);
    let ended = operator.gateway.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

fn ssh_is_for_two_addresses_and_the_rest_is_logged(operator: &Operator) {
    assert_eq!(operator.tries("5"), "connected");
    let ssh = |host: &crate::host::Host, n: u8| {
        let gateway = Family::V4.gateway(n).to_string();
        let timeout = limits::AT_ONCE_S.to_string();
        host.client(&["connect", &gateway, "22", "--timeout", &timeout])["result"].clone()
    };
    // The filter lets it in to where nobody listens in this test: a refusal at once, and no silence.
    assert_eq!(ssh(&operator.world.client, 1), "ECONNREFUSED");
    assert_eq!(ssh(&operator.world.server, 2), "timeout");
    assert_eq!(ssh(&operator.world.other, 3), "timeout");
    wait::until("the dropped flows are in the log", limits::VISIBLE, || {
        let log = operator.gateway.said();
        let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        let logged = has(&["LOns2: IN=ns2 OUT= ", "SRC=10.0.2.99 DST=10.0.2.1", "PROTO=TCP", "DPT=22 SYN"])
            && has(&["flow denied", "DROP", "filter LOns2 4", "iptables.conf.in:", "10.0.2.99:", "filter_rule"])
            && has(&["flow denied", "filter LOns3 1", "10.0.3.99:"]);
        logged.then_some(())
    });
    let shown = operator.ends(0, &["show", "--counters"]).stdout;
    let counted = shown.lines().find(|line| line.contains("-s 10.0.1.99/32")).expect("the macro's first word");
    assert!(counted.starts_with("[1:"), "{counted}");
    assert!(shown.contains("-s 10.0.1.3/32"), "the macro's second word: {shown}");
    let explain = ["explain", "ns1", "tcp", "10.0.1.3:40000", "10.0.1.1:22"];
    let explained = operator.gateway.json(&operator.world.router, &explain);
    let line = 1 + RULES.lines().position(|line| line.starts_with("-A LOns1 -p tcp")).expect("the rule");
    assert_eq!(explained["verdict"], "local", "{explained}");
    let origin = explained["rule"]["origin"].as_str().unwrap_or_default();
    assert!(origin.ends_with(&format!("iptables.conf.in:{line}")), "{explained}");
}

fn a_test_ends_as_it_began(operator: &Operator) {
    let before = operator.generation();
    operator.generate(CLOSED);
    let tested = operator.start(&["test", "-t", "3"]);
    wait::until("the tested rules decide", limits::VISIBLE, || (operator.generation() > before).then_some(()));
    assert_eq!(operator.tries("1"), "timeout", "the tested rules decide");
    let ended = tested.finish(limits::VISIBLE);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!((operator.tries("5").as_str(), operator.generation()), ("connected", before));
}

/// The shell that began the test and has become the program is killed: the gateway goes back all the same.
fn a_killed_shell_changes_nothing(operator: &Operator) {
    let before = operator.generation();
    let script = format!("exec {} rules -s {} test -t 3", binary(), operator.gateway.socket());
    let shell = operator.world.router.start(&["sh", "-c", &script]);
    wait::until("the tested rules decide", limits::VISIBLE, || (operator.generation() > before).then_some(()));
    shell.signal("KILL");
    drop(shell);
    assert_eq!(operator.tries("1"), "timeout");
    wait::until("what ran before is back", limits::VISIBLE, || (operator.generation() == before).then_some(()));
    assert_eq!(operator.tries("5"), "connected");
}

fn two_operators_do_not_undo_each_others_work(operator: &Operator) {
    let before = operator.generation();
    let tested = operator.start(&["test", "-t", "30"]);
    wait::until("the tested rules decide", limits::VISIBLE, || (operator.generation() > before).then_some(()));
    for second in [&["test"][..], &["commit"], &["gen"]] {
        let refused = operator.ends(5, second);
        assert!(refused.stderr.contains("limpid rules test is at work"), "{refused:?}");
    }
    let reload = operator.gateway.cli(&operator.world.router, &["reload"]);
    assert_ne!(reload.code(), 0, "{reload:?}");
    operator.ends(0, &["revert"]);
    let ended = tested.finish(limits::VISIBLE);
    assert_eq!((ended.code(), operator.generation()), (0, before), "{ended:?}");
}

fn what_nobody_confirms_is_taken_back(operator: &Operator) {
    let (before, file) = (operator.generation(), operator.file(""));
    let waiting = operator.start(&["commit-confirm", "-t", "3"]);
    wait::until("the new rules decide", limits::VISIBLE, || (operator.generation() > before).then_some(()));
    assert_eq!(operator.tries("1"), "timeout", "the operator's own way is cut");
    let ended = waiting.finish(limits::VISIBLE);
    assert_eq!((ended.code(), operator.generation()), (4, before), "{ended:?}");
    assert_eq!(operator.tries("5"), "connected");
    assert_eq!(operator.file(""), file);
}

fn what_is_confirmed_stays_and_is_in_the_file(operator: &Operator) {
    let (before, old) = (operator.generation(), operator.file(""));
    let waiting = operator.start(&["commit-confirm", "-t", "30"]);
    wait::until("the new rules decide", limits::VISIBLE, || (operator.generation() > before).then_some(()));
    // Not from a log-in that is older than the rules: this test's own session.
    let program = binary();
    let words = [&*program, "rules", "-s", operator.gateway.socket(), "confirm"];
    let refused = operator.world.router.run(&words);
    assert_eq!(refused.code(), 3, "{refused:?}");
    operator.ends(0, &["confirm"]);
    let ended = waiting.finish(limits::VISIBLE);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!((operator.file(""), operator.file(".1")), (operator.file(".new"), old));
    assert_eq!(operator.tries("1"), "timeout");
}

fn what_is_committed_stays_and_can_be_undone(operator: &Operator) {
    let old = operator.file("");
    operator.generate(OPEN);
    operator.ends(0, &["commit"]);
    assert_eq!((operator.file(""), operator.file(".1")), (operator.file(".new"), old));
    assert_eq!(operator.tries("5"), "connected");
}

fn what_is_wrong_is_not_loaded(operator: &Operator) {
    let (before, file) = (operator.generation(), operator.file(""));
    let new = operator.file(".new");
    operator.write(".in", &RULES.replace("-j LOns3", "-j LOns33"));
    let refused = operator.ends(2, &["gen"]);
    assert!(refused.stderr.contains("iptables.conf.in:") && refused.stderr.contains("LOns33"), "{refused:?}");
    assert_eq!(operator.file(".new"), new, "nothing was written");
    let stale = operator.ends(3, &["commit"]);
    assert!(stale.stderr.contains("is older than"), "{stale:?}");
    operator.write(".new", &new.replace("--on-port 50000", "--on-port many"));
    for command in ["test", "commit", "commit-confirm"] {
        let refused = operator.ends(2, &[command]);
        assert!(refused.stderr.contains("iptables.conf.new:") && refused.stderr.contains("many"), "{refused:?}");
    }
    operator.ends(1, &["test", "--for-ever"]);
    operator.ends(3, &["confirm"]);
    assert_eq!((operator.generation(), operator.file("")), (before, file));
    assert_eq!(operator.tries("5"), "connected");
}
