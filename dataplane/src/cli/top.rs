//! `limpid top`: how much goes through just now, and whose it is; told again and again.
//!
//! Rates are differences between two looks, divided by the time that the gateway itself says has passed between them.
//! Ends with ctrl-C, or after as many looks as were asked for.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use control::client::Client;
use serde_json::{Value, json};

use super::columns::Align::{Left, Right};
use super::columns::Columns;
use super::show::{bytes, list, number, word};
use super::{Done, say};

/// How to look.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Seconds between two looks
    #[arg(short = 'd', long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Looks; 0 for as long as nobody stops it
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    count: u64,
    /// Flows shown
    #[arg(long, default_value_t = 20)]
    flows: usize,
}

/// One look at the gateway.
struct Look {
    status: Value,
    flows: HashMap<(u64, u64), Value>,
}

pub(super) fn run(client: &Client, top: &Top, as_json: bool) -> Done {
    let mut before = look(client)?;
    for told in 0.. {
        if top.count > 0 && told == top.count {
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "the command line waits between two looks")]
        std::thread::sleep(Duration::from_secs(top.interval));
        let now = look(client)?;
        let seen = difference(&before, &now, top.flows);
        if as_json {
            say(&seen)?;
        } else if io::stdout().is_terminal() {
            // Home and clear, as top does.
            say(format_args!("\x1b[H\x1b[2J{}", shown(&seen)))?;
        } else {
            say(format_args!("{}\n", shown(&seen)))?;
        }
        before = now;
    }
    Ok(())
}

fn look(client: &Client) -> Result<Look, super::Failure> {
    let status = client.get("/v1/status")?;
    let flows = client.get(&format!("/v1/flows?limit={}", control::limits::FLOWS_MAX))?;
    let of = |flow: &Value| ((number(&flow["core"]), number(&flow["id"])), flow.clone());
    Ok(Look { status, flows: list(&flows["flows"]).iter().map(of).collect() })
}

/// Rates between two looks.
fn difference(before: &Look, now: &Look, most: usize) -> Value {
    let passed_ms = number(&now.status["uptime_ms"]).saturating_sub(number(&before.status["uptime_ms"])).max(1);
    let rate = |before: &Value, now: &Value| number(now).saturating_sub(number(before)) * 1_000 / passed_ms;
    let ports = list(&now.status["ports"]).iter().map(|port| {
        let old = list(&before.status["ports"]).iter().find(|old| old["interface"] == port["interface"]);
        let of = |name: &str| rate(&old.map_or(Value::Null, |old| old[name].clone()), &port[name]);
        json!({
            "interface": port["interface"],
            "rx_packets_per_s": of("rx_packets"), "rx_bytes_per_s": of("rx_bytes"),
            "tx_packets_per_s": of("tx_packets"), "tx_bytes_per_s": of("tx_bytes"),
            "missed_per_s": of("rx_missed"),
        })
    });
    let mut flows: Vec<Value> = now
        .flows
        .iter()
        .map(|(id, flow)| {
            let of = |name: &str| rate(&before.flows.get(id).map_or(Value::Null, |old| old[name].clone()), &flow[name]);
            json!({
                "protocol": flow["protocol"], "source": flow["source"], "destination": flow["destination"],
                "service": flow["service"], "step": flow["step"], "core": flow["core"], "id": flow["id"],
                "to_server_per_s": of("bytes_to_server"), "to_client_per_s": of("bytes_to_client"),
            })
        })
        .collect();
    let sum = |flow: &Value| number(&flow["to_server_per_s"]) + number(&flow["to_client_per_s"]);
    flows.sort_by_key(|flow| (std::cmp::Reverse(sum(flow)), number(&flow["core"]), number(&flow["id"])));
    flows.truncate(most);
    let status = &now.status;
    json!({
        "state": status["state"], "generation": status["generation"], "probation": status["probation"],
        "flows_now": status["flows"], "sessions": status["sessions"], "half_open": status["half_open"],
        "busy_percent": busy(&before.status, status),
        "ports": ports.collect::<Vec<_>>(), "flows": flows,
    })
}

