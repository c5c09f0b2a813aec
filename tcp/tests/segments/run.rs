//! A script against a connection, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tcp::{
    Config, Connection, Ecn, Error, Flags, Header, IcmpError, IcmpKind, Instant, ListenConfig, Opening, Options,
    Segment, SeqNumber, TimestampClock,
};

use crate::grammar::{Event, Line, OURS, PORTS, Spec, THEIRS};
use crate::serve::{Came, Serve};
use crate::show::{Eye, Out, describe, difference};

/// Timers may be this far from what a script says: some of them tick in milliseconds.
const TOLERANCE: Duration = Duration::from_millis(1);

/// What the peer's segments offer where a script does not say.
const WINDOW: u16 = 60_000;

/// What makes a SYN a SYN, whatever it says of ECN.
const HANDSHAKE: Flags = Flags::SYN.union(Flags::ACK).union(Flags::RST).union(Flags::FIN);

struct Sent {
    at: Instant,
    out: Out,
}

pub(crate) struct Run {
    now: Instant,
    config: Config,
    us: Options,
    them: Options,
    /// Largest output; none: the segment size.
    limit: Option<usize>,
    /// A SYN may open.
    listening: bool,
    serve: Option<Serve>,
    half_open: usize,
    cookies: bool,
    connection: Option<Connection<Bytes>>,
    sent: VecDeque<Sent>,
}

/// Runs a script; the error says which line and what came instead.
pub(crate) fn run(lines: &[Line]) -> Result<(), String> {
    let mut run = Run::new();
    let mut at = run.now;
    for line in lines {
        at += line.after;
        run.step(at, &line.event).map_err(|what| format!("line {}: {what}", line.number))?;
        if matches!(line.event, Event::Established) {
            at = run.now;
        }
    }
    run.quiet().map_err(|what| format!("at the end: {what}"))
}

impl Run {
    fn new() -> Run {
        let plain = Options { mss: Some(1_000), sack_permitted: true, ..Options::default() };
        Run {
            now: Instant::from_micros(1_000_000),
            config: Config { receive_buffer: 20_000, send_buffer: 100_000, ..Config::default() },
            us: plain,
            them: plain,
            limit: None,
            listening: false,
            serve: None,
            half_open: 16,
            cookies: true,
            connection: None,
            sent: VecDeque::new(),
        }
    }

    fn step(&mut self, at: Instant, event: &Event) -> Result<(), String> {
        if let Event::Leaves(spec) = event {
            return self.expect(at, spec);
        }
        self.advance(at);
        self.quiet()?;
        self.act(event)?;
        self.drain();
        Ok(())
    }

