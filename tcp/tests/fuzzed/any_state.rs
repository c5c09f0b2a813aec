//! Any segment, call or delay to a connection in any state: it answers within bounds, keeps its deadlines in the future, holds no
//! more than its buffers, takes back no acknowledgment, and can always be ended.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use tcp::{
    Connection, Ecn, Flags, Flow, Header, IcmpError, IcmpKind, Instant, Lingering, ListenConfig, Listener, Outcome,
    Segment, SeqNumber, State, TimeWait, Timestamp,
};

use crate::setup::Setup;
use crate::tape::{Blow, Near};

/// Outputs that one event can give rise to: a send buffer in the smallest segments, and some.
const OUTPUTS_MAX: usize = 4_096;
/// The peer's initial number: its window wraps.
const PEER: u32 = u32::MAX - 500;

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    SynSent,
    /// By a SYN to a listening end, and by one that crossed ours.
    SynReceived,
    Crossed,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    LastAck,
    Closing,
    TimeWait,
    Closed,
    /// TIME-WAIT as a record, and a listener with half-open records.
    Record,
    Listening,
}

pub(crate) const STARTS: [Start; 13] = [
    Start::SynSent,
    Start::SynReceived,
    Start::Crossed,
    Start::Established,
    Start::FinWait1,
    Start::FinWait2,
    Start::CloseWait,
    Start::LastAck,
    Start::Closing,
    Start::TimeWait,
    Start::Closed,
    Start::Record,
    Start::Listening,
];

/// The fuzz target. What the bytes say after the end of a connection is lost on it.
pub(crate) fn run(data: &[u8]) {
    round_trip(data);
    // Only at the end of the bytes can reading fail.
    let _ = play(&mut Unstructured::new(data));
}

/// What can be read can be written, and reads the same again.
fn round_trip(data: &[u8]) {
    let Ok((header, length)) = Header::parse(data) else { return };
    assert!((20..=60).contains(&length));
    let mut out = [0; 60];
    header.emit(&mut out);
    let (again, _) = Header::parse(&out[..header.len()]).expect("what was written can be read");
    assert_eq!(again, header);
    if let Some(reset) = tcp::reset_for(&header, data.len() - length) {
        assert!(reset.flags.contains(Flags::RST));
    }
}

fn play(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let start = STARTS[usize::from(u8::arbitrary(u)?) % STARTS.len()];
    let setup = Setup::arbitrary(u)?;
    match start {
        Start::Record => play_record(record(&setup), u),
        Start::Listening => play_listener(&setup, u),
        _ => play_connection(Bench::new(start, setup), u),
    }
}

fn play_connection(mut bench: Bench, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    while !u.is_empty() {
        bench.blow(u.arbitrary()?);
    }
    bench.connection.abort();
    bench.settle();
    assert!(bench.connection.is_closed() || bench.connection.state() == State::TimeWait);
    Ok(())
}

/// A connection and what its tester knows.
pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) connection: Connection<Bytes>,
    setup: Setup,
    /// After the last byte it sent, counted from its initial number; after the last in order that it was sent.
    sent: u32,
    got: u32,
    /// The last acknowledgment it gave.
    acked: Option<SeqNumber>,
}

impl Bench {
    pub(crate) fn new(start: Start, setup: Setup) -> Bench {
        let now = Instant::from_micros(1 << 32);
        let connection = match start {
            Start::SynReceived => {
                let mut syn = bare(&setup, Flags::SYN, 0, 0);
                syn.options = setup.opening_options();
                Connection::accept(now, (1, 2), &setup.config, &syn, setup.opening)
            }
            _ => Connection::connect(now, (1, 2), &setup.config, setup.opening),
        };
        let mut bench = Bench { now, connection, setup, sent: 0, got: 0, acked: None };
        bench.settle();
        bench.lead(start);
        bench
    }

    /// From SYN-SENT to where the run begins.
    fn lead(&mut self, start: Start) {
        let (fin, ack) = (Flags::FIN | Flags::ACK, Flags::ACK);
        match start {
            Start::SynSent | Start::SynReceived | Start::Record | Start::Listening => return,
            Start::Crossed => return self.tell(Flags::SYN, 0, 0),
            _ => self.tell(Flags::SYN | ack, 0, 1),
        }
        self.got = 1;
        let shut = |bench: &mut Bench| {
            bench.connection.shutdown(bench.now);
            bench.settle();
        };
        match start {
            Start::FinWait1 => shut(self),
            Start::FinWait2 => {
                shut(self);
                self.tell(ack, 1, 2);
            }
            Start::CloseWait => self.tell(fin, 1, 1),
            Start::LastAck => {
                self.tell(fin, 1, 1);
                shut(self);
            }
            Start::Closing => {
                shut(self);
                self.tell(fin, 1, 1);
            }
            Start::TimeWait => {
                shut(self);
                self.tell(fin, 1, 2);
            }
            Start::Closed => {
                self.connection.abort();
                self.settle();
            }
            _ => {}
        }
    }

