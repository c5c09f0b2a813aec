//! Two connections and a network that does its worst, as the input says: it loses, doubles, delays, spoils and marks, brings back
//! old segments, and forges what somebody can forge who sees nothing.
//!
//! What must hold: what is read is what was written, byte by byte, to the end; nobody sends beyond the window it was given;
//! memory stays within the buffers; no deadline lies in the past; and once the network has healed, both ends finish without an
//! error. The bad time is shorter than anybody's patience, so nobody may give up.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use tcp::{Connection, Ecn, Flags, Header, IcmpError, IcmpKind, Instant, Segment, SeqNumber, checksum, reset_for};

use crate::setup::Setup;
use crate::tape::{Event, Fate};

/// The network's bad time: well within the patience for a SYN-ACK (63 s), a SYN (127 s) and for data (a quarter of an hour).
const BAD_TIME: Duration = Duration::from_secs(20);
/// One way, in good times.
const DELAY: Duration = Duration::from_millis(5);
/// So long after the network has healed all is over: a timeout that was backed off, what was written, and TIME-WAIT.
const HEALING: Duration = Duration::from_secs(1_800);
/// Segments on the way at most: what is more is lost.
const FLIGHTS_MAX: usize = 512;
/// Segments remembered to be brought back.
const HISTORY: usize = 64;
/// Outputs of one turn, and turns of one run: more is talk without end.
const OUTPUTS_MAX: usize = 4_096;
const TURNS_MAX: usize = 200_000;
/// Bytes that one end writes at most.
const STREAM_MAX: u64 = 400_000;

const PORTS: [(u16, u16); 2] = [(40_000, 80), (80, 40_000)];

/// The fuzz target.
pub(crate) fn run(data: &[u8]) {
    // Only at the end of the bytes can reading fail.
    let _ = play(&mut Unstructured::new(data));
}

fn play(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let setups = [Setup::arbitrary(u)?, Setup::arbitrary(u)?];
    let both = bool::arbitrary(u)?;
    let mut network = Network::new(setups, both);
    let start = network.now;
    while !u.is_empty() && network.now - start < BAD_TIME {
        network.event(u.arbitrary()?);
    }
    network.heal();
    Ok(())
}

/// A segment on the way, as bytes.
#[derive(Clone)]
struct Flight {
    at: Instant,
    to: usize,
    header: Vec<u8>,
    payload: Bytes,
    ecn: Ecn,
    /// As the sender made it, or as nobody can be expected to take it.
    genuine: bool,
}

struct End {
    setup: Setup,
    connection: Option<Connection<Bytes>>,
    written: u64,
    read: u64,
    shut: bool,
    /// The furthest the peer let it send, and how far it has.
    edge: Option<SeqNumber>,
    sent: Option<SeqNumber>,
    acked: Option<SeqNumber>,
    /// How far its own windows are shifted.
    scale: u8,
}

struct Network {
    now: Instant,
    ends: [End; 2],
    flights: VecDeque<Flight>,
    history: VecDeque<Flight>,
    /// What each wire does, and whose turn it is.
    weather: [Option<(Fate, u8)>; 2],
    count: [u32; 2],
}

