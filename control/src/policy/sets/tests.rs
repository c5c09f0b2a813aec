//! Sets as rules ask them: every kind both ways, growth, graves, exceptions, and cores that look while it changes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn set(kind: SetKind, members: &[&str]) -> Set {
    let members = members.iter().map(|text| kind.member(text).unwrap_or_else(|error| panic!("{error}"))).collect();
    Set::new(&SetDefinition { name: "s".to_owned(), kind, members }).expect("a set")
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

#[test]
fn each_kind_is_looked_up_by_its_directions() {
    use SetDirection::{Destination, Source};
    let (from, to) = (socket("10.0.0.9:4000"), socket("192.0.2.7:80"));
    for (kind, members, directions, expected) in [
        (SetKind::Ip, &["10.0.0.9"][..], &[Source][..], true),
        (SetKind::Ip, &["10.0.0.9"], &[Destination], false),
        (SetKind::Net, &["192.0.2.0/24"], &[Destination], true),
        (SetKind::Net, &["192.0.2.0/30"], &[Destination], false),
        (SetKind::Net, &["0.0.0.0/0"], &[Destination], true),
        (SetKind::Net, &["192.0.2.0/24", "192.0.2.0/29 nomatch"], &[Destination], false),
        (SetKind::Net, &["192.0.2.0/24 nomatch", "192.0.2.0/29"], &[Destination], true),
        (SetKind::IpPort, &["192.0.2.7,80"], &[Destination, Destination], true),
        (SetKind::IpPort, &["192.0.2.7,udp:80"], &[Destination, Destination], false),
        (SetKind::IpPort, &["10.0.0.9,tcp:80"], &[Source, Destination], true),
        (SetKind::IpPort, &["10.0.0.9,tcp:80"], &[Source, Source], false),
        (SetKind::IpPort, &["10.0.0.9,tcp:80"], &[Source], false),
        (SetKind::NetPort, &["192.0.0.0/16,tcp:80"], &[Destination, Destination], true),
        (SetKind::NetPort, &["192.0.0.0/16,tcp:81"], &[Destination, Destination], false),
        (SetKind::IpPortIp, &["10.0.0.9,tcp:80,192.0.2.7"], &[Source, Destination, Destination], true),
        (SetKind::IpPortIp, &["10.0.0.9,tcp:80,192.0.2.7"], &[Source, Source, Destination], false),
        (SetKind::IpPortIp, &["10.0.0.9,udp:80,192.0.2.7"], &[Source, Destination, Destination], false),
        (SetKind::IpPortIp, &["10.0.0.9,80,192.0.2.8"], &[Source, Destination, Destination], false),
        (SetKind::IpPortIp, &["10.0.0.8,80,192.0.2.7"], &[Source, Destination, Destination], false),
        (SetKind::IpPortIp, &["192.0.2.7,80,192.0.2.7"], &[Destination, Destination, Destination], true),
        (SetKind::IpPortIp, &["10.0.0.9,80,192.0.2.7"], &[Source, Destination], false),
    ] {
        assert_eq!(set(kind, members).contains(6, from, to, directions), expected, "{members:?} {directions:?}");
    }
    let v6 = set(SetKind::Net, &["2001:db8::/32", "2001:db8:1::/48 nomatch"]);
    assert!(v6.contains(6, socket("[2001:db8::1]:1"), to, &[Source]));
    assert!(!v6.contains(6, socket("[2001:db8:1::1]:1"), to, &[Source]));
    assert!(!v6.contains(6, from, to, &[Source]));
    let v6 = set(SetKind::IpPortIp, &["2001:db8::1,udp:53,2001:db8:1::1"]);
    let (one, other) = (socket("[2001:db8::1]:53"), socket("[2001:db8:1::1]:53"));
    assert!(v6.contains(17, one, other, &[Source, Destination, Destination]));
    assert!(!v6.contains(17, other, one, &[Source, Destination, Destination]));
    assert!(!v6.contains(17, one, to, &[Source, Source, Destination]));
}

