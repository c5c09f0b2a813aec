//! Matches as canonical text, each as iptables-save prints it.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use std::fmt::{Display, Formatter, Result, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::Network;
use super::super::criteria::*;
use super::super::lex::{quote, quote_name};
use super::super::target::Masked;
use super::{address, hashlimit, ports, rate, time, tracking};

/// Prints a match with a blank before it. `family` is the rule's, if it is for one only.
pub(in crate::rules) fn print(one: &Match, family: Option<Family>, f: &mut Formatter<'_>) -> Result {
    match one {
        Match::Tcp { source, destination, flags, option } => {
            f.write_str(" -m tcp")?;
            value(f, "--sport", source)?;
            value(f, "--dport", destination)?;
            value(f, "--tcp-option", option)?;
            mapped(f, "--tcp-flags", flags, |flags| format!("{} {}", tcp_flags(flags.mask), tcp_flags(flags.set)))
        }
        Match::Udp { source, destination } => two_ports(f, "udp", source, destination),
        Match::Ported { protocol: ports::SCTP, source, destination } => two_ports(f, "sctp", source, destination),
        Match::Ported { source, destination, .. } => two_ports(f, "dccp", source, destination),
        Match::Icmp(kind) => named(f, "icmp", "--icmp-type", kind, |kind| icmp(*kind)),
        Match::Icmp6(kind) => named(f, "icmp6", "--icmpv6-type", kind, |kind| icmp(*kind)),
        Match::Multiport { which, ports } => {
            let option = match which {
                PortSet::Source => "--sports",
                PortSet::Destination => "--dports",
                PortSet::Either => "--ports",
            };
            named(f, "multiport", option, ports, |ports| {
                ports.iter().map(Ports::to_string).collect::<Vec<_>>().join(",")
            })
        }
        Match::IpRange { source, destination } => {
            f.write_str(" -m iprange")?;
            mapped(f, "--src-range", source, |range| format!("{}-{}", range.first, range.last))?;
            mapped(f, "--dst-range", destination, |range| format!("{}-{}", range.first, range.last))
        }
        Match::Mac(mac) => named(f, "mac", "--mac-source", mac, |mac| {
            mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        }),
        Match::PacketType(kind) => named(f, "pkttype", "--pkt-type", kind, |kind| kind.name().to_owned()),
        Match::Length(length) => named(f, "length", "--length", length, |(first, last)| span(first, last)),
        Match::Ttl(compare, number) => hops(f, "ttl", *compare, *number),
        Match::HopLimit(compare, number) => hops(f, "hl", *compare, *number),
        Match::State(states) => named(f, "state", "--state", states, |states| list(&tracking::STATES, *states)),
        Match::Conntrack(tracking) => conntrack(f, tracking),
        Match::Mark(mark) => named(f, "mark", "--mark", mark, |mark| masked(*mark)),
        Match::Connmark(mark) => named(f, "connmark", "--mark", mark, |mark| masked(*mark)),
        Match::AddrType { source, destination, interface } => {
            f.write_str(" -m addrtype")?;
            mapped(f, "--src-type", source, |types| list(&address::ADDRESS_TYPES, *types))?;
            mapped(f, "--dst-type", destination, |types| list(&address::ADDRESS_TYPES, *types))?;
            flag(f, "--limit-iface-in", *interface == Some(Side::In))?;
            flag(f, "--limit-iface-out", *interface == Some(Side::Out))
        }
        Match::Socket { transparent, nowildcard, restore_mark } => {
            f.write_str(" -m socket")?;
            flag(f, "--transparent", *transparent)?;
            flag(f, "--nowildcard", *nowildcard)?;
            flag(f, "--restore-skmark", *restore_mark)
        }
        Match::Tproxy(Not { not, .. }) => write!(f, "{} -m tproxy", bang(*not)),
        Match::Set(set) => named(f, "set", "--match-set", set, |set| {
            let directions = set.directions.iter().map(|direction| match direction {
                SetDirection::Source => "src",
                SetDirection::Destination => "dst",
            });
            format!("{} {}", quote_name(&set.name), directions.collect::<Vec<_>>().join(","))
        }),
        Match::Limit(limit) => {
            write!(f, " -m limit --limit {}", rate::rate(u64::from(limit.period), rate::SCALE))?;
            if limit.burst == 5 { Ok(()) } else { write!(f, " --limit-burst {}", limit.burst) }
        }
        Match::HashLimit(limit) => hash_limit(f, limit, family),
        Match::ConnLimit(limit) => {
            let option = if limit.above { "above" } else { "upto" };
            let which = if limit.which == Touched::Source { "saddr" } else { "daddr" };
            let length = if family == Some(Family::V4) { limit.length.min(32) } else { limit.length };
            write!(f, " -m connlimit --connlimit-{option} {}", limit.limit)?;
            write!(f, " --connlimit-mask {length} --connlimit-{which}")
        }
        Match::Recent(recent) => recently(f, recent, family),
        Match::Time(span) => when(f, span),
        Match::Comment(comment) => write!(f, " -m comment --comment {}", quote(comment)),
    }
}

