//! `-m icmp` and `-m icmp6`: types by number or by iptables' names, which may be shortened.

use super::super::criteria::{IcmpType, Match, Not};
use super::super::modules::{Draft, Facts, Given, Made, Module, number};
use super::super::options::Spec;
use crate::policy::{ICMP, ICMPV6};

pub(super) static ICMP_MATCH: Module = Module {
    name: "icmp",
    spelled: "-p icmp",
    options: &[Spec::value("icmp-type").not()],
    new: || Box::new(IcmpDraft { v6: false, kind: None }),
};

pub(super) static ICMP6_MATCH: Module = Module {
    name: "icmp6",
    spelled: "-p icmpv6",
    options: &[Spec::value("icmpv6-type").not()],
    new: || Box::new(IcmpDraft { v6: true, kind: None }),
};

/// Names with their types and, where they mean one, their codes.
type Names = &'static [(&'static str, u8, Option<u8>)];

const V4: Names = &[
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

const V6: Names = &[
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)),
    ("echo-request", 128, None),
    ("ping", 128, None),
    ("echo-reply", 129, None),
    ("pong", 129, None),
    ("router-solicitation", 133, None),
    ("router-advertisement", 134, None),
    ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None),
    ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None),
    ("redirect", 137, None),
];

struct IcmpDraft {
    v6: bool,
    kind: Option<Not<IcmpType>>,
}

impl Draft for IcmpDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        self.kind = given.not(read(given.value, self.v6)?);
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        let (protocol, module, option) = match self.v6 {
            false => (ICMP, &ICMP_MATCH, "icmp-type"),
            true => (ICMPV6, &ICMP6_MATCH, "icmpv6-type"),
        };
        if !facts.is_protocol(&[protocol]) {
            return Err(format!("`-m {}` needs `{}`", module.name, module.spelled));
        }
        let kind = self.kind.clone().ok_or_else(|| format!("`-m {}` needs `--{option}`", module.name))?;
        Ok(Made::Match(if self.v6 { Match::Icmp6(kind) } else { Match::Icmp(kind) }))
    }
}

fn read(word: &str, v6: bool) -> Result<IcmpType, String> {
    let whole = |code: Option<u8>| code.map_or((0, u8::MAX), |code| (code, code));
    let begins = |name: &str| {
        !word.is_empty() && name.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
    };
    if begins("any") && !v6 {
        return Ok(IcmpType::ANY);
    }
    let names = if v6 { V6 } else { V4 };
    let mut named = names.iter().filter(|(name, ..)| begins(name));
    if let Some((first, kind, code)) = named.next() {
        return match named.next() {
            Some((second, ..)) => Err(format!("`{word}` is short for `{first}` and `{second}`")),
            None => Ok(IcmpType { kind: Some(*kind), codes: whole(*code) }),
        };
    }
    let (kind, code) = match word.split_once('/') {
        Some((kind, code)) => (kind, Some(code)),
        None => (word, None),
    };
    let wrong = || format!("`{word}` is no ICMP type: a name such as echo-request, n or n/code was expected");
    let kind = number(kind, 255).ok_or_else(wrong)? as u8;
    let code = code.map(|code| number(code, 255).ok_or_else(wrong)).transpose()?.map(|code| code as u8);
    // iptables' way of saying any type in numbers; no message of ICMP has type 255.
    match kind {
        255 if !v6 => Ok(IcmpType::ANY),
        _ => Ok(IcmpType { kind: Some(kind), codes: whole(code) }),
    }
}