#[test]
fn members_are_written_as_they_are_read() {
    for (kind, text, shown) in [
        (SetKind::Ip, "10.0.0.1", "10.0.0.1"),
        (SetKind::Net, "10.0.0.1/8", "10.0.0.0/8"),
        (SetKind::Net, "fd00::1", "fd00::1"),
        (SetKind::Net, "10.0.0.0/8 nomatch", "10.0.0.0/8 nomatch"),
        (SetKind::IpPort, "10.0.0.1,80", "10.0.0.1,tcp:80"),
        (SetKind::NetPort, "10.0.0.0/8,udp:53", "10.0.0.0/8,udp:53"),
        (SetKind::IpPortIp, "10.0.0.1,80,192.0.2.1", "10.0.0.1,tcp:80,192.0.2.1"),
        (SetKind::IpPortIp, "fd00::1,udp:53,fd00:0::2", "fd00::1,udp:53,fd00::2"),
    ] {
        assert_eq!(kind.member(text).expect("a member").to_string(), shown);
    }
    for (kind, text) in [
        (SetKind::Ip, "10.0.0.0/8"),
        (SetKind::Ip, "10.0.0.1,80"),
        (SetKind::IpPort, "10.0.0.1"),
        (SetKind::Net, "10.0.0.0/33"),
        (SetKind::Net, "example.com"),
        (SetKind::IpPort, "10.0.0.1,tcp:65536"),
        (SetKind::IpPort, "10.0.0.1,nonsense:1"),
        (SetKind::IpPort, "10.0.0.1,80,192.0.2.1"),
        (SetKind::IpPortIp, "10.0.0.1,80"),
        (SetKind::IpPortIp, "10.0.0.1,192.0.2.1"),
        (SetKind::IpPortIp, "10.0.0.1,80,fd00::1"),
        (SetKind::IpPortIp, "10.0.0.0/8,80,192.0.2.1"),
        (SetKind::IpPortIp, "10.0.0.1,80,192.0.2.0/24"),
        (SetKind::IpPortIp, "10.0.0.1,80,192.0.2.1 nomatch"),
        (SetKind::IpPortIp, "10.0.0.1,80,192.0.2.1,81"),
    ] {
        assert!(kind.member(text).is_err(), "{text}");
    }
}

#[test]
fn add_delete_flush_and_swap() {
    let (ours, theirs) = (set(SetKind::Ip, &["10.0.0.1"]), set(SetKind::Ip, &["10.0.0.2", "fd00::2"]));
    let member = |text: &str| SetKind::Ip.member(text).expect("a member");
    assert_eq!(ours.add(&member("10.0.0.1")), Ok(false));
    assert_eq!(ours.add(&member("10.0.0.3")), Ok(true));
    assert_eq!((ours.len(), ours.test(&member("10.0.0.3"))), (2, true));
    assert!(ours.delete(&member("10.0.0.1")) && !ours.delete(&member("10.0.0.1")));
    ours.swap(&theirs).expect("alike");
    assert_eq!((ours.len(), theirs.len()), (2, 1));
    assert!(ours.test(&member("fd00::2")) && theirs.test(&member("10.0.0.3")));
    ours.flush();
    assert!(ours.is_empty() && !ours.test(&member("10.0.0.2")));
    assert_eq!(ours.swap(&set(SetKind::Net, &[])), Err(SetError::Unlike));
    assert_eq!(ours.add(&"10.0.0.0/8".parse().expect("a network")), Err(SetError::Kind));
}

#[test]
fn a_set_is_full_at_its_bound() {
    let one = |n: usize| Member { network: host(n), port: None, second: None, nomatch: false };
    let all = |count: usize| (0..count).map(one).collect();
    let definition = |count| SetDefinition { name: "s".to_owned(), kind: SetKind::Ip, members: all(count) };
    let set = Set::new(&definition(SET_MEMBERS_MAX)).expect("as many as there may be");
    let more = one(SET_MEMBERS_MAX);
    assert_eq!(set.add(&more), Err(SetError::Full));
    assert!(set.delete(&all(1).remove(0)));
    assert_eq!(set.add(&more), Ok(true));
    assert!(Set::new(&definition(SET_MEMBERS_MAX + 1)).is_err());
}

