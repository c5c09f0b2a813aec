//! ICMP errors from the network: about packets of ours they go to the connection that sent them, about packets we
//! forwarded on to their sender; about anything else nowhere.
//!
//! An error proves nothing by itself (RFC 5927): it must quote a packet of a flow that is here, and what a connection
//! makes of it depends on the quoted sequence number.

use tcp::{IcmpError, IcmpKind, Instant, Signals};

use crate::counters::Counter;
use crate::flow::Key;
use crate::nic::Nic;
use crate::packet::icmp::{self, ErrorKind};
use crate::session::SessionKey;
use crate::socket::{Leg, SocketKey};
use crate::step::Step;
use crate::worker::{Arrival, Worker};

impl<N: Nic> Worker<N> {
    /// An ICMP error.
    pub(crate) fn related(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, error: &icmp::Error) {
        // It quotes what was sent on this interface: the flow is known by the answers, which come in here.
        let quote = &error.quote;
        let reverse = Key::new(arrival.interface, quote.protocol, quote.destination_socket(), quote.source_socket());
        match self.flows.find(&reverse).map(|id| self.flows[id]) {
            Some(Step::Proxy { session, leg }) => self.about_leg(now, session, leg, arrival, error),
            Some(Step::Splice { key, direction }) => self.splice_related(now, key, direction, arrival, error),
            Some(Step::HalfOpen { key, leg }) => self.half_open_icmp(now, key, leg, arrival.ip.source, error),
            Some(Step::Forward { forward, direction }) => {
                self.forward_related(now, forward, direction, arrival, error);
            }
            Some(Step::Local { local, direction }) => self.local_related(now, local, direction, arrival),
            Some(Step::TimeWait { .. }) => self.counters.count(Counter::IcmpUnmatched),
            None if self.untracked(now, arrival) => {}
            None => self.counters.count(Counter::IcmpUnmatched),
        }
    }

    fn about_leg(
        &mut self,
        now: Instant,
        session: SessionKey,
        leg: Leg,
        arrival: &Arrival<'_, N::Frame>,
        error: &icmp::Error,
    ) {
        match about_segment(error, arrival.ip.source.is_ipv6()) {
            Some(error) => {
                self.counters.count(Counter::IcmpDelivered);
                self.icmp_to_leg(now, session, leg, error);
            }
            None => self.counters.count(Counter::IcmpUnmatched),
        }
    }

    /// Hands an error to a connection.
    pub(crate) fn icmp_to_leg(&mut self, now: Instant, session: SessionKey, leg: Leg, error: IcmpError) {
        if let Some(key) = self.sessions.get(session).and_then(|session| session.socket(leg)) {
            self.icmp_to_socket(now, key, error);
        }
    }

    pub(crate) fn icmp_to_socket(&mut self, now: Instant, key: SocketKey, error: IcmpError) {
        let signals = {
            let mut sockets = self.shared.sockets.borrow_mut();
            let Some(socket) = sockets.get_mut(key) else { return };
            let signals = socket.connection.handle_icmp(now, error);
            socket.wake();
            sockets.touch(key);
            signals
        };
        if signals != Signals::empty() {
            self.socket_event(key, signals);
        }
    }
}

/// What an error means to the connection whose segment it quotes, if anything.
pub(crate) fn about_segment(error: &icmp::Error, ipv6: bool) -> Option<IcmpError> {
    let seq = error.quote.seq?;
    let kind = match error.kind {
        // RFC 8201, 4: less than the minimum link MTU of IPv6 is to be discarded.
        ErrorKind::TooBig { mtu: 1..1_280 } if ipv6 => return None,
        ErrorKind::TooBig { mtu } => IcmpKind::TooBig { mtu: payload_of(mtu, ipv6) },
        ErrorKind::TimeExceeded { .. } => IcmpKind::TimeExceeded,
        ErrorKind::Unreachable(unreachable) => IcmpKind::Unreachable { hard: unreachable.is_hard() },
        ErrorKind::ParameterProblem { .. } => IcmpKind::Unreachable { hard: false },
    };
    Some(IcmpError { kind, seq })
}

/// What a next hop of this MTU leaves for TCP, bytes.
fn payload_of(mtu: u32, ipv6: bool) -> u16 {
    let (unsaid, header) = if ipv6 { (1_280, 40) } else { (576, 20) };
    // RFC 1191 4: a router that does not know the option says 0; every host takes 576 bytes (RFC 1122 3.3.3).
    let mtu = if mtu == 0 { unsaid } else { mtu.min(u32::from(u16::MAX)) };
    (mtu as u16).saturating_sub(header)
}
