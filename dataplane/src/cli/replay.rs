//! `limpid replay CAPTURE -c OLD -c NEW`: which flows of a capture the new configuration would treat differently.
//!
//! Each flow's first packet goes through both policies as a core would decide it, in the order and at the times of the
//! capture, so that `limit` and `recent` count as they would have. Memory is bounded whatever the capture's size: flows
//! are remembered up to a number, the oldest forgotten first, and of those that change only so many are listed.
//!
//! Left out: flows that were under way when the capture began (no packet of theirs says who began them), fragments
//! beyond the first, tproxy entries, which are the running gateway's and in no file.

mod capture;
mod flows;

use std::path::Path;

use clap::Args;
use control::{Explanation, Memory, NewFlow, Policy};
use serde_json::{Value, json};

use super::{Done, Failure, file, say};
use crate::facts;
use crate::packet::{self, Network, RxChecks, Transport};
use crate::{classify, log};
use capture::Captured;
use flows::{Known, Seen};

/// What is asked of a capture.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A capture in pcap or pcapng format
    capture: std::path::PathBuf,
    /// The interface all packets came in on [default: the one the capture names, else the one a route to the source leads to]
    #[arg(short, long, value_name = "NAME")]
    interface: Option<String>,
    /// Flows listed at most; all are counted
    #[arg(long, default_value_t = LISTED)]
    limit: usize,
}

/// Flows listed unless the command line says otherwise.
const LISTED: usize = 1_000;

/// A configuration and what it remembers of the capture so far.
struct Side {
    policy: Policy,
    memory: Memory,
}

/// What was found out.
#[derive(Default)]
struct Found {
    packets: u64,
    flows: u64,
    changed: u64,
    under_way: u64,
    unreadable: u64,
    no_interface: u64,
    listed: Vec<Value>,
}

pub(super) fn run(replay: &Replay, old: &Path, new: &Path, as_json: bool) -> Done {
    let side = |path: &Path| {
        let policy = file::policy(path)?;
        if let Some(name) = replay.interface.as_deref().filter(|name| policy.interface_named(name).is_none()) {
            return Err(Failure::Wrong(format!("{}: there is no interface {name:?}", path.display())));
        }
        let memory = Memory::new(&policy);
        Ok(Side { policy, memory })
    };
    let mut sides = [side(old)?, side(new)?];
    let (mut found, mut known) = (Found::default(), Known::default());
    capture::read(&replay.capture, |captured| packet_of(replay, &mut sides, &mut known, &mut found, captured))
        .map_err(|error| Failure::Failed(format!("{}: {error}", replay.capture.display())))?;
    report(&found, known.forgotten(), as_json)
}

/// One packet of the capture.
fn packet_of(
    replay: &Replay,
    sides: &mut [Side; 2],
    known: &mut Known,
    found: &mut Found,
    captured: &mut Captured<'_>,
) {
    found.packets += 1;
    // Whoever captures on a host with offloads sees checksums that the device had still to write.
    let rx = RxChecks { ip_checksum_good: true, l4_checksum_good: true, ..RxChecks::default() };
    let Ok(packet) = packet::parse(captured.frame(), rx) else { return found.unreadable += 1 };
    let Network::Ip(ip) = &packet.network else { return };
    if ip.fragment.is_some_and(|fragment| !fragment.is_first()) {
        return;
    }
    if let Transport::Icmp(packet::icmp::Message::Error(_) | packet::icmp::Message::Neighbour(_)) = &ip.kind {
        return;
    }
    let ends = (ip.protocol, ip.source_socket(), ip.destination_socket());
    let opens = match &ip.kind {
        Transport::Tcp { header, .. } => classify::is_opening(header),
        Transport::Icmp(packet::icmp::Message::EchoReply(_)) => false,
        _ => true,
    };
    match known.see(ends, opens) {
        Seen::Before => return,
        Seen::UnderWay => return found.under_way += 1,
        Seen::New => {}
    }
    found.flows += 1;
    let now = tcp::Instant::from_micros(captured.micros);
    let unix_seconds = (captured.micros / 1_000_000) as i64;
    let facts = facts::of(now, unix_seconds, &packet.link, ip, captured.frame());
    let interface = |policy: &Policy| {
        let named = replay.interface.as_deref().or(captured.interface).and_then(|name| policy.interface_named(name));
        named.or_else(|| policy.route(ends.1.ip()).map(|route| route.interface))
    };
    let flow_in = |policy: &Policy| {
        let (protocol, source, destination) = ends;
        Some(NewFlow { interface: interface(policy)?, protocol, source, destination, packet: facts })
    };
    let (Some(first), Some(second)) = (flow_in(&sides[0].policy), flow_in(&sides[1].policy)) else {
        return found.no_interface += 1;
    };
    let [old, new] = sides;
    let (before, after) = (old.decide(&first), new.decide(&second));
    if before.outcome() == after.outcome() {
        return;
    }
    found.changed += 1;
    if found.listed.len() < replay.limit {
        // The words are made for those that are shown only.
        let shown = |side: &Side, flow: &NewFlow, decided: &Decided| {
            let explained = side.policy.explain(flow, None);
            decided.shown(&side.policy, explained)
        };
        found.listed.push(json!({
            "time": log::format::iso(captured.micros),
            "interface": old.policy.interface(first.interface).name,
            "protocol": control::policy::protocol_name(ends.0).to_string(),
            "source": ends.1,
            "destination": ends.2,
            "old": shown(old, &first, &before),
            "new": shown(new, &second, &after),
        }));
    }
}

