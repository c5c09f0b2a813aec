//! `classify`: what deciding about a new flow costs with few and with many rules, by the index and rule by rule.
//!
//! Three shapes of rule sets, each with 10, 100, 1,000 and 10,000 rules in table tproxy:
//!
//! | shape | a rule is |
//! | - | - |
//! | `hosts` | one client and one port |
//! | `firewall` | a client network, a server network and two ports or ranges, in a chain of the interface |
//! | `overlap` | source ports up to a bound, destination ports from it on: every rule overlaps every other |
//!
//! Beside them `policy_rules`, up to as many as there can be: one rule redirects everything, and the best match of these
//! chooses the service. A rule is a client network, a server network and a port.
//!
//! Flows fit a random rule, or none and so meet the policy at the chain's end. The walk that all this is held against is
//! the same `Policy::decide` with a listener that wants to hear of every rule, as `explain` does: same rules, same code
//! for what fits, no index.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use control::limits::POLICY_RULES_MAX;
use control::policy::Step;
use control::{InterfaceId, Memory, NewFlow, NoTrace, PacketFacts, Policy, Trace, Verdict, config};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Progress, Settings};
use crate::machine;
use crate::report::{Peer, Rate, Report};
use crate::stopwatch::Stopwatch;

const TCP: u8 = 6;
/// Decisions between two looks at the clock.
const BURST: usize = 64;
/// Rules if nothing else is said.
const RULES: usize = 10_000;
/// Flows of each kind, in an order that no branch predictor can learn.
const FLOWS: usize = 1 << 13;
const SHAPES: [Shape; 3] = [Shape::Hosts, Shape::Firewall, Shape::Overlap];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Hosts,
    Firewall,
    Overlap,
}

/// Hears of every rule and does nothing with it.
struct Linear;

impl Trace for Linear {
    #[inline(always)]
    fn step(&mut self, _: Step<'_>) {}
}

pub(crate) fn run(settings: &Settings) -> Result<Report, String> {
    let most = settings.flows.unwrap_or(RULES);
    let sizes: Vec<usize> = [10, 100, 1_000].into_iter().filter(|rules| *rules < most).chain([most]).collect();
    let short = Settings { seconds: settings.seconds / 12.0, quiet: true, ..*settings };
    let mut shapes = Map::new();
    let mut main = None;
    for shape in SHAPES {
        let mut of_shape = Map::new();
        for rules in &sizes {
            let table = Table::new(shape, *rules)?;
            let (figures, mixed) = table.figures(settings, &short, shape == Shape::Hosts && *rules == most)?;
            of_shape.insert(rules.to_string(), figures);
            main = main.or(mixed);
        }
        shapes.insert(format!("{shape:?}").to_lowercase(), of_shape.into());
    }
    let (mixed, linear) = main.ok_or("no shape has the most rules")?;
    let mut policy_rules = Map::new();
    for rules in [10, 100, 1_000, POLICY_RULES_MAX] {
        policy_rules.insert(rules.to_string(), Table::of_policy_rules(rules)?.best_match(&short));
    }
    Ok(Report {
        scenario: "classify",
        params: [
            ("rules", json!(most)),
            ("ns_by_shape_and_rules", Value::from(shapes)),
            ("ns_by_policy_rules", Value::from(policy_rules)),
        ]
        .into(),
        rate: Rate::Operations(mixed.per_second),
        cycles_per_unit: machine::cycles_per_second()? / mixed.per_second,
        latency: mixed.latency,
        bytes_per_flow: None,
        drops: BTreeMap::new(),
        peer: Some(Peer { name: "linear walk".to_owned(), rate: linear.per_second }),
    })
}

/// A rule set with flows for it.
struct Table {
    policy: Policy,
    compile_ms: f64,
    hits: Vec<NewFlow>,
    misses: Vec<NewFlow>,
}

impl Table {
    fn new(shape: Shape, rules: usize) -> Result<Table, String> {
        Table::compiled(shape, rules, &yaml(shape, rules))
    }

