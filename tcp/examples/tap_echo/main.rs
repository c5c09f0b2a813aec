//! An echo server on a Linux tap device: every port of 10.9.0.2 says back what it hears.
//!
//! ```text
//!   # cargo run --release -p tcp --example tap_echo -- echo0
//!   # ip address add 10.9.0.1/24 dev echo0 && ip link set echo0 up          (in another shell)
//!   $ nc 10.9.0.2 7
//! ```
//!
//! It shows all there is to drive: a [`Listener`], [`Connection`]s, and [`TimeWait`]s after them. A thread reads the device;
//! the loop below does the rest, with the time read once per turn.
//!
//! Left out: IPv6, ICMP, and a timing wheel (every deadline is looked at in every turn: fine for a few connections).

mod frame;

use std::collections::HashMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use frame::{Incoming, Mac};
use tappers::Interface;
use tappers::linux::Tap;
use tcp::{
    Connection, Ecn, Flow, Header, Instant, Lingering, ListenConfig, Listener, Outcome, Segment, TimeWait, reset_for,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// Frames read and not looked at yet, at most: more wait in the device.
const QUEUE: usize = 1_024;
/// Frames looked at before timers are.
const BATCH: usize = 64;

fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "echo0".into());
    let tap = Arc::new(Tap::create_named(Interface::new(&name)?)?);
    let mut secret = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let (to_us, frames) = sync_channel(QUEUE);
    let device = Arc::clone(&tap);
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok(length) = device.recv(&mut buffer) {
            if to_us.send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                return;
            }
        }
    });
    eprintln!("{name}: every port of {ADDRESS} echoes");
    let listener = Listener::new(ListenConfig::default(), secret);
    Server { tap, listener, flows: HashMap::new(), lingering: HashMap::new(), macs: HashMap::new() }.run(&frames)
}

/// Microseconds since the first call.
#[expect(clippy::disallowed_methods, reason = "a program must read a clock somewhere: here, once per turn")]
fn clock() -> impl Fn() -> Instant {
    let start = std::time::Instant::now();
    move || Instant::ZERO + start.elapsed() + Duration::from_secs(1)
}

struct Server {
    tap: Arc<Tap>,
    listener: Listener,
    flows: HashMap<Flow, Connection<Bytes>>,
    lingering: HashMap<Flow, TimeWait>,
    /// Where a flow's frames go: where its last one came from.
    macs: HashMap<Flow, Mac>,
}

impl Server {
    fn run(mut self, frames: &Receiver<Bytes>) -> std::io::Result<()> {
        let clock = clock();
        loop {
            let wait = self.deadline().map_or(Duration::from_secs(1), |deadline| deadline - clock());
            let first = match frames.recv_timeout(wait) {
                Ok(frame) => Some(frame),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let now = clock();
            for frame in first.into_iter().chain(frames.try_iter()).take(BATCH) {
                match frame::parse(&frame, ADDRESS) {
                    Some(Incoming::ArpReply(reply)) => self.put(&reply),
                    Some(Incoming::Segment(mac, flow, segment)) => {
                        self.macs.insert(flow, mac);
                        self.arrive(now, flow, segment);
                    }
                    None => {}
                }
            }
            self.turn(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let connections = self.flows.values().filter_map(Connection::deadline);
        let lingering = self.lingering.values().map(TimeWait::deadline);
        connections.chain(lingering).chain(self.listener.deadline()).min()
    }

    fn arrive(&mut self, now: Instant, flow: Flow, segment: Segment<Bytes>) {
        if let Some(connection) = self.flows.get_mut(&flow) {
            // Refused or not, it may have to be answered: see `turn`.
            let _ = connection.handle_segment(now, segment);
            return;
        }
        if let Some(record) = self.lingering.get_mut(&flow) {
            let text = segment.payload.iter().map(Bytes::len).sum();
            match record.handle_segment(now, &segment.header, text) {
                Lingering::Reply(reply) => return self.send(&flow, Ecn::NotCapable, &reply, &[]),
                Lingering::Ignored(_) => return,
                Lingering::Reuse => drop(self.lingering.remove(&flow)),
            }
        }
        let header = segment.header;
        match self.listener.handle_segment(now, &flow, segment) {
            Outcome::Reply(reply) => self.send(&flow, Ecn::NotCapable, &reply, &[]),
            Outcome::Established(connection, _) => {
                self.listener.taken();
                self.flows.insert(flow, connection);
            }
            Outcome::Refused(refusal) => {
                eprintln!("{} {:?}: {refusal:?}", flow.remote, header.flags);
                // What is no opening and belongs to nobody is reset (RFC 9293, 3.10.7.1).
                if let Some(reset) = reset_for(&header, 0).filter(|_| refusal == tcp::Refusal::NotAnOpening) {
                    self.send(&flow, Ecn::NotCapable, &reset, &[]);
                }
            }
        }
    }

    /// Echoes, lets timers fire, sends what is due, forgets what is over.
    fn turn(&mut self, now: Instant) {
        while let Some((flow, header)) = self.listener.poll_transmit(now) {
            self.send(&flow, Ecn::NotCapable, &header, &[]);
        }
        self.lingering.retain(|_, record| record.deadline() > now);
        for (flow, mut connection) in std::mem::take(&mut self.flows) {
            echo(now, &mut connection);
            if connection.deadline().is_some_and(|deadline| deadline <= now) {
                connection.handle_timeout(now);
            }
            let mut chunks = Vec::new();
            let segment = usize::from(connection.mss_largest());
            while let Some(header) = connection.poll_transmit(now, segment, &mut chunks) {
                self.send(&flow, connection.ecn_codepoint(), &header, &chunks);
            }
            if connection.is_closed() {
                continue;
            }
            match connection.into_time_wait() {
                Ok(record) => drop(self.lingering.insert(flow, record)),
                Err(connection) => drop(self.flows.insert(flow, connection)),
            }
        }
        let (flows, lingering) = (&self.flows, &self.lingering);
        self.macs.retain(|flow, _| flows.contains_key(flow) || lingering.contains_key(flow) || flows.is_empty());
    }

    fn send(&self, flow: &Flow, ecn: Ecn, header: &Header, payload: &[Bytes]) {
        if let Some(mac) = self.macs.get(flow) {
            self.put(&frame::build(*mac, flow, ecn, header, payload));
        }
    }

    /// A device that is down loses frames, as a cable does.
    fn put(&self, frame: &[u8]) {
        let _ = self.tap.send(frame);
    }
}

fn echo(now: Instant, connection: &mut Connection<Bytes>) {
    while connection.writable() > 0
        && let Some(piece) = connection.read()
    {
        connection.write(piece);
    }
    if connection.peer_finished() {
        connection.shutdown(now);
    }
}
