//! The relay: moves chunks between two streams, both directions in one future, until the session ends.
//!
//! Used by the plug for a whole session and by other proxies for the parts they do not look into. What must hold:
//! - chunks are handed over as they are, never copied; nothing is held here: a chunk is read only when the other side
//!   has room, so a slow reader closes the sender's window and memory is what the two streams hold;
//! - a FIN is passed on behind the bytes before it and leaves the other direction open;
//! - a failure of one side ends the other, by a reset, behind the bytes before it, for at most [`RESET_LINGER_MAX`];
//! - it ends by itself: idle, total and finish times are all in `Relay::deadline`;
//! - a direction with a [`Gate`] passes no more than that says; bytes that wait for their rate do not make a session idle.
//!
//! ```text
//! each direction:  Open ──(FIN read: shut down)──→ Closing ──(acknowledged)──→ Closed      both Closed: Finished
//! the relay:       Relaying ──(a side failed)──→ Flushing(to the other side) ──→ aborted
//! ```

mod gate;

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

pub use gate::{Gate, Rate};

use crate::host::Host;
use crate::limits::{FINISH_MAX, IDLE_LOOK_MIN, IDLE_LOOKS, RELAY_CHUNKS_PER_POLL_MAX, RESET_LINGER_MAX};
use crate::outcome::{Outcome, Reason, Side};
use crate::release::{Release, Stage};
use crate::session::SessionId;
use crate::stream::{Chunk, Stream, StreamError};

/// How long a relay may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// No byte moved or acknowledged for so long ends it.
    pub idle: Duration,
    /// Ends it at this time of the host's clock, whatever moves.
    pub end: Option<Duration>,
}

/// Two streams and what has passed between them.
pub struct Relay<C: Stream, S: Stream<Chunk = C::Chunk>> {
    client: C,
    server: S,
    limits: Limits,
    to_server: Direction,
    to_client: Direction,
    /// What each direction may pass, where that is limited.
    gate_to_server: Option<Box<Gate>>,
    gate_to_client: Option<Box<Gate>>,
    /// Whose session may be left to its ends.
    let_go: Option<SessionId>,
    /// Set once a side has failed: what is left is to pass on what it said before.
    failure: Option<Failure>,
    /// When bytes last moved or were acknowledged.
    active: Duration,
    /// Unacknowledged bytes on both streams when that was last looked at, and when.
    unacknowledged: usize,
    looked: Duration,
}

/// One way through the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Direction {
    state: DirectionState,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum DirectionState {
    /// Bytes may come.
    #[default]
    Open,
    /// The FIN was passed on.
    Closing,
    /// The FIN was acknowledged.
    Closed,
}

/// A side that is gone while the other has yet to hear of it.
#[derive(Clone, Copy, Debug)]
struct Failure {
    side: Side,
    reason: Reason,
    /// The other side hears of it by then at the latest.
    deadline: Duration,
}

/// Which side has nothing to say any more, and why.
type Failed = (Side, Reason);

impl<C: Stream, S: Stream<Chunk = C::Chunk>> Relay<C, S> {
    /// A relay that has moved nothing yet.
    pub fn new(client: C, server: S, limits: Limits) -> Self {
        Relay {
            client,
            server,
            limits,
            to_server: Direction::default(),
            to_client: Direction::default(),
            gate_to_server: None,
            gate_to_client: None,
            let_go: None,
            failure: None,
            active: Duration::ZERO,
            unacknowledged: 0,
            looked: Duration::ZERO,
        }
    }

    /// Leaves the session to its two ends when nothing waits between them, if the host can: nothing of what passes is to be
    /// looked at, counted by the second or changed any more.
    #[must_use]
    pub fn letting_go(mut self, session: SessionId) -> Self {
        self.let_go = Some(session);
        self
    }

    /// Asks for it, once nothing that was put back is left to be read.
    fn ask_release<H: Host>(&mut self, host: &H) -> Option<Release> {
        let session = self.let_go.filter(|_| self.gate_to_server.is_none() && self.gate_to_client.is_none())?;
        let (client, server) = (self.client.handle()?, self.server.handle()?);
        self.let_go = None;
        host.release(session, client, server, self.limits)
    }

