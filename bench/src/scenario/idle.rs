//! `idle`: memory of a session that has nothing to say, both legs of it, by how much the process grows with them.
//!
//! `--flows` sessions are opened and left alone, after as many as it takes for buffers and tables to have their size.
//! Their ends are forgotten here as soon as the handshakes are done, so that what grows is the gateway's. Nothing was
//! said on them: a session that has carried data may hold more. Modes: `released`, `terminated`, `http` (which waits
//! for a request). The rate is of opening, the cycles are of opening one.

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

/// Sessions, if nothing else is said.
const SESSIONS: usize = 50_000;
/// Sessions opened before measuring begins.
const WARM_UP: usize = 5_000;
/// Sessions that are opened at a time.
const GROUP: usize = 250;
/// Rounds that opening a group may take.
const ROUNDS: usize = 1_000;
/// Virtual time between rounds.
const STEP: Duration = Duration::from_millis(1);

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let count = settings.flows.unwrap_or(SESSIONS).max(GROUP);
    let mut rig = Rig::with(settings.mode.service()?, 1500)?;
    let mut clients = End::new(0, &rig.ends);
    let mut servers = Servers::new(End::new(1, &rig.ends), Config::default());
    let mut opened = 0;
    while opened < WARM_UP {
        opened += open(&mut rig, &mut clients, &mut servers, opened)?;
    }
    rig.reset();
    let (first, before, flows) = (opened, resident()?, rig.flows());
    let mut progress = Progress::start(settings);
    while opened - first < count {
        opened += open(&mut rig, &mut clients, &mut servers, opened)?;
        let _goes_on = progress.goes_on(|| format!("{} sessions, {} flows", opened - first, rig.flows()));
    }
    let done = (opened - first) as f64;
    if rig.flows() < flows + opened - first {
        return Err(format!("of {done} sessions only {} flows are left: {:?}", rig.flows(), rig.drops()));
    }
    let busy = rig.busy_ns as f64 / 1e9;
    let params = [("mode", json!(settings.mode.name())), ("sessions", json!(done))];
    Ok(Report {
        scenario: "idle",
        params: params.into(),
        rate: Rate::Connections(done / busy),
        cycles_per_unit: busy * machine::cycles_per_second()? / done,
        drops: rig.drops(),
        latency: rig.turns,
        bytes_per_flow: Some((resident()? as f64 - before as f64) / done),
        peer: None,
    })
}

/// Opens a group of sessions and forgets their ends.
fn open(rig: &mut Rig, clients: &mut End, servers: &mut Servers, first: usize) -> Result<usize, String> {
    let config = Config::default();
    let mut group: Vec<(Tuple, Connection<Bytes>)> = Vec::with_capacity(GROUP);
    for number in first..first + GROUP {
        let address = Ipv4Addr::from_bits(0x0a01_0002 + (number / 50_000) as u32);
        let local = SocketAddr::new(address.into(), 10_000 + (number % 50_000) as u16);
        let remote = SocketAddr::new(Ipv4Addr::new(10, 2, 0, 2).into(), 80);
        let opening = opening(number as u64, config.mss_max);
        let connection = Connection::connect(rig.now, (local.port(), remote.port()), &config, opening);
        group.push(((local, remote), connection));
    }
    let open = |group: &[(Tuple, Connection<Bytes>)]| {
        group.iter().filter(|(_, connection)| connection.state() == State::Established).count()
    };
    for _ in 0..ROUNDS {
        for (tuple, connection) in &mut group {
            if connection.deadline().is_some_and(|at| at <= rig.now) {
                connection.handle_timeout(rig.now);
            }
            clients.transmit(rig.now, tuple, connection);
        }
        if open(&group) == GROUP {
            // The last acknowledgments: the sessions begin by them.
            rig.round(STEP);
            servers.round(rig.now, |_, _, _| {});
            rig.round(STEP);
            servers.forget();
            while clients.receive().is_some() {}
            return Ok(GROUP);
        }
        rig.round(STEP);
        servers.round(rig.now, |_, _, _| {});
        rig.round(STEP);
        while let Some(Arrived { tuple, segment }) = clients.receive() {
            if let Some((_, connection)) = group.iter_mut().find(|(known, _)| *known == tuple) {
                let _discard = connection.handle_segment(rig.now, segment);
            }
        }
    }
    Err(format!("{} of {GROUP} sessions opened; dropped: {:?}", open(&group), rig.drops()))
}

/// Bytes of memory that this process has touched and still has.
fn resident() -> Result<u64, String> {
    let text = std::fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| "/proc/self/status does not say how much memory we have".to_owned())
}
