//! Links of flows to entries: what ends them, and that none outlives its entry however cores and writer race.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::requests::{Caller, TCP, UDP};
use crate::tproxy::{Audit, Flags, Link, Table, Writer, table, unplaced};

const LOCAL: &str = "10.0.0.1:5000";
const FOREIGN: &str = "203.0.113.9:53";
const CLIENT: &str = "192.168.1.77:40000";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a test's address is one")
}

fn assign(writer: &mut Writer, protocol: u8, local: &str, foreign: &str) {
    let audit = Audit { owner: Caller::Simulator, since_us: 0, expires_us: Some(1_000) };
    let entry = unplaced(protocol, address(local), address(foreign), Flags::empty());
    writer.insert(entry, audit).expect("there is room");
    assert_eq!(writer.set_flags((protocol, address(local)), Flags::LISTEN), Ok(true));
}

fn link(table: &Table, protocol: u8, foreign: &str) -> Link {
    let seen = table.changes();
    table.lookup_foreign(protocol, address(foreign), address(CLIENT)).expect("it listens there").link(seen)
}

#[test]
fn changes_of_udp_entries_end_their_links_and_no_others() {
    type Change = fn(&mut Writer);
    let changes: [Change; 5] = [
        |writer| assert_eq!(writer.set_flags((UDP, address(LOCAL)), Flags::LISTEN), Ok(true)),
        |writer| assert!(writer.release((UDP, address(LOCAL)))),
        |writer| assert_eq!(writer.expire(1_000).len(), 3),
        |writer| assert_eq!(writer.rekey((UDP, address(LOCAL)), address("203.0.113.9:54"), None), Ok(true)),
        |writer| assert_eq!(writer.rekey((UDP, address(LOCAL)), address(FOREIGN), Some(address(CLIENT))), Ok(true)),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let (table, mut writer) = table(16, 1);
        assign(&mut writer, UDP, LOCAL, FOREIGN);
        assign(&mut writer, UDP, "10.0.0.1:5001", "203.0.113.9:99");
        assign(&mut writer, TCP, LOCAL, FOREIGN);
        let (flow, other) = (link(&table, UDP, FOREIGN), link(&table, UDP, "203.0.113.9:99"));
        assert!(table.stands(flow) && table.stands(other));
        let before = table.changes();
        writer.set_flags((TCP, address(LOCAL)), Flags::CONNECT).expect("there is room");
        assert_eq!(table.changes(), before, "connections carry their own mapping");
        change(&mut writer);
        assert!(table.changes() > before && !table.stands(flow), "{n}");
        assert_eq!(table.stands(other), n != 2, "{n}");
    }
}

#[test]
fn what_comes_to_the_slot_later_has_links_of_its_own() {
    let (table, mut writer) = table(1, 1);
    assign(&mut writer, UDP, LOCAL, FOREIGN);
    let first = link(&table, UDP, FOREIGN);
    assert!(writer.release((UDP, address(LOCAL))));
    assign(&mut writer, UDP, LOCAL, FOREIGN);
    let second = link(&table, UDP, FOREIGN);
    assert!(!table.stands(first) && table.stands(second));
}

#[test]
fn no_link_to_what_an_entry_was_outlives_the_change() {
    let (table, mut writer) = table(16, 1);
    assign(&mut writer, UDP, LOCAL, FOREIGN);
    let done = Arc::new(AtomicBool::new(false));
    let cores: Vec<_> = (0..2)
        .map(|_| {
            let (table, done) = (Arc::clone(&table), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut links = Vec::new();
                while !done.load(Ordering::Acquire) {
                    let seen = table.changes();
                    if let Some(entry) = table.lookup_foreign(UDP, address(FOREIGN), address(CLIENT)) {
                        links.push((entry.flags, entry.link(seen)));
                    }
                    if links.len() > 50_000 {
                        links.drain(..25_000);
                    }
                }
                links
            })
        })
        .collect();
    for n in 0..50_000 {
        let flags = if n % 2 == 0 { Flags::LISTEN | Flags::UNIDIR } else { Flags::LISTEN };
        writer.set_flags((UDP, address(LOCAL)), flags).expect("there is room");
    }
    writer.set_flags((UDP, address(LOCAL)), Flags::LISTEN | Flags::CONNECT).expect("there is room");
    done.store(true, Ordering::Release);
    for core in cores {
        for (flags, link) in core.join().expect("a core does not panic") {
            assert!(flags.contains(Flags::CONNECT) || !table.stands(link), "{flags}");
        }
    }
}
