//! A TCP connection seen from the middle: its state, and windows that tell whether a segment can be genuine.
//!
//! ```text
//!           SYN            SYN-ACK           ACK             FIN          ACK            FIN         ACK
//! (first) ─────→ SYN_SENT ────────→ SYN_RECV ───→ ESTABLISHED ──→ FIN_WAIT ──→ CLOSE_WAIT ──→ LAST_ACK ──→ TIME_WAIT
//!                   │ SYN from the other: SYN_SENT2 (both at once)      FIN_WAIT ──FIN──→ LAST_ACK     RST: CLOSE
//! ```
//!
//! The transitions are those of Linux (`next` is the table): we guess the state of the ends from what they send, and
//! packets may still be lost behind us. What may be an honest answer to something we did not see (a repeated SYN, a
//! late SYN-ACK) passes without effect; what cannot be is invalid.
//!
//! Windows are looked at leniently (`nf_conntrack_tcp_be_liberal=1`): a segment outside passes but neither moves the
//! state nor prolongs the flow, so that nobody from outside can keep or close it; a reset outside is dropped.

use std::time::Duration;

use ::tcp::{Flags, Header};

use super::{Direction, Invalid, Update};
use crate::limits;

/// Where a connection is, by what was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A SYN.
    SynSent,
    /// A SYN from either side.
    SynSent2,
    /// SYN and SYN-ACK.
    SynRecv,
    /// The handshake is done.
    Established,
    /// One side has sent its FIN.
    FinWait,
    /// And it was acknowledged.
    CloseWait,
    /// Both have sent their FINs.
    LastAck,
    /// And they were acknowledged.
    TimeWait,
    /// A reset.
    Close,
}

impl State {
    /// The name as Linux's `conntrack` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::SynSent => "SYN_SENT",
            State::SynSent2 => "SYN_SENT2",
            State::SynRecv => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait => "FIN_WAIT",
            State::CloseWait => "CLOSE_WAIT",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
            State::Close => "CLOSE",
        }
    }

    const fn lifetime(self) -> Duration {
        match self {
            State::SynSent | State::SynSent2 => limits::TRACK_SYN_SENT,
            State::SynRecv => limits::TRACK_SYN_RECV,
            State::Established => limits::TRACK_ESTABLISHED,
            State::FinWait => limits::TRACK_FIN_WAIT,
            State::CloseWait => limits::TRACK_CLOSE_WAIT,
            State::LastAck => limits::TRACK_LAST_ACK,
            State::TimeWait => limits::TRACK_TIME_WAIT,
            State::Close => limits::TRACK_CLOSE,
        }
    }
}

/// What a segment is to the table: its strongest flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

impl Kind {
    /// PSH, URG and the ECN flags go with anything.
    fn of(header: &Header) -> Result<Kind, Invalid> {
        let flags = header.flags & (Flags::SYN | Flags::ACK | Flags::FIN | Flags::RST);
        if flags == Flags::SYN {
            Ok(Kind::Syn)
        } else if flags == Flags::SYN | Flags::ACK {
            Ok(Kind::SynAck)
        } else if flags == Flags::FIN | Flags::ACK {
            Ok(Kind::Fin)
        } else if flags == Flags::ACK {
            Ok(Kind::Ack)
        } else if flags == Flags::RST || flags == Flags::RST | Flags::ACK {
            Ok(Kind::Rst)
        } else {
            Err(Invalid::Flags)
        }
    }
}

/// What a segment does to the state.
enum Transition {
    To(State),
    /// It passes and changes nothing.
    Ignore,
    Reopen,
    Invalid,
}

