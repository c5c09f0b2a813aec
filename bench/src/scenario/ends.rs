//! Clients and servers of the bench: TCP of the crate `tcp` over frames of IPv4, as little as it takes.
//!
//! An [`End`] is everybody on one port: it answers for all addresses of its network. Sums that the gateway writes are
//! not checked here (the simulator's hosts do that); what is counted is what arrives.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use dataplane::nic::PortId;
use dataplane::nic::memory::MemoryEnds;
use tcp::{Config, Connection, Header, Instant, Opening, Segment, SeqNumber, TimestampClock, checksum};

use super::rig::gateway_mac;

const TCP: u8 = 6;

/// Both addresses and ports of a connection, its own first.
pub(crate) type Tuple = (SocketAddr, SocketAddr);

/// A frame that carries TCP.
pub(crate) struct Arrived {
    /// The receiver's tuple.
    pub(crate) tuple: Tuple,
    /// The segment.
    pub(crate) segment: Segment<Bytes>,
}

/// Everybody on one port of the gateway.
pub(crate) struct End {
    port: u8,
    ends: MemoryEnds,
    chunks: Vec<Bytes>,
}

impl End {
    pub(crate) fn new(port: u8, ends: &MemoryEnds) -> Self {
        Self { port, ends: ends.clone(), chunks: Vec::new() }
    }

    fn mac(&self) -> [u8; 6] {
        [0x02, 1, 1, 1, 1, self.port]
    }

