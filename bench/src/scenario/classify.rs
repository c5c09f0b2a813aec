//! `classify`: what deciding about a new flow costs with many rules, next to walking them one by one.
//!
//! Each rule names one client and one port; flows fit a random one of them, and one in sixteen fits none and so meets
//! the policy at the chain's end. The walk that it is held against has the same rules as plain numbers in an array.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::{InterfaceId, Memory, NewFlow, NoTrace, PacketFacts, Policy, Verdict, config};
use hdrhistogram::Histogram;
use serde_json::json;

use super::{Progress, Settings};
use crate::machine;
use crate::report::{Peer, Rate, Report};
use crate::stopwatch::Stopwatch;

const TCP: u8 = 6;
/// Decisions between two looks at the clock.
const BURST: usize = 64;
/// Rules if nothing else is said.
const RULES: usize = 10_000;

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let rules = settings.flows.unwrap_or(RULES);
    let (few, many) = (policy(rules.min(100))?, policy(rules)?);
    let flows = flows(rules);
    let taken = |policy: &Policy, flow: &NewFlow| {
        matches!(policy.decide(flow, None, &mut Memory::observer(), &mut NoTrace).verdict, Verdict::Proxy { .. })
    };
    let array: Vec<(IpAddr, u16)> = (0..rules).map(client).collect();
    let walked = |flow: &NewFlow| {
        array.iter().any(|(address, port)| *address == flow.source.ip() && *port == flow.destination.port())
    };
    if let Some(flow) = flows.iter().find(|flow| taken(&many, flow) != walked(flow)) {
        return Err(format!("the policy and the walk differ about {flow:?}"));
    }
    let short = Settings { seconds: settings.seconds / 3.0, ..*settings };
    let with_few = measure(&short, &self::flows(rules.min(100)), |flow| taken(&few, flow));
    let with_many = measure(settings, &flows, |flow| taken(&many, flow));
    let walk = measure(&short, &flows, walked);
    let growth = with_few.per_second / with_many.per_second;
    let params = [
        ("rules", json!(rules)),
        ("ns_with_100_rules", json!((1e9 / with_few.per_second).round())),
        ("times_slower_than_100_rules", json!((growth * 100.0).round() / 100.0)),
    ];
    Ok(Report {
        scenario: "classify",
        params: params.into(),
        rate: Rate::Operations(with_many.per_second),
        cycles_per_unit: machine::cycles_per_second()? / with_many.per_second,
        latency: with_many.latency,
        bytes_per_flow: None,
        drops: BTreeMap::new(),
        peer: Some(Peer { name: "linear walk".to_owned(), rate: walk.per_second }),
    })
}

struct Measured {
    per_second: f64,
    latency: Histogram<u64>,
}

fn measure(settings: &Settings, flows: &[NewFlow], decide: impl Fn(&NewFlow) -> bool) -> Measured {
    let mut latency = crate::report::histogram();
    let (mut count, mut nanos) = (0u64, 0u64);
    let mut bursts = flows.chunks_exact(BURST).cycle();
    let mut progress = Progress::start(settings);
    while progress.goes_on(|| format!("{:.0} ns a decision", nanos as f64 / count as f64)) {
        for burst in bursts.by_ref().take(16) {
            let watch = Stopwatch::start();
            for flow in burst {
                black_box(decide(flow));
            }
            let took = watch.nanos();
            latency.saturating_record(took / BURST as u64);
            nanos += took;
            count += BURST as u64;
        }
    }
    Measured { per_second: count as f64 * 1e9 / nanos as f64, latency }
}

/// The client and the port of rule `i`.
fn client(i: usize) -> (IpAddr, u16) {
    (IpAddr::V4(Ipv4Addr::from_bits(0xc0a8_0002 + (i as u32 * 7) % 0xfff0)), 1_000 + (i % 5_000) as u16)
}

fn policy(rules: usize) -> Result<Policy, String> {
    let mut yaml = r#"
interfaces:
  intra: { port: "net_null0", addresses: [192.168.0.1/16] }
  inter: { port: "net_null1", addresses: [203.0.113.1/24] }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.254 }
zones:
  all: { networks: [0.0.0.0/0], inbound_services: ["*"], outbound_services: ["*"] }
services:
  anything: { proxy: plug }
listeners:
  - { port: 50000, service: anything }
rules: |
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
"#
    .to_owned();
    for (address, port) in (0..rules).map(client) {
        let _ = writeln!(yaml, "  -A PREROUTING -i intra -p tcp -s {address} --dport {port} -j TPROXY --on-port 50000");
    }
    yaml.push_str("  COMMIT\n  *filter\n  :INPUT DROP\n  :FORWARD DROP\n  :OUTPUT ACCEPT\n  -A INPUT -m tproxy -j ACCEPT\n  COMMIT\n");
    let config = config::parse("bench.yaml", &yaml).map_err(|faults| faults.to_string())?;
    Policy::compile(&config, 1).map_err(|faults| faults.to_string())
}

/// Flows in an order that no branch predictor can learn.
fn flows(rules: usize) -> Vec<NewFlow> {
    let destination = Ipv4Addr::new(198, 51, 100, 7);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let flow = |_| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let (source, port) = client((random >> 33) as usize % rules);
        let port = if random >> 60 == 0 { 999 } else { port };
        let (source, destination) = (SocketAddr::new(source, 40_000), SocketAddr::new(destination.into(), port));
        NewFlow { interface: InterfaceId(0), protocol: TCP, source, destination, packet: PacketFacts::default() }
    };
    (0..1 << 16).map(flow).collect()
}