fn host(n: usize) -> ipnet::IpNet {
    ipnet::IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(n as u32)))
}

/// Looks of the core, and changes at least, in the test below.
const CORE_LOOKS: usize = 20_000;
const CHANGES_MIN: u32 = 20_000;

/// What stays in the set is found at every moment, what never was in it at none, while all else comes and goes.
#[test]
fn a_core_finds_what_stays_while_the_rest_changes() {
    let kind = SetKind::Net;
    let stays: Vec<Member> = (0..200).map(|n| kind.member(&format!("fd00:{n:x}::/48")).expect("a network")).collect();
    let set = Arc::new(Set::new(&SetDefinition { name: "s".to_owned(), kind, members: stays.clone() }).expect("a set"));
    // The core has so much to do and no more; the set changes for as long as that takes.
    let core = {
        let set = Arc::clone(&set);
        std::thread::spawn(move || {
            for n in (0..200u16).cycle().take(CORE_LOOKS) {
                let inside = SocketAddr::new(format!("fd00:{n:x}::1").parse().expect("an address"), 1);
                let outside = SocketAddr::new(format!("fd01:{n:x}::1").parse().expect("an address"), 1);
                assert!(set.contains(6, inside, outside, &[SetDirection::Source]));
                assert!(!set.contains(6, inside, outside, &[SetDirection::Destination]));
            }
        })
    };
    let mut round = 0u32;
    while round < CHANGES_MIN || !core.is_finished() {
        let member = kind.member(&format!("fd02:{:x}::/{}", round % 300, 40 + round % 20)).expect("a network");
        // Three hundred are put in, and then taken out again.
        let changed = if round / 300 % 2 == 1 { set.delete(&member) } else { set.add(&member).expect("there is room") };
        assert!(changed, "round {round}");
        round = round.wrapping_add(1);
    }
    core.join().expect("the core found everything");
}

proptest! {
    /// Growth and graves of members with a second address, in both families.
    #[test]
    fn pairs_come_and_go(steps in prop::collection::vec((any::<bool>(), 0u16..30, 1u16..4), 1..300)) {
        let set = set(SetKind::IpPortIp, &[]);
        let mut model: HashSet<Member> = HashSet::new();
        for (adds, address, port) in steps {
            let text = match address % 2 {
                0 => format!("10.0.0.{address},{port},192.0.2.{port}"),
                _ => format!("fd00::{address:x},udp:{port},fd01::{port}"),
            };
            let member = SetKind::IpPortIp.member(&text).expect("a member");
            if adds {
                prop_assert_eq!(set.add(&member), Ok(model.insert(member)));
            } else {
                prop_assert_eq!(set.delete(&member), model.remove(&member));
            }
            prop_assert_eq!((set.len(), set.test(&member)), (model.len(), adds));
        }
        prop_assert_eq!(set.members(usize::MAX).into_iter().collect::<HashSet<_>>(), model.clone());
    }

    #[test]
    fn a_set_is_what_a_set_is(steps in prop::collection::vec((any::<bool>(), 0u32..60, 24u8..=32), 1..300)) {
        let set = set(SetKind::Net, &[]);
        let mut model: HashSet<Member> = HashSet::new();
        for (adds, address, length) in steps {
            let network = ipnet::Ipv4Net::new(address.into(), length).expect("a length").trunc();
            let member = Member { network: network.into(), port: None, second: None, nomatch: false };
            if adds {
                prop_assert_eq!(set.add(&member), Ok(model.insert(member)));
            } else {
                prop_assert_eq!(set.delete(&member), model.remove(&member));
            }
            prop_assert_eq!(set.len(), model.len());
        }
        prop_assert_eq!(set.members(usize::MAX).into_iter().collect::<HashSet<_>>(), model.clone());
        for address in 0..64u32 {
            let from = SocketAddr::new(std::net::Ipv4Addr::from_bits(address).into(), 1);
            let expected = model.iter().any(|member| member.network.contains(&from.ip()));
            prop_assert_eq!(set.contains(6, from, from, &[SetDirection::Source]), expected);
        }
    }
}
