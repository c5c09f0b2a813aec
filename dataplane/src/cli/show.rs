//! The gateway's JSON as an operator likes to read it.
//!
//! A field that is missing shows as `-`: the gateway may be older or newer than this program.

use std::fmt::Write;
use std::net::SocketAddr;

use control::requests::protocol;
use serde_json::Value;

use super::columns::Align::{Left, Right};
use super::columns::Columns;

pub(super) fn status(status: &Value, all: bool) -> String {
    let mut out = String::new();
    let tproxy = &status["tproxy"];
    line(
        &mut out,
        format_args!(
            "limpid {} {} for {}, policy {} from {}",
            word(&status["version"]),
            word(&status["state"]),
            duration(&status["uptime_ms"]),
            word(&status["generation"]),
            word(&status["config"]),
        ),
    );
    line(
        &mut out,
        format_args!(
            "{} flows, {} sessions ({} released), {} half-open; {} of {} tproxy entries",
            word(&status["flows"]),
            word(&status["sessions"]),
            word(&status["released"]),
            word(&status["half_open"]),
            word(&tproxy["entries"]),
            word(&tproxy["capacity"]),
        ),
    );
    if let Some(flooded @ 1..) = status["flooded"].as_u64() {
        line(&mut out, format_args!("SYN flood on {flooded} interface(s) of cores: answering with SYN cookies"));
    }
    let probation = &status["probation"];
    if !probation.is_null() {
        line(
            &mut out,
            format_args!(
                "policy {} is on probation for {} more, then {} comes back ({} by {})",
                word(&probation["generation"]),
                duration(&probation["remaining_ms"]),
                word(&probation["before"]),
                word(&probation["kind"]),
                word(&probation["by"]),
            ),
        );
    }
    for core in list(&status["silent_cores"]) {
        line(&mut out, format_args!("core {core} does not answer"));
    }
    line(&mut out, format_args!("\n{}", cores(&status["cores"])));
    line(&mut out, format_args!("\n{}", ports(&status["ports"])));
    let counters = counters(&status["counters"], all);
    if !counters.is_empty() {
        line(&mut out, format_args!("\n{counters}"));
    }
    if all {
        let drivers = xstats(&status["ports"]);
        if !drivers.is_empty() {
            line(&mut out, format_args!("\n{drivers}"));
        }
    }
    out.trim_end().to_owned()
}

fn cores(cores: &Value) -> Columns {
    let mut table = Columns::new(&[
        ("core", Right),
        ("policy", Right),
        ("flows", Right),
        ("sessions", Right),
        ("half-open", Right),
        ("busy", Right),
    ]);
    for core in list(cores) {
        table.row(vec![
            word(&core["core"]),
            word(&core["generation"]),
            word(&core["flows"]),
            word(&core["sessions"]),
            word(&core["half_open"]),
            format!("{}%", word(&core["busy_percent"])),
        ]);
    }
    table
}

fn ports(ports: &Value) -> Columns {
    let mut table = Columns::new(&[
        ("interface", Left),
        ("device", Left),
        ("driver", Left),
        ("link", Left),
        ("mac", Left),
        ("mtu", Right),
        ("rx packets", Right),
        ("rx", Right),
        ("tx packets", Right),
        ("tx", Right),
        ("missed", Right),
        ("errors", Right),
    ]);
    for port in list(ports) {
        let errors = number(&port["rx_errors"]) + number(&port["tx_errors"]);
        table.row(vec![
            word(&port["interface"]),
            word(&port["device"]),
            word(&port["driver"]),
            word(&port["link"]),
            word(&port["mac"]),
            word(&port["mtu"]),
            word(&port["rx_packets"]),
            bytes(&port["rx_bytes"]),
            word(&port["tx_packets"]),
            bytes(&port["tx_bytes"]),
            word(&port["rx_missed"]),
            errors.to_string(),
        ]);
    }
    table
}

fn counters(counters: &Value, all: bool) -> Columns {
    let mut table = Columns::new(&[("counter", Left), ("value", Right), ("what it counts", Left)]);
    for counter in list(counters).iter().filter(|counter| all || number(&counter["value"]) > 0) {
        table.row(vec![word(&counter["name"]), word(&counter["value"]), word(&counter["help"])]);
    }
    table
}

