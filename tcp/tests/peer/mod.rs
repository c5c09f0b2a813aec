//! A peer made by hand: one connection under test, and segments written out as a script would.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use bytes::Bytes;
use tcp::{
    Config, Connection, Discard, Ecn, Flags, Header, Instant, Opening, Options, Segment, SeqNumber, Signals, State,
    Timestamp, TimestampClock,
};

/// The numbers all scripts use: ours begin at 1,000, the peer's at 5,000; both about to wrap would hide what a test says.
pub(crate) const OURS: u32 = 1_000;
pub(crate) const THEIRS: u32 = 5_000;

pub(crate) struct Script {
    pub(crate) now: Instant,
    pub(crate) connection: Connection<Bytes>,
    pub(crate) limit: usize,
    /// Whether segments of the peer carry timestamps, and what they say.
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) window: u16,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Out {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Out {
    /// Sequence number relative to ours, bytes, and flags in letters: what most checks look at.
    pub(crate) fn brief(&self) -> (u32, usize, String) {
        let names = self.header.flags.iter_names().map(|(name, _)| &name[..1]).collect();
        (self.header.seq.since(SeqNumber(OURS)), self.payload.len(), names)
    }

    /// Acknowledgment relative to the peer's numbers.
    pub(crate) fn ack(&self) -> u32 {
        self.header.ack.since(SeqNumber(THEIRS))
    }
}

pub(crate) fn opening() -> Opening {
    Opening { isn: SeqNumber(OURS), mss: 1_000, window_scale: None, sack_permitted: true, timestamp: None }
}

pub(crate) fn config() -> Config {
    Config { receive_buffer: 20_000, send_buffer: 100_000, ..Config::default() }
}

/// What the peer's SYN says by default: the same as ours.
pub(crate) fn options() -> Options {
    Options { mss: Some(1_000), sack_permitted: true, ..Options::default() }
}

pub(crate) fn header(seq: u32, ack: u32, flags: Flags) -> Header {
    Header {
        src_port: 80,
        dst_port: 40_000,
        seq: SeqNumber(THEIRS.wrapping_add(seq)),
        ack: SeqNumber(OURS.wrapping_add(ack)),
        flags,
        window: 60_000,
        urgent: 0,
        options: Options::default(),
    }
}

impl Script {
    /// In SYN-SENT, the SYN taken.
    pub(crate) fn connecting(config: &Config, opening: Opening) -> Script {
        let now = Instant::from_micros(1_000_000);
        let connection = Connection::connect(now, (40_000, 80), config, opening);
        let mut script = Script { now, connection, limit: 1_000, timestamp: None, window: 60_000 };
        let out = script.poll();
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].brief(), (0, 0, "S".into()));
        script
    }

    /// Established by us, the peer's SYN-ACK having these options.
    pub(crate) fn established_with(config: &Config, opening: Opening, options: Options) -> Script {
        let mut script = Script::connecting(config, opening);
        script.timestamp = options.timestamp;
        script.wait(10);
        let syn_ack = Header { options, ..header(0, 1, Flags::SYN | Flags::ACK) };
        assert_eq!(script.give(syn_ack, b""), Ok(Signals::ESTABLISHED | Signals::WRITABLE));
        assert_eq!(script.poll()[0].brief(), (1, 0, "A".into()));
        script
    }

    pub(crate) fn established() -> Script {
        Script::established_with(&config(), opening(), options())
    }

    /// Established, with timestamps.
    pub(crate) fn with_timestamps() -> Script {
        let opening = Opening { timestamp: Some(TimestampClock::with_offset(0)), ..opening() };
        let options = Options { timestamp: Some(Timestamp { value: 100, echo: 1_000 }), ..options() };
        Script::established_with(&config(), opening, options)
    }

    /// A segment of the peer arrives.
    pub(crate) fn give(&mut self, mut header: Header, payload: &[u8]) -> Result<Signals, Discard> {
        if !header.flags.contains(Flags::SYN) {
            header.options.timestamp = header.options.timestamp.or(self.timestamp);
        }
        let payload = Some(Bytes::copy_from_slice(payload)).filter(|payload| !payload.is_empty()).into_iter().collect();
        self.connection.handle_segment(self.now, Segment { header, payload, ecn: Ecn::NotCapable })
    }

    /// An acknowledgment arrives, with SACK blocks.
    pub(crate) fn ack(&mut self, ack: u32, sack: &[(u32, u32)]) -> Result<Signals, Discard> {
        let mut header = Header { window: self.window, ..header(1, ack, Flags::ACK) };
        for (start, end) in sack {
            header.options.sack.push(SeqNumber(OURS + start), SeqNumber(OURS + end));
        }
        self.give(header, b"")
    }

    /// Data arrives.
    pub(crate) fn data(&mut self, seq: u32, payload: &[u8]) -> Result<Signals, Discard> {
        let ack = self.acked();
        self.give(header(seq, ack, Flags::ACK), payload)
    }

    fn acked(&self) -> u32 {
        u32::try_from(self.connection.info().bytes_acked).unwrap() + 1
    }

    /// All that comes out now.
    pub(crate) fn poll(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        let mut chunks = Vec::new();
        while let Some(header) = self.connection.poll_transmit(self.now, self.limit, &mut chunks) {
            out.push(Out { header, payload: chunks.concat() });
            assert!(out.len() < 10_000, "output without end");
        }
        assert!(self.connection.deadline().is_none_or(|deadline| deadline > self.now));
        out
    }

    /// All that comes out now, in brief.
    pub(crate) fn brief(&mut self) -> Vec<(u32, usize, String)> {
        self.poll().iter().map(Out::brief).collect()
    }

    /// Nothing comes out now.
    pub(crate) fn silent(&mut self) {
        assert_eq!(self.brief(), []);
    }

    /// Time passes, in milliseconds; timers fire on the way and what they send is given.
    pub(crate) fn wait(&mut self, ms: u64) -> Vec<Out> {
        let end = self.now + Duration::from_millis(ms);
        let mut out = Vec::new();
        while let Some(deadline) = self.connection.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.connection.handle_timeout(self.now);
            out.extend(self.poll());
        }
        self.now = end;
        out
    }

    pub(crate) fn write(&mut self, bytes: usize) {
        let bytes: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
        self.connection.write(bytes.into());
    }

    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.connection.read() {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    pub(crate) fn state(&self) -> State {
        self.connection.state()
    }
}