    fn tell(&mut self, flags: Flags, seq: u32, ack: u32) {
        let mut header = bare(&self.setup, flags, seq, ack);
        if flags.contains(Flags::SYN) {
            header.options = self.setup.opening_options();
        }
        if self.setup.opening.timestamp.is_some() {
            header.options.timestamp = Some(Timestamp { value: 100, echo: self.echo(0) });
        }
        let segment = Segment { header, payload: Default::default(), ecn: Ecn::NotCapable };
        let _ = self.connection.handle_segment(self.now, segment);
        self.settle();
    }

    /// Our clock as it was so many milliseconds ago.
    fn echo(&self, ago: u32) -> u32 {
        self.setup.opening.timestamp.map_or(0, |clock| clock.value(self.now).wrapping_sub(ago))
    }

    fn blow(&mut self, blow: Blow) {
        match blow {
            Blow::Segment(near) => {
                let segment = self.segment(&near);
                let _discard = self.connection.handle_segment(self.now, segment);
            }
            Blow::Raw(bytes) => {
                if let Ok((header, length)) = Header::parse(&bytes) {
                    let payload = [Bytes::copy_from_slice(&bytes[length..])].into_iter().collect();
                    let segment = Segment { header, payload, ecn: Ecn::CongestionExperienced };
                    let _discard = self.connection.handle_segment(self.now, segment);
                }
            }
            Blow::Icmp(kind, mtu, behind) => {
                let kind = match kind % 4 {
                    0 => IcmpKind::Unreachable { hard: kind & 4 != 0 },
                    1 => IcmpKind::TimeExceeded,
                    _ => IcmpKind::TooBig { mtu },
                };
                let seq = self.setup.opening.isn + self.sent.wrapping_sub(u32::from(behind));
                self.connection.handle_icmp(self.now, IcmpError { kind, seq });
            }
            Blow::Read => while self.connection.read().is_some() {},
            Blow::Write(bytes) => {
                if self.connection.writable() > 0 {
                    self.connection.write(Bytes::from(vec![8; usize::from(bytes).max(1)]));
                }
            }
            Blow::Shutdown => self.connection.shutdown(self.now),
            Blow::Close => self.connection.close(self.now),
            Blow::Abort => self.connection.abort(),
            Blow::Pressure(on) => self.connection.set_memory_pressure(on),
            Blow::Wait(micros, shift) => self.now += Duration::from_micros(u64::from(micros) << shift),
        }
        if self.connection.deadline().is_some_and(|at| at <= self.now) {
            self.connection.handle_timeout(self.now);
        }
        self.settle();
    }

    fn segment(&mut self, near: &Near) -> Segment<Bytes> {
        // Most have an ACK and no SYN, or nothing would ever get far.
        let flags = Flags::from_bits_truncate(u16::from(near.flags)) ^ Flags::ACK;
        let (seq, ack) = (shift(self.got, near.seq), shift(self.sent, near.ack));
        let length = u32::from(near.length % 3_000);
        let mut header = bare(&self.setup, flags, seq, ack);
        header.window = near.window;
        header.urgent = near.window;
        match near.extras & 3 {
            0 => {}
            bits => {
                let value = if bits == 1 { 0 } else { self.got.wrapping_add(200) };
                header.options.timestamp = Some(Timestamp { value, echo: self.echo(u32::from(near.extras)) });
            }
        }
        let start = self.setup.opening.isn + shift(self.sent, near.sack);
        for bit in [4, 8] {
            if near.extras & bit != 0 {
                header.options.sack.push(start + u32::from(bit) * 100, start + u32::from(bit) * 100 + length);
            }
        }
        if near.seq == 0 && length > 0 {
            self.got = self.got.wrapping_add(length);
        }
        let text = Bytes::from(vec![7; length as usize]);
        let payload = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
        Segment { header, payload, ecn: Ecn::from_bits(near.extras >> 4) }
    }

    /// Takes all it has to say, and looks at it.
    pub(crate) fn settle(&mut self) {
        let mut chunks = Vec::new();
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "it does not stop talking in {:?}", self.connection.state());
            chunks.clear();
            let Some(header) = self.connection.poll_transmit(self.now, self.setup.limit, &mut chunks) else { break };
            let payload: usize = chunks.iter().map(Bytes::len).sum();
            assert!(payload <= self.setup.limit);
            if header.flags.contains(Flags::RST) {
                continue;
            }
            let past = u32::from(header.flags.contains(Flags::SYN)) + u32::from(header.flags.contains(Flags::FIN));
            let end = (header.seq.0.wrapping_sub(self.setup.opening.isn.0)).wrapping_add(payload as u32 + past);
            if end.wrapping_sub(self.sent).cast_signed() > 0 {
                self.sent = end;
            }
            if header.flags.contains(Flags::ACK) {
                assert!(self.acked.is_none_or(|before| before <= header.ack), "an acknowledgment was taken back");
                self.acked = Some(header.ack);
            }
        }
        self.check();
    }

    fn check(&self) {
        let (state, info) = (self.connection.state(), self.connection.info());
        let deadline = self.connection.deadline();
        assert!(deadline.is_none_or(|at| at > self.now), "a deadline in the past in {state:?}");
        // A chunk may be written at the last byte of room, and a segment may begin at the last byte of the window.
        let receive = u64::from(self.setup.config.receive_buffer).max(4 << 7) + 3_000;
        let send = u64::from(self.setup.config.send_buffer) + 65_535;
        assert!(info.unread + info.reassembly <= receive, "{info:?}");
        assert!(info.unacked + info.notsent <= send + 2, "{info:?}");
        assert!(state != State::Closed || deadline.is_none(), "a timer after the end");
    }
}

