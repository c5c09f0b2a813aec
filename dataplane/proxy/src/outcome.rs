//! How a session ended: Zorp's verdict for the summary record, the exact reason for the counters, the bytes relayed.

use crate::host::ConnectError;
use crate::stream::StreamError;

/// What became of a session as a whole; the names are those of Zorp's summary records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was served.
    Accepted,
    /// The policy does not permit it.
    DeniedByPolicy,
    /// A limit of the service or the gateway was reached.
    DeniedByLimit,
    /// The server could not be had.
    DeniedByConnectionFail,
    /// Anything else went wrong before it was served.
    DeniedByUnknownFail,
    /// The policy ended it while it was served.
    AbortedByPolicyAction,
    /// The policy itself is at fault.
    InvalidPolicyCall,
}

impl Verdict {
    /// The name in the summary record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Accepted => "ACCEPTED",
            Verdict::DeniedByPolicy => "DENIED_BY_POLICY",
            Verdict::DeniedByLimit => "DENIED_BY_LIMIT",
            Verdict::DeniedByConnectionFail => "DENIED_BY_CONNECTION_FAIL",
            Verdict::DeniedByUnknownFail => "DENIED_BY_UNKNOWN_FAIL",
            Verdict::AbortedByPolicyAction => "ABORTED_BY_POLICY_ACTION",
            Verdict::InvalidPolicyCall => "INVALID_POLICY_CALL",
        }
    }
}

/// Which end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who was connected to.
    Server,
}

/// Exactly why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Both sides finished, everything was delivered.
    Finished,
    /// The client reset the connection.
    ClientReset,
    /// The server reset the connection.
    ServerReset,
    /// The client stopped answering.
    ClientTimedOut,
    /// The server stopped answering.
    ServerTimedOut,
    /// The network says that the client cannot be reached any more.
    ClientUnreachable,
    /// The network says that the server cannot be reached any more.
    ServerUnreachable,
    /// No byte for the service's idle time.
    IdleTimeout,
    /// The service's total time was over.
    TotalTimeout,
    /// Both sides finished, but the last bytes were not acknowledged in time.
    FinishTimeout,
    /// The operator or the gateway ended it.
    Cut,
    /// The server refused the connection.
    ConnectRefused,
    /// The server did not answer the connection in time.
    ConnectTimedOut,
    /// The server cannot be reached.
    ConnectUnreachable,
    /// No source port was free.
    ConnectNoPort,
    /// Sessions or memory were at their limit when the server was to be connected.
    ConnectLimit,
    /// The policy does not permit the server.
    ConnectDenied,
    /// The client broke the rules of its protocol.
    ClientViolation,
    /// The server broke the rules of its protocol.
    ServerViolation,
    /// The service's policy denied what was asked.
    PolicyDenied,
    /// The service's policy ended it while it was served.
    PolicyAborted,
    /// The client took too long for a handshake, a request, or a body.
    ClientTooSlow,
    /// The server took too long for a handshake, an answer, or a body.
    ServerTooSlow,
    /// A bound of the service was reached.
    ServiceLimit,
    /// TLS with the client could not be set up.
    ClientHandshake,
    /// TLS with the server could not be set up.
    ServerHandshake,
    /// The server's certificate was not accepted.
    ServerUntrusted,
    /// The first bytes fit no service.
    NotDetected,
    /// A content scanner said no.
    ScannerDenied,
    /// A content scanner could not be asked.
    ScannerFailed,
    /// The service's script failed.
    ScriptFailed,
}

