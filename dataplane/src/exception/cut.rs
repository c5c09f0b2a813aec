//! Flows of programs on the gateway that a later policy forbids (`reload --redecide`).
//!
//! Both ends of a connection are told at once, each by a reset at the number that it has acknowledged last (RFC 5961 3.2
//! wants exactly that), in the name of the other; and whoever has missed it is told again when it says something. The
//! record goes when neither has said anything for [`limits::LOCAL_CUT`], or when a policy lets the flow begin again.

use control::policy::{InterfaceId, Memory, Nat, NewFlow, NoTrace, PacketFacts, Verdict};
use tcp::Instant;

use super::flows::{LocalFlow, LocalKey, Phase};
use crate::answer::reset_at;
use crate::classify::entry_match;
use crate::counters::Counter;
use crate::flow::tracking::Direction;
use crate::limits;
use crate::nic::{Nic, Offloads};
use crate::packet::PROTOCOL_TCP;
use crate::packet::emit::{self, IpOut, LinkOut};
use crate::worker::Worker;

impl<N: Nic> Worker<N> {
    /// Holds a flow against the policy; true: it was cut.
    pub(crate) fn redecide_local(&mut self, now: Instant, local: LocalKey) -> bool {
        let Some(flow) = self.exceptions.flows.get(local) else { return false };
        let (phase, permitted) = (flow.phase, self.is_permitted_local(flow));
        match (phase, permitted) {
            (Phase::Cut, true) => self.end_local(local),
            (_, true) | (Phase::Cut, false) => {}
            (_, false) => {
                self.cut_local(now, local);
                return true;
            }
        }
        false
    }

    fn cut_local(&mut self, now: Instant, local: LocalKey) {
        self.counters.count(Counter::RedecidedLocals);
        let generation = self.policy.generation();
        let Some(flow) = self.exceptions.flows.get_mut(local) else { return };
        let ended = flow.phase == Phase::Reset;
        (flow.phase, flow.generation, flow.expires) = (Phase::Cut, generation, now + limits::LOCAL_CUT);
        let from_wire = flow.from_wire;
        let device = flow.translation.map_or(flow.interface, |translation| translation.device);
        // Each end is spoken to as it knows the other.
        let (heard_from, heard_at) = flow.translation.map_or((flow.source, flow.destination), |translation| {
            let leaves = translation.leaves(Direction::Original);
            (leaves.source, leaves.destination)
        });
        let ends = [(Direction::Original, flow.source, flow.destination), (Direction::Reply, heard_at, heard_from)];
        let (acknowledged, protocol) = (flow.acknowledged, flow.protocol);
        self.watch_local(local);
        if protocol != PROTOCOL_TCP || ended {
            return;
        }
        for (says, end, other) in ends {
            let Some(seq) = acknowledged[says as usize] else { continue };
            let reset = reset_at(seq, other.port(), end.port());
            let ip = IpOut::new(other.ip(), end.ip());
            if (says == Direction::Original) == from_wire {
                self.send_reset(now, device, &ip, &reset);
            } else {
                self.reset_program(device, &ip, &reset);
            }
        }
    }

    /// Is the flow cut? Then the packet ends here, and the record stays as long as somebody speaks.
    pub(super) fn is_cut(&mut self, now: Instant, local: LocalKey) -> bool {
        let Some(flow) = self.exceptions.flows.get_mut(local).filter(|flow| flow.phase == Phase::Cut) else {
            return false;
        };
        flow.expires = now + limits::LOCAL_CUT;
        self.counters.count(Counter::LocalFlowCut);
        true
    }

    /// Was it cut, and does the policy of now let it begin again?
    pub(super) fn is_permitted_again(&self, local: LocalKey) -> bool {
        self.exceptions.flows.get(local).is_some_and(|flow| {
            flow.phase == Phase::Cut && flow.generation != self.policy.generation() && self.is_permitted_local(flow)
        })
    }

    /// Would the flow be let in, or out, if it began now?
    fn is_permitted_local(&self, flow: &LocalFlow) -> bool {
        let packet = PacketFacts::default();
        let (interface, protocol) = (flow.interface, flow.protocol);
        let (source, destination) = (flow.source, flow.destination);
        let asked = NewFlow { interface, protocol, source, destination, packet };
        let entry = self.table.lookup_foreign(protocol, destination, source);
        let entry = entry.as_ref().map(entry_match);
        let memory = &mut Memory::of_running();
        let (decision, wanted) = if flow.from_wire {
            (self.policy.decide(&asked, entry.as_ref(), memory, &mut NoTrace), Verdict::Local)
        } else {
            (self.policy.decide_output(&asked, entry.as_ref(), memory, &mut NoTrace), Verdict::Forward)
        };
        // One that is as it was said must not become another's on its way.
        decision.verdict == wanted && (decision.nat == Nat::default() || flow.translation.is_some())
    }

    /// Tells a program that its connection is over, in the name of its other end.
    pub(super) fn reset_program(&mut self, interface: InterfaceId, ip: &IpOut, reset: &tcp::Header) {
        let Some(port) = self.exceptions.device(interface).map(|device| device.port) else { return };
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        let mac = self.interfaces.get(interface).mac;
        let link = LinkOut { source: mac, destination: mac, vlan: None };
        if emit::tcp(&mut frame, &link, ip, reset, std::iter::empty(), &Offloads::default(), None).is_ok() {
            self.counters.count(Counter::ToKernel);
            self.nic.send(port, frame);
        } else {
            self.counters.count(Counter::FrameFull);
        }
    }
}
