//! `lookup`: the tproxy table as a core reads it for a new flow, next to hashbrown with the same keys.
//!
//! The figure is that of one look-up after the other, as a core asks; `burst_per_s` is the same in bursts of 32.
//! `by_entries` has both, and hashbrown's, for tables from a thousand entries to as many as `--flows` says. Entries are made
//! the way proxies make them, by ASSIGN and FLAGS requests through a core's channels to the engine on a thread of its own, which is
//! timed as well (`assigns_per_s`: pairs). Keys are asked for in random order; every second one is not there. They are copied
//! together before the clock starts, as a core has the addresses it asks for in its cache.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use control::engine::{Engine, Setup};
use control::mailbox::{CoreLink, FromCore, ToCore};
use control::requests::Request;
use control::tproxy::{self, Flags, Table, Wanted};
use control::{Policy, config};
use crossbeam_channel::Receiver;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Progress, Settings};
use crate::machine;
use crate::report::{Peer, Rate, Report};
use crate::stopwatch::Stopwatch;

const TCP: u8 = 6;
/// Look-ups between two looks at the clock.
const BURST: usize = 256;
/// Entries if nothing else is said.
const ENTRIES: usize = 1 << 20;
/// Sizes that are measured beside, if they are smaller.
const SIZES: [usize; 4] = [1_000, 30_000, 1_000_000, 10_000_000];
/// Keys of entries that are asked for, at most.
const KEYS: usize = 1 << 20;
/// Ports used of each local address.
const PORTS: usize = 60_000;
/// Requests that wait for their answers at a time, as those of a core's many proxies do.
const IN_FLIGHT: usize = 1_024;

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let most = settings.flows.unwrap_or(ENTRIES).max(BURST);
    let short = Settings { seconds: settings.seconds / 4.0, quiet: true, ..*settings };
    let mut by_entries = Map::new();
    for entries in SIZES.into_iter().filter(|entries| *entries < most) {
        by_entries.insert(entries.to_string(), Figures::of(entries, &short)?.to_json());
    }
    let figures = Figures::of(most, settings)?;
    by_entries.insert(most.to_string(), figures.to_json());
    let Figures { single, burst, peer, assigns_per_s } = figures;
    let params = [
        ("entries", json!(most)),
        ("hits", json!(0.5)),
        ("assigns_per_s", json!(assigns_per_s.round())),
        ("burst_per_s", json!(burst.per_second.round())),
        ("by_entries", Value::from(by_entries)),
    ];
    Ok(Report {
        scenario: "lookup",
        params: params.into(),
        rate: Rate::Operations(single.per_second),
        cycles_per_unit: machine::cycles_per_second()? / single.per_second,
        latency: single.latency,
        bytes_per_flow: None,
        drops: BTreeMap::new(),
        peer: Some(Peer { name: "hashbrown + foldhash".to_owned(), rate: peer.per_second }),
    })
}

/// What one size of table does.
struct Figures {
    single: Measured,
    burst: Measured,
    peer: Measured,
    assigns_per_s: f64,
}

impl Figures {
    fn of(entries: usize, settings: &Settings) -> Result<Figures, String> {
        let (table, assigns_per_s) = fill(entries)?;
        let keys = keys(entries);
        let mut peer = hashbrown::HashMap::with_capacity_and_hasher(entries, foldhash::fast::RandomState::default());
        for i in 0..entries {
            peer.insert((TCP, foreign(i)), [i as u64; 8]);
        }
        let in_ours = |wanted: &Wanted| table.lookup_foreign(TCP, wanted.destination, wanted.source);
        let in_theirs = |wanted: &Wanted| peer.get(&(TCP, wanted.destination));
        if let Some(key) = keys.iter().find(|key| in_ours(key).is_some() != in_theirs(key).is_some()) {
            return Err(format!("the table and hashbrown differ about {key:?}"));
        }
        let in_bursts = |burst: &[Wanted]| {
            let mut hits = 0;
            table.lookup_foreign_burst(burst, |_, entry| hits += usize::from(black_box(entry).protocol == TCP));
            hits
        };
        let (found, there): (usize, usize) =
            (keys.chunks(BURST).map(in_bursts).sum(), keys.iter().filter(|key| in_theirs(key).is_some()).count());
        if found != there {
            return Err(format!("asked in bursts, the table has {found} of {there} keys"));
        }
        Ok(Figures {
            burst: measure(settings, &keys, in_bursts),
            single: measure(settings, &keys, |burst| {
                burst.iter().filter(|key| black_box(in_ours(key)).is_some()).count()
            }),
            peer: measure(settings, &keys, |burst| {
                burst.iter().filter(|key| black_box(in_theirs(key)).is_some()).count()
            }),
            assigns_per_s,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "per_s": self.single.per_second.round(),
            "burst_per_s": self.burst.per_second.round(),
            "hashbrown_per_s": self.peer.per_second.round(),
        })
    }
}

struct Measured {
    per_second: f64,
    latency: Histogram<u64>,
}