/// How busy each core was between two looks.
fn busy(before: &Value, now: &Value) -> Vec<Value> {
    let of = |core: &Value| {
        let old = list(&before["cores"]).iter().find(|old| old["core"] == core["core"]);
        let gone = |name: &str| number(&core[name]).saturating_sub(old.map_or(0, |old| number(&old[name])));
        let (busy, idle) = (gone("busy_cycles"), gone("idle_cycles"));
        let percent = busy as f64 * 100.0 / (busy.saturating_add(idle)).max(1) as f64;
        json!({ "core": core["core"], "percent": (percent * 10.0).round() / 10.0 })
    };
    list(&now["cores"]).iter().map(of).collect()
}

fn shown(seen: &Value) -> String {
    let cores = list(&seen["busy_percent"]).iter();
    let cores: Vec<String> =
        cores.map(|core| format!("core {} {}% busy", word(&core["core"]), word(&core["percent"]))).collect();
    let mut ports = Columns::new(&[
        ("interface", Left),
        ("rx packets/s", Right),
        ("rx/s", Right),
        ("tx packets/s", Right),
        ("tx/s", Right),
        ("missed/s", Right),
    ]);
    for port in list(&seen["ports"]) {
        ports.row(vec![
            word(&port["interface"]),
            word(&port["rx_packets_per_s"]),
            bytes(&port["rx_bytes_per_s"]),
            word(&port["tx_packets_per_s"]),
            bytes(&port["tx_bytes_per_s"]),
            word(&port["missed_per_s"]),
        ]);
    }
    let mut flows = Columns::new(&[
        ("proto", Left),
        ("source", Left),
        ("destination", Left),
        ("service", Left),
        ("to server/s", Right),
        ("to client/s", Right),
    ]);
    for flow in list(&seen["flows"]) {
        flows.row(vec![
            word(&flow["protocol"]),
            word(&flow["source"]),
            word(&flow["destination"]),
            word(&flow["service"]),
            bytes(&flow["to_server_per_s"]),
            bytes(&flow["to_client_per_s"]),
        ]);
    }
    format!(
        "limpid {}, policy {}: {} flows, {} sessions, {} half-open; {}\n\n{ports}\n\n{flows}",
        word(&seen["state"]),
        word(&seen["generation"]),
        word(&seen["flows_now"]),
        word(&seen["sessions"]),
        word(&seen["half_open"]),
        cores.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(uptime_ms: u64, bytes: [u64; 2]) -> Look {
        let flow = |id: u64| {
            json!({ "core": 0, "id": id, "protocol": "tcp", "source": "10.0.0.2:1", "destination": "10.0.0.9:80",
                "service": "web", "step": "proxy", "bytes_to_server": 0, "bytes_to_client": bytes[id as usize] })
        };
        let status = json!({
            "uptime_ms": uptime_ms, "state": "running", "generation": 1, "flows": 4, "sessions": 2, "half_open": 0,
            "ports": [{ "interface": "intra", "rx_packets": uptime_ms, "rx_bytes": 2 * uptime_ms }],
            "cores": [{ "core": 0, "busy_cycles": uptime_ms / 4, "idle_cycles": uptime_ms / 4 * 3 }],
        });
        Look { status, flows: (0..2).map(|id| ((0, id), flow(id))).collect() }
    }

    #[test]
    fn rates_are_differences_over_the_gateways_own_time() {
        let seen = difference(&look(10_000, [0, 500]), &look(12_000, [100, 5_500]), 1);
        assert_eq!(
            (&seen["ports"][0]["rx_packets_per_s"], &seen["ports"][0]["rx_bytes_per_s"]),
            (&1_000.into(), &2_000.into())
        );
        assert_eq!(seen["busy_percent"][0]["percent"], 25.0);
        assert_eq!(list(&seen["flows"]).len(), 1, "the busiest");
        assert_eq!((&seen["flows"][0]["id"], &seen["flows"][0]["to_client_per_s"]), (&1.into(), &2_500.into()));
        let text = shown(&seen);
        assert!(text.contains("core 0 25.0% busy") && text.contains("2.50 kB"), "{text}");
    }

    #[test]
    fn a_gateway_that_was_started_anew_gives_no_rates_that_never_were() {
        let seen = difference(&look(10_000, [9_000, 9_000]), &look(500, [1, 1]), 5);
        assert_eq!(seen["flows"][0]["to_client_per_s"], 0);
    }
}