impl Setup {
    /// The peer offers what we offer.
    fn opening_options(&self) -> tcp::Options {
        tcp::Options {
            mss: Some(self.opening.mss),
            window_scale: self.opening.window_scale,
            sack_permitted: self.opening.sack_permitted,
            timestamp: self.opening.timestamp.map(|_| Timestamp { value: 100, echo: 0 }),
            ..tcp::Options::default()
        }
    }
}

fn shift(from: u32, by: i16) -> u32 {
    from.wrapping_add_signed(i32::from(by))
}

fn bare(setup: &Setup, flags: Flags, seq: u32, ack: u32) -> Header {
    let (seq, ack) = (SeqNumber(PEER.wrapping_add(seq)), setup.opening.isn + ack);
    let options = tcp::Options::default();
    Header { src_port: 2, dst_port: 1, seq, ack, flags, window: 8_192, urgent: 0, options }
}

fn record(setup: &Setup) -> (Bench, TimeWait) {
    let mut bench = Bench::new(Start::TimeWait, setup.clone());
    let spare = Connection::connect(bench.now, (1, 2), &setup.config, setup.opening);
    let record = std::mem::replace(&mut bench.connection, spare).into_time_wait().expect("in TIME-WAIT, all read");
    (bench, record)
}

fn play_record((mut bench, mut record): (Bench, TimeWait), u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    while !u.is_empty() {
        match u.arbitrary()? {
            Blow::Segment(near) => {
                let segment = bench.segment(&near);
                let text = segment.payload.iter().map(Bytes::len).sum();
                match record.handle_segment(bench.now, &segment.header, text) {
                    // RFC 9293, 3.5.3: a reset answers no reset, and TIME-WAIT resets nobody.
                    Lingering::Reply(reply) => {
                        assert!(!segment.header.flags.contains(Flags::RST) && !reply.flags.contains(Flags::RST));
                    }
                    Lingering::Reuse => return Ok(()),
                    Lingering::Ignored(_) => {}
                }
            }
            Blow::Wait(micros, shift) => bench.now += Duration::from_micros(u64::from(micros) << shift.min(8)),
            _ => {}
        }
        assert!(record.deadline() <= bench.now + bench.setup.config.time_wait);
    }
    Ok(())
}

fn play_listener(setup: &Setup, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    const TABLE: usize = 4;
    let config = ListenConfig {
        connection: setup.config.clone(),
        mss: setup.opening.mss,
        half_open: TABLE,
        backlog: 3,
        ..ListenConfig::default()
    };
    let mut listener = Listener::new(config, [9; 16]);
    let mut bench = Bench::new(Start::SynSent, setup.clone());
    while !u.is_empty() {
        match u.arbitrary()? {
            Blow::Segment(near) => {
                let mut segment = bench.segment(&near);
                let port = 1_000 + u16::from(near.extras & 7);
                let [local, remote] = [([10, 0, 0, 1], 80), ([10, 0, 0, 2], port)].map(From::from);
                let flow = Flow { local, remote };
                segment.header.ack = bench.acked.unwrap_or(segment.header.ack) + u32::from(near.window & 1);
                match listener.handle_segment(bench.now, &flow, segment) {
                    // The tester acknowledges the last SYN-ACK it saw.
                    Outcome::Reply(reply) => bench.acked = Some(reply.seq),
                    Outcome::Established(connection, _) => {
                        assert_ne!(connection.state(), State::SynReceived);
                        bench.connection = connection;
                    }
                    Outcome::Refused(_) => {}
                }
            }
            Blow::Read => listener.taken(),
            Blow::Abort => listener.rotate(bench.now, [11; 16]),
            Blow::Wait(micros, shift) => bench.now += Duration::from_micros(u64::from(micros) << shift),
            _ => {}
        }
        let mut again = 0;
        while listener.poll_transmit(bench.now).is_some() {
            again += 1;
            assert!(again <= TABLE, "it does not stop talking");
        }
        assert!(listener.half_open() <= TABLE && listener.deadline().is_none_or(|at| at > bench.now));
    }
    Ok(())
}
