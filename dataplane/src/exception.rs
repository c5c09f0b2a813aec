//! The host's kernel beside the worker: what is for programs on the gateway (sshd, BIRD) and what they say.
//!
//! An interface may have a device by which the kernel has a part in it (`kernel:` in the configuration), with the same
//! Ethernet address, addresses and MTU. To the worker that device is one more port, behind those of the wires. A frame
//! goes there, or comes from there, as it is; only a VLAN tag is taken off and put on. In the order of events: what
//! INPUT lets in (`flows.rs`), groups and answers to the kernel's own ARP and neighbour discovery (here), what the
//! kernel says (`output.rs`), and what table nat makes of both (`translated.rs`).
//!
//! What must hold: nothing reaches the kernel that INPUT did not accept (neighbour discovery aside), nothing leaves it
//! that OUTPUT did not; and however much either side has to say, the worker spends a bounded share of its time on it:
//! a [`Budget`] for each direction of each device, and one burst a turn from all kernels' devices together. Left out:
//! addresses that programs add by themselves, and connections of programs that table tproxy would take.

use control::policy::{InterfaceId, Nat, NoTrace, Policy, Verdict};
use slotmap::SlotMap;
use tcp::Instant;

use crate::counters::Counter;
use crate::limits;
use crate::nic::{Frame, Nic, PortId};
use crate::packet::emit::{self, LinkOut};
use crate::packet::{Arp, MacAddress, Network, Packet, RxChecks, arp, ndp};
use crate::reassembly::Whole;
use crate::worker::{Arrival, Worker};

mod budget;
mod cut;
pub mod device;
pub(crate) mod flows;
mod output;
mod translated;

pub use budget::Budget;
pub use flows::{LocalFlow, LocalKey};

/// Where the ethertype is when no tag is before it.
const MAC_ADDRESSES_LEN: usize = 12;
/// 802.1Q.
const VLAN: u16 = 0x8100;

/// The kernel's devices of a worker, and the flows through them.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// By interface.
    devices: Vec<Option<KernelSide>>,
    /// The first port that is a kernel's device and not a wire; none: all are wires.
    first: Option<PortId>,
    /// Whose turn it is to be heard first.
    next: usize,
    flows: SlotMap<LocalKey, LocalFlow>,
    /// Flows that were not answered when they were noted, oldest first: who makes room.
    opening: std::collections::VecDeque<LocalKey>,
}

/// An interface's device.
#[derive(Clone, Copy, Debug)]
struct KernelSide {
    port: PortId,
    to_kernel: Budget,
    from_kernel: Budget,
}

impl Exceptions {
    /// Are there wires only?
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Has the kernel a part in this interface?
    pub(crate) fn serves(&self, interface: InterfaceId) -> bool {
        !self.is_empty() && self.device(interface).is_some()
    }

    fn device(&self, interface: InterfaceId) -> Option<&KernelSide> {
        self.devices.get(interface.index())?.as_ref()
    }

    fn device_mut(&mut self, interface: InterfaceId) -> Option<&mut KernelSide> {
        self.devices.get_mut(interface.index())?.as_mut()
    }

    /// How many of `ports` are wires: they come first.
    pub(crate) fn wires(&self, ports: u16) -> u16 {
        self.first.map_or(ports, |first| first.0)
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }
}

impl<N: Nic> Worker<N> {
    /// Says which ports are the kernel's devices, by interface; they come behind all wires.
    ///
    /// # Panics
    /// When a wire comes behind one of them.
    pub fn attach_kernel(&mut self, ports: &[Option<PortId>]) {
        let first = ports.iter().flatten().min().copied();
        let wires = self.interfaces.iter().map(|(_, interface)| interface.port).max();
        assert!(first.is_none_or(|first| wires.is_none_or(|last| last < first)), "the kernel's devices come last");
        let policy = std::sync::Arc::clone(&self.policy);
        let of = |(id, port): (usize, &Option<PortId>)| port.map(|port| KernelSide::new(&policy, id, port));
        self.exceptions.devices = ports.iter().enumerate().map(of).collect();
        self.exceptions.first = first;
    }

    /// Hears the kernel: one burst a turn, of whichever device has something to say.
    pub(crate) fn receive_from_kernel(&mut self, now: Instant, burst: &mut Vec<N::Frame>) -> usize {
        let count = self.exceptions.devices.len();
        for place in (self.exceptions.next..count).chain(0..self.exceptions.next) {
            let Some(device) = self.exceptions.devices.get_mut(place).and_then(Option::as_mut) else { continue };
            // What is over the rate stays with the kernel, whose programs are slowed down by that.
            if !device.from_kernel.has_some(now) {
                continue;
            }
            let received = self.nic.receive(device.port, burst);
            if received > 0 {
                self.exceptions.next = place + 1;
                for frame in burst.drain(..) {
                    self.heard(now, InterfaceId(place as u16), frame);
                }
                return received;
            }
        }
        0
    }