/// How one side has decided.
struct Decided {
    decision: control::Decision,
    /// Service, by its name: numbers differ between configurations.
    service: Option<String>,
}

impl Side {
    fn decide(&mut self, flow: &NewFlow) -> Decided {
        let decision = self.policy.decide(flow, None, &mut self.memory, &mut control::NoTrace);
        // Nothing of a capture says when a flow ended: connections are not counted as going on.
        self.memory.release_holds();
        let service = decision.service.map(|service| self.policy.service(service).name.clone());
        Decided { decision, service }
    }
}

impl Decided {
    /// What must be the same for a flow to be treated alike.
    fn outcome(&self) -> (String, Option<&str>, String) {
        use control::Verdict::{Drop, Forward, Local, Proxy, Reject};
        let verdict = match self.decision.verdict {
            Proxy { .. } => "proxy".to_owned(),
            Forward => "forward".to_owned(),
            Local => "local".to_owned(),
            Drop(reason) => format!("drop {}", reason.name()),
            Reject(kind) => format!("reject {}", kind.name()),
        };
        (verdict, self.service.as_deref(), format!("{:?}", self.decision.nat))
    }

    /// For the listing: what was decided (which rates and lists may have changed since), in the words of an explanation.
    fn shown(&self, policy: &Policy, explained: Explanation) -> Value {
        let (verdict, service, _) = self.outcome();
        let (verdict, reason) = verdict.split_once(' ').map_or((verdict.as_str(), None), |(v, r)| (v, Some(r)));
        let rule = self.decision.rule.map(|rule| {
            let rule = policy.rule(rule);
            json!({
                "table": rule.table.name(), "chain": rule.chain, "index": rule.index,
                "file": rule.place.file, "line": rule.place.line, "text": rule.text,
            })
        });
        let same = explained.verdict == verdict && explained.reason == reason;
        let sentence = if same { explained.sentence } else { "decided by rules that count".to_owned() };
        json!({ "verdict": verdict, "reason": reason, "service": service, "rule": rule, "sentence": sentence })
    }
}

fn report(found: &Found, forgotten: u64, as_json: bool) -> Done {
    let Found { packets, flows, changed, under_way, unreadable, no_interface, listed } = found;
    if as_json {
        return say(json!({
            "packets": packets, "flows": flows, "changed": changed, "under_way": under_way, "unreadable": unreadable,
            "no_interface": no_interface, "forgotten": forgotten, "listed": listed,
        }));
    }
    for flow in listed {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        say(format_args!(
            "{} {} {} {} → {}",
            word(&flow["time"]),
            word(&flow["interface"]),
            word(&flow["protocol"]),
            word(&flow["source"]),
            word(&flow["destination"]),
        ))?;
        for side in ["old", "new"] {
            say(format_args!("  {side}: {}", sentence(&flow[side])))?;
        }
    }
    if (listed.len() as u64) < *changed {
        say(format_args!("({} more are not listed: --limit N)", changed - listed.len() as u64))?;
    }
    for (count, what) in [
        (under_way, "flows were under way when the capture began, and are not decided"),
        (unreadable, "packets are malformed or of a link type that is not read"),
        (no_interface, "flows came from where no route leads: --interface NAME"),
        (&forgotten, "flows were forgotten for want of room and may be counted twice"),
    ] {
        if *count > 0 {
            say(format_args!("{count} {what}"))?;
        }
    }
    say(format_args!("{flows} flows in {packets} packets: {changed} change"))
}

fn sentence(side: &Value) -> String {
    let mut out = side["verdict"].as_str().unwrap_or_default().to_owned();
    for (before, key) in [(" by ", "service"), (" ", "reason")] {
        if let Some(word) = side[key].as_str() {
            out += before;
            out += word;
        }
    }
    if let Some(text) = side["sentence"].as_str() {
        out += &format!(": {text}");
    }
    let rule = &side["rule"];
    if let (Some(file), Some(line), Some(text)) = (rule["file"].as_str(), rule["line"].as_u64(), rule["text"].as_str())
    {
        out += &format!(" ({file}:{line}: {text})");
    }
    out
}

#[cfg(test)]
mod tests;