/// The table: what a segment of a kind does in a state.
fn next(state: State, direction: Direction, kind: Kind) -> Transition {
    use Direction::{Original, Reply};
    use State as S;
    use Transition::{Ignore, Reopen, To};
    match (kind, direction, state) {
        (Kind::Syn, Original, S::SynSent | S::SynSent2) => To(state),
        (Kind::Syn, Reply, S::SynSent | S::SynSent2) => To(S::SynSent2),
        // RFC 1122 4.2.2.13: a connection in TIME-WAIT may be reopened by a new SYN.
        (Kind::Syn, _, S::TimeWait | S::Close) => Reopen,
        // A dead connection's port used again, or an attack: the receiver will answer with an ACK that tells.
        (Kind::Syn, Original, _) => Ignore,
        (Kind::Syn, Reply, _) => Transition::Invalid,

        (Kind::SynAck, Original, S::SynSent) => Transition::Invalid,
        (Kind::SynAck, Reply, S::SynSent) | (Kind::SynAck, _, S::SynSent2) => To(S::SynRecv),
        (Kind::SynAck, ..) => Ignore,

        (Kind::Fin | Kind::Ack, Original, S::SynSent | S::SynSent2) => Transition::Invalid,
        (Kind::Fin, Reply, S::SynSent | S::SynSent2) => Transition::Invalid,
        (Kind::Fin, _, S::SynRecv | S::Established) => To(S::FinWait),
        (Kind::Fin, _, S::FinWait | S::CloseWait | S::LastAck) => To(S::LastAck),
        (Kind::Fin, _, S::TimeWait | S::Close) => To(state),

        // Half-open: the server remembers an older connection, the client will reset it.
        (Kind::Ack, Reply, S::SynSent | S::SynSent2) => Ignore,
        (Kind::Ack, Reply, S::SynRecv) => To(S::SynRecv),
        (Kind::Ack, _, S::SynRecv | S::Established) => To(S::Established),
        (Kind::Ack, _, S::FinWait | S::CloseWait) => To(S::CloseWait),
        (Kind::Ack, _, S::LastAck | S::TimeWait) => To(S::TimeWait),
        (Kind::Ack, _, S::Close) => To(S::Close),

        (Kind::Rst, ..) => To(S::Close),
    }
}

/// What one side has sent and may send. All sequence numbers are that side's own, but for `acknowledged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sender {
    /// Has it sent anything? Until then nothing here is known.
    seen: bool,
    /// Behind the last byte it has sent.
    sent: u32,
    /// Behind the last byte the other side permits.
    permitted: u32,
    /// The largest window it has offered.
    window: u32,
    /// Did it close its window?
    stuffed: bool,
    /// What it has acknowledged of the other's, once it has.
    acknowledged: Option<u32>,
    /// The shift of its windows, if its SYN offered one.
    scale: Option<u8>,
}

/// What is known of one side by who has spoken with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Behind the last byte it has sent.
    pub sent: u32,
    /// Behind the last byte it may send.
    pub permitted: u32,
    /// The window it offers, bytes.
    pub window: u32,
    /// What it has acknowledged of the other's.
    pub acknowledged: u32,
    /// The shift of its windows.
    pub scale: u8,
}

impl From<Edge> for Sender {
    fn from(edge: Edge) -> Sender {
        Sender {
            seen: true,
            sent: edge.sent,
            permitted: edge.permitted,
            window: edge.window.max(1),
            stuffed: edge.window == 0,
            acknowledged: Some(edge.acknowledged),
            scale: Some(edge.scale),
        }
    }
}

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTracking {
    state: State,
    original: Sender,
    reply: Sender,
}

impl TcpTracking {
    /// Begins with a SYN, and with nothing else.
    ///
    /// # Errors
    /// [`Invalid::NotOpening`], [`Invalid::Flags`].
    pub fn new(header: &Header, payload: usize) -> Result<(TcpTracking, Duration), Invalid> {
        if Kind::of(header)? != Kind::Syn {
            return Err(Invalid::NotOpening);
        }
        let mut tracking = TcpTracking { state: State::SynSent, original: Sender::default(), reply: Sender::default() };
        tracking.note(Direction::Original, header, payload);
        Ok((tracking, State::SynSent.lifetime()))
    }

