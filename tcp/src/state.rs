//! The states of RFC 9293, 3.3.2 and the one table of transitions between them.
//!
//! ```text
//!                   connect ─→ SYN-SENT ──SYN──→ SYN-RECEIVED ←─ accept
//!                                 │ SYN,ACK            │ ACK of SYN
//!                                 └──────→ ESTABLISHED ←┘
//!                          close ┌──────────┴─────────┐ FIN
//!                          FIN-WAIT-1              CLOSE-WAIT
//!               ACK of FIN │     │ FIN                │ close
//!                    FIN-WAIT-2  CLOSING          LAST-ACK
//!                      FIN │     │ ACK of FIN         │ ACK of FIN
//!                          TIME-WAIT ── 2 MSL ───→ CLOSED
//! ```
//!
//! A state changes nowhere but through [`State::on`]. LISTEN is not here: a connection begins when a SYN was accepted.
//! A close during the handshake waits for its end (RFC 9293, 3.10.4: "queue for processing after entering ESTABLISHED
//! state"), so that what was written before is delivered; hence no arrow from SYN-RECEIVED to FIN-WAIT-1.

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Over, or reset.
    Closed,
    /// We sent a SYN.
    SynSent,
    /// Both SYNs are known, ours is not acknowledged.
    SynReceived,
    /// Data flows.
    Established,
    /// We finished; our FIN is not acknowledged.
    FinWait1,
    /// Our FIN is acknowledged, the peer goes on.
    FinWait2,
    /// The peer finished, we go on.
    CloseWait,
    /// Both finished at once; our FIN is not acknowledged.
    Closing,
    /// The peer finished first, then we; our FIN is not acknowledged.
    LastAck,
    /// Both finished; what is still on the way is answered.
    TimeWait,
}

/// What moves a connection from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A SYN that acknowledges ours.
    SynAck,
    /// A SYN that does not (simultaneous open).
    Syn,
    /// Our SYN is acknowledged.
    SynAcknowledged,
    /// The application has no more to send.
    Close,
    /// The peer's FIN is in order.
    Fin,
    /// Our FIN is acknowledged.
    FinAcknowledged,
    /// TIME-WAIT has lasted long enough.
    TwoMsl,
    /// RST either way, or we gave up.
    Abort,
}

impl State {
    /// All of them.
    pub const ALL: &'static [State] = &[
        State::Closed,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The state after `event`; the same one if the event means nothing here.
    #[must_use]
    pub(crate) fn on(self, event: Event) -> State {
        match (self, event) {
            (State::SynSent, Event::SynAck) => State::Established,
            (State::SynSent, Event::Syn) => State::SynReceived,
            (State::SynReceived, Event::SynAcknowledged) => State::Established,
            (State::Established, Event::Close) => State::FinWait1,
            (State::Established, Event::Fin) => State::CloseWait,
            (State::FinWait1, Event::FinAcknowledged) => State::FinWait2,
            (State::FinWait1, Event::Fin) => State::Closing,
            (State::FinWait2, Event::Fin) => State::TimeWait,
            (State::CloseWait, Event::Close) => State::LastAck,
            (State::Closing, Event::FinAcknowledged) => State::TimeWait,
            (State::LastAck, Event::FinAcknowledged) => State::Closed,
            (State::TimeWait, Event::TwoMsl) => State::Closed,
            (_, Event::Abort) => State::Closed,
            (state, _) => state,
        }
    }

    /// Both SYNs are acknowledged: everything from ESTABLISHED to TIME-WAIT.
    #[must_use]
    pub fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::SynSent | State::SynReceived)
    }

    /// The peer may still send data that we take.
    #[must_use]
    pub fn may_receive(self) -> bool {
        matches!(self, State::SynReceived | State::Established | State::FinWait1 | State::FinWait2)
    }

    /// The application may still give us data to send.
    #[must_use]
    pub fn may_send(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived | State::Established | State::CloseWait)
    }

    /// The name the RFC gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