fn xstats(ports: &Value) -> Columns {
    let mut table = Columns::new(&[("interface", Left), ("driver's counter", Left), ("value", Right)]);
    for port in list(ports) {
        for pair in list(&port["xstats"]) {
            table.row(vec![word(&port["interface"]), word(&pair[0]), word(&pair[1])]);
        }
    }
    table
}

pub(super) fn flows(flows: &Value) -> String {
    let mut table = Columns::new(&[
        ("core", Right),
        ("id", Right),
        ("proto", Left),
        ("interface", Left),
        ("source", Left),
        ("destination", Left),
        ("step", Left),
        ("service", Left),
        ("state", Left),
        ("zones", Left),
        ("to server", Right),
        ("to client", Right),
        ("age", Right),
        ("idle", Right),
    ]);
    let listed = list(&flows["flows"]);
    for flow in listed {
        let zones = match (word(&flow["client_zone"]), word(&flow["server_zone"])) {
            (client, server) if client == "-" && server == "-" => "-".to_owned(),
            (client, server) => format!("{client} → {server}"),
        };
        table.row(vec![
            word(&flow["core"]),
            word(&flow["id"]),
            word(&flow["protocol"]),
            word(&flow["interface"]),
            word(&flow["source"]),
            word(&flow["destination"]),
            word(&flow["step"]),
            word(&flow["service"]),
            word(&flow["state"]),
            zones,
            bytes(&flow["bytes_to_server"]),
            bytes(&flow["bytes_to_client"]),
            duration(&flow["age_ms"]),
            duration(&flow["idle_ms"]),
        ]);
    }
    let mut out = if table.is_empty() { "no flows".to_owned() } else { table.to_string() };
    if flows["truncated"] == true {
        out += &format!("\nthere may be more than these {}: --limit N", listed.len());
    }
    if number(&flows["silent_cores"]) > 0 {
        out += &format!("\n{} cores did not answer", flows["silent_cores"]);
    }
    out
}

pub(super) fn entries(entries: &Value) -> String {
    let mut table = Columns::new(&[
        ("proto", Left),
        ("local", Left),
        ("foreign", Left),
        ("remote", Left),
        ("flags", Left),
        ("shares", Right),
        ("age", Right),
        ("expires in", Right),
        ("owner", Left),
    ]);
    for entry in list(&entries["entries"]) {
        table.row(vec![
            word(&entry["protocol"]),
            word(&entry["local"]),
            word(&entry["foreign"]),
            word(&entry["remote"]),
            flags(&entry["flags"]),
            word(&entry["shares"]),
            duration(&entry["age_ms"]),
            duration(&entry["expires_in_ms"]),
            word(&entry["owner"]),
        ]);
    }
    if table.is_empty() { "no entries".to_owned() } else { table.to_string() }
}

/// The reply to a tproxy request: the local address and what there is to know about it.
pub(super) fn reply(protocol: u8, local: SocketAddr, reply: &Value) -> String {
    let mut out = format!("{} {local}", protocol::name(protocol));
    if let Some(foreign) = reply["foreign"].as_str() {
        write!(out, " = {foreign}").expect("writing to a string does not fail");
    }
    if !reply["flags"].is_null() {
        write!(out, " {}", flags(&reply["flags"])).expect("writing to a string does not fail");
    }
    out
}

fn flags(names: &Value) -> String {
    let names: Vec<&str> = list(names).iter().filter_map(Value::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Three digits that matter, in powers of 1,000 as networks count.
pub(super) fn bytes(value: &Value) -> String {
    let Some(exact) = value.as_u64() else { return word(value) };
    let (mut amount, mut unit) = (exact as f64, "B");
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if amount < 999.5 {
            break;
        }
        (amount, unit) = (amount / 1000.0, next);
    }
    match unit {
        "B" => format!("{exact} B"),
        _ if amount < 9.995 => format!("{amount:.2} {unit}"),
        _ if amount < 99.95 => format!("{amount:.1} {unit}"),
        _ => format!("{amount:.0} {unit}"),
    }
}

/// The two largest units of a time in milliseconds.
fn duration(value: &Value) -> String {
    let Some(ms) = value.as_u64() else { return word(value) };
    match ms / 1000 {
        0 => format!("{ms}ms"),
        s @ 1..60 => format!("{s}.{}s", ms % 1000 / 100),
        s @ 60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        s => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests;
