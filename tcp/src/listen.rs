//! Listening: from a SYN to a [`Connection`], with little memory for who has not proven to be there.
//!
//! ```text
//!   SYN ──→ backlog full? ──→ refused (the peer's SYN comes again)
//!       ──→ table full?   ──→ SYN cookie, nothing is kept
//!       ──→ record        ──→ SYN-ACK, again by our timers ──→ given up
//!   ACK ──→ record or cookie? ──→ Connection, established         ──→ neither: RST
//! ```
//!
//! **How to call it.** Segments without a connection of their own go to [`Listener::handle_segment`]; when
//! [`Listener::deadline`] comes, call [`Listener::poll_transmit`] until it gives `None`. A connection that came out counts
//! against the backlog until [`Listener::taken`] says that the application has it.
//!
//! As Linux does it: a full backlog drops SYNs and leaves last ACKs unanswered, so that the SYN-ACK is sent again and the
//! handshake completes later; cookies are sent, and believed, only while and shortly after the table was full.
//!
//! Left out: ports and addresses (one listener may serve any), and `accept: mirror`, where the other end answers.

mod half_open;

use crate::config::Config;
use crate::connection::{Connection, Signals};
use crate::discard::Discard;
use crate::isn::IsnGenerator;
use crate::limits;
use crate::listen::half_open::HalfOpen;
use crate::open::{Agreed, Opening, TimestampClock};
use crate::options::Options;
use crate::payload::Payload;
use crate::reset::reset_for;
use crate::segment::{Flags, Header, Segment};
use crate::seq::{Position, SeqNumber};
use crate::syn_cookie::{Flow, SynCookies};
use crate::time::Instant;
use crate::window::ReceiveWindow;

/// How a listener behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Of its connections.
    pub connection: Config,
    /// Largest segment we take.
    pub mss: u16,
    /// Our window scale; `None` keeps every window within 65,535 bytes.
    pub window_scale: Option<u8>,
    /// SACK, and timestamps.
    pub sack_permitted: bool,
    /// See [`sack_permitted`](ListenConfig::sack_permitted).
    pub timestamps: bool,
    /// Connections that were established and not [`taken`](Listener::taken) yet, at most.
    pub backlog: usize,
    /// Handshakes that wait for their last ACK, at most.
    pub half_open: usize,
    /// Answer with cookies when there is no room for more.
    pub cookies: bool,
}

impl Default for ListenConfig {
    /// Linux's `somaxconn` and a table for one second of a good many SYNs.
    fn default() -> ListenConfig {
        let connection = Config::default();
        let window_scale = Some(Opening::window_scale_for(connection.receive_buffer));
        let (backlog, half_open) = (4_096, 4_096);
        ListenConfig {
            connection,
            mss: 1_460,
            window_scale,
            sack_permitted: true,
            timestamps: true,
            backlog,
            half_open,
            cookies: true,
        }
    }
}

/// Why a listener did not use a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Neither SYN nor ACK nor RST, or a SYN with a FIN.
    NotAnOpening,
    /// As many connections wait for the application as may.
    BacklogFull,
    /// As many handshakes wait for their last ACK as may, and there are no cookies.
    TableFull,
    /// A SYN of a handshake under way, answered a moment ago or with another number.
    RepeatedSyn,
    /// A RST, believed or not.
    Reset,
    /// What should complete the handshake did not.
    Unacceptable(Discard),
}

/// What came of a segment.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Outcome<P> {
    /// Send this.
    Reply(Header),
    /// The handshake is complete, and the segment taken; ask the connection for output.
    Established(Connection<P>, Signals),
    /// Nothing.
    Refused(Refusal),
}

/// A listener.
#[derive(Debug)]
pub struct Listener {
    config: ListenConfig,
    numbers: IsnGenerator,
    cookies: SynCookies,
    table: HalfOpen,
    waiting: usize,
    /// When a cookie was sent last.
    overflowed: Option<Instant>,
    timed_out: u64,
}

