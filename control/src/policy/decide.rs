//! The decision about a new flow, in the order of its way. The only code that decides.
//!
//! ```text
//! PREROUTING   raw → mangle → entries, tproxy → nat (what was not taken)
//! INPUT        mangle → filter → nat          what was taken goes on: listener or policy rules → service → server;
//!                                             so does what nat leads to a listener
//! FORWARD      mangle → filter                then POSTROUTING: mangle → nat
//! server leg   OUTPUT: raw → mangle → nat → filter, then POSTROUTING: mangle → nat
//! ```
//!
//! Table tproxy's OUTPUT is for connections that programs on the gateway make ([`Policy::decide_output`]), and not for
//! those of proxies to their servers: these have been through a proxy, and would come to it again. A translation that
//! cannot be made ends the flow; `NOTRACK` keeps a flow from table nat, as it does in Linux, and means nothing to a
//! flow that was taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::chains::Seen;
use super::trace::{Step, Trace};
use super::translation::{NatKind, mix};
use super::tuple::{Cast, EntryMatch, NewFlow};
use super::verdict::{Decision, DropReason, Logs, RuleRef, Verdict};
use super::{InterfaceId, Memory, Policy};
use crate::rules::{Hook, TableKind};
use way::{Passed, Way};

mod program;
mod serve;
mod way;

/// What the tproxy features make of a flow.
enum Taken {
    /// Nothing.
    Untouched,
    /// An entry marks it and leaves its addresses alone.
    Marked,
    /// It is redirected to a local address.
    To { local: SocketAddr, rule: Option<RuleRef>, program: bool },
}

/// Where a flow comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An interface.
    Wire,
    /// A program on the gateway.
    Gateway,
}

impl Origin {
    /// The first hook of its way.
    fn hook(self) -> Hook {
        match self {
            Origin::Wire => Hook::Prerouting,
            Origin::Gateway => Hook::Output,
        }
    }
}

impl Policy {
    /// Decides about a flow by its first packet. `entry` is the tproxy entry that matches its destination, if one
    /// does and could be claimed.
    pub fn decide<T: Trace>(
        &self,
        flow: &NewFlow,
        entry: Option<&EntryMatch>,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Decision {
        let mut way = Way::new(self, flow, Some(flow.interface), memory, trace);
        let verdict = way.arrive(entry).unwrap_or_else(|ended| ended);
        way.decision(verdict)
    }

    /// Decides about a connection that a program on the gateway makes (a local service, a socket of another program):
    /// `flow.interface` counts for groups and link-local addresses alone. Forward means that it may leave.
    pub fn decide_output<T: Trace>(
        &self,
        flow: &NewFlow,
        entry: Option<&EntryMatch>,
        memory: &mut Memory,
        trace: &mut T,
    ) -> Decision {
        let mut way = Way::new(self, flow, None, memory, trace);
        let verdict = way.depart(entry).unwrap_or_else(|ended| ended);
        way.decision(verdict)
    }
}

impl<T: Trace> Way<'_, T> {
    fn arrive(&mut self, entry: Option<&EntryMatch>) -> Result<Verdict, Verdict> {
        match self.take(Origin::Wire, entry)? {
            Taken::To { local, rule, program } => self.taken(local, rule, program),
            taken => {
                self.tproxy(matches!(taken, Taken::Marked));
                let translated = self.translate_destination(Hook::Prerouting)?;
                self.untouched(translated)
            }
        }
    }

    fn depart(&mut self, entry: Option<&EntryMatch>) -> Result<Verdict, Verdict> {
        self.route();
        // Groups and link-local addresses are at the interface that the program chose.
        let to = self.flow.destination.ip();
        if self.policy.is_for_gateway(to) && !self.policy.is_own(to) {
            self.seen.output = Some(self.flow.interface);
        }
        match self.take(Origin::Gateway, entry)? {
            Taken::To { local, rule, program } => self.taken(local, rule, program),
            taken => {
                self.tproxy(matches!(taken, Taken::Marked));
                self.translate_destination(Hook::Output)?;
                self.rule = self.pass(TableKind::Filter, Hook::Output)?;
                let to = self.seen.destination.ip();
                if self.policy.is_own(to) || to.is_loopback() {
                    self.input()?;
                    return Ok(Verdict::Local);
                }
                self.leave()?;
                Ok(Verdict::Forward)
            }
        }
    }

