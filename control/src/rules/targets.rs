//! The targets (`-j`, `-g`) and their options: which words belong to which target, and which it must have.

use std::net::IpAddr;

use super::criteria::{Family, Not};
use super::lex::Word;
use super::options::{Found, Opt, Owner};
use super::rule::{Context, chain_name, shared};
use super::target::{Masked, Target};
use super::{TableKind, ports, words};
use crate::faults::nearest;
use crate::policy::{RejectKind, TCP, UDP};

/// iptables' short names of `--reject-with`, and ip6tables' names of the same answers.
const REJECT_ALIASES: &[(&str, RejectKind)] = &[
    ("net-unreach", RejectKind::NetUnreachable),
    ("host-unreach", RejectKind::HostUnreachable),
    ("proto-unreach", RejectKind::ProtoUnreachable),
    ("port-unreach", RejectKind::PortUnreachable),
    ("net-prohib", RejectKind::NetProhibited),
    ("host-prohib", RejectKind::HostProhibited),
    ("admin-prohib", RejectKind::AdminProhibited),
    ("tcp-rst", RejectKind::TcpReset),
    ("icmp6-no-route", RejectKind::NetUnreachable),
    ("no-route", RejectKind::NetUnreachable),
    ("icmp6-addr-unreachable", RejectKind::HostUnreachable),
    ("addr-unreach", RejectKind::HostUnreachable),
    ("icmp6-port-unreachable", RejectKind::PortUnreachable),
    ("icmp6-adm-prohibited", RejectKind::AdminProhibited),
    ("adm-prohibited", RejectKind::AdminProhibited),
];

/// Changes nothing.
const NO_MARK: Masked = Masked { value: 0, mask: 0 };

/// What has been read of a rule's target.
#[derive(Default)]
pub(super) struct TargetDraft {
    name: Option<(String, u32)>,
    goto: bool,
    on_port: Option<u16>,
    on_ip: Option<IpAddr>,
    reject_with: Option<(RejectKind, u32)>,
}

impl TargetDraft {
    /// The target whose options are known.
    pub(super) fn owner(&self) -> Option<Owner> {
        match self.name.as_ref()?.0.as_str() {
            "TPROXY" => Some(Owner::Tproxy),
            "REJECT" => Some(Owner::Reject),
            _ => None,
        }
    }

    /// `-j NAME` or `-g NAME`.
    pub(super) fn name(&mut self, name: &Word, goto: bool, context: &mut Context<'_>) -> Option<()> {
        if words::TARGETS.contains(&&*name.text) {
            context.fault(name.column, format!("target `{}` is not in this version", name.text));
            return None;
        }
        chain_name(name, context)?;
        if self.name.replace((name.text.clone(), name.column)).is_some() {
            context.fault(name.column, "the rule has two targets");
        }
        self.goto = goto;
        Some(())
    }

    /// An option of the target.
    pub(super) fn option(&mut self, found: &Found, value: &Word, context: &mut Context<'_>) {
        let twice = match found.opt {
            Opt::OnPort => {
                let port = ports::port(&value.text).unwrap_or_else(|why| {
                    context.fault(value.column, why);
                    0
                });
                self.on_port.replace(port).is_some()
            }
            Opt::OnIp => match value.text.parse::<IpAddr>() {
                Ok(address) => self.on_ip.replace(address).is_some(),
                Err(_) => return context.fault(value.column, format!("`{}` is no address", value.text)),
            },
            _ => match reject_kind(&value.text) {
                Some(kind) => self.reject_with.replace((kind, value.column)).is_some(),
                None => {
                    let known = RejectKind::ALL.iter().map(|kind| kind.name());
                    let hint = match nearest(&value.text, known.clone()) {
                        Some(meant) => format!("was `{meant}` meant?"),
                        None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
                    };
                    return context.fault_hint(value.column, format!("`{}` is no answer of REJECT", value.text), hint);
                }
            },
        };
        if twice {
            context.fault(value.column, format!("`{}` is there twice", found.written));
        }
    }

    /// The target, when it has what it needs and may stand in this table.
    pub(super) fn finish(self, protocol: Option<&Not<u8>>, context: &mut Context<'_>) -> Option<Target> {
        let (name, column) = self.name?;
        let standard = matches!(&*name, "ACCEPT" | "DROP" | "RETURN" | "REJECT" | "TPROXY");
        if self.goto && standard {
            context.fault(column, format!("`-g` goes to a chain, `{name}` is none"));
            return None;
        }
        Some(match &*name {
            "ACCEPT" => Target::Accept,
            "DROP" => Target::Drop,
            "RETURN" => Target::Return,
            "REJECT" => reject(self.reject_with, protocol, column, context),
            "TPROXY" => tproxy(self.on_port, self.on_ip, protocol, column, context)?,
            _ if self.goto => Target::Goto(shared(&name)),
            _ => Target::Jump(shared(&name)),
        })
    }
}

fn reject_kind(word: &str) -> Option<RejectKind> {
    let named = RejectKind::ALL.iter().find(|kind| kind.name() == word).copied();
    named.or_else(|| REJECT_ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, kind)| *kind))
}

fn reject(
    with: Option<(RejectKind, u32)>,
    protocol: Option<&Not<u8>>,
    column: u32,
    context: &mut Context<'_>,
) -> Target {
    if context.table != TableKind::Filter {
        context.fault(column, format!("REJECT cannot stand in table {}, only in table filter", context.table.name()));
    }
    let (kind, column) = with.unwrap_or((RejectKind::PortUnreachable, column));
    if kind == RejectKind::TcpReset && !protocol.is_some_and(|p| !p.not && p.value == TCP) {
        context.fault(column, "`--reject-with tcp-reset` needs `-p tcp`");
    }
    Target::Reject(kind)
}

fn tproxy(
    port: Option<u16>,
    address: Option<IpAddr>,
    protocol: Option<&Not<u8>>,
    column: u32,
    context: &mut Context<'_>,
) -> Option<Target> {
    if context.table != TableKind::Tproxy {
        context.fault(column, format!("TPROXY cannot stand in table {}, only in table tproxy", context.table.name()));
    }
    if !protocol.is_some_and(|p| !p.not && (p.value == TCP || p.value == UDP)) {
        let hint = "add `-p tcp` if that is what is meant";
        context.warn(column, "TPROXY without `-p tcp` or `-p udp`: flows of other protocols pass untouched", hint);
    }
    let Some(port) = port else {
        context.fault_hint(column, "TPROXY needs `--on-port`", "the port of a listener; 0 keeps the flow's own");
        return None;
    };
    Some(Target::Tproxy { port, address: address.filter(|address| !address.is_unspecified()), mark: NO_MARK })
}

impl Target {
    /// The family a target is for: that of an address in it.
    pub(super) fn family(&self) -> Option<Family> {
        match self {
            Target::Tproxy { address: Some(IpAddr::V4(_)), .. } => Some(Family::V4),
            Target::Tproxy { address: Some(IpAddr::V6(_)), .. } => Some(Family::V6),
            _ => None,
        }
    }
}
