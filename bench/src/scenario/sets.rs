//! `sets`: what it costs a rule to ask a set of a million members (`-m set`), next to hashbrown with the same addresses.
//!
//! The figure is that of `hash:ip`. In `params`, nanoseconds of every kind of set with as many members, of addresses that are
//! in it and of those that are not: networks are of three lengths, so a miss costs three probes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::policy::{Member, Set, SetDefinition, SetKind};
use control::rules::SetDirection;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Progress, Settings};
use crate::machine;
use crate::report::{Peer, Rate, Report};
use crate::stopwatch::Stopwatch;

const TCP: u8 = 6;
/// Look-ups between two looks at the clock.
const BURST: usize = 256;
/// Members if nothing else is said.
const MEMBERS: usize = 1_000_000;
/// Of every kind, what rules say.
const DIRECTIONS: [SetDirection; 3] = [SetDirection::Source; 3];

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let members = settings.flows.unwrap_or(MEMBERS).max(BURST);
    let short = Settings { seconds: settings.seconds / 4.0, quiet: true, ..*settings };
    let mut kinds = Map::new();
    let mut main = None;
    for kind in SetKind::ALL {
        let list: Vec<Member> = (0..members).map(|i| member(kind, i)).collect();
        let watch = Stopwatch::start();
        let definition = SetDefinition { name: "bench".to_owned(), kind, members: list };
        let set = Set::new(&definition).map_err(|error| error.to_string())?;
        let fill_ms = watch.nanos() as f64 / 1e6;
        let (hits, misses) = (asked(&definition.members, 0), asked(&definition.members, 1));
        let has = |flow: &SocketAddr| set.contains(TCP, *flow, *flow, &DIRECTIONS);
        if !hits.iter().all(has) || misses.iter().any(has) {
            return Err(format!("a set of {} has not what it should have", kind.name()));
        }
        let ns = |measured: Measured| (1e9 / measured.per_second).round();
        let hit = ns(measure(&short, &hits, has));
        let miss = ns(measure(&short, &misses, has));
        kinds.insert(kind.name().to_owned(), json!({ "hit": hit, "miss": miss, "fill_ms": fill_ms.round() }));
        if kind == SetKind::Ip {
            let mixed: Vec<SocketAddr> = hits.iter().zip(&misses).flat_map(|(hit, miss)| [*hit, *miss]).collect();
            let peer: hashbrown::HashSet<IpAddr, foldhash::fast::RandomState> =
                definition.members.iter().map(|member| member.network.addr()).collect();
            let theirs = measure(settings, &mixed, |flow| peer.contains(&flow.ip()));
            main = Some((measure(settings, &mixed, has), theirs));
        }
    }
    let (ours, theirs) = main.ok_or("no set is one of addresses")?;
    Ok(Report {
        scenario: "sets",
        params: [("members", json!(members)), ("ns_by_kind", Value::from(kinds))].into(),
        rate: Rate::Operations(ours.per_second),
        cycles_per_unit: machine::cycles_per_second()? / ours.per_second,
        latency: ours.latency,
        bytes_per_flow: None,
        drops: BTreeMap::new(),
        peer: Some(Peer { name: "hashbrown + foldhash".to_owned(), rate: theirs.per_second }),
    })
}

/// Member `i`: a network of its own of 256 addresses, of which it covers one, sixteen, or all.
fn member(kind: SetKind, i: usize) -> Member {
    let address = Ipv4Addr::from_bits((i as u32) << 8);
    let length = match kind {
        SetKind::Ip | SetKind::IpPort | SetKind::IpPortIp => 32,
        SetKind::Net | SetKind::NetPort => [24, 24, 28, 32][i % 4],
    };
    let network = ipnet::Ipv4Net::new(address, length).expect("a length of IPv4").into();
    let ported = matches!(kind, SetKind::IpPort | SetKind::NetPort | SetKind::IpPortIp);
    let second = (kind == SetKind::IpPortIp).then_some(IpAddr::V4(address));
    Member { network, port: ported.then_some((TCP, 80)), second, nomatch: false }
}

/// An address of every member's, `beside` of none, in random order.
fn asked(members: &[Member], beside: u32) -> Vec<SocketAddr> {
    let of = |member: &Member| {
        let IpAddr::V4(address) = member.network.addr() else { return SocketAddr::from(([0; 4], 0)) };
        // The upper half is free in all of a member's 256 addresses, if it is not the network of all of them.
        let outside = if member.network.prefix_len() == 24 { 0x8000_0000 } else { 200 };
        SocketAddr::new(Ipv4Addr::from_bits(address.to_bits() + beside * outside).into(), 80)
    };
    let mut asked: Vec<SocketAddr> = members.iter().map(of).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..asked.len()).rev() {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        asked.swap(i, ((random >> 33) as usize) % (i + 1));
    }
    asked
}

struct Measured {
    per_second: f64,
    latency: Histogram<u64>,
}

fn measure(settings: &Settings, flows: &[SocketAddr], contains: impl Fn(&SocketAddr) -> bool) -> Measured {
    let mut latency = crate::report::histogram();
    let (mut count, mut nanos) = (0u64, 0u64);
    let mut bursts = flows.chunks_exact(BURST).cycle();
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{:.2} M look-ups/s", count as f64 * 1e3 / nanos as f64)) {
        for burst in bursts.by_ref().take(64) {
            let watch = Stopwatch::start();
            black_box(burst.iter().filter(|flow| contains(flow)).count());
            let took = watch.nanos();
            latency.saturating_record(took / BURST as u64);
            nanos += took;
            count += BURST as u64;
        }
    }
    Measured { per_second: count as f64 * 1e9 / nanos as f64, latency }
}
