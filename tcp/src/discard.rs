//! Every way a segment can be refused, each with a name for the counter and a sentence for the operator.
//!
//! A refused segment may still be answered: ask for output after it as after any other.

/// Why a segment, or its payload, was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// The connection is over.
    Closed,
    /// RFC 9293, 3.10.7.3: in SYN-SENT, an ACK for something we never sent.
    HandshakeAck,
    /// In SYN-SENT, neither SYN nor RST.
    HandshakeNoSyn,
    /// In SYN-SENT, a RST that does not acknowledge our SYN.
    HandshakeReset,
    /// RFC 7323, 3.2: timestamps were agreed on and the segment has none.
    TimestampMissing,
    /// RFC 7323, 5: the timestamp is older than one already seen (PAWS).
    TimestampOld,
    /// Everything in it was received before.
    Duplicate,
    /// It lies beyond the window.
    BeyondWindow,
    /// A RST outside of the window.
    ResetOutside,
    /// RFC 5961, 3.2: a RST inside of the window, but not at its edge.
    ResetChallenged,
    /// RFC 5961, 4.2: a SYN on a synchronized connection.
    SynChallenged,
    /// RFC 9293, 3.10.7.4: neither RST nor SYN, and no ACK.
    NoAck,
    /// RFC 5961, 5.2: an ACK for something we did not send yet.
    AckAhead,
    /// RFC 5961, 5.2: an ACK older than any window we ever had.
    AckStale,
    /// Data after the peer's FIN.
    AfterFin,
    /// Out of order, and the reassembly queue holds as much as it may.
    ReassemblyFull,
    /// The receive queue holds as many pieces as it may.
    QueueFull,
    /// RFC 1337: a RST in TIME-WAIT.
    TimeWaitReset,
}

impl Discard {
    /// All of them, in the order of their index.
    pub const ALL: &'static [Discard] = &[
        Discard::Closed,
        Discard::HandshakeAck,
        Discard::HandshakeNoSyn,
        Discard::HandshakeReset,
        Discard::TimestampMissing,
        Discard::TimestampOld,
        Discard::Duplicate,
        Discard::BeyondWindow,
        Discard::ResetOutside,
        Discard::ResetChallenged,
        Discard::SynChallenged,
        Discard::NoAck,
        Discard::AckAhead,
        Discard::AckStale,
        Discard::AfterFin,
        Discard::ReassemblyFull,
        Discard::QueueFull,
        Discard::TimeWaitReset,
    ];

    /// Its place in [`Discard::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// A name for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Discard::Closed => "tcp_closed",
            Discard::HandshakeAck => "tcp_handshake_ack",
            Discard::HandshakeNoSyn => "tcp_handshake_no_syn",
            Discard::HandshakeReset => "tcp_handshake_reset",
            Discard::TimestampMissing => "tcp_timestamp_missing",
            Discard::TimestampOld => "tcp_timestamp_old",
            Discard::Duplicate => "tcp_duplicate",
            Discard::BeyondWindow => "tcp_beyond_window",
            Discard::ResetOutside => "tcp_reset_outside",
            Discard::ResetChallenged => "tcp_reset_challenged",
            Discard::SynChallenged => "tcp_syn_challenged",
            Discard::NoAck => "tcp_no_ack",
            Discard::AckAhead => "tcp_ack_ahead",
            Discard::AckStale => "tcp_ack_stale",
            Discard::AfterFin => "tcp_after_fin",
            Discard::ReassemblyFull => "tcp_reassembly_full",
            Discard::QueueFull => "tcp_queue_full",
            Discard::TimeWaitReset => "tcp_time_wait_reset",
        }
    }

    /// A sentence for the operator.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Discard::Closed => "A segment came for a connection that is over.",
            Discard::HandshakeAck => "The answer to our SYN acknowledged something we never sent; it was reset.",
            Discard::HandshakeNoSyn => "The answer to our SYN was neither SYN nor RST.",
            Discard::HandshakeReset => "A RST during the handshake did not acknowledge our SYN.",
            Discard::TimestampMissing => "Timestamps were agreed on, but the segment has none.",
            Discard::TimestampOld => "The segment's timestamp is older than one seen before (PAWS).",
            Discard::Duplicate => "Everything in the segment was received before.",
            Discard::BeyondWindow => "The segment lies beyond the receive window.",
            Discard::ResetOutside => "A RST outside of the receive window was ignored.",
            Discard::ResetChallenged => {
                "A RST inside of the window, but not at its edge, was answered by a challenge ACK."
            }
            Discard::SynChallenged => "A SYN on an open connection was answered by a challenge ACK.",
            Discard::NoAck => "A segment of an open connection had no ACK.",
            Discard::AckAhead => "The segment acknowledges data that was not sent yet.",
            Discard::AckStale => "The segment's acknowledgment is older than any window of this connection.",
            Discard::AfterFin => "Data came after the peer's FIN.",
            Discard::ReassemblyFull => "The reassembly queue of the connection is full.",
            Discard::QueueFull => "The receive queue of the connection holds as many pieces as it may.",
            Discard::TimeWaitReset => "A RST in TIME-WAIT was ignored (RFC 1337).",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_indexes_fit() {
        let names: std::collections::HashSet<_> = Discard::ALL.iter().map(|discard| discard.name()).collect();
        assert_eq!(names.len(), Discard::ALL.len());
        for (index, discard) in Discard::ALL.iter().enumerate() {
            assert_eq!(discard.index(), index);
            assert!(discard.sentence().ends_with('.'));
        }
    }
}