impl Network {
    fn new(setups: [Setup; 2], both: bool) -> Network {
        let now = Instant::from_micros(1 << 40);
        let ends = setups.map(|setup| End {
            setup,
            connection: None,
            written: 0,
            read: 0,
            shut: false,
            edge: None,
            sent: None,
            acked: None,
            scale: 0,
        });
        let mut network = Network {
            now,
            ends,
            flights: VecDeque::new(),
            history: VecDeque::new(),
            weather: [None; 2],
            count: [0; 2],
        };
        for (end, ports) in network.ends.iter_mut().zip(PORTS).take(1 + usize::from(both)) {
            let Setup { config, opening, .. } = &end.setup;
            end.connection = Some(Connection::connect(now, ports, config, *opening));
        }
        network.talk();
        network
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Weather { wire, fate, mask } => self.weather[usize::from(wire)] = Some((fate, mask)),
            Event::Write { end, bytes } => self.write(usize::from(end), u64::from(bytes)),
            Event::Read { end } => self.read(usize::from(end)),
            Event::Shutdown { end } => self.shutdown(usize::from(end)),
            Event::Pressure { end, on } => {
                if let Some(connection) = &mut self.ends[usize::from(end)].connection {
                    connection.set_memory_pressure(on);
                }
            }
            Event::Wait(millis) => self.pass(Duration::from_millis(u64::from(millis) % 4_096)),
            Event::Replay(which) => {
                let len = self.history.len().max(1);
                if let Some(old) = self.history.get(usize::from(which) % len).cloned() {
                    self.deliver(&old);
                }
            }
            Event::Forge { to, kind, far } => self.forge(usize::from(to), kind, far),
            Event::TooBig { to, mtu, known } => self.too_big(usize::from(to), mtu, known),
        }
        self.talk();
    }

    fn write(&mut self, end: usize, bytes: u64) {
        let side = &mut self.ends[end];
        let Some(connection) = side.connection.as_mut().filter(|_| !side.shut) else { return };
        let room = (connection.writable() as u64).min(STREAM_MAX - side.written);
        let bytes = bytes.min(room);
        if bytes > 0 {
            connection.write((side.written..side.written + bytes).map(|at| byte(end, at)).collect());
            side.written += bytes;
        }
    }

    fn read(&mut self, end: usize) {
        let side = &mut self.ends[end];
        let Some(connection) = &mut side.connection else { return };
        while let Some(piece) = connection.read() {
            for got in piece {
                assert_eq!(got, byte(1 - end, side.read), "another byte than was written, at {}", side.read);
                side.read += 1;
            }
        }
        assert!(side.read <= self.ends[1 - end].written);
    }

    fn shutdown(&mut self, end: usize) {
        if let Some(connection) = &mut self.ends[end].connection {
            connection.shutdown(self.now);
            self.ends[end].shut = true;
        }
    }

    /// What somebody sends who knows addresses, ports and about when, but no numbers: all of it is far from the window.
    fn forge(&mut self, to: usize, kind: u8, far: u16) {
        let synchronized =
            |end: &End| end.connection.as_ref().is_some_and(|connection| connection.state().is_synchronized());
        let (Some(next), Some(sent)) = (self.ends[to].acked, self.ends[to].sent) else { return };
        if !self.ends.iter().all(synchronized) {
            // Before, a number is all that protects (RFC 9293, 3.10.7.3): a guess may be right.
            return;
        }
        let away = (1 << 30) + (u32::from(far) << 14);
        let (flags, seq, ack) = match kind % 6 {
            0 => (Flags::RST, next + away, sent),
            1 => (Flags::RST | Flags::ACK, next + away, sent + away),
            2 => (Flags::SYN, next + u32::from(far), SeqNumber(0)),
            3 => (Flags::SYN | Flags::ACK, next + away, sent + u32::from(far)),
            4 => (Flags::ACK | Flags::PSH, next + u32::from(far), sent + (1 << 30)),
            _ => (Flags::FIN | Flags::ACK, next + away, sent),
        };
        let (src_port, dst_port) = PORTS[1 - to];
        let header =
            Header { src_port, dst_port, seq, ack, flags, window: far, urgent: far, options: Default::default() };
        let payload = if kind & 8 != 0 { Bytes::from_static(&[0xee; 100]) } else { Bytes::new() };
        let flight = pack(self.now, to, &header, payload, Ecn::NotCapable, false);
        self.deliver(&flight);
    }

    fn too_big(&mut self, to: usize, mtu: u16, known: bool) {
        let Some(sent) = self.ends[to].sent else { return };
        let seq = if known { sent - 1 } else { sent + u32::from(mtu) * 40_000 };
        if let Some(connection) = &mut self.ends[to].connection {
            connection.handle_icmp(self.now, IcmpError { kind: IcmpKind::TooBig { mtu }, seq });
        }
    }

    /// Time goes on; what is due happens.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..TURNS_MAX {
            match self.next().filter(|next| *next <= until) {
                Some(next) => self.turn(next),
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn next(&self) -> Option<Instant> {
        let flights = self.flights.iter().map(|flight| flight.at);
        let deadlines = self.ends.iter().filter_map(|end| end.connection.as_ref()?.deadline());
        flights.chain(deadlines).min()
    }

    fn turn(&mut self, at: Instant) {
        self.now = self.now.max(at);
        for end in &mut self.ends {
            if let Some(connection) = &mut end.connection
                && connection.deadline().is_some_and(|deadline| deadline <= self.now)
            {
                connection.handle_timeout(self.now);
            }
        }
        while let Some(due) = self.flights.iter().position(|flight| flight.at <= self.now) {
            let flight = self.flights.remove(due).expect("just found");
            self.deliver(&flight);
        }
        self.talk();
    }

    fn deliver(&mut self, flight: &Flight) {
        let Flight { to, header: bytes, payload, ecn, genuine, .. } = flight;
        let sum = checksum::sum(payload, checksum::sum(bytes, 0));
        if checksum::finish(sum) != 0 {
            return;
        }
        let (header, _) = Header::parse(bytes).expect("the checksum is right");
        let side = &mut self.ends[*to];
        let reset = || reset_for(&header, payload.len());
        let Some(connection) = &mut side.connection else {
            if header.flags & (Flags::SYN | Flags::ACK | Flags::RST | Flags::FIN) == Flags::SYN {
                let (config, opening) = (&side.setup.config, side.setup.opening);
                side.connection = Some(Connection::accept(self.now, PORTS[*to], config, &header, opening));
                self.note_window(*to, &header);
            } else if let Some(reset) = reset() {
                self.launch(1 - *to, &reset, Bytes::new(), Ecn::NotCapable);
            }
            return;
        };
        if connection.is_closed() {
            if let Some(reset) = reset() {
                self.launch(1 - *to, &reset, Bytes::new(), Ecn::NotCapable);
            }
            return;
        }
        let pieces = [payload.clone()].into_iter().filter(|payload| !payload.is_empty()).collect();
        let _discard = connection.handle_segment(self.now, Segment { header, payload: pieces, ecn: *ecn });
        if *genuine {
            self.note_window(*to, &header);
        }
    }

    /// What the segment allows its receiver to send.
    fn note_window(&mut self, to: usize, header: &Header) {
        let first = self.ends[to].setup.opening.isn + 1;
        let from = &mut self.ends[1 - to];
        let ack = if header.flags.contains(Flags::ACK) { header.ack } else { first };
        let scale = if header.flags.contains(Flags::SYN) { 0 } else { from.scale };
        let edge = ack + (u32::from(header.window) << scale);
        let side = &mut self.ends[to];
        side.edge = Some(side.edge.map_or(edge, |before| if before < edge { edge } else { before }));
    }

    /// Takes what both have to say.
    fn talk(&mut self) {
        for end in 0..2 {
            let mut chunks = Vec::new();
            for count in 0.. {
                assert!(count < OUTPUTS_MAX, "it does not stop talking");
                let side = &mut self.ends[end];
                let Some(connection) = &mut side.connection else { break };
                chunks.clear();
                let Some(header) = connection.poll_transmit(self.now, side.setup.limit, &mut chunks) else { break };
                let (mss, ecn) = (usize::from(connection.mss()), connection.ecn_codepoint());
                let text = Bytes::from(chunks.concat());
                assert!(text.len() <= side.setup.limit.max(mss));
                self.check(end, &header, text.len());
                self.cut(end, &header, &text, mss, ecn);
            }
            self.rest(end);
        }
    }

    /// Segmentation offload.
    fn cut(&mut self, end: usize, header: &Header, text: &Bytes, mss: usize, ecn: Ecn) {
        let mut at = 0;
        loop {
            let piece = text.slice(at..text.len().min(at + mss));
            let last = at + piece.len() == text.len();
            let mut header = *header;
            header.seq = header.seq + u32::try_from(at).expect("of one output");
            if !last {
                header.flags -= Flags::FIN | Flags::PSH;
            }
            at += piece.len();
            self.launch(1 - end, &header, piece, ecn);
            if last {
                return;
            }
        }
    }

    fn check(&mut self, end: usize, header: &Header, text: usize) {
        if header.flags.contains(Flags::RST) {
            return;
        }
        let other = self.ends[1 - end].setup.opening.window_scale;
        let side = &mut self.ends[end];
        if header.flags.contains(Flags::SYN) {
            // RFC 7323, 2.2: only if both said so; what was offered alone is not used.
            let offered = header.options.window_scale.filter(|_| other.is_some());
            side.scale = offered.map_or(0, |shift| shift.min(14));
        }
        let past = header.seq + u32::try_from(text).expect("of one output");
        if text > 0 {
            assert!(
                side.edge.is_some_and(|edge| past <= edge),
                "beyond the window by {:?}",
                side.edge.map(|e| past.0.wrapping_sub(e.0))
            );
        }
        let past = past + u32::from(header.flags.contains(Flags::FIN)) + u32::from(header.flags.contains(Flags::SYN));
        side.sent = Some(side.sent.map_or(past, |before| if before < past { past } else { before }));
        if header.flags.contains(Flags::ACK) {
            assert!(side.acked.is_none_or(|before| before <= header.ack), "an acknowledgment was taken back");
            side.acked = Some(header.ack);
        }
    }

    /// Nothing more to say: deadlines and memory.
    fn rest(&self, end: usize) {
        let side = &self.ends[end];
        let Some(connection) = &side.connection else { return };
        let info = connection.info();
        assert!(connection.deadline().is_none_or(|at| at > self.now), "a deadline in the past: {info:?}");
        let receive = u64::from(side.setup.config.receive_buffer).max(4 << 7) + 3_000;
        assert!(info.unread + info.reassembly <= receive, "{info:?}");
        assert!(info.unacked + info.notsent <= u64::from(side.setup.config.send_buffer) + 65_537, "{info:?}");
        assert_eq!(connection.error(), None, "{:?} after {} of {} bytes", info, side.read, self.ends[1 - end].written);
    }

    fn launch(&mut self, to: usize, header: &Header, payload: Bytes, ecn: Ecn) {
        let wire = 1 - to;
        let turn = self.count[wire] % 8;
        self.count[wire] += 1;
        let mut flight = pack(self.now + DELAY, to, header, payload, ecn, true);
        self.history.truncate(HISTORY - 1);
        self.history.push_front(flight.clone());
        let fate = self.weather[wire].filter(|(_, mask)| mask >> turn & 1 != 0).map(|(fate, _)| fate);
        match fate {
            Some(Fate::Lost) => return,
            Some(Fate::Twice) => self.flights.push_back(flight.clone()),
            Some(Fate::Late(power)) => flight.at += Duration::from_millis(1 << power),
            Some(Fate::Spoilt) => {
                let at = self.count[wire] as usize * 7 % (flight.header.len() * 8);
                flight.header[at / 8] ^= 1 << (at % 8);
            }
            Some(Fate::Marked) if flight.ecn != Ecn::NotCapable => flight.ecn = Ecn::CongestionExperienced,
            Some(Fate::Marked) | None => {}
        }
        if self.flights.len() < FLIGHTS_MAX {
            self.flights.push_back(flight);
        }
    }

    /// The network is good again; both read all, write what they have, and finish.
    fn heal(&mut self) {
        self.weather = [None; 2];
        for end in &mut self.ends {
            if let Some(connection) = &mut end.connection {
                connection.set_memory_pressure(false);
            }
        }
        let until = self.now + HEALING;
        for _ in 0..TURNS_MAX {
            for end in 0..2 {
                self.read(end);
                self.shutdown(end);
            }
            self.talk();
            let over = |end: &End| end.connection.as_ref().is_some_and(Connection::is_closed);
            if self.ends.iter().all(over) {
                return self.complete();
            }
            let next = self.next().unwrap_or_else(|| panic!("nothing will ever happen: {}", self.states()));
            assert!(next <= until, "not over: {}", self.states());
            self.turn(next);
        }
        panic!("no end of it: {}", self.states());
    }

    fn complete(&self) {
        for (end, side) in self.ends.iter().enumerate() {
            assert_eq!(side.read, self.ends[1 - end].written, "bytes are missing: {}", self.states());
        }
    }

    fn states(&self) -> String {
        let state = |end: &End| end.connection.as_ref().map(Connection::info);
        format!("{:?}", self.ends.iter().map(state).collect::<Vec<_>>())
    }
}

/// As bytes, with a checksum over all of it (the pseudo header is nobody's business here).
fn pack(at: Instant, to: usize, header: &Header, payload: Bytes, ecn: Ecn, genuine: bool) -> Flight {
    let mut bytes = vec![0; header.len()];
    header.emit(&mut bytes);
    let sum = checksum::finish(checksum::sum(&payload, checksum::sum(&bytes, 0)));
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    Flight { at, to, header: bytes, payload, ecn, genuine }
}

/// What an end writes at a place.
fn byte(end: usize, at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ (end as u8)
}
