//! Floods: what a peer may do as often as it likes by the protocol, and not here. Each kind has a rate in `limits`.
//!
//! | attack | what comes | counted as |
//! | - | - | - |
//! | Rapid Reset (CVE-2023-44487) | RST_STREAM from the peer | [`Event::TwoResetFlood`] |
//! | made you reset (CVE-2025-8671), streams beyond the bound | RST_STREAM that the peer makes us send | [`Event::TwoProvokedFlood`] |
//! | CONTINUATION flood (CVE-2024-27316) | CONTINUATION without an end | [`Event::TwoContinuationFlood`] |
//! | SETTINGS, PING floods (CVE-2019-9515, 9512) | frames that have to be answered | [`Event::TwoSettingsFlood`], [`Event::TwoPingFlood`] |
//! | empty frames (CVE-2019-9518) | DATA without data | [`Event::TwoEmptyFlood`] |
//! | data dribble (CVE-2019-9511) | tiny WINDOW_UPDATE | [`Event::TwoWindowFlood`] |
//! | priority shuffle (CVE-2019-9513), grease | frames that nothing becomes of | [`Event::TwoIdleFlood`] |
//!
//! Bombs of HPACK and small DATA are the library's, which bounds what it decodes and what it holds.

use std::time::Duration;

use h2::Reason;

use super::frames::{
    CONTINUATION, DATA, Frame, Frames, GOAWAY, HEADERS, PING, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use crate::http::event::Event;
use crate::http::limits::{self, Rate};

/// What is held against a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reset,
    Provoked,
    Settings,
    Ping,
    Empty,
    Window,
    Idle,
}

const KINDS: usize = 7;

impl Kind {
    const fn rate(self) -> Rate {
        match self {
            Kind::Reset => limits::RESETS,
            Kind::Provoked => limits::PROVOKED,
            Kind::Settings => limits::SETTINGS,
            Kind::Ping => limits::PINGS,
            Kind::Empty => limits::EMPTY_DATA,
            Kind::Window => limits::SMALL_UPDATES,
            Kind::Idle => limits::IDLE_FRAMES,
        }
    }

    const fn flood(self) -> Event {
        match self {
            Kind::Reset => Event::TwoResetFlood,
            Kind::Provoked => Event::TwoProvokedFlood,
            Kind::Settings => Event::TwoSettingsFlood,
            Kind::Ping => Event::TwoPingFlood,
            Kind::Empty => Event::TwoEmptyFlood,
            Kind::Window => Event::TwoWindowFlood,
            Kind::Idle => Event::TwoIdleFlood,
        }
    }
}

/// What is left of a rate, in thousandths: a bucket that fills with time.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u64,
    at: Duration,
}

impl Budget {
    /// Takes one; `false`: there is none left.
    fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_millis() as u64;
        let more = passed.saturating_mul(u64::from(rate.per_second));
        self.left = self.left.saturating_add(more).min(u64::from(rate.burst) * 1000);
        self.at = now;
        self.left = match self.left.checked_sub(1000) {
            Some(less) => less,
            None => return false,
        };
        true
    }
}

/// What is to be counted and ends nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Streams that the peer gave up.
    pub resets: u32,
    /// Streams that were reset because the peer broke a rule in them.
    pub broken: u32,
    /// Streams beyond the bound.
    pub refused: u32,
}

/// Both directions of a connection, looked at as they pass.
#[derive(Debug)]
pub(super) struct Meter {
    incoming: Frames,
    outgoing: Frames,
    budgets: [Budget; KINDS],
    now: Duration,
    /// A head is on its way in since then, and so many CONTINUATION frames of it have come.
    head: Option<Duration>,
    continuations: u32,
    flood: Option<Event>,
    tally: Tally,
}

impl Meter {
    /// Of a connection with a client.
    pub(super) fn of_client(now: Duration) -> Meter {
        Meter::new(Frames::of_client(), Frames::of_server(), now)
    }

