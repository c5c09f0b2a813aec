//! `tshark`'s expert analysis of connections through the gateway finds nothing that it does not find between Linux and Linux:
//! no retransmission, gap, disorder, damaged sum or filled window that nobody needed.
//!
//! The same is done in worlds that differ only in the middle, captured at both hosts. Of the gateway's world only frames
//! that the gateway sent count; of Linux's, all. Kinds are compared over all uses together: a proxy passes one end's slowness
//! on, so that a window fills at another place. On a busy machine a host may be late and send again, in one world and not in
//! the other: what counts is found in each of `RUNS`. What chance brings is not; what a TCP does wrong is.

use crate::address::Family;
use crate::capture::Capture;
use crate::servers::port;
use crate::transfers::write_words;
use crate::world::{Middle, World};
use std::collections::BTreeSet;

/// Enough for windows to open wide, and to fill all buffers of a reader who does not read.
const BYTES: u64 = 8 << 20;

/// How often a finding has to come. Nearly always the first run has none.
const RUNS: usize = 3;

#[test]
fn experts_find_no_more_than_between_linux_and_linux() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut surplus: Option<BTreeSet<String>> = None;
    for _ in 0..RUNS {
        let Some(linux) = findings(Middle::Kernel) else { return };
        let Some(limpid) = findings(Middle::AfPacket) else { return };
        assert!(!linux.is_empty(), "an oracle that finds nothing in a slow reader is none");
        known.extend(linux);
        let more = limpid.into_iter().filter(|kind| !known.contains(kind));
        let more: BTreeSet<String> = match surplus.take() {
            None => more.collect(),
            Some(before) => more.filter(|kind| before.contains(kind)).collect(),
        };
        if more.is_empty() {
            return;
        }
        eprintln!("once more: only with the gateway: {more:#?}");
        surplus = Some(more);
    }
    panic!("{RUNS} times, and only with the gateway: {surplus:#?}");
}

/// What is found at the client's and at the server's device, in frames that came from the middle (and with Linux there, all).
#[track_caller]
fn findings(middle: Middle) -> Option<BTreeSet<String>> {
    let world = World::new(middle)?;
    let captures = [
        (Capture::start(&world.client, "client"), Family::BOTH.map(Family::server)),
        (Capture::start(&world.server, "server"), Family::BOTH.map(Family::client)),
    ];
    for (family, hundred) in [(Family::V4, port::MIRRORED), (Family::V6, port::IMMEDIATE)] {
        use_all(&world, family, hundred);
    }
    let captures = captures.map(|(capture, senders)| (capture.stop(), senders));
    let all = captures.iter().flat_map(|(captured, senders)| {
        let found = captured.findings();
        found.into_iter().filter(|(sender, _)| middle == Middle::Kernel || senders.contains(sender)).collect::<Vec<_>>()
    });
    Some(all.map(|(_, kind)| kind).collect())
}

/// Every use of a connection, each at a port of its own.
#[track_caller]
fn use_all(world: &World, family: Family, hundred: u16) {
    let path = world.servers().documents().join("words");
    write_words(&path, BYTES).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (file, server) = (path.to_str().expect("a plain path"), family.server().to_string());
    let client = |command: &str, behaviour: u16| {
        world.client.client(&[command, &server, &(hundred + behaviour).to_string(), "--text", file])
    };
    let down = format!("curl -sS -g -m 60 'http://{}/words' | cmp - '{file}'", family.server_at(80));
    let echo = format!("nc -N -w 30 {server} {} <'{file}' | cmp - '{file}'", hundred + port::ECHO);
    for pipeline in [down, echo] {
        world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &pipeline]).successful();
    }
    assert_eq!(client("upload", port::DIGEST)["sent"], BYTES);
    assert_eq!(client("read-late", port::GREETING)["result"], "ok");
    assert_eq!(client("speak-after-eof", port::FINISHES_FIRST)["result"], "ok");
    assert_eq!(client("be-reset", port::RESETS)["result"], "ECONNRESET");
    if hundred == port::MIRRORED {
        assert_eq!(client("keep-alive", port::WATCHES)["reply"], "ok\n");
        // Answered first, a client learns too late that nobody is there.
        assert_eq!(client("connect", port::CLOSED)["result"], "ECONNREFUSED");
    }
}
