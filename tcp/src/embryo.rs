//! A handshake between two others that has no connection yet: what a gateway keeps of it, in a cache line.
//!
//! ```text
//!   client            gateway             server
//!     │ SYN ───────────→ held: SYN again ──→ │  repeated by our timer until the owner's patience ends
//!     │ ←─ SYN-ACK again :answered ← SYN-ACK │  repeated by our timer (or begun here, if the answer is ours)
//!     │ ACK ───────────→ established         │  both legs become connections, as if they had been there all the time
//! ```
//!
//! What must hold: nothing is acknowledged to the server before the client has acknowledged; each end is told what the
//! other said, numbers, options and window, with its timestamp clock running on; only the MSS may be smaller, and an
//! option that was not there is not added. A RST counts by its exact number only (RFC 5961, 3.2).
//!
//! Left out: data in a SYN (it comes again after the handshake). A bare SYN from the server is no answer: when both opened
//! at once its SYN-ACK follows when it has seen ours, and who wants to turn the roles round (the split handshake) waits
//! in vain.

use std::time::Duration;

use smallvec::SmallVec;

use crate::config::Config;
use crate::connection::{Connection, Signals};
use crate::discard::Discard;
use crate::limits;
use crate::open::{CompactSyn, Opening, PeerSyn};
use crate::payload::Payload;
use crate::reset::reset_for;
use crate::segment::{Ecn, Flags, Header, Segment};
use crate::seq::SeqNumber;
use crate::time::Instant;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The server was asked.
    Held,
    /// The client has an answer.
    Answered,
    /// The client took its SYN back; the server's answer may be under way.
    Withdrawn,
}

/// A handshake.
#[derive(Clone, Copy, Debug)]
pub struct Embryo {
    syn: CompactSyn,
    answer: CompactSyn,
    first: Instant,
    /// Microseconds after `first`: what is repeated now was said last; the answer came.
    last: u32,
    answered: u32,
    stage: Stage,
    syns: u8,
    syn_acks: u8,
}

// A million of them in 64 MB.
const _: () = assert!(size_of::<Embryo>() <= 64);

/// What a segment of the server means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// Its SYN-ACK: the client is to be told.
    Answered,
    /// It refuses, in the words of RFC 9293, 3.10.7.3: so does the client's RST.
    Refused,
    /// It gave up after its SYN-ACK: the client is to be told by this very RST.
    Reset,
    /// Nothing is left to wait for.
    Over,
    /// A SYN that answers nothing.
    Crossed,
    /// Send the server this, in the client's name.
    Reply(Header),
    /// Nothing.
    Ignored(Discard),
}

/// What a segment of the client means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Its SYN again.
    Repeated,
    /// Its SYN again, and the answer seems to be lost: say it again.
    AnswerAgain,
    /// A SYN with another number: another attempt, in place of this one.
    Replaced,
    /// It gives up: the server is to be told by this very RST.
    Withdrawn,
    /// The last ACK: make the connections, and give it to the client's.
    Established,
    /// Send the client this, in the server's name.
    Reply(Header),
    /// Nothing.
    Ignored(Discard),
}

/// What to do when the deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not yet anything.
    Nothing,
    /// Say the SYN, or the SYN-ACK, again.
    Again,
    /// Waiting is over.
    Over,
}

impl Embryo {
    /// The client's SYN, to be said to the server: [`Embryo::say_syn`].
    #[must_use]
    pub fn held(now: Instant, syn: &Header) -> Embryo {
        Embryo::new(now, syn, syn, Stage::Held)
    }

    /// The client's SYN and our own answer to it: [`Embryo::say_syn_ack`].
    #[must_use]
    pub fn answered(now: Instant, syn: &Header, answer: &Header) -> Embryo {
        Embryo::new(now, syn, answer, Stage::Answered)
    }

    fn new(first: Instant, syn: &Header, answer: &Header, stage: Stage) -> Embryo {
        let (syn, answer) = (classic(syn), classic(answer));
        Embryo { syn, answer, first, last: 0, answered: 0, stage, syns: 0, syn_acks: 0 }
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// When the client's SYN came.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.first
    }

