//! FEAT: what a server says that it can, less what the proxy would refuse, more what the proxy does itself (RFC 2389).
//!
//! A client that is not told of a feature does not try it: this is how programs are kept from what the service refuses.

use super::command::Command;
use super::known::{FEATURE_COMMANDS, Known, NEVER};
use super::policy::{Feature, Policy, Verdict};
use super::reply::Reply;

/// What the proxy can say of itself when there is no server to ask.
const OWN: &[&str] = &["EPRT", "EPSV", "PASV"];

/// The features of TLS.
const TLS: &[&str] = &["AUTH TLS", "PBSZ", "PROT"];

/// The reply as the client gets it, and how many lines were left out. `tls`: the proxy takes TLS from the client.
#[must_use]
pub fn filter(reply: &Reply, policy: &Policy, tls: bool) -> (Reply, u64) {
    let told = reply.lines();
    let told = if told.len() > 2 { &told[1..told.len() - 1] } else { &[] };
    let mut features: Vec<Vec<u8>> = Vec::new();
    let mut dropped = 0;
    for line in told {
        // Each line is "one space, the feature's name, and maybe parameters"; some servers put the code in front.
        let feature = line.strip_prefix(format!("{}-", reply.code()).as_bytes()).unwrap_or(line).trim_ascii();
        if feature.is_empty() {
            continue;
        }
        if passes(feature, policy) {
            features.push(feature.to_vec());
        } else {
            dropped += 1;
        }
    }
    let inserted =
        policy.features.iter().filter(|(_, action)| **action == Feature::Insert).map(|(name, _)| name.as_str());
    let mut inserted: Vec<&str> = inserted.chain(if tls { TLS } else { &[] }.iter().copied()).collect();
    inserted.sort_unstable();
    for name in inserted {
        let is_told = |feature: &Vec<u8>| first_word(feature) == name || feature.eq_ignore_ascii_case(name.as_bytes());
        if name != "*" && !features.iter().any(is_told) {
            features.push(name.as_bytes().to_vec());
        }
    }
    (list(&features), dropped)
}

/// The reply where no server is there yet, or it knows no FEAT.
#[must_use]
pub fn own(policy: &Policy, tls: bool) -> Reply {
    let told = OWN.iter().map(|name| format!(" {name}").into_bytes());
    let lines = std::iter::once(Vec::new()).chain(told).chain([Vec::new()]);
    filter(&Reply::of_lines(211, lines), policy, tls).0
}

fn list(features: &[Vec<u8>]) -> Reply {
    if features.is_empty() {
        return Reply::new(211, "No features");
    }
    let lines = features.iter().map(|feature| [b" ", &feature[..]].concat());
    Reply::of_lines(211, std::iter::once(b"Features:".to_vec()).chain(lines).chain([b"End".to_vec()]))
}

fn passes(feature: &[u8], policy: &Policy) -> bool {
    let name = first_word(feature);
    // TLS is the proxy's own business: said when it takes it, whatever the server says.
    if matches!(name.as_str(), "AUTH" | "PBSZ" | "PROT" | "CCC") || feature.eq_ignore_ascii_case(b"MODE Z") {
        return false;
    }
    if policy.feature(&name) == Feature::Drop {
        return false;
    }
    let is_command = Known::named(&name).is_some() || FEATURE_COMMANDS.contains(&&*name) || NEVER.contains(&&*name);
    let command = Command::parse(name.as_bytes());
    !is_command || command.is_ok_and(|command| policy.command(&command) == Verdict::Accept)
}

fn first_word(feature: &[u8]) -> String {
    let word = feature.split(|byte| matches!(*byte, b' ' | b'\t')).next().unwrap_or_default();
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