    fn act(&mut self, event: &Event) -> Result<(), String> {
        let now = self.now;
        match event {
            Event::Set(name, value) => return self.set(name, *value),
            Event::Us(options) => self.us = *options,
            Event::Them(options) => self.them = *options,
            Event::Connect => {
                let opening = self.opening();
                self.connection = Some(Connection::connect(now, PORTS, &self.config, opening));
            }
            // The connection comes with the SYN: see `arrive`.
            Event::Listen => self.listening = true,
            Event::Serve(backlog) => self.serve = Some(Serve::new(self.listen_config(*backlog))),
            Event::Accept => self.serve.as_mut().ok_or("nobody listens")?.taken(),
            Event::Established => self.establish()?,
            Event::Arrives(spec, refused) => return self.arrive(spec, refused.as_deref()),
            Event::Linux(..) | Event::Leaves(_) | Event::Silent => {}
            Event::Write(bytes) => self.connection()?.write(vec![7; *bytes].into()),
            Event::Read(bytes) => return self.read(*bytes),
            Event::Shutdown => self.connection()?.shutdown(now),
            Event::Close => self.connection()?.close(now),
            Event::Abort => self.connection()?.abort(),
            Event::State(name) => return same("state", self.connection()?.state().name(), name),
            Event::Error(name) => return same("error", error_name(self.connection()?.error()), name),
            Event::Info(field, value) => return same(field, &self.info(field)?, value),
            Event::Icmp(kind, seq) => self.icmp(*kind, *seq)?,
            Event::Pressure(on) => self.connection()?.set_memory_pressure(*on),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: u64) -> Result<(), String> {
        let (ms, small) = (Duration::from_millis(value), u8::try_from(value).unwrap_or(u8::MAX));
        let bytes = u32::try_from(value).unwrap_or(u32::MAX);
        match name {
            "receive_buffer" => self.config.receive_buffer = bytes,
            "send_buffer" => self.config.send_buffer = bytes,
            "mss_max" => self.config.mss_max = u16::try_from(value).unwrap_or(u16::MAX),
            "time_wait_ms" => self.config.time_wait = ms,
            "fin_wait_2_ms" => self.config.fin_wait_2 = ms,
            "syn_retries" => self.config.syn_retries = small,
            "syn_ack_retries" => self.config.syn_ack_retries = small,
            "retries" => self.config.retries = small,
            "user_timeout_ms" => self.config.user_timeout = Some(ms),
            "delayed_ack_ms" => self.config.delayed_ack = ms,
            "keepalive_s" => {
                let (idle, interval) = (Duration::from_secs(value), Duration::from_secs(1));
                self.config.keepalive = Some(tcp::KeepAlive { idle, interval, probes: 3 });
            }
            "ecn" => self.config.ecn = value != 0,
            "nagle" => self.config.nagle = value != 0,
            "newreno" => self.config.congestion = tcp::Algorithm::NewReno,
            "half_open" => self.half_open = usize::from(small),
            "cookies" => self.cookies = value != 0,
            "limit" => self.limit = usize::try_from(value).ok(),
            _ => return Err(format!("unknown setting {name:?}")),
        }
        Ok(())
    }

    fn listen_config(&self, backlog: usize) -> ListenConfig {
        ListenConfig {
            connection: self.config.clone(),
            mss: self.us.mss.unwrap_or(1_000),
            window_scale: self.us.window_scale,
            sack_permitted: self.us.sack_permitted,
            timestamps: self.us.timestamp.is_some(),
            backlog,
            half_open: self.half_open,
            cookies: self.cookies,
        }
    }

    /// Our clock says the milliseconds of the script's time, which begins at 1,000.
    fn opening(&self) -> Opening {
        Opening {
            isn: SeqNumber(OURS),
            mss: self.us.mss.unwrap_or(1_000),
            window_scale: self.us.window_scale,
            sack_permitted: self.us.sack_permitted,
            timestamp: self.us.timestamp.map(|_| TimestampClock::with_offset(0)),
        }
    }

    /// The handshake, with a round trip of 10 ms.
    fn establish(&mut self) -> Result<(), String> {
        self.act(&Event::Connect)?;
        self.drain();
        self.advance(self.now + Duration::from_millis(10));
        let spec = Spec { flags: Flags::SYN | Flags::ACK, ack: Some(1), options: Some(self.them), ..Spec::default() };
        self.arrive(&spec, None)?;
        self.drain();
        let [syn, ack] = self.sent.make_contiguous() else { return Err("a SYN and an ACK".into()) };
        if (syn.out.header.flags, ack.out.header.flags) != (Flags::SYN, Flags::ACK) {
            return Err("no handshake".into());
        }
        self.sent.clear();
        Ok(())
    }

    fn arrive(&mut self, spec: &Spec, refused: Option<&str>) -> Result<(), String> {
        let now = self.now;
        let mut header = Header {
            src_port: spec.port.unwrap_or(PORTS.1),
            dst_port: PORTS.0,
            seq: SeqNumber(THEIRS.wrapping_add(spec.seq)),
            ack: SeqNumber(spec.ack.map_or(0, |ack| OURS.wrapping_add(ack))),
            flags: spec.flags,
            window: spec.window.unwrap_or(WINDOW),
            urgent: spec.urgent,
            options: spec.options.unwrap_or_default(),
        };
        if self.serve.is_some() && (self.connection.is_none() || header.src_port != PORTS.1) {
            return self.knock(header, spec, refused);
        }
        // RFC 6191: a SYN that cannot be an old one takes the place of a connection in TIME-WAIT.
        let free = self.connection.as_ref().is_none_or(|old| old.is_closed() || old.may_reuse(&header));
        if self.listening && free && spec.flags & HANDSHAKE == Flags::SYN {
            self.connection = Some(Connection::accept(now, PORTS, &self.config, &header, self.opening()));
            return Ok(());
        }
        if free {
            // Nobody's: the owner of the flow table answers (RFC 9293, 3.10.7.1).
            let reset = tcp::reset_for(&header, spec.len as usize);
            let out = reset.map(|header| Out { header, len: 0, ecn: Ecn::NotCapable });
            self.sent.extend(out.map(|out| Sent { at: now, out }));
            return same("the segment is", tcp::Discard::Closed.name(), refused.unwrap_or("taken"));
        }
        if let Some(serve) = &self.serve {
            serve.translate(&mut header);
        }
        let segment = segment(header, spec);
        let result = self.connection()?.handle_segment(now, segment);
        let came = result.err().map_or("taken", tcp::Discard::name);
        same("the segment is", came, refused.unwrap_or("taken"))
    }

    /// A segment for the listener; only a connection from the usual port is kept.
    fn knock(&mut self, header: Header, spec: &Spec, refused: Option<&str>) -> Result<(), String> {
        let serve = self.serve.as_mut().expect("asked before");
        let came = match serve.arrive(self.now, segment(header, spec)) {
            Came::Reply(header) => {
                self.sent.push_back(Sent { at: self.now, out: Out { header, len: 0, ecn: Ecn::NotCapable } });
                "taken"
            }
            Came::Connection(connection) => {
                if header.src_port == PORTS.1 {
                    self.connection = Some(*connection);
                }
                "taken"
            }
            Came::Nothing(why) => why,
        };
        same("the segment is", came, refused.unwrap_or("taken"))
    }

    fn read(&mut self, bytes: usize) -> Result<(), String> {
        let mut count = 0;
        while let Some(piece) = self.connection()?.read() {
            count += piece.len();
        }
        same("bytes read", &count.to_string(), &bytes.to_string())
    }

    fn icmp(&mut self, kind: IcmpKind, seq: u32) -> Result<(), String> {
        let (now, seq) = (self.now, SeqNumber(OURS.wrapping_add(seq)));
        self.connection()?.handle_icmp(now, IcmpError { kind, seq });
        Ok(())
    }

    fn info(&mut self, field: &str) -> Result<String, String> {
        let info = self.connection()?.info();
        Ok(match field {
            "ca_state" => info.ca_state.to_owned(),
            "cwnd" => info.snd_cwnd.to_string(),
            "ssthresh" => info.snd_ssthresh.to_string(),
            "mss" => info.snd_mss.to_string(),
            "rto_ms" => (info.rto_us / 1_000).to_string(),
            "rtt_ms" => (info.rtt_us / 1_000).to_string(),
            "snd_wnd" => info.snd_wnd.to_string(),
            "rcv_wnd" => info.rcv_wnd.to_string(),
            "unacked" => info.unacked.to_string(),
            "sacked" => info.sacked.to_string(),
            "lost" => info.lost.to_string(),
            "timeouts" => info.timeouts.to_string(),
            "undone" => info.undone.to_string(),
            "dsack_dups" => info.dsack_dups.to_string(),
            "reassembly" => info.reassembly.to_string(),
            _ => return Err(format!("unknown field {field:?}")),
        })
    }

    /// The next segment that comes out, at that time.
    fn expect(&mut self, at: Instant, spec: &Spec) -> Result<(), String> {
        self.advance(at);
        while self.sent.is_empty() {
            let next = self.connection.as_ref().and_then(Connection::deadline);
            let next = next.into_iter().chain(self.serve.as_ref().and_then(Serve::deadline)).min();
            let Some(next) = next.filter(|next| *next <= at + TOLERANCE) else { break };
            self.advance(next);
        }
        let Some(Sent { at: came, out }) = self.sent.pop_front() else {
            let next = self.connection.as_ref().and_then(Connection::deadline);
            return Err(format!("nothing comes out; the next timer is {:?} from there", next.map(|next| next - at)));
        };
        if came + TOLERANCE < at {
            return Err(format!("{:?} too early: {}", at - came, describe(&out)));
        }
        match difference(&out, spec, Eye::Strict) {
            Some(what) => Err(format!("another {what} than expected: {}", describe(&out))),
            None => Ok(()),
        }
    }

    /// Time passes; timers fire on the way.
    fn advance(&mut self, to: Instant) {
        while let Some(serve) = &mut self.serve {
            let Some(at) = serve.deadline().filter(|at| *at <= to) else { break };
            while let Some(header) = serve.poll(at) {
                self.sent.push_back(Sent { at, out: Out { header, len: 0, ecn: Ecn::NotCapable } });
            }
        }
        while let Some(connection) = &mut self.connection {
            let Some(at) = connection.deadline().filter(|at| *at <= to) else { break };
            self.now = self.now.max(at);
            connection.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(to);
    }

    fn drain(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let mut chunks = Vec::new();
        let limit = self.limit.unwrap_or(usize::from(connection.mss()));
        while let Some(header) = connection.poll_transmit(self.now, limit, &mut chunks) {
            let len = chunks.iter().map(Bytes::len).sum::<usize>();
            let len = u32::try_from(len).expect("of one output");
            let header = self.serve.as_mut().map_or(header, |serve| serve.out(header));
            self.sent.push_back(Sent { at: self.now, out: Out { header, len, ecn: connection.ecn_codepoint() } });
        }
        assert!(connection.deadline().is_none_or(|deadline| deadline > self.now), "a deadline in the past");
    }

    fn quiet(&self) -> Result<(), String> {
        match self.sent.front() {
            None => Ok(()),
            Some(Sent { at, out }) => {
                let since = (*at - Instant::from_micros(1_000_000)).as_secs_f64();
                Err(format!("not expected, {since:.6} s into the script: {}", describe(out)))
            }
        }
    }

    fn connection(&mut self) -> Result<&mut Connection<Bytes>, String> {
        self.connection.as_mut().ok_or_else(|| "there is no connection yet".into())
    }
}

fn segment(header: Header, spec: &Spec) -> Segment<Bytes> {
    let text = Bytes::from(vec![3; spec.len as usize]);
    let payload = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
    Segment { header, payload, ecn: spec.ecn.unwrap_or_default() }
}

fn same(what: &str, came: &str, expected: &str) -> Result<(), String> {
    if came == expected { Ok(()) } else { Err(format!("{what} {came}, not {expected}")) }
}

fn error_name(error: Option<Error>) -> &'static str {
    match error {
        None => "none",
        Some(Error::Reset) => "reset",
        Some(Error::Refused) => "refused",
        Some(Error::TimedOut) => "timed-out",
        Some(Error::Unreachable) => "unreachable",
    }
}
