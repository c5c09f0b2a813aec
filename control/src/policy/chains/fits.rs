//! The matches that see the flow and nothing else.
//!
//! They answer as Linux' matches of the same names do for the first packet of a flow; where inversion and absence meet,
//! as Linux does it is written beside the line. What a first packet cannot have is false: a reply, a state that comes
//! later, a route to nowhere.

use std::net::{IpAddr, SocketAddr};

use super::{Context, Seen};
use crate::policy::trace::Criterion;
use crate::policy::tuple::{Cast, FlowState, ICMP, ICMPV6};
use crate::rules::{
    AddressTypes, Direction, Hook, Match, Not, PacketType, PortSet, Ports, Side, States, Status, TableKind, TimeSpan,
    Touched, TrackedAddresses, Tracking,
};

#[cfg(test)]
mod tests;

const DAY: i64 = 86_400;

/// What of a match the flow does not fit.
pub(super) fn mismatch(plain: &Match, seen: &Seen, context: &Context<'_>) -> Option<Criterion> {
    let (from, to) = (seen.source.port(), seen.destination.port());
    let unless = |holds: bool, criterion| (!holds).then_some(criterion);
    let packet = &seen.packet;
    match plain {
        Match::Tcp { source, destination, flags, option } => ports(source, destination, seen)
            .or(unless(fits(flags, |flags| flags.holds(packet.tcp_flags)), Criterion::TcpFlags))
            .or(unless(fits(option, |kind| has_option(packet.tcp_options, *kind)), Criterion::TcpOption)),
        Match::Udp { source, destination } | Match::Ported { source, destination, .. } => {
            ports(source, destination, seen)
        }
        Match::Icmp(kind) | Match::Icmp6(kind) => {
            // Only the addresses are known to who explains a flow: he asks about a ping.
            let ping = if seen.protocol == ICMPV6 { 128 } else { 8 };
            let (of, code) = packet.icmp.unwrap_or((ping, 0));
            let icmp = seen.protocol == ICMP || seen.protocol == ICMPV6;
            unless(icmp && kind.holds(kind.value.holds(of, code)), Criterion::IcmpType)
        }
        Match::Multiport { which, ports } => {
            let any = |port: u16| ports.value.iter().any(|range| range.contains(port));
            match which {
                PortSet::Source => unless(ports.holds(any(from)), Criterion::SourcePort),
                PortSet::Destination => unless(ports.holds(any(to)), Criterion::DestinationPort),
                PortSet::Either => unless(ports.holds(any(from) || any(to)), Criterion::EitherPort),
            }
        }
        Match::IpRange { source, destination } => {
            let (from, to) = (seen.source.ip(), seen.destination.ip());
            unless(fits(source, |range| range.contains(from)), Criterion::SourceRange)
                .or(unless(fits(destination, |range| range.contains(to)), Criterion::DestinationRange))
        }
        // xt_mac: a packet without Ethernet header fits neither the match nor its inversion.
        Match::Mac(mac) => unless(packet.source_mac.is_some_and(|own| mac.holds(own == mac.value)), Criterion::Mac),
        Match::PacketType(kind) => {
            let cast = match packet.cast {
                Cast::Unicast => PacketType::Unicast,
                Cast::Broadcast => PacketType::Broadcast,
                Cast::Multicast => PacketType::Multicast,
            };
            unless(kind.holds(kind.value == cast), Criterion::PacketType)
        }
        Match::Length(length) => {
            let (first, last) = length.value;
            unless(length.holds((first..=last).contains(&packet.length)), Criterion::Length)
        }
        Match::Ttl(compare, with) => {
            unless(seen.source.is_ipv4() && compare.holds(ttl(seen, context.hook), *with), Criterion::Ttl)
        }
        Match::HopLimit(compare, with) => {
            unless(seen.source.is_ipv6() && compare.holds(ttl(seen, context.hook), *with), Criterion::Ttl)
        }
        Match::State(states) => unless(states.holds(states.value.intersects(state(seen, context))), Criterion::State),
        Match::Conntrack(tracking) => tracked(tracking, seen, context),
        Match::Mark(mark) => unless(mark.holds(mark.value.holds(seen.mark)), Criterion::Mark),
        // xt_connmark: what is not tracked has no connection, and fits neither the match nor its inversion.
        Match::Connmark(mark) => {
            unless(has_connection(seen, context) && mark.holds(mark.value.holds(seen.connmark)), Criterion::Connmark)
        }
        Match::AddrType { source, destination, interface } => {
            let limit = interface.map(|side| match side {
                Side::In => seen.input,
                Side::Out => seen.output,
            });
            let is = |address: IpAddr, types: &AddressTypes| context.addresses.is(address, *types, limit);
            unless(fits(source, |types| is(seen.source.ip(), types)), Criterion::AddressType)
                .or(unless(fits(destination, |types| is(seen.destination.ip(), types)), Criterion::AddressType))
        }
        // The sockets that wait for flows not meant for the gateway are those of the tproxy features; all of them are
        // transparent, none is bound to every address, none has a mark.
        Match::Socket { .. } => unless(seen.tproxy, Criterion::Socket),
        Match::Tproxy(tproxy) => unless(tproxy.holds(seen.tproxy), Criterion::Tproxy),
        Match::Time(span) => unless(is_in(span, packet.at.unix_seconds), Criterion::Time),
        Match::Comment(_) => None,
        // They have checks of their own ([`super::Check`]); one that had none would have to refuse.
        Match::Set(_) => Some(Criterion::Set),
        Match::Limit(_) => Some(Criterion::Limit),
        Match::HashLimit(_) => Some(Criterion::HashLimit),
        Match::ConnLimit(_) => Some(Criterion::ConnLimit),
        Match::Recent(_) => Some(Criterion::Recent),
    }
}

