//! `bulk`: clients send without end, servers read, both legs terminated in the gateway; payload a second.
//!
//! `--flows` connections at a time, over ports that take IP packets of `--size` bytes. The goal is per byte, so figures
//! are of payload that has arrived at servers; the gateway's time includes the acknowledgments it takes and gives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tcp::{Config, Connection, State};

use super::ends::{Arrived, End, Servers, Tuple, opening};
use super::rig::Rig;
use super::{Progress, Settings};
use crate::machine;
use crate::report::{Rate, Report};

/// Connections, if nothing else is said.
const CONNECTIONS: usize = 8;
/// Largest IP packet, if nothing else is said.
const MTU: usize = 1500;
/// Virtual time between rounds, which is half of the round trip.
const STEP: Duration = Duration::from_micros(200);
/// Bytes that a client hands to its connection at once.
const CHUNK: Bytes = Bytes::from_static(&[b'.'; 65_536]);
/// Rounds before measuring begins, for windows to open.
const WARM_UP: usize = 100;

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let count = settings.flows.unwrap_or(CONNECTIONS);
    let mtu = settings.size.unwrap_or(MTU);
    let mtu = u16::try_from(mtu).map_err(|_| format!("--size {mtu}: an IP packet has at most 65535 bytes"))?;
    let mut rig = Rig::with(settings.mode.plug()?, mtu)?;
    let config = Config { mss_max: mtu - 40, ..Config::default() };
    let mut servers = Servers::new(End::new(1, &rig.ends), config.clone());
    let mut clients = Clients::new(&rig, count, &config);
    let mut received = 0;
    for _ in 0..WARM_UP {
        received += round(&mut rig, &mut clients, &mut servers)?;
    }
    if received == 0 {
        return Err("nothing arrives".to_owned());
    }
    rig.reset();
    received = 0;
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{:.2} GB", received as f64 / 1e9)) {
        received += round(&mut rig, &mut clients, &mut servers)?;
    }
    let busy = rig.busy_ns as f64 / 1e9;
    let params = [
        ("connections", json!(count)),
        ("mode", json!(settings.mode.name())),
        ("mtu", json!(mtu)),
        ("gigabytes", json!((received as f64 / 1e7).round() / 100.0)),
    ];
    Ok(Report {
        scenario: "bulk",
        params: params.into(),
        rate: Rate::Bits(received as f64 * 8.0 / busy),
        cycles_per_unit: busy * machine::cycles_per_second()? / received as f64,
        drops: rig.drops(),
        latency: rig.turns,
        bytes_per_flow: None,
        peer: None,
    })
}

/// Everybody goes on once; gives the payload that servers have read.
fn round(rig: &mut Rig, clients: &mut Clients, servers: &mut Servers) -> Result<u64, String> {
    clients.round(rig)?;
    rig.round(STEP);
    let mut received = 0;
    servers.round(rig.now, |_, _, connection| {
        while let Some(bytes) = connection.read() {
            received += bytes.len() as u64;
        }
    });
    rig.round(STEP);
    Ok(received)
}

struct Clients {
    end: End,
    clients: Vec<(Tuple, Connection<Bytes>)>,
}

impl Clients {
    fn new(rig: &Rig, count: usize, config: &Config) -> Self {
        let client = |number: usize| {
            let local = SocketAddr::new(Ipv4Addr::new(10, 1, 0, 2).into(), 10_000 + number as u16);
            let remote = SocketAddr::new(Ipv4Addr::new(10, 2, 0, 2).into(), 5_001);
            let opening = opening(number as u64, config.mss_max);
            ((local, remote), Connection::connect(rig.now, (local.port(), remote.port()), config, opening))
        };
        Self { end: End::new(0, &rig.ends), clients: (0..count).map(client).collect() }
    }

    fn round(&mut self, rig: &Rig) -> Result<(), String> {
        let now = rig.now;
        while let Some(Arrived { tuple, segment }) = self.end.receive() {
            if let Some((_, connection)) = self.clients.iter_mut().find(|(known, _)| *known == tuple) {
                let _discard = connection.handle_segment(now, segment);
            }
        }
        for (tuple, connection) in &mut self.clients {
            if connection.deadline().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
            }
            if let Some(error) = connection.error() {
                return Err(format!("a connection ended by {error:?}"));
            }
            while connection.state() == State::Established && connection.writable() > 0 {
                connection.write(CHUNK);
            }
            self.end.transmit(now, tuple, connection);
        }
        Ok(())
    }
}
