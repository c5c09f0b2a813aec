//! The engine between callers and made-up cores, on made-up time.

use crossbeam_channel::{Receiver, bounded};
use serde_json::{Value, json};

use super::*;
use crate::config;
use crate::limits::{DRAIN_US, GATHER_US, OUTBOX_MESSAGES_MAX};
use crate::mailbox::{CoreReport, CounterValue, FlowRecord, PortReport, RuleCounts};
use crate::requests::{Errno, TCP};
use crate::tproxy::{self, Flags};

const YAML: &str = r#"
interfaces:
  intra: { port: "net_null0", addresses: [10.0.0.1/24, "fd00:1::1/64"] }
  inter: { port: "net_null1", addresses: [203.0.113.1/24] }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.254 }
zones:
  intranet: { networks: [10.0.0.0/24, "fd00:1::/64"], outbound_services: ["*"] }
  internet: { networks: [0.0.0.0/0, "::/0"], inbound_services: ["*"] }
services:
  web: { proxy: plug }
listeners:
  - { port: 50080, service: web }
rules: |
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
  -A PREROUTING -i intra -p tcp --dport 80 -j TPROXY --on-port 50080
  COMMIT
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A INPUT -m tproxy -j ACCEPT
  COMMIT
"#;

const ROOT: Caller = Caller::Peer { uid: 0, gid: 0 };
const NOBODY: Caller = Caller::Peer { uid: 65534, gid: 65534 };