fn fits<T>(wanted: &Option<Not<T>>, answer: impl FnOnce(&T) -> bool) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted.holds(answer(&wanted.value)))
}

fn ports(source: &Option<Not<Ports>>, destination: &Option<Not<Ports>>, seen: &Seen) -> Option<Criterion> {
    if !fits(source, |ports| ports.contains(seen.source.port())) {
        return Some(Criterion::SourcePort);
    }
    (!fits(destination, |ports| ports.contains(seen.destination.port()))).then_some(Criterion::DestinationPort)
}

fn has_option(options: u64, kind: u8) -> bool {
    kind < 64 && options & (1 << kind) != 0
}

/// As the hook sees it: a router has taken one off before FORWARD, and so has a leg that mirrors the other.
pub(super) fn ttl(seen: &Seen, hook: Hook) -> u8 {
    match hook {
        Hook::Prerouting | Hook::Input => seen.packet.ttl,
        Hook::Forward | Hook::Output | Hook::Postrouting => seen.packet.ttl.saturating_sub(1),
    }
}

pub(super) fn touched(seen: &Seen, which: Touched) -> IpAddr {
    match which {
        Touched::Source => seen.source.ip(),
        Touched::Destination => seen.destination.ip(),
    }
}

/// The first bits of an address; 128 is the whole address in both families.
pub(in crate::policy) fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & kept).into())
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & kept).into())
        }
    }
}

/// Tracking begins behind table raw: there, no packet has a connection.
fn has_connection(seen: &Seen, context: &Context<'_>) -> bool {
    !seen.untracked && context.table != TableKind::Raw
}

fn state(seen: &Seen, context: &Context<'_>) -> States {
    match seen.packet.state {
        _ if seen.untracked => States::UNTRACKED,
        // xt_conntrack: a packet that has neither connection nor `NOTRACK` is invalid.
        _ if context.table == TableKind::Raw => States::INVALID,
        FlowState::New => States::NEW,
        FlowState::Related => States::RELATED,
    }
}

/// `-m conntrack`: what is not tracked has a state and nothing else.
fn tracked(tracking: &Tracking, seen: &Seen, context: &Context<'_>) -> Option<Criterion> {
    let mut states = state(seen, context);
    if has_connection(seen, context) {
        states.set(States::SNAT, seen.original.0 != seen.source);
        states.set(States::DNAT, seen.original.1 != seen.destination);
    }
    if !fits(&tracking.states, |wanted| wanted.intersects(states)) {
        return Some(Criterion::State);
    }
    if !has_connection(seen, context) {
        return tracking.states.is_none().then_some(Criterion::Conntrack);
    }
    // A first packet goes in the original direction, and its flow has seen no reply: none of the other statuses is true
    // yet, and what is not confirmed expires at once.
    let related = seen.packet.state == FlowState::Related;
    let status = if related { Status::EXPECTED } else { Status::empty() };
    let holds = tracking.direction.is_none_or(|direction| direction == Direction::Original)
        && fits(&tracking.protocol, |protocol| *protocol == seen.protocol)
        && addresses(&tracking.original, seen.original.0, seen.original.1)
        && addresses(&tracking.reply, seen.destination, seen.source)
        && fits(&tracking.status, |wanted| wanted.intersects(status))
        && fits(&tracking.expire_s, |(first, _)| *first == 0);
    (!holds).then_some(Criterion::Conntrack)
}

fn addresses(wanted: &TrackedAddresses, source: SocketAddr, destination: SocketAddr) -> bool {
    fits(&wanted.source, |network| network.contains(source.ip()))
        && fits(&wanted.destination, |network| network.contains(destination.ip()))
        && fits(&wanted.source_port, |ports| ports.contains(source.port()))
        && fits(&wanted.destination_port, |ports| ports.contains(destination.port()))
}

/// `-m time`: within the dates, and on the days, and at the time of day. A span across midnight that is contiguous
/// belongs to the day on which it began.
fn is_in(span: &TimeSpan, unix_seconds: i64) -> bool {
    if unix_seconds < i64::from(span.date_start) || unix_seconds > i64::from(span.date_stop) {
        return false;
    }
    let time = unix_seconds.rem_euclid(DAY) as u32;
    let mut day = unix_seconds.div_euclid(DAY);
    if span.day_start < span.day_stop {
        if time < span.day_start || time > span.day_stop {
            return false;
        }
    } else {
        if time < span.day_start && time > span.day_stop {
            return false;
        }
        if span.contiguous && time <= span.day_stop {
            day -= 1;
        }
    }
    // 1970-01-01 was a Thursday, the fourth day of a week.
    let week_day = (day + 3).rem_euclid(7) as u32 + 1;
    span.week_days.contains(week_day) && span.month_days.contains(day_of_month(day))
}

/// Day of the month of a day since 1970-01-01, in the Gregorian calendar; years counted from March, so that the leap
/// day is a year's last.
fn day_of_month(day: i64) -> u32 {
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    (of_year - (153 * month + 2) / 5 + 1) as u32
}