    /// The first hook: entries are consulted before the rules of table tproxy, which come behind those of mangle.
    fn take(&mut self, origin: Origin, entry: Option<&EntryMatch>) -> Result<Taken, Verdict> {
        let hook = origin.hook();
        self.pass(TableKind::Raw, hook)?;
        let mangled = self.ask(TableKind::Mangle, hook)?;
        if let Some(entry) = entry {
            self.trace.step(Step::Entry(entry));
            if entry.mark_only {
                return Ok(Taken::Marked);
            }
            self.trace.step(Step::Redirected(entry.local));
            return Ok(Taken::To { local: entry.local, rule: None, program: entry.program });
        }
        let asked = match mangled {
            Passed::Redirect { .. } => mangled,
            _ => self.ask(TableKind::Tproxy, hook)?,
        };
        let Passed::Redirect { address, port, rule } = asked else { return Ok(Taken::Untouched) };
        let to = self.flow.destination;
        let Some(address) = address.or_else(|| self.redirect_address(origin, to.ip())) else {
            self.trace.step(Step::NoLocalAddress(self.flow.interface));
            self.tproxy(true);
            self.rule = Some(rule);
            return Err(Verdict::Drop(DropReason::NoLocalAddress));
        };
        let local = SocketAddr::new(address, if port == 0 { to.port() } else { port });
        self.trace.step(Step::Redirected(local));
        Ok(Taken::To { local, rule: Some(rule), program: false })
    }

    /// `TPROXY` without `--on-ip`: the interface's first address; for what the gateway itself sends, loopback.
    fn redirect_address(&self, origin: Origin, like: IpAddr) -> Option<IpAddr> {
        match origin {
            Origin::Wire => self.policy.interface(self.flow.interface).first_address(like),
            Origin::Gateway => Some(loopback(like)),
        }
    }

    /// A flow that keeps its destination, or got another one from a rule of table nat: for the gateway or for someone
    /// else.
    fn untouched(&mut self, translated: Option<RuleRef>) -> Result<Verdict, Verdict> {
        let to = self.seen.destination;
        if self.policy.is_for_gateway(to.ip()) {
            self.trace.step(Step::ToGateway(to));
            self.input()?;
            // One that takes no more connections is still there: its flows end, as behind TPROXY.
            let (open, over) = self.policy.listener_at(to, self.flow.protocol);
            return match translated.filter(|_| open.or(over).is_some()) {
                Some(rule) => self.led_to_listener(to, rule),
                None => Ok(Verdict::Local),
            };
        }
        // RFC 1812 5.3.4: a router does not forward what came as a link layer broadcast; nor does Linux when DNAT leads
        // it to another machine.
        if self.seen.packet.cast != Cast::Unicast {
            return Err(Verdict::Drop(DropReason::NotForOneStation));
        }
        self.route();
        self.trace.step(Step::ToOthers(to.ip(), self.seen.output));
        self.forward()
    }

    /// INPUT, for what is not taken.
    fn input(&mut self) -> Result<(), Verdict> {
        self.pass(TableKind::Mangle, Hook::Input)?;
        self.rule = self.pass(TableKind::Filter, Hook::Input)?;
        self.translate_source(Hook::Input)
    }

    /// What `REDIRECT` or `DNAT` leads to a listener is the listener's, as Linux' REDIRECT leads to the socket of a
    /// proxy. The server that the client meant is in the flow; the translation ends here, and the connection to the
    /// server has one of its own.
    fn led_to_listener(&mut self, local: SocketAddr, rule: RuleRef) -> Result<Verdict, Verdict> {
        self.rule = Some(rule);
        // Reading refuses SNAT at INPUT; were one to slip through, the flow must not pass as it is.
        if std::mem::take(&mut self.nat).source.is_some() {
            return Err(Verdict::Drop(DropReason::NatRule));
        }
        self.serve(local)
    }

    /// FORWARD, and out.
    fn forward(&mut self) -> Result<Verdict, Verdict> {
        self.pass(TableKind::Mangle, Hook::Forward)?;
        let rule = self.pass(TableKind::Filter, Hook::Forward)?;
        self.rule = self.rule.or(rule);
        self.leave()?;
        Ok(Verdict::Forward)
    }

    /// POSTROUTING.
    fn leave(&mut self) -> Result<(), Verdict> {
        self.pass(TableKind::Mangle, Hook::Postrouting)?;
        self.translate_source(Hook::Postrouting)
    }

