//! What a scenario found: figures with their units, and the same as a line of JSON.
//!
//! Names in the JSON are read by other tools and by [`crate::compare`]; a figure that was not measured is absent.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::machine;

/// An empty histogram of nanoseconds, up to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds in order")
}

/// What was counted, per second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    /// Look-ups, decisions, requests.
    Operations(f64),
    /// Packets.
    Packets(f64),
    /// Whole connections.
    Connections(f64),
    /// Payload.
    Bits(f64),
}

impl Rate {
    fn key(self) -> (&'static str, f64) {
        match self {
            Rate::Operations(rate) => ("ops_per_s", rate),
            Rate::Packets(rate) => ("mpps", rate / 1e6),
            Rate::Connections(rate) => ("conn_per_s", rate),
            Rate::Bits(rate) => ("gbit_per_s", rate / 1e9),
        }
    }

    fn words(self) -> String {
        match self {
            Rate::Operations(rate) => format!("{:.3} M operations/s", rate / 1e6),
            Rate::Packets(rate) => format!("{:.3} Mpps", rate / 1e6),
            Rate::Connections(rate) => format!("{rate:.0} connections/s"),
            Rate::Bits(rate) => format!("{:.2} Gbit/s", rate / 1e9),
        }
    }
}

/// What it was held against, in the same run and unit.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Who.
    pub(crate) name: String,
    /// Its rate.
    pub(crate) rate: f64,
}

/// Figures of one run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Which scenario.
    pub(crate) scenario: &'static str,
    /// What was set, and what must be known to read the figures.
    pub(crate) params: BTreeMap<&'static str, Value>,
    /// How much a second.
    pub(crate) rate: Rate,
    /// Cycles of the gateway's busy turns for one operation, connection or byte.
    pub(crate) cycles_per_unit: f64,
    /// What one operation takes, nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Memory of a flow.
    pub(crate) bytes_per_flow: Option<f64>,
    /// What the gateway dropped, by name.
    pub(crate) drops: BTreeMap<&'static str, u64>,
    /// What it was held against.
    pub(crate) peer: Option<Peer>,
}

impl Report {
    fn percentiles(&self) -> [(&'static str, f64); 4] {
        let at = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        [("p50", at(0.5)), ("p99", at(0.99)), ("p999", at(0.999)), ("max", self.latency.max() as f64 / 1e3)]
    }

    /// The line.
    pub(crate) fn to_json(&self) -> Value {
        let (unit, rate) = self.rate.key();
        let latency: Map<String, Value> =
            self.percentiles().into_iter().map(|(name, us)| (name.to_owned(), json!(us))).collect();
        let mut line = json!({
            "scenario": self.scenario,
            "params": self.params,
            unit: rate,
            "cycles_per_unit": self.cycles_per_unit,
            "latency_us": latency,
            "drops": self.drops,
            "machine": machine::processor(),
            "commit": machine::commit(),
        });
        if let Some(bytes) = self.bytes_per_flow {
            line["bytes_per_flow"] = json!(bytes);
        }
        if let Some(peer) = &self.peer {
            let value = match self.rate {
                Rate::Bits(_) => peer.rate / 1e9,
                Rate::Packets(_) => peer.rate / 1e6,
                Rate::Operations(_) | Rate::Connections(_) => peer.rate,
            };
            line["peer"] = json!({ "name": peer.name, "value": value });
            line["ratio"] = json!(rate / value);
        }
        line
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:-^66}", format!(" {} ", self.scenario))?;
        for (name, value) in &self.params {
            writeln!(f, "  {name:<28} {value}")?;
        }
        writeln!(f, "  {:<28} {}", "rate", self.rate.words())?;
        writeln!(f, "  {:<28} {:.1}", "cycles per unit", self.cycles_per_unit)?;
        for (name, us) in self.percentiles() {
            writeln!(f, "  {:<28} {us:.3} us", format!("latency {name}"))?;
        }
        if let Some(bytes) = self.bytes_per_flow {
            writeln!(f, "  {:<28} {bytes:.0}", "bytes per flow")?;
        }
        for (name, count) in &self.drops {
            writeln!(f, "  {:<28} {count}", format!("dropped: {name}"))?;
        }
        if let Some(peer) = &self.peer {
            let (_, ours) = self.rate.key();
            let peer_rate = match self.rate {
                Rate::Bits(_) => peer.rate / 1e9,
                Rate::Packets(_) => peer.rate / 1e6,
                Rate::Operations(_) | Rate::Connections(_) => peer.rate,
            };
            writeln!(f, "  {:<28} {:.3} of {}", "in the same run", ours / peer_rate, peer.name)?;
        }
        writeln!(f, "  {:-^66}", "")
    }
}
