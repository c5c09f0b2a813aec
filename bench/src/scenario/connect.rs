//! `connect`: whole connections through the mirrored plug, from SYN to both FINs, with a request and a reply.
//!
//! So many clients at a time (`--flows`) each open, send `--size` bytes, get as many back, see the server's end and
//! close. The gateway keeps the TIME-WAIT of the side that closed first, as it must: `flows_held` says how many flows
//! were in its table at the end. A connection that ends otherwise is an error.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tcp::{Config, Connection, Instant, State};

use super::ends::{Arrived, End, Servers, Tuple, opening};
use super::rig::Rig;
use super::{Progress, Settings};
use crate::machine;
use crate::report::{Rate, Report};

/// Clients at a time, if nothing else is said.
const CLIENTS: usize = 64;
/// Bytes of request and reply, if nothing else is said.
const SIZE: usize = 100;
/// Virtual time between rounds: with a handful of rounds a connection, some 50,000 are in TIME-WAIT at a time.
const STEP: Duration = Duration::from_millis(10);
/// Connections before measuring begins.
const WARM_UP: u64 = 2_000;

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let (count, size) = (settings.flows.unwrap_or(CLIENTS), settings.size.unwrap_or(SIZE));
    let mut rig = Rig::with(settings.mode.plug()?, 1500)?;
    let mut servers = Servers::new(End::new(1, &rig.ends), config());
    let mut clients = Clients::new(End::new(0, &rig.ends), count, size);
    while clients.done < WARM_UP {
        round(&mut rig, &mut clients, &mut servers)?;
    }
    rig.reset();
    let first = clients.done;
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{} connections, {} flows", clients.done - first, rig.flows())) {
        for _ in 0..16 {
            round(&mut rig, &mut clients, &mut servers)?;
        }
    }
    let done = (clients.done - first) as f64;
    let busy = rig.busy_ns as f64 / 1e9;
    let params = [
        ("connections_at_a_time", json!(count)),
        ("mode", json!(settings.mode.name())),
        ("request_and_reply_bytes", json!(size)),
        ("connections", json!(done)),
        ("flows_held", json!(rig.flows())),
    ];
    Ok(Report {
        scenario: "connect",
        params: params.into(),
        rate: Rate::Connections(done / busy),
        cycles_per_unit: busy * machine::cycles_per_second()? / done,
        drops: rig.drops(),
        latency: rig.turns,
        bytes_per_flow: None,
        peer: None,
    })
}

fn config() -> Config {
    Config { time_wait: Duration::from_millis(1), ..Config::default() }
}

fn round(rig: &mut Rig, clients: &mut Clients, servers: &mut Servers) -> Result<(), String> {
    clients.round(rig.now)?;
    rig.round(STEP);
    let reply = &clients.reply;
    servers.round(rig.now, |now, _, connection| answer(now, connection, reply));
    Ok(())
}

/// A server: the whole request, then the reply and the end.
fn answer(now: Instant, connection: &mut Connection<Bytes>, reply: &Bytes) {
    if connection.state() == State::Established && connection.readable() >= reply.len() {
        while connection.read().is_some() {}
        connection.write(reply.clone());
        connection.shutdown(now);
    }
}

struct Client {
    tuple: Tuple,
    connection: Connection<Bytes>,
    request: Option<Bytes>,
    received: usize,
}

struct Clients {
    end: End,
    clients: Vec<Option<Client>>,
    number: u64,
    done: u64,
    reply: Bytes,
}

impl Clients {
    fn new(end: End, count: usize, size: usize) -> Self {
        let clients = (0..count).map(|_| None).collect();
        Self { end, clients, number: 0, done: 0, reply: vec![b'x'; size].into() }
    }

    /// Takes what has come in, and keeps as many connections open as there are to be.
    fn round(&mut self, now: Instant) -> Result<(), String> {
        while let Some(Arrived { tuple, segment }) = self.end.receive() {
            let slot =
                self.clients.iter_mut().find(|client| client.as_ref().is_some_and(|client| client.tuple == tuple));
            let Some(Some(client)) = slot else { continue };
            let _discard = client.connection.handle_segment(now, segment);
            client.go_on(now);
            self.end.transmit(now, &client.tuple, &mut client.connection);
        }
        for slot in &mut self.clients {
            if let Some(client) = slot {
                if client.connection.deadline().is_some_and(|at| at <= now) {
                    client.connection.handle_timeout(now);
                    self.end.transmit(now, &client.tuple, &mut client.connection);
                }
                if let Some(error) = client.connection.error() {
                    return Err(format!("a connection ended by {error:?} after {} bytes", client.received));
                }
                if !matches!(client.connection.state(), State::TimeWait | State::Closed) {
                    continue;
                }
                if client.received != self.reply.len() {
                    return Err(format!("a connection ended after {} of {} bytes", client.received, self.reply.len()));
                }
                self.done += 1;
            }
            let mut client = Client::open(now, self.number, &self.reply);
            self.number += 1;
            self.end.transmit(now, &client.tuple, &mut client.connection);
            *slot = Some(client);
        }
        Ok(())
    }
}

impl Client {
    fn open(now: Instant, number: u64, request: &Bytes) -> Self {
        // 50,000 ports of each of 60,000 clients: no tuple comes twice while the gateway remembers it.
        let address = Ipv4Addr::from_bits(0x0a01_0002 + (number / 50_000 % 60_000) as u32);
        let local = SocketAddr::new(address.into(), 10_000 + (number % 50_000) as u16);
        let remote = SocketAddr::new(Ipv4Addr::new(10, 2, 0, 2).into(), 80);
        let config = config();
        let opening = opening(number, config.mss_max);
        let connection = Connection::connect(now, (local.port(), remote.port()), &config, opening);
        Self { tuple: (local, remote), connection, request: Some(request.clone()), received: 0 }
    }

    /// Asks, reads, and closes when the server has.
    fn go_on(&mut self, now: Instant) {
        if self.connection.state() == State::Established
            && let Some(request) = self.request.take()
        {
            self.connection.write(request);
        }
        while let Some(bytes) = self.connection.read() {
            self.received += bytes.len();
        }
        if self.connection.peer_finished() && self.connection.state() == State::CloseWait {
            self.connection.shutdown(now);
        }
    }
}