    /// Of a connection with a server.
    pub(super) fn of_server(now: Duration) -> Meter {
        Meter::new(Frames::of_server(), Frames::of_client(), now)
    }

    fn new(incoming: Frames, outgoing: Frames, now: Duration) -> Meter {
        Meter {
            incoming,
            outgoing,
            budgets: [Budget { left: u64::MAX, at: now }; KINDS],
            now,
            head: None,
            continuations: 0,
            flood: None,
            tally: Tally::default(),
        }
    }

    /// Time goes on.
    pub(super) fn tick(&mut self, now: Duration) {
        self.now = now;
    }

    /// The flood that the peer has begun, if it has: nothing more of it is to be read.
    pub(super) fn flood(&self) -> Option<Event> {
        self.flood
    }

    /// Since when a head has been on its way in.
    pub(super) fn head_since(&self) -> Option<Duration> {
        self.head
    }

    /// What is to be counted since the last time.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Bytes that the peer sends.
    pub(super) fn incoming(&mut self, bytes: &[u8]) {
        let mut frames = std::mem::replace(&mut self.incoming, Frames::of_server());
        frames.feed(bytes, |frame| self.received(frame));
        // RFC 9113, 6.10: between HEADERS and the CONTINUATION that ends them nothing else comes.
        if matches!(frames.under_way(), Some(HEADERS | PUSH_PROMISE | CONTINUATION)) {
            self.head.get_or_insert(self.now);
        }
        self.incoming = frames;
    }

    /// Bytes that the peer is sent.
    pub(super) fn outgoing(&mut self, bytes: &[u8]) {
        let mut frames = std::mem::replace(&mut self.outgoing, Frames::of_server());
        frames.feed(bytes, |frame| self.sent(frame));
        self.outgoing = frames;
    }

    fn received(&mut self, frame: Frame) {
        match frame.kind {
            DATA if frame.is_empty_data() => self.spend(Kind::Empty),
            HEADERS | PUSH_PROMISE => self.head_frame(frame, 0),
            CONTINUATION => self.head_frame(frame, self.continuations + 1),
            RST_STREAM => {
                self.tally.resets += 1;
                self.spend(Kind::Reset);
            }
            SETTINGS if !frame.is_ack() => self.spend(Kind::Settings),
            PING if !frame.is_ack() => self.spend(Kind::Ping),
            // The first bit is reserved; an increment of zero is the library's to refuse.
            WINDOW_UPDATE if frame.number() & 0x7fff_ffff < limits::SMALL_UPDATE => self.spend(Kind::Window),
            DATA | SETTINGS | PING | WINDOW_UPDATE | GOAWAY => {}
            _ => self.spend(Kind::Idle),
        }
    }

    fn head_frame(&mut self, frame: Frame, continuations: u32) {
        (self.head, self.continuations) =
            if frame.ends_headers() { (None, 0) } else { (self.head.or(Some(self.now)), continuations) };
        if self.continuations > limits::CONTINUATIONS_MAX {
            self.flood.get_or_insert(Event::TwoContinuationFlood);
        }
    }

    fn sent(&mut self, frame: Frame) {
        if frame.kind != RST_STREAM {
            return;
        }
        let provoked =
            [Reason::PROTOCOL_ERROR, Reason::FLOW_CONTROL_ERROR, Reason::STREAM_CLOSED, Reason::FRAME_SIZE_ERROR];
        match Reason::from(frame.number()) {
            Reason::REFUSED_STREAM => self.tally.refused += 1,
            code if provoked.contains(&code) => self.tally.broken += 1,
            _ => return,
        }
        self.spend(Kind::Provoked);
    }

    fn spend(&mut self, kind: Kind) {
        if !self.budgets[kind as usize].take(kind.rate(), self.now) {
            self.flood.get_or_insert(kind.flood());
        }
    }
}

#[cfg(test)]
mod tests;
