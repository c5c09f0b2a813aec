//! The same numbers as the status, as OpenMetrics text for Prometheus.
//!
//! Cores count in plain memory of their own; they are asked when somebody scrapes, and what they answer is written
//! out here, each core by its label. Nothing is registered beforehand and nothing is shared.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::mailbox::{CoreReport, CounterValue, PortReport};

/// What the control thread knows of itself.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) version: &'static str,
    pub(crate) generation: u64,
    pub(crate) uptime_s: f64,
    pub(crate) entries: u64,
    pub(crate) counters: Vec<CounterValue>,
}

/// OpenMetrics text.
pub(crate) fn encode(own: Own, reports: Vec<CoreReport>, silent: Vec<usize>) -> String {
    let mut registry = Registry::with_prefix("limpid");
    registry.register_collector(Box::new(Scrape { own, reports, silent }));
    let mut text = String::new();
    encode_text(&mut text, &registry).expect("writing to a string does not fail");
    text
}

#[derive(Debug)]
struct Scrape {
    own: Own,
    reports: Vec<CoreReport>,
    silent: Vec<usize>,
}

type Labels = Vec<(&'static str, String)>;
/// A number with its labels; families are written at once, as the format wants.
type Sample = (Labels, u64);

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        self.gateway(&mut to)?;
        self.cores(&mut to)?;
        self.core_counters(&mut to)?;
        self.ports(&mut to)
    }
}

impl Scrape {
    fn gateway(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let own = &self.own;
        let one = |value: u64| [(Vec::new(), value)];
        gauge(to, "build", "The program that runs", [(vec![("version", own.version.to_owned())], 1)])?;
        let mut uptime = to.encode_descriptor("uptime_seconds", "Since the start", None, MetricType::Gauge)?;
        uptime.encode_gauge(&own.uptime_s)?;
        gauge(to, "generation", "Policy that new flows should be decided by", one(own.generation))?;
        gauge(to, "tproxy_entries", "tproxy entries there are", one(own.entries))?;
        own.counters.iter().try_for_each(|own| counter(to, own.name, own.help, one(own.value)))
    }

    fn cores(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let answered = self.reports.iter().map(|report| (label_core(report.core), 1));
        let silent = self.silent.iter().map(|core| (label_core(*core), 0));
        gauge(to, "core_up", "Whether the core has answered", answered.chain(silent))?;
        let each =
            |of: fn(&CoreReport) -> u64| self.reports.iter().map(move |report| (label_core(report.core), of(report)));
        gauge(to, "core_generation", "Policy that the core decides new flows by", each(|core| core.generation))?;
        gauge(to, "flows", "Flows in the core's table", each(|core| core.flows))?;
        gauge(to, "sessions", "Sessions there are, released ones included", each(|core| core.sessions))?;
        gauge(to, "released_sessions", "Sessions whose two ends are left to each other", each(|core| core.released))?;
        gauge(to, "half_open", "Handshakes that are not finished", each(|core| core.half_open))?;
        gauge(to, "time_wait", "Connections of which only TIME-WAIT is left", each(|core| core.time_wait))?;
        gauge(to, "flooded", "Interfaces whose SYNs are answered by cookies", each(|core| core.flooded))?;
        counter(to, "busy_cycles", "TSC cycles in turns with work", each(|core| core.busy_cycles))?;
        counter(to, "idle_cycles", "TSC cycles in turns without work", each(|core| core.idle_cycles))
    }

    fn core_counters(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut families: Vec<(&CounterValue, Vec<Sample>)> = Vec::new();
        for report in &self.reports {
            for (at, value) in report.counters.iter().enumerate() {
                let sample = (label_core(report.core), value.value);
                // All cores know the same counters in the same order.
                match families.get_mut(at) {
                    Some((first, samples)) if first.name == value.name => samples.push(sample),
                    _ => match families.iter_mut().find(|(first, _)| first.name == value.name) {
                        Some((_, samples)) => samples.push(sample),
                        None => families.push((value, vec![sample])),
                    },
                }
            }
        }
        families.into_iter().try_for_each(|(first, samples)| counter(to, first.name, first.help, samples))
    }

    fn ports(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ports = crate::engine::ports(&self.reports);
        let each = |of: fn(&PortReport) -> u64| {
            ports.iter().map(move |port| (vec![("interface", port.interface.clone())], of(port)))
        };
        counter(to, "port_rx_packets", "Packets received", each(|port| port.rx_packets))?;
        counter(to, "port_tx_packets", "Packets sent", each(|port| port.tx_packets))?;
        counter(to, "port_rx_bytes", "Bytes received", each(|port| port.rx_bytes))?;
        counter(to, "port_tx_bytes", "Bytes sent", each(|port| port.tx_bytes))?;
        counter(to, "port_rx_missed", "Packets the device had no room for", each(|port| port.rx_missed))?;
        counter(to, "port_rx_errors", "Packets the device found faulty", each(|port| port.rx_errors))?;
        counter(to, "port_tx_errors", "Packets the device could not send", each(|port| port.tx_errors))?;
        let up = |port: &PortReport| u64::from(port.link.starts_with("up"));
        gauge(to, "port_up", "Whether the link is up", each(up))?;
        let xstats = ports.iter().flat_map(|port| {
            let labels = |name: &String| vec![("interface", port.interface.clone()), ("name", name.clone())];
            port.xstats.iter().map(move |(name, value)| (labels(name), *value))
        });
        // Drivers mix counts and levels under one roof, and do not say which is which.
        gauge(to, "port_xstat", "The driver's own statistics", xstats)
    }
}

fn label_core(core: usize) -> Labels {
    vec![("core", core.to_string())]
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> fmt::Result {
    let family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    write_all(family, samples, |metric, value| metric.encode_gauge(&(value as f64)))
}

fn counter(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> fmt::Result {
    let family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    write_all(family, samples, |metric, value| metric.encode_counter::<NoLabelSet, u64, u64>(&value, None))
}

fn write_all(
    mut family: MetricEncoder<'_>,
    samples: impl IntoIterator<Item = Sample>,
    write: impl Fn(&mut MetricEncoder<'_>, u64) -> fmt::Result,
) -> fmt::Result {
    for (labels, value) in samples {
        if labels.is_empty() {
            write(&mut family, value)?;
        } else {
            write(&mut family.encode_family(&labels)?, value)?;
        }
    }
    Ok(())
}