pub(in crate::rules) fn bang(not: bool) -> &'static str {
    if not { " !" } else { "" }
}

/// ` -m NAME [!] --OPTION VALUE`, the value written by `text`.
fn named<T>(f: &mut Formatter<'_>, name: &str, option: &str, of: &Not<T>, text: impl Fn(&T) -> String) -> Result {
    write!(f, " -m {name}{} {option} {}", bang(of.not), text(&of.value))
}

/// ` [!] --OPTION VALUE` when there is one.
fn mapped<T>(f: &mut Formatter<'_>, option: &str, of: &Option<Not<T>>, text: impl Fn(&T) -> String) -> Result {
    match of {
        Some(Not { not, value }) => write!(f, "{} {option} {}", bang(*not), text(value)),
        None => Ok(()),
    }
}

pub(in crate::rules) fn value<T: Display>(f: &mut Formatter<'_>, option: &str, of: &Option<Not<T>>) -> Result {
    mapped(f, option, of, T::to_string)
}

pub(in crate::rules) fn flag(f: &mut Formatter<'_>, option: &str, set: bool) -> Result {
    if set { write!(f, " {option}") } else { Ok(()) }
}

fn two_ports(
    f: &mut Formatter<'_>,
    name: &str,
    source: &Option<Not<Ports>>,
    destination: &Option<Not<Ports>>,
) -> Result {
    write!(f, " -m {name}")?;
    value(f, "--sport", source)?;
    value(f, "--dport", destination)
}

fn tcp_flags(flags: u8) -> String {
    let names = ports::TCP_FLAGS.iter().filter(|(_, bit)| flags & bit != 0).map(|(name, _)| *name);
    let names = names.collect::<Vec<_>>().join(",");
    if names.is_empty() { "NONE".to_owned() } else { names }
}

fn icmp(of: IcmpType) -> String {
    match (of.kind, of.codes) {
        (None, _) => "any".to_owned(),
        (Some(kind), (0, u8::MAX)) => kind.to_string(),
        (Some(kind), (first, last)) if first == last => format!("{kind}/{first}"),
        (Some(kind), (first, last)) => format!("{kind}/{first}:{last}"),
    }
}

