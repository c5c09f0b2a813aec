//! Every row of the original interface's table of operations and errors, as far as it can arise here.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::perform::Requests;
use super::*;
use crate::tproxy::{self, Flags};

const ROOT: Caller = Caller::Peer { uid: 0, gid: 0 };
const NOBODY: Caller = Caller::Peer { uid: 65534, gid: 65534 };
const OWN_UID: u32 = 990;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a test's address is one")
}

fn requests(capacity: usize) -> (std::sync::Arc<tproxy::Table>, Requests) {
    let (table, writer) = tproxy::table(capacity, 1);
    let mut requests = Requests::new(writer, OWN_UID);
    requests.set_own_addresses(["10.0.0.1", "fd00::1", "0.0.0.0"].map(|text| text.parse().expect("an address")));
    (table, requests)
}

fn assign(local: &str, foreign: &str) -> Request {
    let (local, foreign) = (address(local), address(foreign));
    Request::Assign { protocol: TCP, local, foreign, reuse: false, expires_ms: None }
}

fn reusing(request: Request) -> Request {
    match request {
        Request::Assign { protocol, local, foreign, expires_ms, .. } => {
            Request::Assign { protocol, local, foreign, reuse: true, expires_ms }
        }
        other => other,
    }
}

fn set(local: &str, flags: &str) -> Request {
    Request::Flags { protocol: TCP, local: address(local), set: Some(flags.parse().expect("flags")) }
}

fn flags(local: &str) -> Request {
    Request::Flags { protocol: TCP, local: address(local), set: None }
}

fn query(local: &str) -> Request {
    Request::Query { protocol: TCP, local: address(local) }
}

fn unassign(local: &str) -> Request {
    Request::Unassign { protocol: TCP, local: address(local) }
}

fn alloc(local: &str) -> Request {
    Request::Alloc { protocol: TCP, local: address(local) }
}

fn connect(local: &str, remote: &str) -> Request {
    Request::Connect { protocol: TCP, local: address(local), remote: address(remote) }
}

/// Runs requests as root; each with what must come of it, as `errno` or the reply in JSON.
fn check(requests: &mut Requests, script: &[(Request, &str)]) {
    for (at, (request, expected)) in script.iter().enumerate() {
        let outcome = match requests.perform(0, ROOT, *request) {
            Ok(reply) => serde_json::to_string(&reply).expect("replies serialize"),
            Err(refusal) => refusal.errno.to_string(),
        };
        assert_eq!(outcome, *expected, "step {at}: {request:?}");
    }
}

const L1: &str = "10.0.0.1:5001";
const L2: &str = "10.0.0.1:5002";
const L3: &str = "10.0.0.1:5003";
const F: &str = "203.0.113.9:80";
const F_REPLY: &str = r#"{"foreign":"203.0.113.9:80"}"#;
const CLIENT: &str = "192.168.1.77:40000";

#[test]
fn any_operation_wants_tcp_or_udp() {
    let (_, mut requests) = requests(4);
    let (local, foreign, remote) = (address(L1), address(F), address(CLIENT));
    let protocol = 1;
    let all = [
        Request::Assign { protocol, local, foreign, reuse: false, expires_ms: None },
        Request::Unassign { protocol, local },
        Request::Query { protocol, local },
        Request::Flags { protocol, local, set: None },
        Request::Flags { protocol, local, set: Some(Flags::LISTEN) },
        Request::Alloc { protocol, local },
        Request::Connect { protocol, local, remote },
    ];
    check(&mut requests, &all.map(|request| (request, "EINVAL")));
    let udp = Request::Assign { protocol: UDP, local, foreign, reuse: false, expires_ms: None };
    check(&mut requests, &[(udp, F_REPLY), (query(L1), "ENOENT")]);
}

#[test]
fn version_is_told_and_held_against() {
    let (_, mut requests) = requests(4);
    let declare = |version| Request::Version { version };
    let ours = r#"{"version":"2.0.6"}"#;
    check(
        &mut requests,
        &[
            (declare(None), ours),
            (declare(Some(Version(2, 0, 0))), ours),
            (declare(Some(Version(2, 0, 99))), ours),
            (declare(Some(Version(2, 1, 0))), "EINVAL"),
            (declare(Some(Version(1, 0, 0))), "EINVAL"),
            (declare(Some(Version(3, 0, 0))), "EINVAL"),
        ],
    );
    assert_eq!(Version::from(0x0200_0006), Version::CURRENT);
    assert_eq!(u32::from(Version::CURRENT), 0x0200_0006);
}