    /// Takes what the gateway has sent: questions for Ethernet addresses are answered, segments given out.
    pub(crate) fn receive(&mut self) -> Option<Arrived> {
        loop {
            let frame = Bytes::from(self.ends.take(PortId(u16::from(self.port)))?);
            match frame.get(12..14)? {
                [0x08, 0x06] => self.answer(&frame),
                [0x08, 0x00] => {
                    if let Some(arrived) = parse(&frame) {
                        return Some(arrived);
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends all a connection has to say.
    pub(crate) fn transmit(&mut self, now: Instant, tuple: &Tuple, connection: &mut Connection<Bytes>) {
        self.chunks.clear();
        while let Some(header) = connection.poll_transmit(now, usize::from(connection.mss()), &mut self.chunks) {
            self.send(tuple, &header);
            self.chunks.clear();
        }
    }

    /// The next segment that a connection has to say, as a frame that is not sent.
    pub(crate) fn encode(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        connection: &mut Connection<Bytes>,
    ) -> Option<Vec<u8>> {
        self.chunks.clear();
        let header = connection.poll_transmit(now, usize::from(connection.mss()), &mut self.chunks)?;
        self.frame(tuple, &header)
    }

    fn send(&self, tuple: &Tuple, header: &Header) {
        if let Some(frame) = self.frame(tuple, header) {
            self.ends.inject(PortId(u16::from(self.port)), frame);
        }
    }

    fn frame(&self, tuple: &Tuple, header: &Header) -> Option<Vec<u8>> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (tuple.0.ip(), tuple.1.ip()) else { return None };
        let payload: usize = self.chunks.iter().map(Bytes::len).sum();
        let length = header.len() + payload;
        let mut frame = Vec::with_capacity(34 + length);
        frame.extend(gateway_mac(self.port));
        frame.extend(self.mac());
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + length as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        let sum = checksum::finish(checksum::sum(&frame[14..34], 0));
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame.resize(34 + header.len(), 0);
        header.emit(&mut frame[34..]);
        for chunk in &self.chunks {
            frame.extend_from_slice(chunk);
        }
        let pseudo = checksum::pseudo_header(source.into(), destination.into(), TCP, length as u32);
        let sum = checksum::finish(checksum::sum(&frame[34..], pseudo));
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
        Some(frame)
    }

    /// ARP: every address of the network is ours, but the gateway's.
    fn answer(&self, question: &[u8]) {
        let Some(question) = question.get(..42) else { return };
        // The gateway's announcements of its own addresses are no questions.
        if question[20..22] != [0, 1] || question[28..32] == question[38..42] {
            return;
        }
        let mut answer = Vec::with_capacity(60);
        answer.extend(&question[6..12]);
        answer.extend(self.mac());
        answer.extend(&question[12..20]);
        answer.extend([0, 2]);
        answer.extend(self.mac());
        answer.extend(&question[38..42]);
        answer.extend(&question[22..32]);
        answer.resize(60, 0);
        self.ends.inject(PortId(u16::from(self.port)), answer);
    }
}

fn parse(frame: &Bytes) -> Option<Arrived> {
    let total = usize::from(u16::from_be_bytes([*frame.get(16)?, *frame.get(17)?]));
    let segment = (frame.get(23) == Some(&TCP)).then(|| frame.get(34..14 + total))??;
    let (header, length) = Header::parse(segment).ok()?;
    let address = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]);
    let remote = SocketAddr::new(address(26).into(), header.src_port);
    let local = SocketAddr::new(address(30).into(), header.dst_port);
    let payload = frame.slice(34 + length..14 + total);
    let payload = if payload.is_empty() { Default::default() } else { [payload].into_iter().collect() };
    Some(Arrived { tuple: (local, remote), segment: Segment { header, payload, ecn: tcp::Ecn::NotCapable } })
}

/// What an end's SYN or SYN-ACK says.
pub(crate) fn opening(number: u64, mss: u16) -> Opening {
    let isn = SeqNumber((number as u32).wrapping_mul(0x9e37_79b9));
    let timestamp = Some(TimestampClock::with_offset(number as u32));
    Opening { isn, mss, window_scale: Some(7), sack_permitted: true, timestamp }
}

/// The servers: they take whoever comes, and hand each connection's bytes to `serve`.
pub(crate) struct Servers {
    end: End,
    config: Config,
    connections: HashMap<Tuple, Connection<Bytes>, foldhash::fast::FixedState>,
    accepted: u64,
}

impl Servers {
    pub(crate) fn new(end: End, config: Config) -> Self {
        Self { end, config, connections: HashMap::default(), accepted: 0 }
    }

    /// Takes all that has come in; `serve` reads and writes each connection that something came for.
    pub(crate) fn round(&mut self, now: Instant, mut serve: impl FnMut(Instant, &Tuple, &mut Connection<Bytes>)) {
        while let Some(Arrived { tuple, segment }) = self.end.receive() {
            let opens = segment.header.flags.contains(tcp::Flags::SYN);
            let connection = match self.connections.get_mut(&tuple) {
                Some(connection) => {
                    // What it discards it may still acknowledge: `transmit` asks.
                    let _discard = connection.handle_segment(now, segment);
                    connection
                }
                None if opens => {
                    self.accepted += 1;
                    let opening = opening(self.accepted, self.config.mss_max);
                    let ports = (tuple.0.port(), tuple.1.port());
                    let new = Connection::accept(now, ports, &self.config, &segment.header, opening);
                    self.connections.entry(tuple).or_insert(new)
                }
                None => continue,
            };
            serve(now, &tuple, connection);
            self.end.transmit(now, &tuple, connection);
            if connection.is_closed() {
                self.connections.remove(&tuple);
            }
        }
        self.timeouts(now);
    }

    /// Lets go of all connections without a word.
    pub(crate) fn forget(&mut self) {
        self.connections.clear();
    }

    /// Takes all that has come in and answers nothing but questions for Ethernet addresses.
    pub(crate) fn ignore(&mut self) {
        while self.end.receive().is_some() {}
    }

    /// Deadlines; few connections are open at a time, so all are looked at.
    fn timeouts(&mut self, now: Instant) {
        for (tuple, connection) in &mut self.connections {
            if connection.deadline().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
                self.end.transmit(now, tuple, connection);
            }
        }
        self.connections.retain(|_, connection| !connection.is_closed());
    }
}