impl Listener {
    /// `secret` must come from a source nobody can guess.
    #[must_use]
    pub fn new(config: ListenConfig, secret: [u8; 16]) -> Listener {
        let table = HalfOpen::new(config.half_open, secret.map(|byte| byte ^ 0x5a));
        let cookies = SynCookies::new(secret.map(|byte| byte ^ 0xa5));
        Listener {
            config,
            numbers: IsnGenerator::new(secret),
            cookies,
            table,
            waiting: 0,
            overflowed: None,
            timed_out: 0,
        }
    }

    /// A segment for which there is no connection.
    pub fn handle_segment<P: Payload>(&mut self, now: Instant, flow: &Flow, segment: Segment<P>) -> Outcome<P> {
        let flags = segment.header.flags & (Flags::SYN | Flags::ACK | Flags::RST | Flags::FIN);
        if flags.contains(Flags::RST) {
            return self.on_reset(now, flow, &segment.header);
        }
        if flags.contains(Flags::ACK) {
            return self.on_ack(now, flow, segment);
        }
        if flags != Flags::SYN {
            return Outcome::Refused(Refusal::NotAnOpening);
        }
        self.on_syn(now, flow, &segment.header)
    }

    /// RFC 9293, 3.10.7.4 (MUST-11): "If this connection was initiated with a passive OPEN ... return this connection to LISTEN
    /// state"; RFC 5961, 3.2: by its exact number only; elsewhere in the window it is challenged.
    fn on_reset<P>(&mut self, now: Instant, flow: &Flow, header: &Header) -> Outcome<P> {
        let Some(at) = self.table.find(flow) else { return Outcome::Refused(Refusal::Reset) };
        let record = *self.table.get(at);
        let next = record.irs() + 1;
        if header.seq == next {
            self.table.remove(at);
            return Outcome::Refused(Refusal::Reset);
        }
        let answer = self.syn_ack(now, flow, &record.syn(), record.isn);
        if header.seq.since(next) < u32::from(answer.window) && self.table.may_challenge(at) {
            return Outcome::Reply(self.challenge(&record.syn(), &answer));
        }
        Outcome::Refused(Refusal::Reset)
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, after that SYN-ACK.
    fn challenge(&self, syn: &Header, answer: &Header) -> Header {
        let timestamp = answer.options.timestamp;
        // RFC 7323, 2.2: only the window of a segment with SYN is not scaled.
        let shift = answer.options.window_scale.filter(|_| syn.options.window_scale.is_some()).unwrap_or(0);
        Header {
            seq: answer.seq + 1,
            flags: Flags::ACK,
            window: answer.window >> shift,
            options: Options { timestamp, ..Options::default() },
            ..*answer
        }
    }

    fn on_syn<P>(&mut self, now: Instant, flow: &Flow, syn: &Header) -> Outcome<P> {
        if let Some(at) = self.table.find(flow) {
            let record = *self.table.get(at);
            if record.irs() != syn.seq || now - record.last < limits::SYN_ACK_INTERVAL {
                return Outcome::Refused(Refusal::RepeatedSyn);
            }
            // The timer goes on: as often as the peer asks, but no longer than it waits.
            return Outcome::Reply(self.syn_ack(now, flow, &record.syn(), record.isn));
        }
        if self.waiting >= self.config.backlog {
            return Outcome::Refused(Refusal::BacklogFull);
        }
        let isn = self.numbers.isn(now, flow.local, flow.remote);
        if self.table.insert(now, flow, syn, isn) {
            return Outcome::Reply(self.syn_ack(now, flow, syn, isn));
        }
        if !self.config.cookies {
            return Outcome::Refused(Refusal::TableFull);
        }
        self.overflowed = Some(now);
        let mut reply = self.syn_ack(now, flow, syn, isn);
        self.cookies.mark(now, flow, syn, &mut reply);
        Outcome::Reply(reply)
    }

    fn on_ack<P: Payload>(&mut self, now: Instant, flow: &Flow, segment: Segment<P>) -> Outcome<P> {
        let header = segment.header;
        let length = segment.payload.iter().map(Payload::len).sum();
        let reset = || reset_for(&header, length).map_or(Outcome::Refused(Refusal::Reset), Outcome::Reply);
        let found = self.table.find(flow);
        let (syn, isn, sent) = match found.map(|at| self.table.get(at)) {
            Some(record) => (record.syn(), record.isn, Some((record.first, record.tries))),
            None if header.flags.contains(Flags::SYN) || !self.believes_cookies(now) => return reset(),
            None => match self.cookies.open(now, flow, &header) {
                Some(syn) => (syn, header.ack - 1, None),
                None => return reset(),
            },
        };
        if header.ack != isn + 1 {
            // "If the segment acknowledgment is not acceptable, form a reset segment".
            return reset();
        }
        if self.waiting >= self.config.backlog {
            return Outcome::Refused(Refusal::BacklogFull);
        }
        let ports = (flow.local.port(), flow.remote.port());
        let opening = self.opening(flow, isn);
        let opening = if sent.is_none() { opening.after_cookie(&syn) } else { opening };
        let mut connection = Connection::answered(now, sent, ports, &self.config.connection, &syn, opening);
        match connection.handle_segment(now, segment) {
            Ok(signals) if connection.state().is_synchronized() => {
                if let Some(at) = found {
                    self.table.remove(at);
                }
                self.waiting += 1;
                Outcome::Established(connection, signals)
            }
            Ok(_) => Outcome::Refused(Refusal::NotAnOpening),
            Err(discard) => Outcome::Refused(Refusal::Unacceptable(discard)),
        }
    }

    /// RFC 4987, 3.6 and Linux: who sent no cookies need not look at guesses.
    fn believes_cookies(&self, now: Instant) -> bool {
        let seconds = 60 * limits::SYN_COOKIE_MINUTES_MAX;
        self.config.cookies && self.overflowed.is_some_and(|at| (now - at).as_secs() <= seconds)
    }

    /// The next SYN-ACK to be sent again, now; whom it is for. What was sent often enough is forgotten.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(Flow, Header)> {
        while let Some((_, at)) = self.table.next().filter(|(due, _)| *due <= now) {
            let record = *self.table.get(at);
            if record.tries > self.config.connection.syn_ack_retries || record.tries >= limits::SYN_ACK_TRIES_MAX {
                self.table.remove(at);
                self.timed_out += 1;
                continue;
            }
            self.table.again(at, now);
            let flow = record.flow();
            return Some((flow, self.syn_ack(now, &flow, &record.syn(), record.isn)));
        }
        None
    }