    /// Of an established connection.
    #[must_use]
    pub fn between(original: Edge, reply: Edge) -> TcpTracking {
        TcpTracking { state: State::Established, original: original.into(), reply: reply.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Behind the last byte (or FIN) that went this way, as a sequence number of its sender.
    #[must_use]
    pub fn sent(&self, direction: Direction) -> u32 {
        self.sides(direction).0.sent
    }

    /// What who sends this way has acknowledged of the other's bytes.
    #[must_use]
    pub fn acknowledged(&self, direction: Direction) -> Option<u32> {
        self.sides(direction).0.acknowledged
    }

    /// One more segment.
    ///
    /// # Errors
    /// [`Invalid`]: it is to be dropped.
    pub fn update(&mut self, direction: Direction, header: &Header, payload: usize) -> Result<Update, Invalid> {
        let kind = Kind::of(header)?;
        let to = match next(self.state, direction, kind) {
            Transition::To(state) => state,
            Transition::Ignore => return Ok(Update::Keep),
            Transition::Reopen => return Ok(Update::Over),
            Transition::Invalid => return Err(Invalid::State),
        };
        // Who sent a SYN and got no SYN-ACK may begin again with another number, or reset what an older connection's
        // other end has answered; there is no window yet to hold that against.
        let begins = self.state == State::SynSent && direction == Direction::Original;
        let in_window = begins || self.is_in_window(direction, header, payload);
        if kind == Kind::Rst {
            if !in_window || !begins && !self.is_reset_genuine(direction, header) {
                return Err(Invalid::ResetOutside);
            }
        } else if in_window {
            self.note(direction, header, payload);
        } else {
            return Ok(Update::Keep);
        }
        self.state = to;
        Ok(Update::Live(self.lifetime()))
    }

    /// A connection that waits for something is given up earlier than one that is merely silent.
    fn lifetime(&self) -> Duration {
        let waits = |sender: &Sender, receiver: &Sender| {
            receiver.stuffed || receiver.acknowledged.is_some_and(|acknowledged| before(acknowledged, sender.sent))
        };
        let lifetime = self.state.lifetime();
        if waits(&self.original, &self.reply) || waits(&self.reply, &self.original) {
            lifetime.min(limits::TRACK_UNACKNOWLEDGED)
        } else {
            lifetime
        }
    }

    /// A reset to a SYN must acknowledge it (RFC 9293 3.10.7.3), a later one not lie behind what was acknowledged.
    fn is_reset_genuine(&self, direction: Direction, header: &Header) -> bool {
        if self.state == State::SynSent && direction == Direction::Reply {
            return header.flags.contains(Flags::ACK) && header.ack.0 == self.original.sent;
        }
        let (_, receiver) = self.sides(direction);
        receiver.acknowledged.is_none_or(|acknowledged| !before(header.seq.0, acknowledged))
    }

    /// Could the sender have sent this, given what the other side permits and has sent?
    fn is_in_window(&self, direction: Direction, header: &Header, payload: usize) -> bool {
        let (sender, receiver) = self.sides(direction);
        if !sender.seen {
            // Its first segment: only what it acknowledges can be looked at.
            return !header.flags.contains(Flags::ACK) || !before(receiver.sent, header.ack.0);
        }
        let not_beyond = !before(sender.permitted, header.seq.0);
        let not_behind = !before(end(header, payload), sender.sent.wrapping_sub(receiver.window.max(1)));
        let acknowledges = !header.flags.contains(Flags::ACK) || {
            let oldest = receiver.sent.wrapping_sub(sender.window.max(limits::TRACK_ACK_BEHIND_MIN));
            !before(receiver.sent, header.ack.0) && !before(header.ack.0, oldest)
        };
        not_beyond && not_behind && acknowledges
    }

    /// Remembers what a genuine segment says.
    fn note(&mut self, direction: Direction, header: &Header, payload: usize) {
        let both_scale = self.original.scale.is_some() && self.reply.scale.is_some();
        let (sender, receiver) = self.sides_mut(direction);
        let end = end(header, payload);
        let syn = header.flags.contains(Flags::SYN);
        if syn {
            sender.scale = header.options.window_scale.map(|scale| scale.min(limits::TRACK_SCALE_MAX));
        }
        // RFC 7323 2.2: "The window field in a segment where the SYN bit is set [...] MUST NOT be scaled".
        let shift = if both_scale && !syn { sender.scale.unwrap_or(0) } else { 0 };
        let window = u32::from(header.window) << shift;
        if !sender.seen || syn {
            sender.seen = true;
            sender.sent = end;
            // The other side's SYN may already have said more.
            sender.permitted = end.wrapping_add(receiver.window);
        } else if before(sender.sent, end) {
            sender.sent = end;
        }
        sender.window = sender.window.max(window).max(1);
        sender.stuffed = window == 0 && !syn;
        if header.flags.contains(Flags::ACK) {
            let ack = header.ack.0;
            if sender.acknowledged.is_none_or(|acknowledged| before(acknowledged, ack)) {
                sender.acknowledged = Some(ack);
            }
            // A window probe of one byte is permitted even to a closed window.
            let permitted = ack.wrapping_add(window.max(1));
            if receiver.seen && before(receiver.permitted, permitted) {
                receiver.permitted = permitted;
            }
        }
    }

    fn sides(&self, direction: Direction) -> (&Sender, &Sender) {
        match direction {
            Direction::Original => (&self.original, &self.reply),
            Direction::Reply => (&self.reply, &self.original),
        }
    }

    fn sides_mut(&mut self, direction: Direction) -> (&mut Sender, &mut Sender) {
        match direction {
            Direction::Original => (&mut self.original, &mut self.reply),
            Direction::Reply => (&mut self.reply, &mut self.original),
        }
    }
}

/// The sequence number behind a segment: SYN and FIN count as a byte each.
fn end(header: &Header, payload: usize) -> u32 {
    let flags = u32::from(header.flags.contains(Flags::SYN)) + u32::from(header.flags.contains(Flags::FIN));
    header.seq.0.wrapping_add(payload as u32).wrapping_add(flags)
}

/// Sequence numbers wrap: `a` is before `b` when the way forward is the shorter one.
pub(crate) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
