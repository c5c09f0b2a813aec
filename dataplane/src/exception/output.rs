//! What programs on the gateway say: from the kernel's device through OUTPUT to the wire.
//!
//! The kernel has resolved its neighbours itself, so a frame that may leave does so as it is, by the interface whose
//! device it came from. Answers belong to flows that INPUT has let in; what begins a flow is decided by OUTPUT
//! ([`control::policy::Policy::decide_output`]), each packet to a group by itself. Who is refused is told, in the name
//! of whom the packet was for: from an address of ours the kernel would not believe it.
//!
//! What the kernel has cut is put together for the decision, and cut again. Left out: connections that table tproxy
//! takes (loading says so; they end here, counted: never unproxied).

use control::policy::{Nat, NoTrace, RejectKind, Verdict};
use tcp::Instant;

use super::flows::{kernel_side, kernels};
use super::is_to_group;
use crate::classify::{entry_match, unreachable_of};
use crate::counters::Counter;
use crate::flow::Key;
use crate::icmp_error;
use crate::nic::{Frame, Nic, Offloads};
use crate::packet::emit::{self, IpOut, LinkOut};
use crate::packet::{Ip, Malformed, Network, RxChecks, Transport, icmp};
use crate::reassembly::Progress;
use crate::step::Step;
use crate::worker::{Arrival, Worker};
use control::policy::InterfaceId;

impl<N: Nic> Worker<N> {
    /// A frame of the kernel.
    pub(super) fn heard(&mut self, now: Instant, interface: InterfaceId, frame: N::Frame) {
        let Some(packet) = self.read_from_kernel(now, interface, &frame) else { return };
        match &packet.network {
            // Whoever answers answers both: us and, by us, the kernel.
            Network::Arp(_) => self.hand_to_wire(interface, &packet, &frame),
            Network::Ip(ip) if ip.fragment.is_some() => self.heard_fragment(now, interface, ip, &frame),
            Network::Ip(ip) => self.output(now, &Arrival { interface, packet: &packet, ip, frame, whole: None }),
            Network::Other => self.counters.count(Counter::UnknownEthertype),
        }
    }

    /// A part of a datagram of the kernel's: OUTPUT decides about the whole, by its ports.
    fn heard_fragment(&mut self, now: Instant, interface: InterfaceId, ip: &Ip, frame: &N::Frame) {
        self.counters.count(Counter::Fragments);
        let mut evicted = 0;
        // Apart from what comes by the wire, whoever that says to be.
        let side = kernels(interface);
        let progress = self.reassembly.handle(now, side, frame.data(), ip, &mut evicted);
        self.counters.add(Counter::FragmentEvicted, evicted);
        let whole = match progress {
            Progress::Waits => return,
            Progress::Dropped(counter) => return self.counters.count(counter),
            Progress::Whole(whole) => whole,
        };
        self.counters.count(Counter::Reassembled);
        let packet = match crate::packet::parse(&whole.bytes, RxChecks::default()) {
            Ok(packet) => packet,
            Err(malformed) => return self.counters.count(malformed),
        };
        let Network::Ip(ip) = &packet.network else { return self.counters.count(Counter::UnknownEthertype) };
        if ip.fragment.is_some() {
            return self.counters.count(Malformed::Ipv6ExtensionOrder);
        }
        let Some(nothing) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        let arrival = Arrival { interface, packet: &packet, ip, frame: nothing, whole: Some(&whole) };
        self.output(now, &arrival);
    }

    fn output(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        let (ip, interface) = (arrival.ip, arrival.interface);
        let own = self.routes.is_own(ip.source) || self.routes.is_own_on(interface, ip.source);
        // Who has no address yet says so in multicast listener reports and address probes.
        if !own && !ip.source.is_unspecified() {
            return self.counters.count(Counter::KernelForeignSource);
        }
        match &ip.kind {
            Transport::Icmp(icmp::Message::Neighbour(_)) => self.wire(arrival),
            Transport::Icmp(icmp::Message::Error(error)) if self.is_about_local(interface, &error.quote) => {
                self.wire(arrival);
            }
            Transport::Icmp(icmp::Message::Error(error)) => {
                if !self.translated_output_error(now, arrival, &error.quote) {
                    self.counters.count(Counter::IcmpUnmatched);
                }
            }
            _ if is_to_group(arrival.packet.link.destination) => {
                match self.may_leave(now, arrival) {
                    Some(nat) if nat != Nat::default() => self.counters.count(Counter::NatUnserved),
                    Some(_) => self.wire(arrival),
                    None => {}
                }
                self.memory.release_holds();
            }
            _ => self.output_to_one(now, arrival),
        }
    }

