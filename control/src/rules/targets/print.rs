//! Targets as canonical text, each as iptables-save prints it.
//! What becomes of a flow is the policy's and the data plane's matter; here is how a target is written, checked and printed.

use std::fmt::{Formatter, Result};
use std::net::IpAddr;

use super::super::TableKind;
use super::super::criteria::{AddressRange, Family};
use super::super::lex::quote;
use super::super::matches::flag;
use super::super::print::Style;
use super::super::target::{Connmark, Log, Masked, Target, Translation};
use super::{log, reject};

/// Prints a target with a blank before it.
pub(in crate::rules) fn print(target: &Target, table: TableKind, style: &Style<'_>, f: &mut Formatter<'_>) -> Result {
    match target {
        Target::Accept => f.write_str(" -j ACCEPT"),
        Target::Drop => f.write_str(" -j DROP"),
        Target::Return => f.write_str(" -j RETURN"),
        Target::Reject(kind) => write!(f, " -j REJECT --reject-with {}", reject::name(*kind, style.only)),
        Target::Tproxy { port, address, mark: Masked { value, mask } } => {
            let any = if style.only == Some(Family::V6) { "::" } else { "0.0.0.0" };
            let address = address.map_or(any.to_owned(), |address| address.to_string());
            write!(f, " -j TPROXY --on-port {port} --on-ip {address}")?;
            if table == TableKind::Mangle { write!(f, " --tproxy-mark {value:#x}/{mask:#x}") } else { Ok(()) }
        }
        Target::Log(one) => logs(f, one),
        Target::Dnat(to) => translation(f, "DNAT", "--to-destination", to),
        Target::Redirect(to) => translation(f, "REDIRECT", "--to-ports", to),
        Target::Snat(to) => translation(f, "SNAT", "--to-source", to),
        Target::Masquerade(to) => translation(f, "MASQUERADE", "--to-ports", to),
        Target::Mark(Masked { value, mask }) => write!(f, " -j MARK --set-xmark {value:#x}/{mask:#x}"),
        Target::Connmark(Connmark::Set(Masked { value, mask })) => {
            write!(f, " -j CONNMARK --set-xmark {value:#x}/{mask:#x}")
        }
        Target::Connmark(Connmark::Save { packet_mask, connection_mask }) => {
            write!(f, " -j CONNMARK --save-mark --nfmask {packet_mask:#x} --ctmask {connection_mask:#x}")
        }
        Target::Connmark(Connmark::Restore { packet_mask, connection_mask }) => {
            write!(f, " -j CONNMARK --restore-mark --nfmask {packet_mask:#x} --ctmask {connection_mask:#x}")
        }
        Target::Notrack => f.write_str(" -j CT --notrack"),
        Target::Jump(chain) => write!(f, " -j {chain}"),
        Target::Goto(chain) => write!(f, " -g {chain}"),
    }
}

fn logs(f: &mut Formatter<'_>, one: &Log) -> Result {
    f.write_str(" -j LOG")?;
    if !one.prefix.is_empty() {
        write!(f, " --log-prefix {}", quote(&one.prefix))?;
    }
    if one.level != log::LEVEL {
        write!(f, " --log-level {}", one.level)?;
    }
    flag(f, "--log-tcp-sequence", one.tcp_sequence)?;
    flag(f, "--log-tcp-options", one.tcp_options)?;
    flag(f, "--log-ip-options", one.ip_options)?;
    flag(f, "--log-uid", one.uid)?;
    flag(f, "--log-macdecode", one.mac)
}

fn translation(f: &mut Formatter<'_>, name: &str, option: &str, to: &Translation) -> Result {
    write!(f, " -j {name}")?;
    if to.addresses.is_some() || to.ports.is_some() {
        write!(f, " {option} ")?;
    }
    let v6 = to.addresses.is_some_and(|range| range.first.is_ipv6()) && to.ports.is_some();
    if let Some(range) = to.addresses {
        f.write_str(if v6 { "[" } else { "" })?;
        addresses(f, range)?;
        f.write_str(if v6 { "]" } else { "" })?;
    }
    if let Some((first, last)) = to.ports {
        f.write_str(if option == "--to-ports" { "" } else { ":" })?;
        if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
    }
    if let Some(base) = to.base {
        write!(f, "/{base}")?;
    }
    flag(f, "--random", to.random)?;
    flag(f, "--random-fully", to.random_fully)?;
    flag(f, "--persistent", to.persistent)
}

fn addresses(f: &mut Formatter<'_>, AddressRange { first, last }: AddressRange) -> Result {
    let show = |f: &mut Formatter<'_>, address: IpAddr| write!(f, "{address}");
    show(f, first)?;
    if first == last {
        return Ok(());
    }
    f.write_str("-")?;
    show(f, last)
}
