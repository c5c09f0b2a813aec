//! `http`: requests through the http proxy, on connections that are kept and on one connection each; and the same in TLS that
//! the gateway ends and makes anew (bumped).
//!
//! So many clients at a time (`--flows`) each connect, ask for the same page again and again and read it whole (`--size` bytes), then
//! close. What the gateway passes on is checked: every reply is as long as it says, every connection ends as it should.
//! Figures are of the gateway's busy turns alone; handshakes, requests and closes are all in them. Beside it, where the
//! machine has what that needs, HAProxy and the gateway as processes ([`peer`]).

mod channel;
mod clients;
mod keys;
mod peer;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tcp::Config;

use self::channel::Channel;
use self::clients::{Clients, Plan};
use self::keys::Keys;
use super::ends::{End, Servers, Tuple};
use super::rig::{self, Rig};
use super::{Progress, Settings};
use crate::machine;
use crate::report::{Peer, Rate, Report};

/// Clients at a time, if nothing else is said.
const CLIENTS: usize = 64;
/// Bytes of a page, if nothing else is said.
const SIZE: usize = 100;
/// Requests on a connection that is kept.
const KEPT: u64 = 100;
/// Virtual time between rounds.
const STEP: Duration = Duration::from_millis(1);
/// Requests before measuring begins.
const WARM_UP: u64 = 2_000;

/// What one way of asking costs.
struct Cost {
    requests: f64,
    busy_s: f64,
    cycles: f64,
}

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let keys = Keys::new()?;
    let part = Settings { seconds: settings.seconds / 3.0, ..*settings };
    let (kept, rig) = measure(&part, rig::HTTP, None, KEPT)?;
    let (closed, _) = measure(&part, rig::HTTP, None, 1)?;
    let (bumped, _) = measure(&part, &keys.service(), Some(&keys), KEPT)?;
    let (shaken, _) = measure(&part, &keys.service(), Some(&keys), 1)?;
    let mut params: std::collections::BTreeMap<&'static str, Value> = [
        ("clients_at_a_time", json!(settings.flows.unwrap_or(CLIENTS))),
        ("reply_bytes", json!(settings.size.unwrap_or(SIZE))),
        ("requests", json!(kept.requests)),
        ("requests_on_a_connection", json!(KEPT)),
        ("one_each_requests_per_s", json!(closed.requests / closed.busy_s)),
        ("one_each_cycles", json!(closed.cycles)),
        ("tls_requests_per_s", json!(bumped.requests / bumped.busy_s)),
        ("tls_cycles", json!(bumped.cycles)),
        ("tls_one_each_requests_per_s", json!(shaken.requests / shaken.busy_s)),
        ("tls_one_each_cycles", json!(shaken.cycles)),
    ]
    .into();
    let beside = peer::measure(settings);
    if let Err(why) = &beside {
        params.insert("beside_haproxy", json!(why));
    }
    let beside = beside.ok();
    let peer = beside.as_ref().map(|beside| {
        params.extend(beside.params());
        // In the unit of what is held against it: ours at the same place.
        Peer {
            name: format!(
                "HAProxy mode http over veth, at {:.1} us a request (ours there {:.1})",
                beside.haproxy.kept_us, beside.limpid.kept_us
            ),
            rate: kept.requests / kept.busy_s * beside.limpid.kept_us / beside.haproxy.kept_us,
        }
    });
    Ok(Report {
        scenario: "http",
        params,
        rate: Rate::Operations(kept.requests / kept.busy_s),
        cycles_per_unit: kept.cycles,
        drops: rig.drops(),
        latency: rig.turns,
        bytes_per_flow: None,
        peer,
    })
}

/// Asks for so long, so many times on each connection.
fn measure(settings: &Settings, service: &str, keys: Option<&Keys>, times: u64) -> Result<(Cost, Rig), String> {
    let (count, size) = (settings.flows.unwrap_or(CLIENTS), settings.size.unwrap_or(SIZE));
    let mut rig = Rig::with(service, 1500)?;
    let mut servers = Servers::new(End::new(1, &rig.ends), config());
    let mut clients = Clients::new(End::new(0, &rig.ends), count, Plan { times, size, tls: keys.map(Keys::client) });
    let mut channels: HashMap<Tuple, Channel> = HashMap::new();
    let reply = reply(size, times > 1);
    let mut round = |rig: &mut Rig, clients: &mut Clients| -> Result<(), String> {
        clients.round(rig.now)?;
        rig.round(STEP);
        servers.round(rig.now, |now, tuple, connection| {
            let channel = channels.entry(*tuple).or_insert_with(|| Channel::server(keys.map(Keys::server)));
            for said in channel.read(connection) {
                // One request is one record and one segment here; none is sent before the last one is answered.
                if said.ends_with(b"\r\n\r\n") {
                    channel.write(connection, &reply);
                    if times == 1 {
                        channel.finish(now, connection);
                    }
                }
            }
            if connection.peer_finished() {
                channel.finish(now, connection);
                channels.remove(tuple);
            }
        });
        Ok(())
    };
    while clients.done < WARM_UP {
        round(&mut rig, &mut clients)?;
    }
    rig.reset();
    let first = clients.done;
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{} requests", clients.done - first)) {
        for _ in 0..16 {
            round(&mut rig, &mut clients)?;
        }
    }
    let (requests, busy_s) = ((clients.done - first) as f64, rig.busy_ns as f64 / 1e9);
    Ok((Cost { requests, busy_s, cycles: busy_s * machine::cycles_per_second()? / requests }, rig))
}

fn config() -> Config {
    Config { time_wait: Duration::from_millis(1), ..Config::default() }
}

fn reply(size: usize, kept: bool) -> Bytes {
    let connection = if kept { "keep-alive" } else { "close" };
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\nConnection: {connection}\r\n\r\n"
    )
    .into_bytes();
    reply.resize(reply.len() + size, b'x');
    reply.into()
}