    /// With limits on what passes.
    #[must_use]
    pub fn with_gates(mut self, to_server: Option<Gate>, to_client: Option<Gate>) -> Self {
        (self.gate_to_server, self.gate_to_client) = (to_server.map(Box::new), to_client.map(Box::new));
        self
    }

    /// Did any byte have to wait for its rate?
    fn has_waited(&self) -> bool {
        [&self.gate_to_server, &self.gate_to_client].into_iter().flatten().any(|gate| gate.has_waited())
    }

    /// Relays to the end of the session. Dropping the future aborts both streams.
    pub async fn run<H: Host>(mut self, host: &H) -> Outcome {
        self.active = host.now();
        self.looked = self.active;
        let mut release: Option<Release> = None;
        let mut timer_at = self.deadline();
        let mut timer = pin!(host.sleep(timer_at.saturating_sub(self.active)));
        let reason = poll_fn(|cx| {
            let now = host.now();
            match release.as_ref().map(|release| release.poll(cx)) {
                Some(Stage::Begun) => return Poll::Pending,
                Some(Stage::Over(passed)) => {
                    self.to_server.bytes += passed.to_server;
                    self.to_client.bytes += passed.to_client;
                    return Poll::Ready(passed.reason);
                }
                Some(Stage::Wanted) | None => {}
            }
            if let Poll::Ready(reason) = self.poll(cx, now) {
                return Poll::Ready(reason);
            }
            if self.let_go.is_some() {
                release = self.ask_release(host);
                if let Some(release) = &release {
                    // Woken when it is further; it cannot be yet.
                    let _ = release.poll(cx);
                }
            }
            loop {
                // Deadlines mostly move away as bytes move: the timer is left alone until it fires.
                if self.deadline() < timer_at {
                    timer_at = self.deadline();
                    timer.set(host.sleep(timer_at.saturating_sub(now)));
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                if let Some(reason) = self.expired(now) {
                    return Poll::Ready(reason);
                }
                timer_at = self.deadline();
                timer.set(host.sleep(timer_at.saturating_sub(now)));
            }
        })
        .await;
        if reason != Reason::Finished {
            self.client.abort();
            self.server.abort();
        }
        if self.has_waited() {
            host.count(crate::plug::event::Event::Throttled.into());
        }
        Outcome { verdict: reason.verdict(), reason, to_server: self.to_server.bytes, to_client: self.to_client.bytes }
    }

    /// Moves what can be moved now; ready when the session is over.
    fn poll(&mut self, cx: &mut Context<'_>, now: Duration) -> Poll<Reason> {
        if self.failure.is_none() {
            match self.relay(cx, now) {
                Ok(false) => return Poll::Pending,
                Ok(true) => return Poll::Ready(Reason::Finished),
                Err((_, Reason::Cut)) => return Poll::Ready(Reason::Cut),
                Err((side, reason)) => {
                    self.failure = Some(Failure { side, reason, deadline: now.saturating_add(RESET_LINGER_MAX) });
                    self.hurry();
                }
            }
        }
        self.flush_failed(cx, now)
    }

    /// Both directions once; `true` when both are closed.
    fn relay(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<bool, Failed> {
        let Relay { client, server, to_server, to_client, gate_to_server, gate_to_client, .. } = self;
        let before = (*to_server, *to_client);
        for gate in [&mut *gate_to_server, &mut *gate_to_client].into_iter().flatten() {
            gate.look_anew();
        }
        pass(cx, client, server, to_server, gate_to_server.as_deref_mut().map(|gate| (gate, now)))
            .map_err(|end| end.sides(Side::Client, Side::Server))?;
        pass(cx, server, client, to_client, gate_to_client.as_deref_mut().map(|gate| (gate, now)))
            .map_err(|end| end.sides(Side::Server, Side::Client))?;
        if (*to_server, *to_client) != before {
            self.active = now;
        }
        self.look(now);
        let closed = |direction: &Direction| direction.state == DirectionState::Closed;
        if closed(&self.to_server) && closed(&self.to_client) {
            return Ok(true);
        }
        // Neither reading nor writing tells of a failure while the other side has no room.
        if let Poll::Ready(error) = self.client.poll_failed(cx) {
            return Err((Side::Client, Reason::failed(Side::Client, error)));
        }
        if let Poll::Ready(error) = self.server.poll_failed(cx) {
            return Err((Side::Server, Reason::failed(Side::Server, error)));
        }
        Ok(false)
    }

    /// The last bytes do not wait for their rate.
    fn hurry(&mut self) {
        for gate in [&mut self.gate_to_server, &mut self.gate_to_client].into_iter().flatten() {
            gate.hurry();
        }
    }

    /// When the next closed gate opens.
    fn gates_open(&self) -> Option<Duration> {
        [&self.gate_to_server, &self.gate_to_client].into_iter().flatten().filter_map(|gate| gate.closed_until()).min()
    }

    /// After a failure: the bytes that came before it go on, then the reason is told.
    fn flush_failed(&mut self, cx: &mut Context<'_>, now: Duration) -> Poll<Reason> {
        let Some(failure) = self.failure else { return Poll::Pending };
        let Relay { client, server, to_server, to_client, gate_to_server, gate_to_client, .. } = self;
        let gate = match failure.side {
            Side::Client => gate_to_server.as_deref_mut(),
            Side::Server => gate_to_client.as_deref_mut(),
        };
        let gate = gate.map(|gate| (gate, now));
        let delivered = match failure.side {
            Side::Client => deliver(cx, client, server, to_server, gate),
            Side::Server => deliver(cx, server, client, to_client, gate),
        };
        if delivered.is_ready() || now >= failure.deadline {
            return Poll::Ready(failure.reason);
        }
        Poll::Pending
    }

    /// A slow reader that still takes what we hold for it is not idle.
    fn look(&mut self, now: Duration) {
        let unacknowledged = self.client.unacknowledged() + self.server.unacknowledged();
        if unacknowledged < self.unacknowledged {
            self.active = now;
        }
        self.unacknowledged = unacknowledged;
        self.looked = now;
    }

    /// Have both FINs been passed on?
    fn finishing(&self) -> bool {
        self.to_server.state != DirectionState::Open && self.to_client.state != DirectionState::Open
    }

    /// How long nothing may move or be acknowledged.
    fn quiet_max(&self) -> Duration {
        if self.finishing() { self.limits.idle.min(FINISH_MAX) } else { self.limits.idle }
    }

    /// The next time at which the relay may have to end, or look whether it has to; later than any `expired` saw.
    fn deadline(&self) -> Duration {
        if let Some(failure) = self.failure {
            return failure.deadline;
        }
        let quiet_max = self.quiet_max();
        let idle = self.active.saturating_add(quiet_max);
        let look = self.looked.saturating_add((quiet_max / IDLE_LOOKS).max(IDLE_LOOK_MIN));
        let quiet = if self.unacknowledged > 0 { idle.min(look) } else { idle };
        let quiet = self.gates_open().map_or(quiet, |open| quiet.min(open));
        self.limits.end.map_or(quiet, |end| quiet.min(end))
    }

    /// Why it is over now, if it is.
    fn expired(&mut self, now: Duration) -> Option<Reason> {
        if let Some(failure) = self.failure {
            return (failure.deadline <= now).then_some(failure.reason);
        }
        if self.limits.end.is_some_and(|end| end <= now) {
            return Some(Reason::TotalTimeout);
        }
        self.look(now);
        if self.gates_open().is_some() {
            // Bytes are there: it is the service that lets them wait.
            self.active = now;
        }
        if now.saturating_sub(self.active) < self.quiet_max() {
            return None;
        }
        Some(if self.finishing() { Reason::FinishTimeout } else { Reason::IdleTimeout })
    }
}

/// Which stream of a direction failed.
enum End {
    From(StreamError),
    To(StreamError),
    /// Neither: the direction has passed all that it may.
    UsedUp,
}

impl End {
    fn sides(self, from: Side, to: Side) -> Failed {
        match self {
            End::From(error) => (from, Reason::failed(from, error)),
            End::To(error) => (to, Reason::failed(to, error)),
            End::UsedUp => (from, Reason::ServiceLimit),
        }
    }
}

/// A direction's gate, if it has one, and the time.
type GateNow<'a> = Option<(&'a mut Gate, Duration)>;

/// One direction: bytes, then the FIN, then its acknowledgement; returns when it has to wait.
fn pass<F: Stream, T: Stream<Chunk = F::Chunk>>(
    cx: &mut Context<'_>,
    from: &mut F,
    to: &mut T,
    direction: &mut Direction,
    gate: GateNow<'_>,
) -> Result<(), End> {
    if direction.state == DirectionState::Open && move_chunks(cx, from, to, direction, gate)?.is_ready() {
        to.shutdown();
        direction.state = DirectionState::Closing;
    }
    if direction.state == DirectionState::Closing
        && let Poll::Ready(result) = to.poll_finished(cx)
    {
        result.map_err(End::To)?;
        direction.state = DirectionState::Closed;
    }
    Ok(())
}

/// Moves chunks until there are none, or no room, or others are to have their turn; ready at the end of the bytes.
fn move_chunks<F: Stream, T: Stream<Chunk = F::Chunk>>(
    cx: &mut Context<'_>,
    from: &mut F,
    to: &mut T,
    direction: &mut Direction,
    mut gate: GateNow<'_>,
) -> Result<Poll<()>, End> {
    for _ in 0..RELAY_CHUNKS_PER_POLL_MAX {
        match to.poll_writable(cx) {
            Poll::Ready(room) => room.map_err(End::To)?,
            Poll::Pending => return Ok(Poll::Pending),
        };
        match from.poll_read(cx) {
            Poll::Ready(chunk) => {
                let Some(mut chunk) = chunk.map_err(End::From)? else { return Ok(Poll::Ready(())) };
                if let Some((gate, now)) = &mut gate {
                    let Some(part) = part(from, chunk, gate, *now, direction)? else { return Ok(Poll::Pending) };
                    chunk = part;
                }
                direction.bytes += chunk.len() as u64;
                to.write(chunk).map_err(End::To)?;
            }
            Poll::Pending => return Ok(Poll::Pending),
        }
    }
    cx.waker().wake_by_ref();
    Ok(Poll::Pending)
}

/// What of a chunk may pass now, if anything; the rest is put back. An end where nothing more may.
fn part<F: Stream>(
    from: &mut F,
    mut chunk: F::Chunk,
    gate: &mut Gate,
    now: Duration,
    direction: &mut Direction,
) -> Result<Option<F::Chunk>, End> {
    if gate.is_used_up() && !chunk.is_empty() {
        // Nothing more is read of this direction; what it passed is delivered.
        direction.state = DirectionState::Closing;
        return Err(End::UsedUp);
    }
    if !gate.is_open(now) {
        from.unread(chunk);
        return Ok(None);
    }
    let pass = chunk.split_to(gate.pass(chunk.len()));
    from.unread(chunk);
    Ok(Some(pass))
}

/// What a failed stream still has to say; ready when the other has it, or cannot have it.
fn deliver<F: Stream, T: Stream<Chunk = F::Chunk>>(
    cx: &mut Context<'_>,
    from: &mut F,
    to: &mut T,
    direction: &mut Direction,
    gate: GateNow<'_>,
) -> Poll<()> {
    if direction.state == DirectionState::Open {
        match move_chunks(cx, from, to, direction, gate) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) | Err(End::From(_) | End::UsedUp) => {}
            Err(End::To(_)) => return Poll::Ready(()),
        }
    }
    to.poll_finished(cx).map(|_| ())
}

#[cfg(test)]
mod tests;
