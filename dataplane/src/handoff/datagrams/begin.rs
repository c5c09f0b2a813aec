//! A flow that a program begins: as whom, whether it may, and by which port; and how a datagram of our own making leaves,
//! whole or in fragments.

use std::net::SocketAddr;
use std::sync::Arc;

use control::policy::{Decision, Moment, NewFlow, PacketFacts, Policy, Verdict};
use control::tproxy::{Flags, Link};
use tcp::Instant;

use super::sockets::Program;
use crate::counters::Counter;
use crate::datagrams::Served;
use crate::flow::Key;
use crate::flow::tracking::Direction;
use crate::forward::ForwardKey;
use crate::limits;
use crate::link::Delivery;
use crate::nat::Wish;
use crate::nic::Nic;
use crate::packet::PROTOCOL_UDP;
use crate::packet::emit::{self, Cut, Ends, IpOut};
use crate::worker::Worker;

impl<N: Nic> Worker<N> {
    /// A flow that a program begins: foreign connect. The order is that of connections (`handoff/connect.rs`).
    pub(super) fn begin_to_peer(
        &mut self,
        now: Instant,
        socket: u64,
        local: SocketAddr,
        asked: Ends,
    ) -> Result<ForwardKey, &'static str> {
        if self.draining {
            return Err("ENETDOWN");
        }
        let remote = asked.destination;
        let seen = self.table.changes();
        let entry = match self.table.lookup_local(PROTOCOL_UDP, local) {
            Some(entry) if entry.remote.is_none_or(|meant| meant == remote) => entry,
            // Used up, gone, not for connecting, or for another peer.
            _ => return Err("EADDRNOTAVAIL"),
        };
        let foreign = if entry.mark_only() { local } else { entry.foreign };
        // Which port stands for 0 is the gateway's choice.
        if asked.source.port() != 0 && asked.source != foreign {
            return Err("EADDRNOTAVAIL");
        }
        // It may have heard of this peer before it spoke to it.
        let says = Ends { source: foreign, destination: remote };
        if let Some(flow) = self.handoff.sockets.flow(socket, &says).filter(|flow| !self.is_over(*flow)) {
            return Ok(flow);
        }
        let next_hop = self.routes.lookup(remote.ip()).ok_or("ENETUNREACH")?;
        let wish = match foreign.port() {
            0 => Wish { address: foreign.ip(), prefer: None, ports: Some(limits::port_class(local.port())) },
            _ => Wish::exactly(foreign),
        };
        let interface = next_hop.interface;
        let source = self.free_source(PROTOCOL_UDP, &wish, remote, interface).map_err(|_| "EADDRINUSE")?;
        let packet = PacketFacts {
            at: Moment { micros: now.as_micros(), unix_seconds: self.wall_clock(now) },
            ..PacketFacts::default()
        };
        let flow = NewFlow { interface, protocol: PROTOCOL_UDP, source, destination: remote, packet };
        self.memory.release_holds();
        let policy = Arc::clone(&self.policy);
        let decision = policy.decide_program_connect(&flow, &mut self.memory);
        let link = (!entry.flags.contains(Flags::ONCE)).then(|| entry.link(seen));
        let key = Key::new(interface, PROTOCOL_UDP, remote, source);
        let served = self.admit_to_peer(&policy, &key, &decision, link)?;
        if !self.claim(&entry) {
            return Err("EADDRNOTAVAIL");
        }
        let program = Program { socket, says: Ends { source, destination: remote }, asked };
        let served = Box::new(served.with(program));
        self.counters.count(Counter::HandoffConnects);
        self.insert_programs(now, key, Direction::Reply, &decision, served)
    }

    fn admit_to_peer(
        &mut self,
        policy: &Arc<Policy>,
        key: &Key,
        decision: &Decision,
        link: Option<Link>,
    ) -> Result<Served, &'static str> {
        let service = match decision.verdict {
            Verdict::Proxy { service, .. } => service,
            Verdict::Drop(reason) => {
                self.counters.count(reason);
                return Err("EACCES");
            }
            _ => return Err("EACCES"),
        };
        let admitted =
            self.admit_session(policy.service(service)).and_then(|()| self.admit_client(key.destination().ip()));
        admitted.map_err(|full| {
            self.counters.count(full);
            "ENOBUFS"
        })?;
        Ok(Served::new(policy, service, None, decision, [link, None]))
    }

    /// Sends a datagram of our own making: whole where it fits the link, else in fragments.
    pub(super) fn send_datagram(&mut self, now: Instant, ends: Ends, bytes: &[u8]) -> Result<(), &'static str> {
        let next_hop = self.routes.lookup(ends.destination.ip()).ok_or("ENETUNREACH")?;
        let interface = self.interfaces.get(next_hop.interface);
        let (limit, offloads) = (usize::from(interface.mtu), interface.offloads);
        // RFC 6864 4.3: in IPv4 no two within a datagram's lifetime, as far as 16 bits go; in IPv6 (RFC 7739) none to guess.
        let identification = self.handoff.sockets.next_identification();
        let random = self.random.next_u64() as u32;
        let ip = IpOut { identification, ..IpOut::new(ends.source.ip(), ends.destination.ip()) };
        let ports = (ends.source.port(), ends.destination.port());
        let mut datagram = std::mem::take(&mut self.handoff.sockets.scratch);
        let written = emit::datagram(&mut datagram, &ip, ports, bytes);
        let fits = ip.source.is_ipv6() && datagram.len() <= limit;
        let repeated = datagram.len().saturating_sub(8 + bytes.len());
        let cut = Cut { limit, repeated, next_at: 6, identification: random, dont_fragment: false };
        let mut sent = written.map_err(|_| "EMSGSIZE");
        let mut at = sent.is_ok().then_some(0);
        while let Some(begin) = at.take() {
            let Some(frame) = self.nic.allocate() else {
                self.counters.count(Counter::NoMemory);
                sent = Err("ENOBUFS");
                break;
            };
            let delivery = self.deliver(now, &next_hop, frame, |frame, link| {
                if fits {
                    return emit::udp(frame, link, &ip, ports.0, ports.1, std::iter::once(bytes), &offloads).is_ok();
                }
                let written = emit::piece(frame, link, &datagram, &cut, begin);
                at = written.ok().flatten();
                written.is_ok()
            });
            match delivery {
                Delivery::Done => {}
                Delivery::Lost => sent = Err("ENOBUFS"),
                Delivery::Unreachable => sent = Err("EHOSTUNREACH"),
            }
            if sent.is_err() {
                break;
            }
            if at.is_some() || begin > 0 {
                self.counters.count(Counter::Fragmented);
            }
        }
        self.handoff.sockets.scratch = datagram;
        sent
    }
}