    /// A packet to a group or to all: for the programs that INPUT lets have it. Nobody else wants it, and it is never
    /// routed; each is decided by itself, for there is no conversation with a group.
    pub(crate) fn group_packet(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        if !self.exceptions.serves(arrival.interface) {
            return self.counters.count(Counter::Multicast);
        }
        let flow = self.new_flow(now, arrival);
        let decision = self.policy.decide(&flow, None, &mut self.memory, &mut NoTrace);
        self.memory.release_holds();
        self.log_decision(now, &flow, &decision);
        match decision.verdict {
            Verdict::Local if decision.nat != Nat::default() => self.counters.count(Counter::NatUnserved),
            Verdict::Local => self.datagram_to_kernel(now, arrival),
            Verdict::Drop(reason) => self.counters.count(reason),
            // RFC 1122 3.2.2: no ICMP error is sent about a packet to a group.
            Verdict::Reject(_) => self.counters.count(Counter::Rejected),
            Verdict::Proxy { .. } | Verdict::Forward => self.counters.count(Counter::Multicast),
        }
    }

    /// The kernel hears answers, to what it asked itself among others, and news; questions are answered by us.
    pub(crate) fn arp_for_kernel(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        packet: &Packet,
        message: &Arp,
        frame: &N::Frame,
    ) {
        let news = message.operation == arp::Operation::Reply || message.sender == message.target;
        if news && self.exceptions.serves(interface) {
            self.hand_to_kernel(now, interface, packet, frame);
        }
    }

    /// The same for neighbour discovery; of routers' messages all but redirects, for routing is ours.
    pub(crate) fn discovery_for_kernel(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_, N::Frame>,
        message: &ndp::Message,
    ) {
        const REDIRECT: u8 = 137;
        let news = match message {
            ndp::Message::Solicitation { .. } | ndp::Message::Router { kind: REDIRECT } => false,
            ndp::Message::Advertisement { .. } | ndp::Message::Router { .. } => true,
        };
        if news && self.exceptions.serves(arrival.interface) {
            self.hand_to_kernel(now, arrival.interface, arrival.packet, &arrival.frame);
        }
    }

    /// Hands a datagram to the kernel's device of its interface; one that came in fragments goes on in fragments.
    fn datagram_to_kernel(&mut self, now: Instant, arrival: &Arrival<'_, N::Frame>) {
        let interface = arrival.interface;
        let Some(whole) = arrival.whole else {
            return self.hand_to_kernel(now, interface, arrival.packet, &arrival.frame);
        };
        self.cut_again(arrival, whole, None, |worker, frame| {
            let Some(device) = worker.exceptions.device_mut(interface) else { return Some(Counter::LocalUnhandled) };
            if !device.to_kernel.take(now, frame.data().len()) {
                return Some(Counter::KernelRateLimited);
            }
            let port = device.port;
            worker.counters.count(Counter::ToKernel);
            worker.nic.send(port, frame);
            None
        });
    }

    /// Writes a datagram that came in fragments as fragments that are no longer than those were, each handed on by
    /// `hand`, which may say why it is not.
    fn cut_again(
        &mut self,
        arrival: &Arrival<'_, N::Frame>,
        whole: &Whole,
        vlan: Option<u16>,
        mut hand: impl FnMut(&mut Self, N::Frame) -> Option<Counter>,
    ) {
        let link = LinkOut { source: arrival.packet.link.source, destination: arrival.packet.link.destination, vlan };
        let mtu = usize::from(self.interfaces.get(arrival.interface).mtu);
        let cut = whole.cut(usize::from(whole.longest).min(mtu));
        let datagram = &whole.bytes[arrival.ip.datagram()];
        let mut at = Some(0);
        while let Some(begin) = at {
            let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
            let Ok(next) = emit::piece(&mut frame, &link, datagram, &cut, begin) else {
                return self.counters.count(Counter::FrameFull);
            };
            at = next;
            self.counters.count(Counter::Fragmented);
            // Without one of its fragments the datagram is lost: the rest need not follow.
            if let Some(ending) = hand(self, frame) {
                return self.counters.count(ending);
            }
        }
    }

    /// Hands a received packet to the kernel's device of an interface, as it is.
    fn hand_to_kernel(&mut self, now: Instant, interface: InterfaceId, packet: &Packet, received: &N::Frame) {
        self.hand_to_kernel_changed(now, interface, packet, received, |_| true);
    }