/// The names of the bits that are set.
fn list<T: bitflags::Flags + Copy>(names: &[(&'static str, T)], set: T) -> String {
    names.iter().filter(|(_, one)| set.contains(*one)).map(|(name, _)| *name).collect::<Vec<_>>().join(",")
}

fn span<T: Display + PartialEq>(first: &T, last: &T) -> String {
    if first == last { first.to_string() } else { format!("{first}:{last}") }
}

fn hops(f: &mut Formatter<'_>, name: &str, compare: Compare, number: u8) -> Result {
    let (not, how) = match compare {
        Compare::Equal => (false, "eq"),
        Compare::NotEqual => (true, "eq"),
        Compare::Less => (false, "lt"),
        Compare::Greater => (false, "gt"),
    };
    write!(f, " -m {name}{} --{name}-{how} {number}", bang(not))
}

/// `0xVALUE`, and `/0xMASK` unless all bits count.
fn masked(mark: Masked) -> String {
    let mut text = format!("{:#x}", mark.value);
    if mark.mask != u32::MAX {
        let _ = write!(text, "/{:#x}", mark.mask);
    }
    text
}

fn conntrack(f: &mut Formatter<'_>, tracking: &Tracking) -> Result {
    let Tracking { states, protocol, original, reply, status, expire_s, direction } = tracking;
    f.write_str(" -m conntrack")?;
    mapped(f, "--ctstate", states, |states| list(&tracking::STATES, *states))?;
    value(f, "--ctproto", protocol)?;
    mapped(f, "--ctorigsrc", &original.source, host)?;
    mapped(f, "--ctorigdst", &original.destination, host)?;
    mapped(f, "--ctreplsrc", &reply.source, host)?;
    mapped(f, "--ctrepldst", &reply.destination, host)?;
    value(f, "--ctorigsrcport", &original.source_port)?;
    value(f, "--ctorigdstport", &original.destination_port)?;
    value(f, "--ctreplsrcport", &reply.source_port)?;
    value(f, "--ctrepldstport", &reply.destination_port)?;
    mapped(f, "--ctstatus", status, |status| list(&tracking::STATUS, *status))?;
    mapped(f, "--ctexpire", expire_s, |(first, last)| span(first, last))?;
    match direction {
        Some(Direction::Original) => f.write_str(" --ctdir ORIGINAL"),
        Some(Direction::Reply) => f.write_str(" --ctdir REPLY"),
        None => Ok(()),
    }
}

/// A network, or a host without length.
fn host(network: &Network) -> String {
    match network {
        Network::V4 { address, mask: u32::MAX } => Ipv4Addr::from_bits(*address).to_string(),
        Network::V6 { address, mask: u128::MAX } => Ipv6Addr::from_bits(*address).to_string(),
        network => network.to_string(),
    }
}

fn hash_limit(f: &mut Formatter<'_>, limit: &HashLimit, family: Option<Family>) -> Result {
    let rate = match limit.rate {
        HashRate::Flows { period } => rate::rate(period, hashlimit::SCALE),
        HashRate::Bytes { per_second } => format!("{}/s", hashlimit::in_bytes(per_second)),
    };
    write!(f, " -m hashlimit --hashlimit-{} {rate}", if limit.above { "above" } else { "upto" })?;
    match limit.burst {
        Burst::Flows(flows) => write!(f, " --hashlimit-burst {flows}")?,
        Burst::Bytes(0) => {}
        Burst::Bytes(bytes) => write!(f, " --hashlimit-burst {}", hashlimit::in_bytes(bytes))?,
    }
    let HashKeys { source, source_port, destination, destination_port } = limit.keys;
    let keys = [(source, "srcip"), (source_port, "srcport"), (destination, "dstip"), (destination_port, "dstport")];
    let keys = keys.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(",");
    if !keys.is_empty() {
        write!(f, " --hashlimit-mode {keys}")?;
    }
    write!(f, " --hashlimit-name {}", quote_name(&limit.name))?;
    let number = |f: &mut Formatter<'_>, option: &str, number: Option<u32>| match number {
        Some(number) => write!(f, " --hashlimit-{option} {number}"),
        None => Ok(()),
    };
    number(f, "htable-size", limit.size)?;
    number(f, "htable-max", limit.max)?;
    number(f, "htable-gcinterval", limit.sweep_ms)?;
    number(f, "htable-expire", limit.expire_ms)?;
    let length = |length: u8| {
        let whole = length == hashlimit::WHOLE || (family == Some(Family::V4) && length == 32);
        (!whole).then_some(u32::from(length))
    };
    number(f, "srcmask", length(limit.source_length))?;
    number(f, "dstmask", length(limit.destination_length))?;
    flag(f, "--hashlimit-rate-match", limit.rate_match)?;
    number(f, "rate-interval", Some(limit.rate_interval_s).filter(|seconds| *seconds != 1))
}

fn recently(f: &mut Formatter<'_>, recent: &Not<Recent>, family: Option<Family>) -> Result {
    let Recent { name, operation, seconds, reap, hits, same_ttl, mask, which } = &recent.value;
    let operation = match operation {
        RecentOperation::Set => "--set",
        RecentOperation::Check => "--rcheck",
        RecentOperation::Update => "--update",
        RecentOperation::Remove => "--remove",
    };
    write!(f, " -m recent{} {operation}", bang(recent.not))?;
    if let Some(seconds) = seconds {
        write!(f, " --seconds {seconds}")?;
    }
    flag(f, "--reap", *reap)?;
    if let Some(hits) = hits {
        write!(f, " --hitcount {hits}")?;
    }
    flag(f, "--rttl", *same_ttl)?;
    write!(f, " --name {}", quote_name(name))?;
    match (mask, family) {
        (Some(mask), _) => write!(f, " --mask {mask}")?,
        (None, Some(Family::V4)) => f.write_str(" --mask 255.255.255.255")?,
        (None, Some(Family::V6)) => write!(f, " --mask {}", Ipv6Addr::from_bits(u128::MAX))?,
        // A mask is of one family, and the rule for both: the whole address is what is meant without one.
        (None, None) => {}
    }
    f.write_str(if *which == Touched::Source { " --rsource" } else { " --rdest" })
}

fn when(f: &mut Formatter<'_>, span: &TimeSpan) -> Result {
    f.write_str(" -m time")?;
    if (span.day_start, span.day_stop) != (0, time::DAY_END) {
        let (start, stop) = (time::written_time(span.day_start), time::written_time(span.day_stop));
        write!(f, " --timestart {start} --timestop {stop}")?;
    }
    let days = |days: Days, name: &dyn Fn(u32) -> String| {
        (1..32).filter(|day| days.contains(*day)).map(name).collect::<Vec<_>>().join(",")
    };
    if span.month_days != Days::MONTH {
        write!(f, " --monthdays {}", days(span.month_days, &|day| day.to_string()))?;
    }
    if span.week_days != Days::WEEK {
        let name = |day: u32| time::WEEK_DAYS[day as usize - 1].to_owned();
        write!(f, " --weekdays {}", days(span.week_days, &name))?;
    }
    if span.date_start != 0 {
        write!(f, " --datestart {}", time::written(span.date_start))?;
    }
    // iptables prints its "no end" as a date like any other.
    write!(f, " --datestop {}", time::written(span.date_stop))?;
    flag(f, "--contiguous", span.contiguous)
}