    /// Flows of the shape `firewall`, whose rules choose services here.
    fn of_policy_rules(rules: usize) -> Result<Table, String> {
        Table::compiled(Shape::Firewall, rules, &yaml_of_policy_rules(rules))
    }

    fn compiled(shape: Shape, rules: usize, yaml: &str) -> Result<Table, String> {
        let config = config::parse("bench.yaml", yaml).map_err(|faults| faults.to_string())?;
        let watch = Stopwatch::start();
        let policy = Policy::compile(&config, 1).map_err(|faults| faults.to_string())?;
        let compile_ms = watch.nanos() as f64 / 1e6;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut flows = |hit: bool| (0..FLOWS).map(|_| shape.flow(random.below(rules), hit)).collect::<Vec<_>>();
        let table = Table { policy, compile_ms, hits: flows(true), misses: flows(false) };
        table.check()?;
        Ok(table)
    }

    /// Both walks say the same, and what should be taken is.
    fn check(&self) -> Result<(), String> {
        for (flows, taken) in [(&self.hits, true), (&self.misses, false)] {
            for flow in flows.iter().take(512) {
                let decide = |linear| match linear {
                    true => self.policy.decide(flow, None, &mut Memory::observer(), &mut Linear),
                    false => self.policy.decide(flow, None, &mut Memory::observer(), &mut NoTrace),
                };
                let (linear, indexed) = (decide(true), decide(false));
                if linear != indexed || matches!(indexed.verdict, Verdict::Proxy { .. }) != taken {
                    return Err(format!("the index says {indexed:?} and the walk {linear:?} about {flow:?}"));
                }
            }
        }
        Ok(())
    }

    /// Nanoseconds of each kind of flow both ways; with `mixed`, also the scenario's own figure, fifteen hits to a miss.
    fn figures(
        &self,
        settings: &Settings,
        short: &Settings,
        mixed: bool,
    ) -> Result<(Value, Option<(Measured, Measured)>), String> {
        let ns = |measured: Measured| (1e9 / measured.per_second).round();
        let size = self.policy.classifiers().next().map(|(_, size)| size).unwrap_or_default();
        let figures = json!({
            "hit": ns(self.measure(short, &self.hits, &mut NoTrace)),
            "miss": ns(self.measure(short, &self.misses, &mut NoTrace)),
            "linear_hit": ns(self.measure(short, &self.hits, &mut Linear)),
            "linear_miss": ns(self.measure(short, &self.misses, &mut Linear)),
            "compile_ms": (self.compile_ms * 10.0).round() / 10.0,
            "index_kib": size.bytes / 1024,
        });
        let mixed = mixed.then(|| {
            let of_both = |(at, hit): (usize, &NewFlow)| if at % 16 == 15 { self.misses[at] } else { *hit };
            let flows: Vec<NewFlow> = self.hits.iter().enumerate().map(of_both).collect();
            (self.measure(settings, &flows, &mut NoTrace), self.measure(short, &flows, &mut Linear))
        });
        Ok((figures, mixed))
    }

    /// Nanoseconds of flows that a policy rule fits, and of those that none fits.
    fn best_match(&self, short: &Settings) -> Value {
        let ns = |flows| (1e9 / self.measure(short, flows, &mut NoTrace).per_second).round();
        json!({ "hit": ns(&self.hits), "miss": ns(&self.misses), "compile_ms": (self.compile_ms * 10.0).round() / 10.0 })
    }

