//! The matches (`-m`): which are served, and why the others are not.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::lex::Word;
use super::modules::{Instance, Module};
use super::rule::Context;
use crate::faults::nearest;
use crate::policy::{ICMP, ICMPV6, TCP, UDP};

mod address;
mod count;
mod hashlimit;
mod icmp;
mod mark;
mod packet;
mod ports;
mod print;
mod rate;
mod time;
mod tracking;

pub(super) use mark::masked;
pub(super) use print::{bang, flag, print, value};

/// The matches that are served.
pub(super) const SERVED: &[&Module] = &[
    &ports::TCP_MATCH,
    &ports::UDP_MATCH,
    &ports::SCTP_MATCH,
    &ports::DCCP_MATCH,
    &ports::MULTIPORT,
    &icmp::ICMP_MATCH,
    &icmp::ICMP6_MATCH,
    &tracking::STATE,
    &tracking::CONNTRACK,
    &rate::LIMIT,
    &hashlimit::HASHLIMIT,
    &count::CONNLIMIT,
    &count::RECENT,
    &count::SET,
    &address::IPRANGE,
    &address::ADDRTYPE,
    &address::MAC,
    &mark::MARK,
    &mark::CONNMARK,
    &mark::SOCKET,
    &mark::TPROXY,
    &mark::COMMENT,
    &packet::PKTTYPE,
    &packet::LENGTH,
    &packet::TTL,
    &packet::HL,
    &time::TIME,
];

/// Matches of iptables that are refused, and why: an operator who brings a working rule set must be told "not here"
/// from "no such thing". The first is a decision, the second a typo.
const REFUSED: &[(&str, &str)] = &[
    ("owner", "packets that pass the gateway belong to no user; its own connections are the proxies'"),
    ("physdev", "the gateway has no bridge ports: name the interface by `-i` or `-o`"),
    ("policy", "the gateway does no IPsec"),
    ("cgroup", "packets that pass the gateway belong to no process"),
    ("devgroup", "interfaces have no groups: `-i name+` stands for all that begin so"),
    ("bpf", "programs in rules are not served"),
    ("u32", "rules see addresses, ports and headers, not bytes at an offset"),
    ("string", "rules see a flow's first packet, whose payload is empty in TCP: a proxy reads the text"),
    ("quota", "rules see a flow's first packet: `-m hashlimit` limits rates"),
    ("connbytes", "rules see a flow's first packet, when it has no bytes yet"),
    ("connlabel", "flows have marks (`-m connmark`), no labels"),
    ("helper", "related flows are the proxies' to open; none has a helper"),
    ("statistic", "the same flow must be decided the same way: `-m limit` limits, a router's list spreads"),
    ("nfacct", "each rule counts: `rules show --counters`"),
    ("rateest", "`-m hashlimit --hashlimit-rate-match` measures rates"),
    ("realm", "routes have no realms"),
    ("rpfilter", "name the networks behind an interface by `-i` and `-s`"),
    ("cluster", "one gateway sees all of a flow"),
    ("cpu", "where a flow runs must not decide what becomes of it"),
    ("ipvs", "the gateway is no IPVS director"),
    ("osf", "fingerprints of systems are not served"),
];

/// Matches on header fields that decisions do not see.
const UNSEEN: &[&str] = &[
    "ah",
    "dscp",
    "dst",
    "ecn",
    "esp",
    "eui64",
    "frag",
    "hbh",
    "ipv6header",
    "mh",
    "rt",
    "srh",
    "tcpmss",
    "tos",
    "connsecmark",
];

/// The match of that name, with a fault that says why there is none.
pub(super) fn load(name: &Word, context: &mut Context<'_>) -> Option<Instance> {
    let known_as = match &*name.text {
        "icmpv6" | "ipv6-icmp" => "icmp6",
        other => other,
    };
    if let Some(module) = SERVED.iter().find(|module| module.name == known_as) {
        return Some(Instance::new(module, name.column));
    }
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name.text) {
        context.fault_hint(name.column, format!("match `{}` is not served", name.text), *why);
    } else if UNSEEN.contains(&&*name.text) {
        let why = "a decision sees addresses, ports, TCP flags and options, ICMP type, length, TTL and MAC address";
        context.fault_hint(name.column, format!("match `{}` is not served", name.text), why);
    } else {
        let known = SERVED.iter().map(|module| module.name).chain(REFUSED.iter().map(|(refused, _)| *refused));
        match nearest(&name.text, known) {
            Some(meant) => {
                context.fault_hint(
                    name.column,
                    format!("`{}` is no match", name.text),
                    format!("was `{meant}` meant?"),
                );
            }
            None => context.fault(name.column, format!("`{}` is no match", name.text)),
        }
    }
    None
}

/// The match whose options a protocol brings without `-m`.
pub(super) fn of_protocol(protocol: u8) -> Option<&'static Module> {
    Some(match protocol {
        TCP => &ports::TCP_MATCH,
        UDP => &ports::UDP_MATCH,
        ports::SCTP => &ports::SCTP_MATCH,
        ports::DCCP => &ports::DCCP_MATCH,
        ICMP => &icmp::ICMP_MATCH,
        ICMPV6 => &icmp::ICMP6_MATCH,
        _ => return None,
    })
}