/// Look-ups of all keys over and over; `lookup` gives how many of a burst it found.
fn measure<K: Copy>(settings: &Settings, keys: &[K], lookup: impl Fn(&[K]) -> usize) -> Measured {
    let mut latency = crate::report::histogram();
    let (mut count, mut nanos) = (0u64, 0u64);
    let mut bursts = keys.chunks_exact(BURST).cycle();
    let mut near = Vec::with_capacity(BURST);
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{:.2} M look-ups/s", count as f64 * 1e3 / nanos as f64)) {
        // The first lap warms caches as they will be warm, and is not left out: laps are many.
        for burst in bursts.by_ref().take(64) {
            near.clear();
            near.extend_from_slice(burst);
            let watch = Stopwatch::start();
            black_box(lookup(black_box(&near)));
            let took = watch.nanos();
            latency.saturating_record(took / BURST as u64);
            nanos += took;
            count += BURST as u64;
        }
    }
    Measured { per_second: count as f64 * 1e9 / nanos as f64, latency }
}

/// The foreign address of entry `i`.
fn foreign(i: usize) -> SocketAddr {
    let address = Ipv4Addr::from_bits(0xc612_0000 + (i / 1_000) as u32);
    SocketAddr::new(IpAddr::V4(address), 1_000 + (i % 1_000) as u16)
}

/// Every key once (of many, a part) and one that is not there for each, in an order that no cache can guess.
fn keys(entries: usize) -> Vec<Wanted> {
    let every = entries.div_ceil(KEYS);
    let both = (0..entries).step_by(every).flat_map(|i| [foreign(i), absent(i)]);
    let mut keys: Vec<Wanted> = both.map(|key| Wanted { protocol: TCP, destination: key, source: key }).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..keys.len()).rev() {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        keys.swap(i, ((random >> 33) as usize) % (i + 1));
    }
    keys
}

fn absent(i: usize) -> SocketAddr {
    let mut address = foreign(i);
    address.set_port(address.port() + 20_000);
    address
}

/// ASSIGN and FLAGS for entry `i`.
fn pair(i: usize) -> [Request; 2] {
    let local = i / PORTS;
    let address = Ipv4Addr::new(10, (local / 200) as u8, (local % 200) as u8, 1);
    let local = SocketAddr::new(IpAddr::V4(address), 1 + (i % PORTS) as u16);
    let assign = Request::Assign { protocol: TCP, local, foreign: foreign(i), reuse: false, expires_ms: None };
    [assign, Request::Flags { protocol: TCP, local, set: Some(Flags::LISTEN) }]
}

/// Waits for an answer, and takes those that are behind it.
fn granted(answers: &Receiver<ToCore>) -> Result<usize, String> {
    let first = answers.recv().map_err(|_| "the engine has ended".to_owned())?;
    let mut count = 0;
    for answer in std::iter::once(first).chain(answers.try_iter()) {
        match answer {
            ToCore::TproxyReply { result: Ok(_), .. } => count += 1,
            other => return Err(format!("a request was not granted: {other:?}")),
        }
    }
    Ok(count)
}

/// A table of so many listening entries, and how many requests pairs a second it took to fill.
fn fill(entries: usize) -> Result<(Arc<Table>, f64), String> {
    let locals = entries.div_ceil(PORTS);
    let addresses: Vec<String> = (0..locals).map(|i| format!("10.{}.{}.1/24", i / 200, i % 200)).collect();
    let yaml = format!(
        "interfaces:\n  in: {{ port: \"net_null0\", addresses: [{}] }}\nservices:\n  s: {{ proxy: plug }}\n",
        addresses.join(", ")
    );
    let config = config::parse("bench.yaml", &yaml).map_err(|faults| faults.to_string())?;
    let policy = Arc::new(Policy::compile(&config, 1).map_err(|faults| faults.to_string())?);
    let (table, writer) = tproxy::table(entries, 7);
    let (to, answers) = crossbeam_channel::bounded(2 * IN_FLIGHT);
    let (ask, asked) = crossbeam_channel::bounded(2 * IN_FLIGHT);
    let setup = Setup { config, policy, writer, cores: vec![CoreLink { core: 0, to }], own_uid: 0, version: "bench" };
    let mut engine = Engine::new(0, setup);
    let control = std::thread::spawn(move || {
        while let Ok(message) = asked.recv() {
            engine.handle_core(0, message);
        }
    });
    let watch = Stopwatch::start();
    let mut answered = 0;
    for (sent, request) in (0..entries).flat_map(pair).enumerate() {
        while sent - answered >= IN_FLIGHT {
            answered += granted(&answers)?;
        }
        let asked = ask.send(FromCore::Tproxy { core: 0, ticket: sent as u64, request });
        asked.map_err(|_| "the engine has ended".to_owned())?;
    }
    while answered < 2 * entries {
        answered += granted(&answers)?;
    }
    let took = watch.elapsed();
    drop(ask);
    control.join().map_err(|_| "the engine broke".to_owned())?;
    Ok((table, entries as f64 / took.as_secs_f64()))
}
