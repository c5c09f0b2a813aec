//! `-j REJECT`: the answers' names of iptables and ip6tables, which may be shortened.

use super::super::TableKind;
use super::super::criteria::Family;
use super::super::modules::{Draft, Facts, Given, Made, Module, by_beginning};
use super::super::options::Spec;
use super::super::target::Target;
use crate::faults::nearest;
use crate::policy::{RejectKind, TCP};

pub(super) static REJECT: Module = Module {
    name: "REJECT",
    spelled: "-j REJECT",
    options: &[Spec::value("reject-with")],
    new: || Box::new(RejectDraft(RejectKind::PortUnreachable)),
};

/// iptables' names, in the order in which it looks for one that begins so.
const V4: &[(&str, RejectKind)] = &[
    ("icmp-net-unreachable", RejectKind::NetUnreachable),
    ("net-unreach", RejectKind::NetUnreachable),
    ("icmp-host-unreachable", RejectKind::HostUnreachable),
    ("host-unreach", RejectKind::HostUnreachable),
    ("icmp-proto-unreachable", RejectKind::ProtoUnreachable),
    ("proto-unreach", RejectKind::ProtoUnreachable),
    ("icmp-port-unreachable", RejectKind::PortUnreachable),
    ("port-unreach", RejectKind::PortUnreachable),
    ("icmp-net-prohibited", RejectKind::NetProhibited),
    ("net-prohib", RejectKind::NetProhibited),
    ("icmp-host-prohibited", RejectKind::HostProhibited),
    ("host-prohib", RejectKind::HostProhibited),
    ("tcp-reset", RejectKind::TcpReset),
    ("tcp-rst", RejectKind::TcpReset),
    ("icmp-admin-prohibited", RejectKind::AdminProhibited),
    ("admin-prohib", RejectKind::AdminProhibited),
];

/// ip6tables' names of the same answers. IPv6 has no more than these; what else V4 says is answered as the nearest.
pub(super) const V6: &[(&str, RejectKind)] = &[
    ("icmp6-no-route", RejectKind::NetUnreachable),
    ("no-route", RejectKind::NetUnreachable),
    ("icmp6-adm-prohibited", RejectKind::AdminProhibited),
    ("adm-prohibited", RejectKind::AdminProhibited),
    ("icmp6-addr-unreachable", RejectKind::HostUnreachable),
    ("addr-unreach", RejectKind::HostUnreachable),
    ("icmp6-port-unreachable", RejectKind::PortUnreachable),
    ("tcp-reset", RejectKind::TcpReset),
];

struct RejectDraft(RejectKind);

impl Draft for RejectDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let kind = by_beginning(given.value, V4).or_else(|| by_beginning(given.value, V6));
        self.0 = kind.ok_or_else(|| {
            let known = || V4.iter().step_by(2).map(|(name, _)| *name);
            let meant = nearest(given.value, known()).map(|meant| format!("was `{meant}` meant?"));
            let meant = meant.unwrap_or_else(|| format!("one of {}", known().collect::<Vec<_>>().join(", ")));
            format!("`{}` is no answer of REJECT: {meant}", given.value)
        })?;
        Ok(())
    }

    fn finish(&self, facts: &mut Facts<'_>) -> Result<Made, String> {
        if facts.table != TableKind::Filter {
            return Err(format!("REJECT cannot stand in table {}, only in table filter", facts.table.name()));
        }
        if self.0 == RejectKind::TcpReset && !facts.is_protocol(&[TCP]) {
            return Err("`--reject-with tcp-reset` needs `-p tcp`".to_owned());
        }
        Ok(Made::Target(Target::Reject(self.0)))
    }
}

/// The answer's name: iptables', or ip6tables' in a rule that is printed for it.
pub(super) fn name(kind: RejectKind, family: Option<Family>) -> &'static str {
    let of_v6 = V6.iter().find(|(_, other)| *other == kind).map(|(name, _)| *name);
    match family {
        Some(Family::V6) => of_v6.unwrap_or(match kind {
            RejectKind::ProtoUnreachable => "icmp6-port-unreachable",
            _ => "icmp6-adm-prohibited",
        }),
        _ => kind.name(),
    }
}
