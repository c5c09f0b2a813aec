//! A script's peer before a listener of ours. It chooses its own numbers and clock, so they are learned from the first SYN-ACK to
//! each port, and counted from there, as scripts count.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use tcp::{
    Connection, Discard, Flags, Flow, Header, Instant, ListenConfig, Listener, Outcome, Refusal, Segment, SeqNumber,
};

use crate::grammar::{OURS, PORTS};

/// What our clock says in scripts when they begin.
const CLOCK: u32 = 1_000;

pub(crate) struct Serve {
    listener: Listener,
    /// By the peer's port: what to add to our numbers and to our clock to have the script's.
    shifts: BTreeMap<u16, (u32, u32)>,
}

/// What came of a segment.
pub(crate) enum Came {
    /// This goes out.
    Reply(Header),
    Connection(Box<Connection<Bytes>>),
    Nothing(&'static str),
}

impl Serve {
    pub(crate) fn new(config: ListenConfig) -> Serve {
        Serve { listener: Listener::new(config, [0x5c; 16]), shifts: BTreeMap::new() }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.listener.deadline()
    }

    pub(crate) fn taken(&mut self) {
        self.listener.taken();
    }

    /// A segment without a connection, in the script's numbers.
    pub(crate) fn arrive(&mut self, now: Instant, mut segment: Segment<Bytes>) -> Came {
        let flow = flow(segment.header.src_port);
        self.translate(&mut segment.header);
        match self.listener.handle_segment(now, &flow, segment) {
            Outcome::Reply(reply) => Came::Reply(self.out(reply)),
            Outcome::Established(connection, _) => Came::Connection(Box::new(connection)),
            Outcome::Refused(refusal) => Came::Nothing(name(refusal)),
        }
    }

    /// SYN-ACKs that go again now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Header> {
        let (_, header) = self.listener.poll_transmit(now)?;
        Some(self.out(header))
    }

    /// A header of ours in the script's numbers.
    pub(crate) fn out(&mut self, mut header: Header) -> Header {
        let first = header.flags.contains(Flags::SYN);
        let ours = (header.seq.0, header.options.timestamp.map_or(0, |timestamp| timestamp.value));
        let learned = (OURS.wrapping_sub(ours.0), CLOCK.wrapping_sub(ours.1));
        let (number, clock) = match self.shifts.get(&header.dst_port) {
            Some(known) => *known,
            None if first => *self.shifts.entry(header.dst_port).or_insert(learned),
            None => (0, 0),
        };
        header.seq = header.seq + number;
        if let Some(timestamp) = &mut header.options.timestamp {
            timestamp.value = timestamp.value.wrapping_add(clock);
        }
        header
    }

    /// A header of the script in our numbers.
    pub(crate) fn translate(&self, header: &mut Header) {
        if header.flags.contains(Flags::SYN) && !header.flags.contains(Flags::ACK) {
            return;
        }
        let (number, clock) = self.shifts.get(&header.src_port).copied().unwrap_or_default();
        header.ack = SeqNumber(header.ack.0.wrapping_sub(number));
        if let Some(timestamp) = &mut header.options.timestamp {
            timestamp.echo = timestamp.echo.wrapping_sub(clock);
        }
    }
}

fn flow(port: u16) -> Flow {
    let [local, remote] = [([10, 9, 0, 1], PORTS.0), ([10, 9, 0, 2], port)].map(SocketAddr::from);
    Flow { local, remote }
}

/// Names of refusals, as scripts say them.
fn name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotAnOpening => "not_an_opening",
        Refusal::BacklogFull => "backlog_full",
        Refusal::TableFull => "table_full",
        Refusal::RepeatedSyn => "repeated_syn",
        Refusal::Reset => "reset",
        Refusal::Unacceptable(discard) => Discard::name(discard),
    }
}