    /// The same with a change to what is behind the Ethernet header; false: that is not whole in its buffer.
    fn hand_to_kernel_changed(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        packet: &Packet,
        received: &N::Frame,
        change: impl FnOnce(&mut [u8]) -> bool,
    ) {
        let bytes = received.data();
        // What was put together from fragments may be longer than a frame.
        let Some(carried) = carried(packet, bytes) else { return self.counters.count(Counter::FragmentTooLong) };
        let Some(device) = self.exceptions.device_mut(interface) else {
            return self.counters.count(Counter::LocalUnhandled);
        };
        if !device.to_kernel.take(now, bytes.len()) {
            return self.counters.count(Counter::KernelRateLimited);
        }
        let port = device.port;
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        let written = copy(&mut frame, bytes, None, packet.link.ethertype, carried);
        if written && !packet.link.destination.is_group() {
            // What came by another interface's wire is for that one's station.
            frame.data_mut()[..6].copy_from_slice(&self.interfaces.get(interface).mac.0);
        }
        if !written || !frame.data_mut().get_mut(MAC_ADDRESSES_LEN + 2..).is_some_and(change) {
            return self.counters.count(Counter::FrameFull);
        }
        self.counters.count(Counter::ToKernel);
        self.nic.send(port, frame);
    }

    /// Puts a packet of the kernel on the wire, as it is.
    fn hand_to_wire(&mut self, interface: InterfaceId, packet: &Packet, received: &N::Frame) {
        let bytes = received.data();
        let Some(carried) = carried(packet, bytes) else { return self.counters.count(Counter::FragmentTooLong) };
        if carried.len() > usize::from(self.interfaces.get(interface).mtu) {
            return self.counters.count(Counter::TooBig);
        }
        let vlan = self.interfaces.get(interface).vlan;
        let Some(mut frame) = self.nic.allocate() else { return self.counters.count(Counter::NoMemory) };
        if !copy(&mut frame, bytes, vlan, packet.link.ethertype, carried) {
            return self.counters.count(Counter::FrameFull);
        }
        self.send(interface, frame);
    }

    /// Reads a frame of the kernel's; a TAP has whole checksums, so that none needs to be believed.
    fn read_from_kernel(&mut self, now: Instant, interface: InterfaceId, frame: &N::Frame) -> Option<Packet> {
        self.counters.count(Counter::FromKernel);
        if let Some(device) = self.exceptions.device_mut(interface) {
            device.from_kernel.charge(now, frame.data().len());
        }
        match crate::packet::parse(frame.data(), RxChecks::of(frame)) {
            Ok(packet) if packet.link.vlan.is_none() => Some(packet),
            Ok(_) => {
                self.counters.count(Counter::UnknownVlan);
                None
            }
            Err(malformed) => {
                self.counters.count(malformed);
                None
            }
        }
    }
}

impl KernelSide {
    fn new(policy: &Policy, interface: usize, port: PortId) -> Self {
        let kernel = policy.interfaces().get(interface).and_then(|interface| interface.kernel.as_ref());
        let packets = kernel.and_then(|kernel| kernel.packets_per_second);
        let bytes = kernel.and_then(|kernel| kernel.bytes_per_second);
        let budget = Budget::new(
            packets.unwrap_or(limits::KERNEL_PACKETS_PER_SECOND),
            bytes.unwrap_or(limits::KERNEL_BYTES_PER_SECOND),
        );
        Self { port, to_kernel: budget, from_kernel: budget }
    }
}

/// What a frame carries behind its Ethernet header and tag, without padding where IP says how long it is.
/// None: it is not all there.
fn carried<'a>(packet: &Packet, bytes: &'a [u8]) -> Option<&'a [u8]> {
    match &packet.network {
        Network::Ip(ip) => bytes.get(ip.datagram()),
        Network::Arp(_) | Network::Other => bytes.get(packet.link.len..),
    }
}

/// Writes a frame with the Ethernet addresses of another, tagged as its new link wants it; false: no room.
fn copy<F: Frame>(frame: &mut F, received: &[u8], vlan: Option<u16>, ethertype: u16, carried: &[u8]) -> bool {
    let mut header = [0; MAC_ADDRESSES_LEN + 6];
    header[..MAC_ADDRESSES_LEN].copy_from_slice(&received[..MAC_ADDRESSES_LEN]);
    let len = if let Some(vlan) = vlan {
        header[12..14].copy_from_slice(&VLAN.to_be_bytes());
        header[14..16].copy_from_slice(&vlan.to_be_bytes());
        header[16..18].copy_from_slice(&ethertype.to_be_bytes());
        18
    } else {
        header[12..14].copy_from_slice(&ethertype.to_be_bytes());
        14
    };
    frame.push(&header[..len]).and_then(|()| frame.push(carried)).is_ok()
}

/// Is the frame for more than one station?
fn is_to_group(destination: MacAddress) -> bool {
    destination.is_group()
}