    fn measure<T: Trace>(&self, settings: &Settings, flows: &[NewFlow], trace: &mut T) -> Measured {
        let mut latency = crate::report::histogram();
        let mut memory = Memory::new(&self.policy);
        let (mut count, mut nanos) = (0u64, 0u64);
        let mut bursts = flows.chunks_exact(BURST).cycle();
        let mut progress = Progress::start(settings);
        while progress.goes_on(|| format!("{:.0} ns a decision", nanos as f64 / count as f64)) {
            for burst in bursts.by_ref().take(4) {
                let watch = Stopwatch::start();
                for flow in burst {
                    black_box(self.policy.decide(flow, None, &mut memory, trace));
                }
                let took = watch.nanos();
                latency.saturating_record(took / BURST as u64);
                nanos += took;
                count += BURST as u64;
            }
        }
        Measured { per_second: count as f64 * 1e9 / nanos as f64, latency }
    }
}

struct Measured {
    per_second: f64,
    latency: Histogram<u64>,
}

impl Shape {
    /// What rule `i` asks for.
    fn rule(self, i: usize) -> String {
        match self {
            Shape::Hosts => format!("-s {} --dport {}", host(i), 1_000 + i % 5_000),
            Shape::Firewall => {
                let (client, server) = networks(i);
                let port = 1_000 + 10 * (i % 300);
                format!("-s {client}/24 -d {server}/24 -m multiport --dports {port},{}:{}", port + 2, port + 6)
            }
            Shape::Overlap => format!("--sport 0:{} --dport {}:65535", 6 * i, 6 * i),
        }
    }

    /// A flow that fits rule `i` and no rule before it, or one that fits none and is near.
    fn flow(self, i: usize, hit: bool) -> NewFlow {
        let (server, client) = (Ipv4Addr::new(198, 51, 100, 7), Ipv4Addr::new(192, 168, 77, 7));
        let (source, destination) = match self {
            Shape::Hosts => ((host(i), 40_000), (server, if hit { 1_000 + (i % 5_000) as u16 } else { 999 })),
            Shape::Firewall => {
                let (client, server) = networks(i);
                let host = |network: Ipv4Addr| Ipv4Addr::from_bits(network.to_bits() + 9);
                let port = 1_000 + 10 * (i % 300) as u16;
                ((host(client), 40_000), (host(server), if hit { port + 4 } else { port + 1 }))
            }
            Shape::Overlap => ((client, 6 * i as u16 + u16::from(!hit)), (server, 6 * i as u16)),
        };
        NewFlow {
            interface: InterfaceId(0),
            protocol: TCP,
            source: SocketAddr::new(source.0.into(), source.1),
            destination: SocketAddr::new(destination.0.into(), destination.1),
            packet: PacketFacts::default(),
        }
    }
}

fn host(i: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc0a8_0002 + (i as u32 * 7) % 0xfff0)
}

/// Of 250 client networks and 200 server networks, each pair with one rule.
fn networks(i: usize) -> (Ipv4Addr, Ipv4Addr) {
    let (client, server) = (i as u32 % 250, i as u32 / 250 + (i as u32 % 5) * 40);
    (Ipv4Addr::from_bits(0xc0a8_0000 + (client << 8)), Ipv4Addr::from_bits(0xac10_0000 + (server << 8)))
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % bound
    }
}

fn yaml_of_policy_rules(rules: usize) -> String {
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
rules: |
  *tproxy
  :PREROUTING ACCEPT
  :OUTPUT ACCEPT
  -A PREROUTING -i intra -p tcp -j TPROXY --on-port 50000
  COMMIT
  *filter
  :INPUT DROP
  :FORWARD DROP
  :OUTPUT ACCEPT
  -A INPUT -m tproxy -j ACCEPT
  COMMIT
policy_rules:
"#
    .to_owned();
    for i in 0..rules {
        let (client, server) = networks(i);
        // The port that flows of the shape ask for.
        let port = 1_004 + 10 * (i % 300);
        let _ = writeln!(
            yaml,
            "  - {{ service: anything, proto: tcp, src_subnet: {client}/24, dst_subnet: {server}/24, dst_port: {port} }}"
        );
    }
    yaml
}

fn yaml(shape: Shape, rules: usize) -> String {
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
  :PRintra -
  -A PREROUTING -i intra -j PRintra
"#
    .to_owned();
    for i in 0..rules {
        let _ = writeln!(yaml, "  -A PRintra -p tcp {} -j TPROXY --on-port 50000", shape.rule(i));
    }
    yaml.push_str("  COMMIT\n  *filter\n  :INPUT DROP\n  :FORWARD DROP\n  :OUTPUT ACCEPT\n  -A INPUT -m tproxy -j ACCEPT\n  COMMIT\n");
    yaml
}
