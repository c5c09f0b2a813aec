//! The tap device as a script's wire: segments in the script's numbers in and out, ARP answered on the way.
//!
//! The kernel chooses its initial number and its clock itself. They are learned from its first segment; from then on
//! all that goes by is counted from there, as scripts count. The peer's numbers and clock are the script's own.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tappers::linux::Tap;
use tcp::{Flags, Flow, Header, IcmpKind, SackBlocks, SeqNumber, Timestamp, checksum};

use crate::frame::{self, Incoming};
use crate::grammar::{OURS, PORTS, Spec, THEIRS};
use crate::namespace::{HOST, HOST_MAC, PEER};
use crate::show::Out;

/// What our clock says in scripts when they begin, and so when they open.
const CLOCK: u32 = 1_000;
/// What the peer's segments offer where a script does not say.
const WINDOW: u16 = 60_000;

/// Reads the clock: the kernel lives in real time.
#[expect(clippy::disallowed_methods, reason = "the kernel lives in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) struct Wire {
    tap: Tap,
    /// The kernel's initial numbers by the peer's port, once it has said them.
    isn: BTreeMap<u16, SeqNumber>,
    /// What to add to the kernel's clock to have the script's.
    clock: u32,
    arrived: VecDeque<Out>,
}

impl Wire {
    pub(crate) fn new(tap: Tap) -> Wire {
        Wire { tap, isn: BTreeMap::new(), clock: 0, arrived: VecDeque::new() }
    }

    pub(crate) fn next(&mut self) -> Option<Out> {
        self.arrived.pop_front()
    }

    pub(crate) fn peek(&self) -> Option<&Out> {
        self.arrived.front()
    }

    /// Reads what is there, and waits for more until then, or until there is something if `first`.
    pub(crate) fn wait(&mut self, until: Instant, first: bool) -> std::io::Result<()> {
        loop {
            self.read()?;
            let left = until.saturating_duration_since(now());
            if left.is_zero() || (first && !self.arrived.is_empty()) {
                return Ok(());
            }
            let mut fds = [PollFd::new(&self.tap, PollFlags::IN)];
            poll(&mut fds, Some(&left.min(Duration::from_millis(50)).try_into().expect("a small time")))?;
        }
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 2_048];
        loop {
            match self.tap.recv(&mut buffer) {
                Ok(length) => self.take(&Bytes::copy_from_slice(&buffer[..length]))?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, frame: &Bytes) -> std::io::Result<()> {
        match frame::parse(frame, PEER) {
            Some(Incoming::ArpReply(reply)) => drop(self.tap.send(&reply)?),
            Some(Incoming::Segment(HOST_MAC, flow, segment)) if flow.remote.ip() == HOST => {
                let len = segment.payload.iter().map(Bytes::len).sum::<usize>();
                let header = self.translate(segment.header);
                let len = u32::try_from(len).expect("a segment's");
                self.arrived.push_back(Out { header, len, ecn: segment.ecn });
            }
            Some(Incoming::Segment(..)) | None => {}
        }
        Ok(())
    }

    /// The kernel's numbers as the script's.
    fn translate(&mut self, mut header: Header) -> Header {
        if !self.isn.contains_key(&header.dst_port) && header.flags.contains(Flags::SYN) {
            self.isn.insert(header.dst_port, header.seq);
            if let Some(timestamp) = header.options.timestamp {
                self.clock = CLOCK.wrapping_sub(timestamp.value);
            }
        }
        header.seq = SeqNumber(header.seq.0.wrapping_add(self.shift(header.dst_port)));
        if let Some(timestamp) = &mut header.options.timestamp {
            timestamp.value = timestamp.value.wrapping_add(self.clock);
        }
        header
    }

    /// What to add to the kernel's numbers to have the script's. Before it has any, they are the script's own.
    fn shift(&self, port: u16) -> u32 {
        self.isn.get(&port).map_or(0, |isn| OURS.wrapping_sub(isn.0))
    }

    /// Forgets the kernel's number: the next SYN says another.
    pub(crate) fn forget(&mut self) {
        self.isn.clear();
    }

    pub(crate) fn send(&self, spec: &Spec) -> std::io::Result<()> {
        let src_port = spec.port.unwrap_or(PORTS.1);
        let shift = self.shift(src_port);
        let mut options = spec.options.unwrap_or_default();
        options.sack = SackBlocks::new();
        for (start, end) in spec.options.unwrap_or_default().sack.as_slice() {
            options.sack.push(SeqNumber(start.0.wrapping_sub(shift)), SeqNumber(end.0.wrapping_sub(shift)));
        }
        options.timestamp = options.timestamp.map(|Timestamp { value, echo }| {
            let echo = if spec.ack.is_some() { echo.wrapping_sub(self.clock) } else { echo };
            Timestamp { value, echo }
        });
        let header = Header {
            src_port,
            dst_port: PORTS.0,
            seq: SeqNumber(THEIRS.wrapping_add(spec.seq)),
            ack: SeqNumber(spec.ack.map_or(0, |ack| OURS.wrapping_add(ack).wrapping_sub(shift))),
            flags: spec.flags,
            window: spec.window.unwrap_or(WINDOW),
            urgent: spec.urgent,
            options,
        };
        let flow = Flow { local: (PEER, src_port).into(), remote: (HOST, PORTS.0).into() };
        let text = Bytes::from(vec![3; spec.len as usize]);
        let ecn = spec.ecn.unwrap_or_default();
        self.tap.send(&frame::build(HOST_MAC, &flow, ecn, &header, &[text])).map(drop)
    }

    /// An error about the kernel's segment with that number.
    pub(crate) fn complain(&self, kind: IcmpKind, seq: u32) -> std::io::Result<()> {
        let seq = OURS.wrapping_add(seq).wrapping_sub(self.shift(PORTS.1));
        self.tap.send(&complaint(kind, seq)).map(drop)
    }
}

/// RFC 792: an error that quotes an IP header and eight bytes more.
fn complaint(kind: IcmpKind, seq: u32) -> Vec<u8> {
    let (kind, code, mtu) = match kind {
        IcmpKind::Unreachable { hard: true } => (3, 3, 0),
        IcmpKind::Unreachable { hard: false } => (3, 1, 0),
        // Scripts say what the IP payload may have.
        IcmpKind::TooBig { mtu } => (3, 4, mtu + 20),
        IcmpKind::TimeExceeded => (11, 0, 0),
    };
    let mut quoted = ipv4(6, HOST, PEER, 20 + 500);
    quoted.extend(PORTS.0.to_be_bytes());
    quoted.extend(PORTS.1.to_be_bytes());
    quoted.extend(seq.to_be_bytes());
    let mut icmp = vec![kind, code, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(quoted);
    let sum = checksum::finish(checksum::sum(&icmp, 0));
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = u16::try_from(20 + icmp.len()).expect("a small packet");
    [&HOST_MAC[..], &frame::OURS, &[8, 0], &ipv4(1, PEER, HOST, length), &icmp].concat()
}

fn ipv4(protocol: u8, from: std::net::Ipv4Addr, to: std::net::Ipv4Addr, length: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum::finish(checksum::sum(&header, 0));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}