    /// What the client's SYN said.
    #[must_use]
    pub fn syn(&self) -> &CompactSyn {
        &self.syn
    }

    /// What the answer said; the SYN while there is none.
    #[must_use]
    pub fn answer(&self) -> &CompactSyn {
        &self.answer
    }

    /// The SYN for the server, which counts as said now. `ports`: the client's and the server's on that leg.
    pub fn say_syn(&mut self, now: Instant, ports: (u16, u16), mss_max: u16) -> Header {
        let mut header = again(&self.syn, ports, mss_max, now - self.first);
        // RFC 3168, 6.1.1.1: a host that got no answer "MAY resend the SYN ... with CWR and ECE cleared".
        if self.syns > 0 {
            header.flags.remove(Flags::ECE | Flags::CWR);
        }
        self.syns = self.syns.saturating_add(1);
        self.last = self.since_first(now);
        header
    }

    /// The SYN-ACK for the client, which counts as said now. `ports`: the server's and the client's on that leg.
    pub fn say_syn_ack(&mut self, now: Instant, ports: (u16, u16), mss_max: u16) -> Header {
        let mut header = again(&self.answer, ports, mss_max, now - self.answered_at());
        header.ack = self.syn.seq() + 1;
        if let Some(timestamp) = &mut header.options.timestamp {
            timestamp.echo = self.syn.header(ports).options.timestamp.map_or(0, |timestamp| timestamp.value);
        }
        self.syn_acks = self.syn_acks.saturating_add(1);
        self.last = self.since_first(now);
        header
    }

    /// When to call [`Embryo::due`]; `patience`: how long the server may take.
    #[must_use]
    pub fn deadline(&self, patience: Duration) -> Instant {
        match self.stage {
            Stage::Held => self.again_at(self.syns).min(self.first + patience),
            Stage::Answered => self.again_at(self.syn_acks),
            Stage::Withdrawn => self.last() + limits::WITHDRAWN_LINGER,
        }
    }

    /// What is to be done now.
    #[must_use]
    pub fn due(&self, now: Instant, patience: Duration) -> Due {
        if now < self.deadline(patience) {
            return Due::Nothing;
        }
        match self.stage {
            Stage::Held if now < self.first + patience => Due::Again,
            Stage::Answered if self.syn_acks <= limits::SYN_ACK_RETRIES => Due::Again,
            _ => Due::Over,
        }
    }

    /// RFC 6298, 2.1 and 5.5: a second, doubled each time.
    fn again_at(&self, said: u8) -> Instant {
        self.last() + limits::RTO_INITIAL.saturating_mul(1 << said.saturating_sub(1).min(7))
    }

    /// A segment on the server's leg.
    pub fn on_server(&mut self, now: Instant, header: &Header) -> FromServer {
        let flags = header.flags;
        match self.stage {
            Stage::Held => self.on_answer(now, header),
            Stage::Withdrawn if flags.contains(Flags::RST) => FromServer::Over,
            // Without us the SYN-ACK would find a client that knows nothing of it (RFC 9293, 3.10.7.1).
            Stage::Withdrawn => reset_for(header, 0).map_or(FromServer::Over, FromServer::Reply),
            Stage::Answered if flags.contains(Flags::RST) => {
                let exact = header.seq == self.answer.seq() + 1;
                if exact { FromServer::Reset } else { FromServer::Ignored(Discard::ResetOutside) }
            }
            Stage::Answered => FromServer::Ignored(Discard::Duplicate),
        }
    }