#[test]
fn assign_wants_privilege_and_so_does_every_change() {
    let (_, mut requests) = requests(4);
    let outcome =
        |requests: &mut Requests, caller, request| requests.perform(0, caller, request).map_err(|no| no.errno);
    assert_eq!(outcome(&mut requests, NOBODY, assign(L1, F)), Err(Errno::EPERM));
    assert_eq!(outcome(&mut requests, Caller::Network, assign(L1, F)), Err(Errno::EPERM));
    for caller in [ROOT, Caller::Peer { uid: OWN_UID, gid: 1 }, Caller::Proxy { core: 1 }, Caller::Simulator] {
        assert!(outcome(&mut requests, caller, assign(L1, F)).is_ok(), "{caller}");
        for change in [set(L1, "LISTEN"), connect(L1, CLIENT), alloc(L1), unassign(L1)] {
            assert_eq!(outcome(&mut requests, NOBODY, change), Err(Errno::EPERM));
        }
        assert!(outcome(&mut requests, NOBODY, query(L1)).is_ok(), "looking is free");
        assert!(outcome(&mut requests, NOBODY, flags(L1)).is_ok(), "looking is free");
        assert!(outcome(&mut requests, caller, unassign(L1)).is_ok(), "{caller}");
    }
}

#[test]
fn assign_wants_a_whole_local_address_of_ours() {
    let (_, mut requests) = requests(4);
    check(
        &mut requests,
        &[
            (assign("0.0.0.0:5001", F), "EINVAL"),
            (assign("10.0.0.1:0", F), "EINVAL"),
            (assign("10.0.0.2:5001", F), "EINVAL"),
            (assign("[fd00::1]:5001", F), "EINVAL"),
            (assign("[fd00::1]:5001", "[2001:db8::9]:80"), r#"{"foreign":"[2001:db8::9]:80"}"#),
            (assign(L1, F), F_REPLY),
        ],
    );
}

#[test]
fn one_local_address_has_one_entry() {
    let (_, mut requests) = requests(4);
    check(
        &mut requests,
        &[
            (assign(L1, F), F_REPLY),
            (assign(L1, "203.0.113.9:81"), "EEXIST"),
            (reusing(assign(L1, F)), "EEXIST"),
            (assign(L1, "0.0.0.0:0"), "EEXIST"),
            (unassign(L1), "{}"),
            (assign(L1, F), F_REPLY),
        ],
    );
}

#[test]
fn a_taken_foreign_address_can_be_reused_for_connecting() {
    let (table, mut requests) = requests(4);
    let from = |local| table.lookup_local(TCP, address(local)).map(|entry| entry.foreign);
    check(
        &mut requests,
        &[
            (assign(L1, F), F_REPLY),
            (assign(L2, F), "EADDRINUSE"),
            (reusing(assign(L2, F)), F_REPLY),
            (set(L2, "LISTEN"), "EINVAL"),
            (flags(L2), r#"{"flags":[]}"#),
            (set(L2, "CONNECT"), r#"{"flags":["CONNECT"]}"#),
            (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
        ],
    );
    assert_eq!(from(L2), Some(address(F)));
    let listener = table.lookup_foreign(TCP, address(F), address(CLIENT)).expect("the first listens");
    assert_eq!(listener.local, address(L1));
}

#[test]
fn a_foreign_address_taken_for_one_peer_is_free_for_the_others() {
    let (table, mut requests) = requests(4);
    check(
        &mut requests,
        &[
            (assign(L1, F), F_REPLY),
            (connect(L1, CLIENT), "{}"),
            (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            (reusing(assign(L2, F)), F_REPLY),
            (set(L2, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            // And a third one would listen for the same peers as the second.
            (reusing(assign(L3, F)), F_REPLY),
            (set(L3, "LISTEN"), "EINVAL"),
            // Nor may the second come to stand in the first one's place.
            (connect(L2, CLIENT), "EINVAL"),
        ],
    );
    let local_for = |source| table.lookup_foreign(TCP, address(F), address(source)).expect("listens").local;
    assert_eq!(local_for(CLIENT), address(L1));
    assert_eq!(local_for("192.168.1.78:40000"), address(L2));
}

#[test]
fn the_unspecified_address_asks_for_a_mark_that_can_be_shared() {
    let (table, mut requests) = requests(4);
    let mark = r#"{"foreign":"10.0.0.1:5001"}"#;
    check(
        &mut requests,
        &[
            (assign(L1, "0.0.0.0:0"), mark),
            (assign(L1, "0.0.0.0:0"), mark),
            (assign(L1, "0.0.0.0:80"), "EEXIST"),
            (assign(L1, F), "EEXIST"),
            (query(L1), mark),
            (flags(L1), r#"{"flags":["MARK"]}"#),
            (set(L1, "LISTEN,CONNECT"), r#"{"flags":["MARK"]}"#),
            (alloc(L1), mark),
            (connect(L1, CLIENT), "{}"),
            (unassign(L1), "{}"),
        ],
    );
    let found = table.lookup_foreign(TCP, address(L1), address(CLIENT)).expect("one share is left");
    assert!(found.mark_only());
    assert!(table.lookup_local(TCP, address(L1)).is_some_and(|entry| entry.mark_only()));
    check(&mut requests, &[(unassign(L1), "{}"), (unassign(L1), "ENOENT")]);
    assert_eq!(table.lookup_foreign(TCP, address(L1), address(CLIENT)), None);
}

#[test]
fn beside_a_mark_a_reused_address_may_listen() {
    let (_, mut requests) = requests(4);
    let foreign = r#"{"foreign":"10.0.0.1:5001"}"#;
    check(
        &mut requests,
        &[
            (assign(L1, "0.0.0.0:0"), foreign),
            (assign(L2, L1), "EADDRINUSE"),
            (reusing(assign(L2, L1)), foreign),
            (set(L2, "CONNECT"), r#"{"flags":["CONNECT"]}"#),
            // The mark itself answers look-ups of that address already.
            (set(L2, "LISTEN"), "EINVAL"),
        ],
    );
    let (_, mut requests) = self::requests(4);
    check(
        &mut requests,
        &[
            (assign(L2, L1), foreign),
            (set(L2, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            (reusing(assign(L1, "0.0.0.0:0")), "EINVAL"),
        ],
    );
}

#[test]
fn a_full_table_says_so() {
    let (_, mut requests) = requests(2);
    check(
        &mut requests,
        &[
            (assign(L1, "203.0.113.9:1"), r#"{"foreign":"203.0.113.9:1"}"#),
            (assign(L2, "203.0.113.9:2"), r#"{"foreign":"203.0.113.9:2"}"#),
            (assign(L3, "203.0.113.9:3"), "ENOBUFS"),
            (unassign(L1), "{}"),
            (assign(L3, "203.0.113.9:3"), r#"{"foreign":"203.0.113.9:3"}"#),
        ],
    );
}

#[test]
fn operations_on_nothing_find_nothing() {
    let (_, mut requests) = requests(2);
    let all =
        [query(L1), flags(L1), set(L1, "LISTEN"), set(L1, "ESTABLISHED"), alloc(L1), connect(L1, CLIENT), unassign(L1)];
    check(&mut requests, &all.map(|request| (request, "ENOENT")));
}

#[test]
fn flags_replace_what_is_the_users_and_nothing_else() {
    let (table, mut requests) = requests(2);
    check(
        &mut requests,
        &[
            (assign(L1, F), F_REPLY),
            (set(L1, "LISTEN,ONCE"), r#"{"flags":["LISTEN","ONCE"]}"#),
            (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            // Read-only and unknown bits: no error, no effect.
            (set(L1, "LISTEN,MARK,APPLIED"), r#"{"flags":["LISTEN"]}"#),
            (set(L1, "0xffe0fff2"), r#"{"flags":["LISTEN"]}"#),
        ],
    );
    let entry = table.lookup_foreign(TCP, address(F), address(CLIENT)).expect("it listens");
    assert!(table.claim(&entry));
    check(
        &mut requests,
        &[(flags(L1), r#"{"flags":["LISTEN","APPLIED"]}"#), (set(L1, "none"), r#"{"flags":["APPLIED"]}"#)],
    );
    assert_eq!(table.lookup_foreign(TCP, address(F), address(CLIENT)), None);
}

#[test]
fn established_wants_a_remote_and_stays_set_when_refused() {
    let (table, mut requests) = requests(2);
    check(
        &mut requests,
        &[(assign(L1, F), F_REPLY), (set(L1, "ESTABLISHED"), "EINVAL"), (flags(L1), r#"{"flags":["ESTABLISHED"]}"#)],
    );
    assert_eq!(table.lookup_foreign(TCP, address(F), address(CLIENT)), None, "set, but without a meaning");
    assert_eq!(table.lookup_local(TCP, address(L1)), None);
    check(&mut requests, &[(connect(L1, CLIENT), "{}"), (set(L1, "ESTABLISHED"), r#"{"flags":["ESTABLISHED"]}"#)]);
    assert!(table.lookup_foreign(TCP, address(F), address(CLIENT)).is_some());
    assert_eq!(table.lookup_foreign(TCP, address(F), address("192.168.1.78:1")), None, "for one remote only");
    assert!(table.lookup_local(TCP, address(L1)).is_some());
}

#[test]
fn connect_ignores_half_an_address() {
    let (table, mut requests) = requests(2);
    check(
        &mut requests,
        &[
            (assign(L1, F), F_REPLY),
            (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            (connect(L1, "192.168.1.77:0"), "{}"),
            (connect(L1, "0.0.0.0:40000"), "{}"),
            (connect(L1, "[fd00::2]:40000"), "EINVAL"),
        ],
    );
    let other = address("192.168.1.78:1");
    assert!(table.lookup_foreign(TCP, address(F), other).is_some(), "still for all");
    check(&mut requests, &[(connect(L1, CLIENT), "{}")]);
    assert_eq!(table.lookup_foreign(TCP, address(F), other), None, "now for one");
}

#[test]
fn alloc_chooses_a_port_that_nobody_has_and_only_once() {
    let (table, mut requests) = requests(40_000);
    let open = "203.0.113.9:0";
    check(
        &mut requests,
        &[
            (assign(L2, "203.0.113.9:32768"), r#"{"foreign":"203.0.113.9:32768"}"#),
            (assign(L1, open), r#"{"foreign":"203.0.113.9:0"}"#),
            (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#),
            (query(L1), r#"{"foreign":"203.0.113.9:0"}"#),
            (alloc(L1), r#"{"foreign":"203.0.113.9:32769"}"#),
            (query(L1), r#"{"foreign":"203.0.113.9:32769"}"#),
            (alloc(L1), "EINVAL"),
            (alloc(L2), "EINVAL"),
        ],
    );
    assert!(table.lookup_foreign(TCP, address("203.0.113.9:32769"), address(CLIENT)).is_some());
    // Take what is left of the range, then ask for one more.
    for port in 32_770..=60_999_u16 {
        let local = format!("10.0.0.1:{}", port - 22_000);
        requests.perform(0, ROOT, assign(&local, open)).expect("there is room in the table");
        requests.perform(0, ROOT, alloc(&local)).expect("there is a port left");
    }
    check(
        &mut requests,
        &[
            (assign("10.0.0.1:65000", open), r#"{"foreign":"203.0.113.9:0"}"#),
            (alloc("10.0.0.1:65000"), "EFAULT"),
            (unassign("10.0.0.1:28000"), "{}"),
            (alloc("10.0.0.1:65000"), r#"{"foreign":"203.0.113.9:50000"}"#),
        ],
    );
}

#[test]
fn unassign_ends_look_ups_at_once() {
    let (table, mut requests) = requests(2);
    check(&mut requests, &[(assign(L1, F), F_REPLY), (set(L1, "LISTEN"), r#"{"flags":["LISTEN"]}"#)]);
    let held = table.lookup_foreign(TCP, address(F), address(CLIENT)).expect("it listens");
    check(&mut requests, &[(unassign(L1), "{}"), (unassign(L1), "ENOENT")]);
    assert_eq!(table.lookup_foreign(TCP, address(F), address(CLIENT)), None);
    assert!(!table.claim(&held), "a core that looked before cannot use it any more");
}

#[test]
fn a_used_up_entry_is_gone_for_its_owner_too() {
    let (table, mut requests) = requests(1);
    let once = r#"{"flags":["LISTEN","ONCE"]}"#;
    check(&mut requests, &[(assign(L1, F), F_REPLY), (set(L1, "LISTEN,ONCE"), once)]);
    let entry = table.lookup_foreign(TCP, address(F), address(CLIENT)).expect("it listens");
    assert!(table.claim(&entry));
    check(&mut requests, &[(query(L1), "ENOENT"), (unassign(L1), "ENOENT"), (assign(L1, F), F_REPLY)]);
}

#[test]
fn an_entry_may_be_told_to_expire() {
    let (table, mut requests) = requests(1);
    let (local, foreign) = (address(L1), address(F));
    let request = Request::Assign { protocol: TCP, local, foreign, reuse: false, expires_ms: Some(30) };
    requests.perform(1_000, ROOT, request).expect("granted");
    assert_eq!(requests.deadline_us(), Some(31_000));
    requests.tick(30_999);
    assert_eq!(table.len(), 1);
    requests.tick(31_000);
    assert_eq!((table.len(), requests.deadline_us()), (0, None));
}

#[test]
fn who_asked_and_who_used_it_is_on_record() {
    let (table, mut requests) = requests(2);
    let once = r#"{"flags":["LISTEN","ONCE"]}"#;
    check(&mut requests, &[(assign(L1, F), F_REPLY), (set(L1, "LISTEN,ONCE"), once)]);
    let entry = table.lookup_foreign(TCP, address(F), address(CLIENT)).expect("it listens");
    assert!(table.claim(&entry));
    requests.tick(7_000);
    let local = address(L2);
    let request = Request::Assign { protocol: TCP, local, foreign: address(F), reuse: false, expires_ms: Some(1) };
    requests.perform(7_000, Caller::Proxy { core: 3 }, request).expect("granted");
    requests.tick(9_000);
    check(&mut requests, &[(assign(L1, F), F_REPLY), (unassign(L1), "{}")]);
    let told = requests.trail().to_json(10_000, 100);
    let short: Vec<String> = told["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| format!("{} {} {} {}", event["change"], event["owner"], event["by"], event["used_by"]))
        .collect();
    let root = r#""uid 0 gid 0""#;
    let expected = [
        format!(r#""unassigned" {root} {root} null"#),
        format!(r#""assigned" {root} {root} null"#),
        r#""expired" "proxy on core 3" null null"#.to_owned(),
        r#""assigned" "proxy on core 3" "proxy on core 3" null"#.to_owned(),
        format!(r#""used" {root} null "{CLIENT}""#),
        format!(r#""assigned" {root} {root} null"#),
    ];
    assert_eq!(short, expected, "{told}");
}

#[test]
fn a_group_of_the_operators_choice_may_ask() {
    let (_, mut requests) = requests(2);
    let member = Caller::Peer { uid: 4711, gid: 812 };
    let outcome = |requests: &mut Requests, request| requests.perform(0, member, request).map_err(|no| no.errno);
    assert_eq!(outcome(&mut requests, assign(L1, F)), Err(Errno::EPERM));
    requests.set_group(Group::find("812").ok());
    assert!(outcome(&mut requests, assign(L1, F)).is_ok());
    assert!(outcome(&mut requests, unassign(L1)).is_ok());
    requests.set_group(None);
    assert_eq!(outcome(&mut requests, assign(L1, F)), Err(Errno::EPERM));
}

/// `control/requests.md` names a test for each row of the original interface's table and each item of its list; this
/// one sees to it that they are there.
#[test]
fn every_row_has_its_tests() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("requests.md")).expect("requests.md");
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with('|') && line.contains("::")) {
        rows += 1;
        for named in line.split('`').filter(|word| word.contains("::")) {
            let (file, test) = named.rsplit_once("::").expect("it contains one");
            let source = std::fs::read_to_string(root.join("..").join(file)).unwrap_or_else(|_| panic!("no {file}"));
            assert!(source.contains(&format!("fn {test}(")), "{file} has no {test}");
        }
    }
    assert!(rows >= 40, "{rows} rows");
}

#[test]
fn addresses_are_alike_whatever_their_flow_label() {
    let (_, mut requests) = requests(2);
    let SocketAddr::V6(mut labelled) = address("[fd00::1]:5001") else { unreachable!("it is IPv6") };
    labelled.set_flowinfo(7);
    let foreign = address("[2001:db8::9]:80");
    let request = Request::Assign { protocol: TCP, local: labelled.into(), foreign, reuse: false, expires_ms: None };
    check(&mut requests, &[(request, r#"{"foreign":"[2001:db8::9]:80"}"#), (unassign("[fd00::1]:5001"), "{}")]);
}

#[test]
fn requests_are_json_that_people_can_write() {
    let cases = [
        (r#"{"op":"version"}"#, Request::Version { version: None }),
        (r#"{"op":"version","version":33554438}"#, Request::Version { version: Some(Version(2, 0, 6)) }),
        (r#"{"op":"version","version":"2.0"}"#, Request::Version { version: Some(Version(2, 0, 0)) }),
        (r#"{"op":"assign","protocol":"tcp","local":"10.0.0.1:5001","foreign":"203.0.113.9:80"}"#, assign(L1, F)),
        (r#"{"op":"flags","protocol":6,"local":"10.0.0.1:5001","set":"LISTEN,ONCE"}"#, set(L1, "LISTEN,ONCE")),
        (r#"{"op":"flags","protocol":"TCP","local":"10.0.0.1:5001"}"#, flags(L1)),
    ];
    for (json, expected) in cases {
        let request: Request = serde_json::from_str(json).expect(json);
        assert_eq!(request, expected);
        assert_eq!(expected.operation(), serde_json::to_value(request).expect("serializes")["op"]);
    }
    for json in [
        r#"{"op":"assign","protocol":"tcp","local":"10.0.0.1:5001"}"#,
        r#"{"op":"query","protocol":"tcp","local":"10.0.0.1"}"#,
        r#"{"op":"query","protocol":"tcp","local":"10.0.0.1:1","remote":"10.0.0.1:2"}"#,
        r#"{"op":"flags","protocol":"tcp","local":"10.0.0.1:1","set":"LISTENING"}"#,
    ] {
        assert!(serde_json::from_str::<Request>(json).is_err(), "{json}");
    }
}

proptest! {
    /// Whatever is asked in whatever order, the two indexes and the writer's own books stay together: taking out all
    /// that is left leaves nothing.
    #[test]
    fn nothing_is_left_behind(script in proptest::collection::vec((0..7_u8, 1..6_u16, 0..6_u16, any::<u32>()), 0..120)) {
        let (table, mut requests) = requests(4);
        let local = |port: u16| SocketAddr::new(address(L1).ip(), port);
        for (operation, port, other, bits) in script {
            let (local, protocol) = (local(port), TCP);
            let foreign = SocketAddr::new(address(if bits & 64 == 0 { F } else { "0.0.0.0:0" }).ip(), other);
            let request = match operation {
                0 | 1 => Request::Assign { protocol, local, foreign, reuse: bits & 32 == 0, expires_ms: None },
                2 => Request::Unassign { protocol, local },
                3 => Request::Flags { protocol, local, set: Some(Flags::from_bits_retain(bits)) },
                4 => Request::Alloc { protocol, local },
                5 => Request::Connect { protocol, local, remote: SocketAddr::new(address(CLIENT).ip(), other) },
                _ => {
                    if let Some(entry) = table.lookup_foreign(TCP, foreign, address(CLIENT)) {
                        prop_assert!(table.claim(&entry));
                    }
                    continue;
                }
            };
            // Refusals are part of the game.
            let _ = requests.perform(0, ROOT, request);
        }
        for port in 1..6 {
            while requests.perform(0, ROOT, Request::Unassign { protocol: TCP, local: local(port) }).is_ok() {}
        }
        prop_assert_eq!(table.len(), 0);
        prop_assert_eq!(requests.records().count(), 0);
        for port in 0..6 {
            let foreign = SocketAddr::new(address(F).ip(), port);
            prop_assert_eq!(table.lookup_foreign(TCP, foreign, address(CLIENT)), None);
        }
    }
}
