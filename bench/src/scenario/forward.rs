//! `forward`: 64-byte packets of `--flows` flows from one port to the other, no proxy reading them; our own work alone.
//!
//! With `--mode released` they are segments of TCP sessions that a plug has left to their ends, with `--mode forwarded`
//! UDP that the rules let through. Packets are made once and sent in turn, so each flow comes again after all others:
//! that is the worst there is for caches. One way, in memory; a device's own time is not in it, its copying is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tcp::{Config, Connection, State};

use super::ends::{Arrived, End, Servers, Tuple, opening};
use super::rig::{self, Rig, gateway_mac};
use super::{Mode, Progress, Settings};
use crate::machine;
use crate::report::{Rate, Report};
use dataplane::nic::PortId;

/// Flows, if nothing else is said.
const FLOWS: usize = 10_000;
/// Packets in a round: a ring that is fairly full.
const BURST: usize = 256;
/// Virtual time between rounds.
const STEP: Duration = Duration::from_micros(20);
/// Sessions that are opened at a time.
const OPENING: usize = 256;
/// Rounds that opening a group may take.
const ROUNDS: usize = 1_000;

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let count = settings.flows.unwrap_or(FLOWS).max(1);
    let mut rig = match settings.mode {
        Mode::Released => Rig::with(rig::PLUG, 1500)?,
        Mode::Forwarded => Rig::forwarding(1500)?,
        other => return Err(format!("forward has no mode {:?}", other.name())),
    };
    let mut clients = End::new(0, &rig.ends);
    let mut servers = Servers::new(End::new(1, &rig.ends), Config::default());
    let mut frames: Vec<Vec<u8>> = Vec::with_capacity(count);
    while frames.len() < count {
        let numbers = frames.len()..count.min(frames.len() + OPENING);
        if settings.mode == Mode::Forwarded {
            frames.extend(numbers.map(datagram));
        } else {
            open(&mut rig, &mut clients, &mut servers, numbers, &mut frames)?;
        }
    }
    let mut next = 0;
    let mut round = |rig: &mut Rig, clients: &mut End, servers: &mut Servers| {
        for _ in 0..BURST {
            rig.ends.inject(PortId(0), frames[next].clone());
            next = (next + 1) % frames.len();
        }
        rig.round(STEP);
        while clients.receive().is_some() {}
        servers.ignore();
    };
    for _ in 0..2 * count.div_ceil(BURST) {
        round(&mut rig, &mut clients, &mut servers);
    }
    rig.reset();
    let before = rig.counter("tx_packets");
    let mut sent = 0_u64;
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{sent} packets, {} flows", rig.flows())) {
        for _ in 0..64 {
            round(&mut rig, &mut clients, &mut servers);
            sent += BURST as u64;
        }
    }
    let passed = rig.counter("tx_packets") - before;
    if passed < sent {
        return Err(format!("of {sent} packets {passed} came out; dropped: {:?}", rig.drops()));
    }
    let (busy, done) = (rig.busy_ns as f64 / 1e9, sent as f64);
    let params = [
        ("mode", json!(settings.mode.name())),
        ("flows", json!(count)),
        ("bytes", json!(frames[0].len() + 4)),
        ("packets", json!(sent)),
    ];
    Ok(Report {
        scenario: "forward",
        params: params.into(),
        rate: Rate::Packets(done / busy),
        cycles_per_unit: busy * machine::cycles_per_second()? / done,
        drops: rig.drops(),
        latency: rig.turns,
        bytes_per_flow: None,
        peer: None,
    })
}

fn tuple(number: usize) -> Tuple {
    let address = Ipv4Addr::from_bits(0x0a01_0002 + (number / 50_000) as u32);
    let local = SocketAddr::new(address.into(), 10_000 + (number % 50_000) as u16);
    (local, SocketAddr::new(Ipv4Addr::new(10, 2, 0, 2).into(), 5_001))
}

/// Opens sessions, and notes a segment of six bytes of each, which without timestamps makes 64 bytes with the CRC.
fn open(
    rig: &mut Rig,
    clients: &mut End,
    servers: &mut Servers,
    numbers: std::ops::Range<usize>,
    frames: &mut Vec<Vec<u8>>,
) -> Result<(), String> {
    let config = Config::default();
    let mut opened: Vec<(Tuple, Connection<Bytes>)> = Vec::new();
    for number in numbers {
        let tuple = tuple(number);
        let ports = (tuple.0.port(), tuple.1.port());
        let opening = tcp::Opening { timestamp: None, ..opening(number as u64, 1460) };
        opened.push((tuple, Connection::connect(rig.now, ports, &config, opening)));
    }
    for _ in 0..ROUNDS {
        for (tuple, connection) in &mut opened {
            clients.transmit(rig.now, tuple, connection);
        }
        rig.round(Duration::from_millis(1));
        servers.round(rig.now, |_, _, _| {});
        rig.round(Duration::from_millis(1));
        while let Some(Arrived { tuple, segment }) = clients.receive() {
            if let Some((_, connection)) = opened.iter_mut().find(|(known, _)| *known == tuple) {
                let _discard = connection.handle_segment(rig.now, segment);
            }
        }
        for (_, connection) in &mut opened {
            if connection.deadline().is_some_and(|at| at <= rig.now) {
                connection.handle_timeout(rig.now);
            }
        }
        if opened.iter().all(|(_, connection)| connection.state() == State::Established) {
            break;
        }
    }
    for (tuple, connection) in &mut opened {
        clients.transmit(rig.now, tuple, connection);
        rig.round(STEP);
        connection.write(Bytes::from_static(b"limpid"));
        frames.push(clients.encode(rig.now, tuple, connection).ok_or("a session did not open")?);
    }
    Ok(())
}

/// A UDP datagram of 18 bytes: 64 with the CRC. Without a checksum, as IPv4 permits.
fn datagram(number: usize) -> Vec<u8> {
    let (local, remote) = tuple(number);
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (local.ip(), remote.ip()) else { return Vec::new() };
    let mut frame = Vec::with_capacity(60);
    frame.extend(gateway_mac(0));
    frame.extend([0x02, 1, 1, 1, 1, 0]);
    frame.extend([0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    let sum = tcp::checksum::finish(tcp::checksum::sum(&frame[14..34], 0));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(local.port().to_be_bytes());
    frame.extend(remote.port().to_be_bytes());
    frame.extend([0, 26, 0, 0]);
    frame.resize(60, b'x');
    frame
}