    /// RFC 9293, 3.10.7.3: the answer to a SYN.
    fn on_answer(&mut self, now: Instant, header: &Header) -> FromServer {
        let flags = header.flags;
        let acknowledges = flags.contains(Flags::ACK);
        if acknowledges && header.ack != self.syn.seq() + 1 {
            let ignored = FromServer::Ignored(Discard::HandshakeAck);
            return reset_for(header, 0).map_or(ignored, FromServer::Reply);
        }
        match (flags.contains(Flags::RST), flags.contains(Flags::SYN), acknowledges) {
            (true, _, true) => FromServer::Refused,
            (true, _, false) => FromServer::Ignored(Discard::HandshakeReset),
            (false, true, false) => FromServer::Crossed,
            (false, true, true) => {
                self.stage = Stage::Answered;
                self.answer = classic(header);
                (self.answered, self.last) = (self.since_first(now), self.since_first(now));
                FromServer::Answered
            }
            (false, false, _) => FromServer::Ignored(Discard::HandshakeNoSyn),
        }
    }

    /// A segment on the client's leg; `text` bytes of payload.
    pub fn on_client(&mut self, now: Instant, header: &Header, text: usize) -> FromClient {
        let flags = header.flags;
        let next = self.syn.seq() + 1;
        if flags.contains(Flags::RST) {
            // Its number is the next one expected; a second RST changes nothing.
            let exact = header.seq == next && self.stage != Stage::Withdrawn;
            if !exact {
                return FromClient::Ignored(Discard::ResetOutside);
            }
            self.stage = Stage::Withdrawn;
            self.last = self.since_first(now);
            return FromClient::Withdrawn;
        }
        if flags.contains(Flags::SYN) {
            return self.on_client_syn(now, header);
        }
        if self.stage != Stage::Answered || !flags.contains(Flags::ACK) {
            return FromClient::Ignored(Discard::NoAck);
        }
        if header.ack != self.answer.seq() + 1 {
            // RFC 9293, 3.10.7.4, SYN-RECEIVED: "form a reset segment <SEQ=SEG.ACK><CTL=RST>".
            let ignored = FromClient::Ignored(Discard::HandshakeAck);
            return reset_for(header, text).map_or(ignored, FromClient::Reply);
        }
        // What was sent before the ACK that was lost may come after what was sent behind it.
        if header.seq.since(next) > u32::from(u16::MAX) {
            return FromClient::Ignored(Discard::BeyondWindow);
        }
        FromClient::Established
    }

    fn on_client_syn(&self, now: Instant, header: &Header) -> FromClient {
        if header.flags.contains(Flags::ACK) {
            return FromClient::Ignored(Discard::SynChallenged);
        }
        match self.stage {
            Stage::Withdrawn => FromClient::Replaced,
            Stage::Held if header.seq != self.syn.seq() => FromClient::Replaced,
            // Anybody could have sent it: who has left its old attempt says so to the next SYN-ACK, by a RST.
            Stage::Answered if header.seq != self.syn.seq() => FromClient::Ignored(Discard::SynChallenged),
            Stage::Answered if now - self.last() >= limits::SYN_ACK_INTERVAL => FromClient::AnswerAgain,
            _ => FromClient::Repeated,
        }
    }

    /// Whether the two may go on without us from the client's ACK on. Only clocks stand in the way: who has seen a
    /// timestamp takes no older one (RFC 7323, 5: PAWS), and what we said again had a later one, by our clock.
    #[must_use]
    pub fn may_be_left_alone(&self, ack: &Header) -> bool {
        let stamp = |said: &CompactSyn| said.header((0, 0)).options.timestamp;
        let (Some(syn), Some(_)) = (stamp(&self.syn), stamp(&self.answer)) else { return true };
        // What was said last in the client's name was said before the answer came.
        let ticks = if self.syns > 1 { self.answered / 1_000 } else { 0 };
        let last = syn.value.wrapping_add(ticks);
        let is_later = |value: u32| value.wrapping_sub(last).cast_signed() >= 0;
        self.syn_acks == 1 && ack.options.timestamp.is_some_and(|timestamp| is_later(timestamp.value))
    }