impl Reason {
    /// Whether it says that the server did not take the connection.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        matches!(self, Reason::ConnectRefused | Reason::ConnectTimedOut | Reason::ConnectUnreachable)
    }

    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: &[Reason] = &[
        Reason::Finished,
        Reason::ClientReset,
        Reason::ServerReset,
        Reason::ClientTimedOut,
        Reason::ServerTimedOut,
        Reason::ClientUnreachable,
        Reason::ServerUnreachable,
        Reason::IdleTimeout,
        Reason::TotalTimeout,
        Reason::FinishTimeout,
        Reason::Cut,
        Reason::ConnectRefused,
        Reason::ConnectTimedOut,
        Reason::ConnectUnreachable,
        Reason::ConnectNoPort,
        Reason::ConnectLimit,
        Reason::ConnectDenied,
        Reason::ClientViolation,
        Reason::ServerViolation,
        Reason::PolicyDenied,
        Reason::PolicyAborted,
        Reason::ClientTooSlow,
        Reason::ServerTooSlow,
        Reason::ServiceLimit,
        Reason::ClientHandshake,
        Reason::ServerHandshake,
        Reason::ServerUntrusted,
        Reason::NotDetected,
        Reason::ScannerDenied,
        Reason::ScannerFailed,
        Reason::ScriptFailed,
    ];

    /// Place in [`Reason::ALL`], for tables of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Finished => "finished",
            Reason::ClientReset => "client_reset",
            Reason::ServerReset => "server_reset",
            Reason::ClientTimedOut => "client_timed_out",
            Reason::ServerTimedOut => "server_timed_out",
            Reason::ClientUnreachable => "client_unreachable",
            Reason::ServerUnreachable => "server_unreachable",
            Reason::IdleTimeout => "idle_timeout",
            Reason::TotalTimeout => "total_timeout",
            Reason::FinishTimeout => "finish_timeout",
            Reason::Cut => "cut",
            Reason::ConnectRefused => "connect_refused",
            Reason::ConnectTimedOut => "connect_timed_out",
            Reason::ConnectUnreachable => "connect_unreachable",
            Reason::ConnectNoPort => "connect_no_port",
            Reason::ConnectLimit => "connect_limit",
            Reason::ConnectDenied => "connect_denied",
            Reason::ClientViolation => "client_violation",
            Reason::ServerViolation => "server_violation",
            Reason::PolicyDenied => "policy_denied",
            Reason::PolicyAborted => "policy_aborted",
            Reason::ClientTooSlow => "client_too_slow",
            Reason::ServerTooSlow => "server_too_slow",
            Reason::ServiceLimit => "service_limit",
            Reason::ClientHandshake => "client_handshake",
            Reason::ServerHandshake => "server_handshake",
            Reason::ServerUntrusted => "server_untrusted",
            Reason::NotDetected => "not_detected",
            Reason::ScannerDenied => "scanner_denied",
            Reason::ScannerFailed => "scanner_failed",
            Reason::ScriptFailed => "script_failed",
        }
    }

    /// A sentence for the operator.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Reason::Finished => "Both sides finished and everything was delivered.",
            Reason::ClientReset => "The client reset the connection; the server got a reset too.",
            Reason::ServerReset => "The server reset the connection; the client got a reset too.",
            Reason::ClientTimedOut => "The client stopped acknowledging; both connections were reset.",
            Reason::ServerTimedOut => "The server stopped acknowledging; both connections were reset.",
            Reason::ClientUnreachable => "The network reported the client as unreachable during the session.",
            Reason::ServerUnreachable => "The network reported the server as unreachable during the session.",
            Reason::IdleTimeout => "No byte passed in either direction for the service's idle time.",
            Reason::TotalTimeout => "The session lasted longer than the service permits.",
            Reason::FinishTimeout => "Both sides finished, but the last bytes were never acknowledged.",
            Reason::Cut => "The operator or the stopping gateway ended the session.",
            Reason::ConnectRefused => "The server refused the connection.",
            Reason::ConnectTimedOut => "The server did not answer within the service's connect time.",
            Reason::ConnectUnreachable => {
                "The server cannot be reached: no route, no neighbour, or an ICMP error said so."
            }
            Reason::ConnectNoPort => "No source port was free for a connection to the server.",
            Reason::ConnectLimit => "The gateway was at its limit of sessions or memory when the server was needed.",
            Reason::ConnectDenied => "The policy does not permit a connection to the server.",
            Reason::ClientViolation => {
                "The client said what its protocol, or the service, does not permit; the log says what."
            }
            Reason::ServerViolation => {
                "The server said what its protocol, or the service, does not permit; the log says what."
            }
            Reason::PolicyDenied => "The service's policy denied what the client asked for.",
            Reason::PolicyAborted => "The service's policy ended the session while it was served.",
            Reason::ClientTooSlow => "The client did not say enough in the time that the service gives it.",
            Reason::ServerTooSlow => "The server did not say enough in the time that the service gives it.",
            Reason::ServiceLimit => "A bound of the service on what one session may ask for was reached.",
            Reason::ClientHandshake => "The TLS handshake with the client failed; the log says why.",
            Reason::ServerHandshake => "The TLS handshake with the server failed; the log says why.",
            Reason::ServerUntrusted => "The server's certificate is not trusted; the log says why.",
            Reason::NotDetected => "No detector knew the protocol, and the service names no other one for that.",
            Reason::ScannerDenied => "The scanner denied what was to be passed on.",
            Reason::ScannerFailed => "The scanner did not answer as it should, and nothing passes unscanned.",
            Reason::ScriptFailed => "The service's script failed, or used up its time or memory.",
        }
    }

    /// The verdict that goes with it.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Reason::Finished
            | Reason::ClientReset
            | Reason::ServerReset
            | Reason::ClientTimedOut
            | Reason::ServerTimedOut
            | Reason::ClientUnreachable
            | Reason::ServerUnreachable
            | Reason::FinishTimeout => Verdict::Accepted,
            Reason::IdleTimeout | Reason::TotalTimeout | Reason::Cut | Reason::PolicyAborted => {
                Verdict::AbortedByPolicyAction
            }
            Reason::ConnectRefused
            | Reason::ConnectTimedOut
            | Reason::ConnectUnreachable
            | Reason::ConnectNoPort
            | Reason::ServerTooSlow
            | Reason::ServerHandshake => Verdict::DeniedByConnectionFail,
            Reason::ConnectLimit | Reason::ServiceLimit | Reason::ClientTooSlow => Verdict::DeniedByLimit,
            Reason::ConnectDenied
            | Reason::PolicyDenied
            | Reason::ServerUntrusted
            | Reason::NotDetected
            | Reason::ScannerDenied => Verdict::DeniedByPolicy,
            Reason::ClientViolation | Reason::ServerViolation | Reason::ClientHandshake | Reason::ScannerFailed => {
                Verdict::DeniedByUnknownFail
            }
            Reason::ScriptFailed => Verdict::InvalidPolicyCall,
        }
    }

    /// The reason when a stream of the session failed.
    #[must_use]
    pub const fn failed(side: Side, error: StreamError) -> Reason {
        match (side, error) {
            (Side::Client, StreamError::Reset) => Reason::ClientReset,
            (Side::Client, StreamError::TimedOut) => Reason::ClientTimedOut,
            (Side::Client, StreamError::Unreachable) => Reason::ClientUnreachable,
            (Side::Server, StreamError::Reset) => Reason::ServerReset,
            (Side::Server, StreamError::TimedOut) => Reason::ServerTimedOut,
            (Side::Server, StreamError::Unreachable) => Reason::ServerUnreachable,
            (_, StreamError::Cut) => Reason::Cut,
        }
    }
}

impl From<ConnectError> for Reason {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused => Reason::ConnectRefused,
            ConnectError::TimedOut => Reason::ConnectTimedOut,
            ConnectError::Unreachable => Reason::ConnectUnreachable,
            ConnectError::NoPort => Reason::ConnectNoPort,
            ConnectError::Limit => Reason::ConnectLimit,
            ConnectError::Denied => Reason::ConnectDenied,
            ConnectError::Cut => Reason::Cut,
        }
    }
}

/// How a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict of the summary record.
    pub verdict: Verdict,
    /// The exact reason.
    pub reason: Reason,
    /// Bytes passed on from the client to the server.
    pub to_server: u64,
    /// Bytes passed on from the server to the client.
    pub to_client: u64,
}

impl Outcome {
    /// An end before a byte was passed on.
    #[must_use]
    pub const fn unserved(reason: Reason) -> Outcome {
        Outcome { verdict: reason.verdict(), reason, to_server: 0, to_client: 0 }
    }
}

#[cfg(test)]
mod tests;