    /// A packet to one host: of a flow that is known, or the first of one.
    fn output_to_one(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        let (ip, interface) = (arrival.ip, arrival.interface);
        let side = kernel_side(interface, ip.source);
        let key = Key::new(side, ip.protocol, ip.source_socket(), ip.destination_socket());
        if let Some(Step::Local { local, direction }) = self.flows.find(&key).map(|id| self.flows[id]) {
            if !self.begins_anew(local, direction, ip) && !self.is_permitted_again(local) {
                if self.is_cut(now, local) {
                    return self.refuse_program(arrival);
                }
                self.follow_local(now, local, direction, ip);
                if !self.translated_output_packet(now, local, direction, arrival) {
                    self.wire(arrival);
                }
                return;
            }
            self.end_local(local);
        }
        if let Some(nat) = self.may_leave(now, arrival) {
            match self.output_translation(arrival, &nat) {
                Ok(Some(translation)) => self.open_output_translated(now, key, arrival, translation),
                Ok(None) => {
                    let reply = Key::new(interface, ip.protocol, ip.destination_socket(), ip.source_socket());
                    if self.note_local(now, arrival, key, reply).is_some() {
                        self.wire(arrival);
                    }
                }
                Err(counter) => self.counters.count(counter),
            }
        }
        self.memory.release_holds();
    }

    /// A segment of a connection that was cut: the program is told again.
    fn refuse_program(&mut self, arrival: &Arrival<'_, N::Frame>) {
        let ip = arrival.ip;
        let Transport::Tcp { header, payload } = &ip.kind else { return };
        let Some(reset) = tcp::reset_for(header, payload.len()) else { return };
        self.reset_program(arrival.interface, &IpOut::new(ip.destination, ip.source), &reset);
    }

    fn wire(&mut self, arrival: &Arrival<'_, N::Frame>) {
        let interface = arrival.interface;
        let Some(whole) = arrival.whole else {
            return self.hand_to_wire(interface, arrival.packet, &arrival.frame);
        };
        let vlan = self.interfaces.get(interface).vlan;
        self.cut_again(arrival, whole, vlan, |worker, frame| {
            worker.send(interface, frame);
            None
        });
    }

    /// Asks OUTPUT, and does what it says if that is not to let the packet out; how it is to be translated if it is.
    fn may_leave(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) -> Option<Nat> {
        let flow = self.new_flow(now, arrival);
        self.memory.release_holds();
        let entry = self.table.lookup_foreign(flow.protocol, flow.destination, flow.source);
        let entry = entry.as_ref().map(entry_match);
        let decision = self.policy.decide_output(&flow, entry.as_ref(), &mut self.memory, &mut NoTrace);
        self.log_decision(now, &flow, &decision);
        match decision.verdict {
            Verdict::Forward => return Some(decision.nat),
            // A group that the gateway is in itself: it is for the others there too.
            Verdict::Local if is_to_group(arrival.packet.link.destination) => return Some(decision.nat),
            // Led back to the gateway: the kernel believes no packet from its own address.
            Verdict::Local if decision.nat != Nat::default() => self.counters.count(Counter::NatUnserved),
            Verdict::Local => self.counters.count(Counter::LocalUnhandled),
            Verdict::Proxy { .. } => self.counters.count(Counter::KernelProxyUnserved),
            Verdict::Drop(reason) => self.counters.count(reason),
            Verdict::Reject(kind) => self.reject_program(now, arrival, kind),
        }
        None
    }

    /// REJECT: the program is told.
    fn reject_program(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>, kind: RejectKind) {
        self.counters.count(Counter::Rejected);
        if is_to_group(arrival.packet.link.destination) {
            return;
        }
        let Some(port) = self.exceptions.device(arrival.interface).map(|device| device.port) else { return };
        if unreachable_of(kind).is_some()
            && let Err(withheld) = self.icmp.permit_relay(now, arrival.ip.source)
        {
            return self.counters.count(withheld);
        }
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        if write_refusal(&mut frame, arrival, kind) {
            self.counters.count(Counter::ToKernel);
            self.nic.send(port, frame);
        }
    }
}

/// Writes what a program is told; false: nothing is to be said, or there is no room.
fn write_refusal<F: Frame>(frame: &mut F, arrival: &Arrival<'_, F>, kind: RejectKind) -> bool {
    let (ip, packet): (&Ip, _) = (arrival.ip, arrival.packet);
    let link = LinkOut { source: packet.link.destination, destination: packet.link.source, vlan: None };
    let offloads = Offloads::default();
    if let Some(unreachable) = unreachable_of(kind) {
        let kind = icmp::ErrorKind::Unreachable(unreachable);
        return icmp_error::write(frame, &link, ip.destination, kind, packet, arrival.data(), &offloads).is_ok();
    }
    let Transport::Tcp { header, payload } = &ip.kind else { return false };
    let Some(reset) = tcp::reset_for(header, payload.len()) else { return false };
    let out = IpOut::new(ip.destination, ip.source);
    emit::tcp(frame, &link, &out, &reset, std::iter::empty(), &offloads, None).is_ok()
}