    /// The client's connection, which has not seen the last ACK yet. `ports`: ours, the client's.
    #[must_use]
    pub fn client_leg<P: Payload>(&self, now: Instant, ports: (u16, u16), config: &Config) -> Connection<P> {
        let at = self.answered_at();
        let opening = Opening::mirror(at, &PeerSyn::from(&self.answer.header(ports)), config.mss_max);
        let syn = self.syn.header((ports.1, ports.0));
        let config = Config { ecn: self.answer_does_ecn(), ..config.clone() };
        Connection::answered(now, Some((at, self.syn_acks)), ports, &config, &syn, opening)
    }

    /// The server's connection, which has something to acknowledge. `ports`: ours, the server's. `None`: it does not take what
    /// was answered, which cannot be.
    #[must_use]
    pub fn server_leg<P: Payload>(&self, ports: (u16, u16), config: &Config) -> Option<Connection<P>> {
        let opening = Opening::mirror(self.first, &PeerSyn::from(&self.syn.header(ports)), config.mss_max);
        let ecn = PeerSyn::from(&self.syn.header(ports)).does_ecn();
        let config = Config { ecn, ..config.clone() };
        let mut connection = Connection::connect(self.first, ports, &config, opening);
        let mut none = Vec::new();
        connection.poll_transmit(self.first, 0, &mut none);
        for _ in 1..self.syns {
            let Some(at) = connection.deadline() else { break };
            let at = at.min(self.answered_at());
            connection.handle_timeout(at);
            connection.poll_transmit(at, 0, &mut none);
        }
        let mut header = self.answer.header((ports.1, ports.0));
        header.ack = self.syn.seq() + 1;
        let segment = Segment { header, payload: SmallVec::new(), ecn: Ecn::NotCapable };
        let signals = connection.handle_segment(self.answered_at(), segment).ok()?;
        signals.contains(Signals::ESTABLISHED).then_some(connection)
    }

    fn answer_does_ecn(&self) -> bool {
        PeerSyn::from(&self.answer.header((0, 0))).does_ecn()
    }

    /// When the answer came, or was given.
    fn answered_at(&self) -> Instant {
        self.first + Duration::from_micros(self.answered.into())
    }

    fn last(&self) -> Instant {
        self.first + Duration::from_micros(self.last.into())
    }

    /// No handshake lasts an hour.
    fn since_first(&self, now: Instant) -> u32 {
        u32::try_from((now - self.first).as_micros()).unwrap_or(u32::MAX)
    }
}

/// What was said, said `later` to the other end.
fn again(said: &CompactSyn, ports: (u16, u16), mss_max: u16, later: Duration) -> Header {
    let mut header = said.header(ports);
    let options = &mut header.options;
    options.mss = options.mss.map(|mss| mss.min(mss_max));
    if let Some(timestamp) = &mut options.timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "timestamps are modulo 2^32")]
        let ticks = later.as_millis() as u32;
        timestamp.value = timestamp.value.wrapping_add(ticks);
    }
    header
}

/// Accurate ECN (RFC 9768) is not spoken by the legs: without its flag an end falls back to what they do speak.
fn classic(header: &Header) -> CompactSyn {
    CompactSyn::from(&Header { flags: header.flags.difference(Flags::AE), ..*header })
}

impl<P: Payload> Connection<P> {
    /// The connection of a client that brought a cookie back: `syn` is what [`SynCookies::check`](crate::SynCookies::check) says
    /// of its SYN, `opening` what [`Opening::after_cookie`] makes of ours.
    #[must_use]
    pub fn proven(now: Instant, ports: (u16, u16), config: &Config, syn: &Header, opening: Opening) -> Connection<P> {
        Connection::answered(now, None, ports, config, syn, opening)
    }
}

/// RFC 9293, 3.10.7.4: the RST for an end of a handshake that is given up, by its exact number.
#[must_use]
pub fn handshake_reset(ports: (u16, u16), said: SeqNumber, heard: SeqNumber) -> Header {
    Header {
        src_port: ports.0,
        dst_port: ports.1,
        seq: said + 1,
        ack: heard + 1,
        flags: Flags::RST | Flags::ACK,
        window: 0,
        urgent: 0,
        options: crate::options::Options::default(),
    }
}

#[cfg(test)]
mod tests;
