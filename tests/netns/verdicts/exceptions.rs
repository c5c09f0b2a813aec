//! Verdicts that differ on purpose: rules, packets, and exactly what differs.
//!
//! ```text
//! # why
//! 4
//! *filter …                  rules, as in a file
//! > a udp 10.0.1.9:5 10.0.2.50:53
//! = what differs
//! ```

use std::net::SocketAddr;

use control::policy::{TCP, protocol_number};

use super::packet::{DEVICES, Packet};
use super::rules::Rules;
use crate::address::Family;

pub(crate) struct Exception {
    pub(crate) family: Family,
    pub(crate) rules: Rules,
    pub(crate) packets: Vec<Packet>,
    pub(crate) differences: Vec<String>,
}

/// The listed exceptions.
pub(crate) fn read(text: &str) -> Vec<Exception> {
    let mut exceptions: Vec<(Exception, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(family) = [("4", Family::V4), ("6", Family::V6)].into_iter().find(|(word, _)| *word == line) {
            let (packets, differences) = (Vec::new(), Vec::new());
            let new = Exception { family: family.1, rules: Rules::default(), packets, differences };
            exceptions.push((new, String::new()));
            continue;
        }
        let Some((last, rules)) = exceptions.last_mut() else { panic!("`{line}` stands before a family") };
        match line.split_at(1) {
            (">", words) => last.packets.push(packet(words, last.packets.len() as u32)),
            ("=", words) => last.differences.push(words.trim().to_owned()),
            _ => rules.extend([line, "\n"]),
        }
    }
    exceptions
        .into_iter()
        .map(|(exception, rules)| Exception { rules: Rules { whole: true, ..Rules::read(&rules) }, ..exception })
        .collect()
}

/// `DEVICE PROTOCOL SOURCE DESTINATION`.
fn packet(words: &str, id: u32) -> Packet {
    let words: Vec<&str> = words.split_whitespace().collect();
    let [device, protocol, source, destination] = words[..] else { panic!("{words:?} is no packet") };
    let end = |word: &str| word.parse::<SocketAddr>().unwrap_or_else(|_| panic!("`{word}` is no address and port"));
    let protocol = protocol_number(protocol).unwrap_or_else(|| panic!("`{protocol}` is no protocol"));
    Packet {
        id,
        interface: u16::from(device == DEVICES[1]),
        protocol,
        source: end(source),
        destination: end(destination),
        flags: if protocol == TCP { 2 } else { 0 },
        options: Vec::new(),
        icmp: if source.starts_with('[') { (128, 0) } else { (8, 0) },
        ttl: 64,
        mac: [2, 0, 0, 0, 1, 1],
        padding: 0,
    }
}
