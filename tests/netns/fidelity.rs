//! A mirrored connection as both hosts' devices saw it, field by field: the SYN that reaches the server is the client's SYN a
//! hop further on, the SYN-ACK that reaches the client is the server's, and so is the first data each way.
//!
//! What may differ is in `ALLOWED`, each with its reason; everything else that is compared must be equal, the time to live
//! one less. `tshark` reads both captures, so that no code of ours decides what a field is.

use crate::address::Family;
use crate::capture::{Capture, Captured};
use crate::servers::port;
use crate::world::{Middle, World};

/// The fields that are compared. Options are compared byte by byte, but for their timestamps.
const V4: [&str; 5] = ["ip.ttl", "ip.id", "ip.dsfield", "ip.flags", "ip.len"];
const V6: [&str; 4] = ["ipv6.hlim", "ipv6.tclass", "ipv6.flow", "ipv6.plen"];
const TCP: [&str; 10] = [
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.urgent_pointer",
    "tcp.len",
    "tcp.options",
    "tcp.payload",
];

/// What a leg of the gateway may say otherwise than the end whose place it takes: frame, field.
const ALLOWED: [(&str, &str); 6] = [
    // A leg's window is its own after the handshake: the other end's buffer is not behind it.
    ("command", "tcp.window_size_value"),
    ("greeting", "tcp.window_size_value"),
    // RFC 6864, 4.1: of a packet that is not fragmented the identification means nothing.
    ("SYN-ACK", "ip.id"),
    ("command", "ip.id"),
    ("greeting", "ip.id"),
    // Chosen by each sender by itself (RFC 6437); ours say nothing.
    ("any", "ipv6.flow"),
];

/// How far apart the two sides' clocks may be: a frame is under way for less than that, even on a busy machine.
const TICKS: u32 = 10_000;

#[test]
fn a_mirrored_connection_looks_the_same_on_both_sides() {
    let Some(world) = World::new(Middle::AfPacket) else { return };
    for family in Family::BOTH {
        let captures =
            [(&world.client, "client"), (&world.server, "server")].map(|(host, name)| Capture::start(host, name));
        let port = port::MIRRORED + port::GREETING;
        let server = family.server().to_string();
        // Either end finishes only when it has been answered: no FIN goes with what is compared.
        let result = world.client.client(&["read-line", &server, &port.to_string()]);
        assert_eq!(result["answer"], "QUIT\r\n", "{result}");
        let [client, server] = captures.map(Capture::stop);
        // Each frame: who looked at it first, and who a hop later.
        let from_client = format!("tcp.dstport == {port}");
        let from_server = format!("tcp.srcport == {port}");
        check(family, "SYN", &format!("{from_client} && tcp.flags.syn == 1"), &client, &server);
        check(family, "SYN-ACK", &format!("{from_server} && tcp.flags.syn == 1"), &server, &client);
        check(family, "command", &format!("{from_client} && tcp.len > 0"), &client, &server);
        check(family, "greeting", &format!("{from_server} && tcp.len > 0"), &server, &client);
    }
}

/// Compares the first frame that matches on either side.
#[track_caller]
fn check(family: Family, frame: &str, filter: &str, before: &Captured, after: &Captured) {
    let network: &[&str] = if family == Family::V4 { &V4 } else { &V6 };
    let fields = [network, &TCP].concat();
    let first = |captured: &Captured| {
        let row = captured.fields(filter, &fields).into_iter().next();
        row.unwrap_or_else(|| panic!("{frame}: no frame matches {filter}"))
    };
    let (before, after) = (first(before), first(after));
    let mut faults = Vec::new();
    for ((field, before), after) in fields.iter().zip(&before).zip(&after) {
        let same = match *field {
            "ip.ttl" | "ipv6.hlim" => number(after) + 1 == number(before),
            "tcp.options" => same_options(before, after),
            _ => before == after,
        };
        let allowed = ALLOWED.iter().any(|(frames, each)| [frame, "any"].contains(frames) && each == field);
        if !same {
            eprintln!("{family:?} {frame}: {field} {before} became {after}{}", if allowed { ", allowed" } else { "" });
        }
        if !same && !allowed {
            faults.push(format!("{field}: {before} became {after}"));
        }
    }
    assert!(faults.is_empty(), "{family:?} {frame}: {}", faults.join("; "));
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("a number: {text}"))
}

/// The same options in the same order, with clocks that go on alike.
fn same_options(before: &str, after: &str) -> bool {
    let ((before, clocks), (after, later)) = (split(before), split(after));
    // Either may be ahead: the leg's clock goes on from what the gateway heard, when it heard it.
    let near = |(a, b): (&u32, &u32)| b.wrapping_sub(*a).wrapping_add(TICKS) < 2 * TICKS;
    before == after && clocks.len() == later.len() && clocks.iter().zip(&later).all(near)
}

/// The options with zeros for timestamps, and the timestamps: the value, and the echo if there is one.
fn split(hex: &str) -> (Vec<u8>, Vec<u32>) {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let byte = |pair: Option<&str>| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let mut bytes: Vec<u8> = digits.map(|pair| byte(pair).unwrap_or_else(|| panic!("hexadecimal: {hex}"))).collect();
    let (mut at, mut clocks) = (0, Vec::new());
    while at < bytes.len() && bytes[at] != 0 {
        let length = if bytes[at] == 1 { 1 } else { usize::from(bytes[at + 1]).max(2) };
        if bytes[at] == 8 {
            for place in [at + 2, at + 6] {
                let clock: [u8; 4] = bytes[place..place + 4].try_into().expect("four bytes");
                clocks.push(u32::from_be_bytes(clock));
                bytes[place..place + 4].fill(0);
            }
        }
        at += length;
    }
    (bytes, clocks)
}

#[test]
fn options_are_the_same_when_only_clocks_went_on() {
    let syn = "020405b40402080a000003e80000000001030307";
    assert!(same_options(syn, syn) && same_options(syn, "020405b40402080a000003ea0000000001030307"));
    for other in ["", "020405b40402080a010003e80000000001030307", "020405b40402080a000003e80000000001030308"] {
        assert!(!same_options(syn, other), "{other}");
    }
}