    /// A redirected flow: the firewall around it, then who takes it. Tables nat do not see it: the redirection is its
    /// translation.
    fn taken(&mut self, local: SocketAddr, rule: Option<RuleRef>, program: bool) -> Result<Verdict, Verdict> {
        self.tproxy(true);
        self.seen.destination = local;
        self.seen.output = None;
        self.trace.step(Step::ToGateway(local));
        self.pass(TableKind::Mangle, Hook::Input)?;
        self.pass(TableKind::Filter, Hook::Input)?;
        self.rule = rule;
        if program { self.serve_program(local) } else { self.serve(local) }
    }

    fn tproxy(&mut self, taken: bool) {
        self.seen.tproxy = taken;
    }

    /// Finds the interface that leads to the destination.
    fn route(&mut self) {
        self.seen.output = self.policy.route(self.seen.destination.ip()).map(|route| route.interface);
    }

    /// `DNAT` and `REDIRECT`; the rule, if one does. The port is chosen here as the address is, for the filter is asked
    /// about both.
    fn translate_destination(&mut self, hook: Hook) -> Result<Option<RuleRef>, Verdict> {
        if self.seen.untracked {
            return Ok(None);
        }
        let Passed::Translate { mut range, rule } = self.ask(TableKind::Nat, hook)? else { return Ok(None) };
        let from = self.seen.destination;
        if range.kind == NatKind::Redirect {
            let own = match (hook, self.seen.input) {
                (Hook::Prerouting, Some(input)) => self.policy.interface(input).first_address(from.ip()),
                _ => Some(loopback(from.ip())),
            };
            let own = own.ok_or_else(|| self.no_address(range.kind, self.seen.input, rule))?;
            range.addresses = Some((own, own));
        }
        let range = range.narrowed(self.seen.source.ip(), from.ip()).with_port(from.port(), self.chance());
        self.nat.destination = Some(range.after(self.nat.destination));
        self.seen.destination = self.translated(from, range);
        self.trace.step(Step::Translated(range.kind, from, self.seen.destination));
        if hook == Hook::Output {
            self.route();
        }
        Ok(Some(rule))
    }

    /// A number that each flow has of its own.
    fn chance(&self) -> u64 {
        let ports = u64::from(self.flow.source.port()) << 16 | u64::from(self.flow.destination.port());
        mix(self.flow.packet.at.micros ^ mix(ports))
    }

    /// `SNAT` and `MASQUERADE`.
    fn translate_source(&mut self, hook: Hook) -> Result<(), Verdict> {
        if self.seen.untracked {
            return Ok(());
        }
        let Passed::Translate { mut range, rule } = self.ask(TableKind::Nat, hook)? else { return Ok(()) };
        let from = self.seen.source;
        if range.kind == NatKind::Masquerade {
            let own = self.seen.output.and_then(|output| self.masquerade_address(output));
            let own = own.ok_or_else(|| self.no_address(range.kind, self.seen.output, rule))?;
            range.addresses = Some((own, own));
        }
        let range = range.narrowed(from.ip(), self.seen.destination.ip());
        self.nat.source = Some(range.after(self.nat.source));
        self.seen.source = self.translated(from, range);
        self.trace.step(Step::Translated(range.kind, from, self.seen.source));
        Ok(())
    }

    /// Linux' choice: the address in the next hop's network, else the interface's first.
    fn masquerade_address(&self, output: InterfaceId) -> Option<IpAddr> {
        let to = self.seen.destination.ip();
        let next_hop = self.policy.route(to).and_then(|route| route.via).unwrap_or(to);
        let fits = |address: IpAddr| address.is_ipv4() == to.is_ipv4() && !is_link_local(address);
        let networks = || self.policy.interface(output).addresses.iter().filter(|network| fits(network.addr()));
        let beside = networks().find(|network| network.contains(&next_hop));
        beside.or_else(|| networks().next()).map(ipnet::IpNet::addr)
    }

    fn no_address(&mut self, kind: NatKind, interface: Option<InterfaceId>, rule: RuleRef) -> Verdict {
        self.trace.step(Step::NoNatAddress(kind, interface));
        self.rule = Some(rule);
        Verdict::Drop(DropReason::NoNatAddress)
    }
}

/// Such an address says nothing beyond its link.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// A flow as it meets the first hook.
fn arrived(flow: &NewFlow, input: Option<InterfaceId>) -> Seen {
    Seen {
        input,
        output: None,
        protocol: flow.protocol,
        source: flow.source,
        destination: flow.destination,
        tproxy: false,
        packet: flow.packet,
        mark: 0,
        connmark: 0,
        untracked: false,
        logs: Logs::default(),
        original: (flow.source, flow.destination),
    }
}