    /// When to call [`poll_transmit`](Listener::poll_transmit).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.table.next().map(|(due, _)| due)
    }

    /// The application took a connection: there is room in the backlog.
    pub fn taken(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Changes the secret of the cookies: once an hour or so.
    pub fn rotate(&mut self, now: Instant, secret: [u8; 16]) {
        self.cookies.rotate(now, secret);
    }

    /// Handshakes that wait for their last ACK.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.table.len()
    }

    /// Handshakes whose last ACK never came.
    #[must_use]
    pub fn timed_out(&self) -> u64 {
        self.timed_out
    }

    fn opening(&self, flow: &Flow, isn: SeqNumber) -> Opening {
        let clock = TimestampClock::with_offset(self.numbers.timestamp_offset(flow.local, flow.remote));
        Opening {
            isn,
            mss: self.config.mss,
            window_scale: self.config.window_scale,
            sack_permitted: self.config.sack_permitted,
            timestamp: Some(clock).filter(|_| self.config.timestamps),
        }
    }

    fn syn_ack(&self, now: Instant, flow: &Flow, syn: &Header, isn: SeqNumber) -> Header {
        let opening = self.opening(flow, isn);
        let config = &self.config.connection;
        let shift = Agreed::new(&opening, &syn.options, config.mss_max).receive_shift;
        let irs = Position::of_syn(syn.seq);
        let window = ReceiveWindow::new(irs + 1, config.receive_buffer, shift).offer_on_syn(irs + 1);
        opening.syn_ack(now, (flow.local.port(), flow.remote.port()), syn, window, config.ecn)
    }
}

#[cfg(test)]
mod tests;