fn configuration(text: &str) -> Config {
    config::parse("limpid.yaml", text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// An engine with so many cores whose boxes hold so much.
fn engine(cores: usize, room: usize) -> (Engine, Vec<Receiver<ToCore>>) {
    let config = configuration(YAML);
    let policy = Arc::new(Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}")));
    let (_, writer) = tproxy::table(64, 1);
    let boxes: Vec<_> = (0..cores).map(|_| bounded(room)).collect();
    let links = boxes.iter().enumerate().map(|(at, (to, _))| CoreLink { core: at + 1, to: to.clone() }).collect();
    let setup = Setup { config, policy, writer, cores: links, own_uid: 990, version: "0.0.0" };
    (Engine::new(0, setup), boxes.into_iter().map(|(_, from)| from).collect())
}

fn report(core: usize, sessions: u64) -> CoreReport {
    let counter = |name, value| CounterValue { name, help: "what it counts", value };
    let port =
        PortReport { interface: "intra".to_owned(), link: "up 10000 Mbit/s".to_owned(), ..PortReport::default() };
    CoreReport {
        core,
        generation: 1,
        probation_ms: None,
        flows: 2 * sessions,
        sessions,
        half_open: 1,
        released: 1,
        time_wait: 2,
        flooded: 0,
        busy_cycles: 25,
        idle_cycles: 75,
        counters: vec![counter("forwarded", 10), counter("dropped_no_zone", core as u64)],
        ports: vec![PortReport { rx_packets: 7, xstats: vec![("rx_good".to_owned(), 5)], ..port }],
    }
}

fn flow(core: usize, id: u64) -> FlowRecord {
    FlowRecord {
        core,
        id,
        protocol: "tcp".to_owned(),
        interface: "intra".to_owned(),
        source: "10.0.0.2:40000".parse().expect("an address"),
        destination: "198.51.100.1:80".parse().expect("an address"),
        step: "proxy".to_owned(),
        service: Some("web".to_owned()),
        state: "established".to_owned(),
        client_zone: None,
        server_zone: None,
        bytes_to_server: 1,
        bytes_to_client: 2,
        age_ms: 3,
        idle_ms: 4,
        generation: 1,
        translated_source: None,
        translated_destination: None,
        mark: 0,
        connmark: 0,
        client: None,
        server: None,
    }
}

/// Lets a made-up core answer all questions in its box; gives the other messages.
fn turn(core: usize, sessions: u64, mailbox: &Receiver<ToCore>) -> Vec<ToCore> {
    let mut others = Vec::new();
    while let Ok(message) = mailbox.try_recv() {
        match message {
            // A question may have been given up meanwhile.
            ToCore::Report(reply) => drop(reply.send(report(core, sessions))),
            ToCore::Flows { limit, reply } => {
                let flows = (0..3.min(limit as u64)).map(|id| flow(core, id)).collect();
                reply.send(flows).expect("somebody waits");
            }
            ToCore::RuleCounts(reply) => {
                let (rules, chains) = (vec![(core as u64, 60), (0, 0)], vec![(10, 600), (core as u64, 1_000)]);
                drop(reply.send(RuleCounts { core, generation: 1, rules, chains }));
            }
            other => others.push(other),
        }
    }
    others
}

fn json(reply: ApiReply) -> Value {
    match reply {
        Ok(Body::Json(value)) => value,
        other => panic!("no JSON: {other:?}"),
    }
}

fn done(outcome: Outcome) -> ApiReply {
    match outcome {
        Outcome::Done(reply) => reply,
        Outcome::Gather(_) => panic!("an answer at once was expected"),
    }
}

fn gather(outcome: Outcome) -> Gather {
    match outcome {
        Outcome::Gather(gather) => gather,
        Outcome::Done(reply) => panic!("cores should have been asked: {reply:?}"),
    }
}

/// Asks something that needs the cores, and lets all of them answer.
fn ask(engine: &mut Engine, boxes: &[Receiver<ToCore>], request: ApiRequest) -> ApiReply {
    let mut gather = gather(engine.handle(1_000_000, NOBODY, request));
    assert!(engine.poll(1_000_000, &mut gather).is_none(), "nobody has answered yet");
    for (at, mailbox) in boxes.iter().enumerate() {
        turn(at + 1, 5, mailbox);
    }
    engine.poll(1_000_000, &mut gather).expect("all have answered")
}

#[test]
fn status_adds_the_cores_up() {
    let (mut engine, boxes) = engine(2, 8);
    let status = json(ask(&mut engine, &boxes, ApiRequest::Status));
    let part = |name: &str| status[name].clone();
    assert_eq!(
        (part("state"), part("flows"), part("sessions"), part("half_open"), part("uptime_ms"), part("generation")),
        (json!("running"), json!(20), json!(10), json!(2), json!(1000), json!(1))
    );
    assert_eq!(part("cores")[1]["core"], 2);
    assert_eq!(part("cores")[1]["busy_percent"], 25.0);
    assert_eq!(part("cores")[1]["counters"]["dropped_no_zone"], 2);
    assert_eq!(part("silent_cores"), json!([]));
    assert_eq!(part("ports").as_array().map(Vec::len), Some(1), "not once per core");
    let counters = part("counters");
    let of = |name: &str| {
        let counters = counters.as_array().expect("a list");
        counters.iter().find(|counter| counter["name"] == name).map(|counter| counter["value"].clone())
    };
    assert_eq!((of("forwarded"), of("dropped_no_zone")), (Some(json!(20)), Some(json!(3))));
}

#[test]
fn a_silent_core_holds_nobody_up_for_long() {
    let (mut engine, boxes) = engine(2, 8);
    let mut gather = gather(engine.handle(0, NOBODY, ApiRequest::Status));
    turn(1, 5, &boxes[0]);
    assert!(engine.poll(GATHER_US - 1, &mut gather).is_none());
    let status = json(engine.poll(GATHER_US, &mut gather).expect("time is up"));
    assert_eq!((&status["sessions"], &status["silent_cores"]), (&json!(5), &json!([2])));
}

#[test]
fn a_core_that_is_gone_is_not_waited_for() {
    let (mut engine, mut boxes) = engine(2, 8);
    boxes.pop();
    let mut gather = gather(engine.handle(0, NOBODY, ApiRequest::Health));
    turn(1, 5, &boxes[0]);
    let error = engine.poll(0, &mut gather).expect("nobody else will answer").expect_err("unhealthy");
    assert_eq!((error.status, error.error.as_str()), (503, "cores that do not answer: [2]"));
}

#[test]
fn flows_of_all_cores_within_the_limit() {
    let (mut engine, boxes) = engine(2, 8);
    let listed = json(ask(&mut engine, &boxes, ApiRequest::Flows { limit: 4 }));
    let ids: Vec<_> = listed["flows"].as_array().expect("a list").iter().map(|f| (&f["core"], &f["id"])).collect();
    assert_eq!(json!(ids), json!([[1, 0], [1, 1], [1, 2], [2, 0]]));
    assert_eq!(listed["truncated"], true);
    let listed = json(ask(&mut engine, &boxes, ApiRequest::Flows { limit: 100 }));
    assert_eq!((listed["flows"].as_array().map(Vec::len), &listed["truncated"]), (Some(6), &json!(false)));
}

#[test]
fn explain_runs_the_policy_and_the_entries() {
    let (mut engine, _boxes) = engine(1, 8);
    let ask = |engine: &mut Engine, interface: &str, destination: &str, format| {
        let request = ApiRequest::Explain {
            interface: interface.to_owned(),
            protocol: TCP,
            source: "10.0.0.2:40000".parse().expect("an address"),
            destination: destination.parse().expect("an address"),
            format,
        };
        done(engine.handle(0, NOBODY, request))
    };
    let proxied = json(ask(&mut engine, "intra", "198.51.100.1:80", Format::Json));
    assert_eq!((&proxied["verdict"], &proxied["service"]), (&json!("proxy"), &json!("web")));
    let dropped = json(ask(&mut engine, "intra", "198.51.100.1:81", Format::Json));
    assert_eq!(dropped["verdict"], "drop");
    assign(&mut engine, "10.0.0.1:50080", "198.51.100.1:81");
    let taken = json(ask(&mut engine, "intra", "198.51.100.1:81", Format::Json));
    assert_eq!((&taken["verdict"], &taken["service"]), (&json!("proxy"), &json!("web")), "an entry beats the rules");
    let Ok(Body::Text(text)) = ask(&mut engine, "intra", "198.51.100.1:80", Format::Text) else { panic!("text") };
    assert!(text.contains("web"), "{text}");
    let unknown = ask(&mut engine, "dmz", "198.51.100.1:80", Format::Json).expect_err("there is no dmz");
    assert_eq!(unknown.status, 400);
    assert!(unknown.error.contains("intra, inter"), "{}", unknown.error);
    assert!(ask(&mut engine, "intra", "[2001:db8::1]:80", Format::Json).is_err(), "families differ");
}

fn assign(engine: &mut Engine, local: &str, foreign: &str) {
    let (local, foreign) = (local.parse().expect("an address"), foreign.parse().expect("an address"));
    let assign = Request::Assign { protocol: TCP, local, foreign, reuse: false, expires_ms: None };
    done(engine.handle(0, ROOT, ApiRequest::Tproxy(assign))).expect("granted");
    let listen = Request::Flags { protocol: TCP, local, set: Some(Flags::LISTEN) };
    done(engine.handle(0, ROOT, ApiRequest::Tproxy(listen))).expect("granted");
}

#[test]
fn refusals_carry_the_kernels_name() {
    let (mut engine, _boxes) = engine(1, 8);
    let local = "10.0.0.1:5000".parse().expect("an address");
    let query = ApiRequest::Tproxy(Request::Query { protocol: TCP, local });
    let error = done(engine.handle(0, NOBODY, query)).expect_err("there is none");
    assert_eq!((error.status, error.errno), (404, Some(Errno::ENOENT)));
    assert_eq!(error.to_json()["errno"], "ENOENT");
}

#[test]
fn entries_are_listed_with_their_owner() {
    let (mut engine, _boxes) = engine(1, 8);
    assign(&mut engine, "10.0.0.1:5002", "203.0.113.9:80");
    assign(&mut engine, "10.0.0.1:5001", "203.0.113.9:81");
    let listed = json(done(engine.handle(2_000_000, NOBODY, ApiRequest::Entries { limit: 1 })));
    assert_eq!((listed["entries"].as_array().map(Vec::len), &listed["total"]), (Some(1), &json!(2)));
    let first = &listed["entries"][0];
    assert_eq!(
        (&first["local"], &first["protocol"], &first["age_ms"]),
        (&json!("10.0.0.1:5001"), &json!("tcp"), &json!(2000))
    );
    assert_eq!((&first["owner"], &first["flags"]), (&json!("uid 0 gid 0"), &json!(["LISTEN"])));
}

#[test]
fn proxies_get_their_replies_even_if_their_box_is_full() {
    let (mut engine, boxes) = engine(1, 2);
    for ticket in 0..5 {
        let request = Request::Version { version: None };
        engine.handle_core(0, FromCore::Tproxy { core: 1, ticket, request });
    }
    let mut tickets = Vec::new();
    for _ in 0..5 {
        for message in turn(1, 0, &boxes[0]) {
            match message {
                ToCore::TproxyReply { ticket, result } => {
                    assert!(result.is_ok());
                    tickets.push(ticket);
                }
                other => panic!("{other:?}"),
            }
        }
        engine.tick(0);
    }
    assert_eq!(tickets, [0, 1, 2, 3, 4], "all, and in order");
}

#[test]
fn a_core_that_takes_nothing_costs_bounded_memory() {
    let (mut engine, _boxes) = engine(1, 1);
    for ticket in 0..OUTBOX_MESSAGES_MAX as u64 + 11 {
        engine.handle_core(0, FromCore::Tproxy { core: 1, ticket, request: Request::Version { version: None } });
    }
    assert_eq!(engine.cores.lost(), 10);
}

#[test]
fn a_proxy_is_refused_by_name() {
    let (mut engine, boxes) = engine(1, 2);
    let request = Request::Unassign { protocol: TCP, local: "10.0.0.1:1".parse().expect("an address") };
    engine.handle_core(0, FromCore::Tproxy { core: 1, ticket: 9, request });
    let messages = turn(1, 0, &boxes[0]);
    assert!(matches!(messages[..], [ToCore::TproxyReply { ticket: 9, result: Err(Errno::ENOENT) }]), "{messages:?}");
}

fn reload(engine: &mut Engine, caller: Caller, text: &str) -> ApiReply {
    let read = config::parse("limpid.yaml", text).map(Box::new);
    done(engine.handle(0, caller, ApiRequest::Reload { read, redecide: false }))
}

#[test]
fn reload_swaps_the_policy_and_tells_the_cores() {
    let (mut engine, boxes) = engine(2, 4);
    let next = YAML.replace("--dport 80", "--dport 8080");
    let reply = json(reload(&mut engine, ROOT, &next));
    assert_eq!(reply["generation"], 2);
    for mailbox in &boxes {
        let messages = turn(1, 0, mailbox);
        assert!(matches!(&messages[..], [ToCore::Policy(policy)] if policy.generation() == 2), "{messages:?}");
    }
    assert_eq!(engine.policy().generation(), 2);
}

#[test]
fn reload_is_all_or_nothing() {
    let (mut engine, boxes) = engine(1, 4);
    let faulty = YAML.replace("proxy: plug", "proxy: plugh");
    let error = reload(&mut engine, ROOT, &faulty).expect_err("there is no such proxy");
    assert_eq!(error.status, 422);
    assert!(error.error.contains("limpid.yaml:"), "{}", error.error);
    let moved = YAML.replace("net_null1", "net_null7");
    let error = reload(&mut engine, ROOT, &moved).expect_err("a port cannot be exchanged");
    assert!(error.error.contains("restart") && error.error.contains("interface inter"), "{}", error.error);
    assert_eq!(reload(&mut engine, NOBODY, YAML).expect_err("not allowed").status, 403);
    assert_eq!(engine.policy().generation(), 1);
    assert!(turn(1, 0, &boxes[0]).is_empty(), "cores know nothing of it");
    let reply = json(reload(&mut engine, Caller::Operator, YAML));
    assert_eq!(reply["generation"], 4, "no generation is used twice");
}

#[test]
fn stop_waits_for_sessions_to_end() {
    let (mut engine, boxes) = engine(2, 8);
    assert_eq!(done(engine.handle(0, NOBODY, ApiRequest::Stop)).expect_err("not allowed").status, 403);
    json(done(engine.handle(0, ROOT, ApiRequest::Stop)));
    assert!(matches!(turn(1, 0, &boxes[0])[..], [ToCore::Drain]));
    assert!(matches!(turn(2, 0, &boxes[1])[..], [ToCore::Drain]));
    let mut now_us = 0;
    for sessions in [3, 1, 1, 0] {
        engine.tick(now_us);
        assert_eq!(engine.finished(), None, "{sessions}");
        turn(1, sessions, &boxes[0]);
        turn(2, 0, &boxes[1]);
        engine.tick(now_us);
        now_us = engine.deadline_us().unwrap_or(now_us);
    }
    assert_eq!(engine.finished(), Some(Exit::Drained));
    assert!(matches!(turn(1, 0, &boxes[0])[..], [ToCore::Stop]));
}

#[test]
fn stop_cuts_what_does_not_end_and_what_is_asked_for_twice() {
    let (mut first, boxes) = engine(1, 8);
    json(done(first.handle(0, ROOT, ApiRequest::Stop)));
    let mut now_us = 0;
    while first.finished().is_none() {
        first.tick(now_us);
        turn(1, 4, &boxes[0]);
        first.tick(now_us);
        assert!(now_us <= DRAIN_US);
        now_us = first.deadline_us().unwrap_or(now_us);
    }
    assert_eq!((first.finished(), now_us), (Some(Exit::Cut { sessions: 4 }), DRAIN_US));

    let (mut second, _boxes) = engine(1, 8);
    json(done(second.handle(0, ROOT, ApiRequest::Stop)));
    json(done(second.handle(1, ROOT, ApiRequest::Stop)));
    assert!(matches!(second.finished(), Some(Exit::Cut { .. })));
}

#[test]
fn draining_is_not_healthy() {
    let (mut engine, boxes) = engine(1, 8);
    assert_eq!(json(ask(&mut engine, &boxes, ApiRequest::Health)), json!({ "status": "ok" }));
    json(done(engine.handle(0, ROOT, ApiRequest::Stop)));
    assert_eq!(ask(&mut engine, &boxes, ApiRequest::Health).expect_err("draining").status, 503);
}

#[test]
fn metrics_are_open_metrics_text() {
    let (mut engine, boxes) = engine(2, 8);
    let Ok(Body::Metrics(text)) = ask(&mut engine, &boxes, ApiRequest::Metrics) else { panic!("metrics") };
    for line in [
        "# HELP limpid_forwarded what it counts",
        "# TYPE limpid_forwarded counter",
        r#"limpid_forwarded_total{core="1"} 10"#,
        r#"limpid_dropped_no_zone_total{core="2"} 2"#,
        r#"limpid_core_up{core="2"} 1.0"#,
        r#"limpid_sessions{core="1"} 5.0"#,
        r#"limpid_port_rx_packets_total{interface="intra"} 7"#,
        r#"limpid_port_xstat{interface="intra",name="rx_good"} 5.0"#,
        r#"limpid_build{version="0.0.0"} 1.0"#,
        "limpid_uptime_seconds 1.0",
        "limpid_generation 1.0",
        "limpid_reloads_total 0",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\nis not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut once = types.clone();
    once.dedup();
    assert_eq!(types, once, "each family once, in one piece");
}

#[test]
fn policy_names_what_is_in_it() {
    let (mut engine, _boxes) = engine(1, 8);
    let policy = json(done(engine.handle(0, NOBODY, ApiRequest::Policy)));
    assert_eq!((&policy["generation"], &policy["services"]), (&json!(1), &json!(["web"])));
    assert_eq!(
        policy["listeners"][0],
        json!({ "address": null, "port": 50080, "protocol": "both", "service": "web", "services": ["web"] })
    );
    assert_eq!(policy["rules"], 2);
}

#[test]
fn sets_change_under_a_running_policy() {
    let yaml = YAML.replace("rules: |", "sets:\n  bad: { type: \"hash:net\", entries: [10.9.0.0/16] }\n  new: { type: \"hash:net\" }\n  web: { type: \"hash:ip,port\" }\nrules: |");
    let (mut engine, _boxes) = engine(1, 8);
    done(engine.handle(0, ROOT, ApiRequest::Reload { read: Ok(Box::new(configuration(&yaml))), redecide: false }))
        .expect("sets are no restart");
    let policy = Arc::clone(engine.policy());
    let mut ask = |caller, name: &str, change| {
        done(engine.handle(0, caller, ApiRequest::ChangeSet { name: name.to_owned(), change }))
    };
    let members = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let add = |texts: &[&str]| SetChange::Add { members: members(texts) };
    let test = || SetChange::Test { member: "192.0.2.7".to_owned() };
    let Ok(Body::Json(before)) = ask(NOBODY, "bad", test()) else { panic!("anybody may ask") };
    assert_eq!(before["contains"], false);
    assert_eq!(ask(NOBODY, "bad", add(&["192.0.2.0/24"])).expect_err("nobody may change").status, 403);
    let Ok(Body::Json(added)) = ask(ROOT, "bad", add(&["192.0.2.0/24", "10.9.0.0/16"])) else { panic!("root may") };
    assert_eq!((&added["changed"], &added["members"]), (&json!(1), &json!(2)));
    let Ok(Body::Json(after)) = ask(NOBODY, "bad", test()) else { panic!("anybody may ask") };
    assert_eq!(after["contains"], true);
    assert_eq!(
        policy.sets().get("bad").expect("the set").len(),
        2,
        "the policy the cores have is the one that changed"
    );
    // One fault, and nothing is changed.
    assert_eq!(ask(ROOT, "bad", add(&["10.1.0.0/16", "nonsense"])).expect_err("no member").status, 400);
    assert_eq!(policy.sets().get("bad").expect("the set").len(), 2);
    let swap = |with: &str| SetChange::Swap { with: with.to_owned() };
    assert_eq!(ask(ROOT, "bad", swap("web")).expect_err("of another kind").status, 409);
    assert_eq!(ask(ROOT, "bad", swap("nothing")).expect_err("no such set").status, 404);
    ask(ROOT, "bad", swap("new")).expect("alike");
    ask(ROOT, "new", SetChange::Delete { members: members(&["192.0.2.0/24"]) }).expect("a member");
    let Ok(Body::Json(list)) = done(engine.handle(0, NOBODY, ApiRequest::Sets)) else { panic!("anybody may list") };
    let counts: Vec<&Value> = list["sets"].as_array().expect("a list").iter().map(|set| &set["count"]).collect();
    assert_eq!(counts, [&json!(0), &json!(1), &json!(0)]);
    let set = ApiRequest::Set { name: "new".to_owned(), limit: 10 };
    let Ok(Body::Json(set)) = done(engine.handle(0, NOBODY, set)) else { panic!("anybody may list") };
    assert_eq!((&set["type"], &set["members"]), (&json!("hash:net"), &json!(["10.9.0.0/16"])));
    let flush = ApiRequest::ChangeSet { name: "new".to_owned(), change: SetChange::Flush };
    done(engine.handle(0, ROOT, flush)).expect("root may");
    assert!(policy.sets().get("new").expect("the set").is_empty());
}

#[test]
fn rules_are_shown_with_what_they_and_the_policies_have_counted_on_all_cores() {
    let (mut engine, boxes) = engine(2, 8);
    let show = |format| ApiRequest::Rules(RulesRequest::Show { counters: true, format });
    let Ok(Body::Text(text)) = ask(&mut engine, &boxes, show(Format::Text)) else { panic!("text") };
    for line in [
        ":PREROUTING ACCEPT [20:1200]",
        ":OUTPUT ACCEPT [3:2000]",
        "[3:120] -A PREROUTING -i intra -p tcp -m tcp --dport 80 -j TPROXY --on-port 50080 --on-ip 0.0.0.0",
        ":INPUT DROP [0:0]",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\nis not in\n{text}");
    }
    let json = json(ask(&mut engine, &boxes, show(Format::Json)));
    let policy = json!({ "table": "tproxy", "chain": "PREROUTING", "policy": "ACCEPT", "packets": 20, "bytes": 1200 });
    assert_eq!(json["policies"][0], policy);
}
