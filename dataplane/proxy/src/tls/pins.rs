//! Applications that trust only their own authority: learned by how they end the handshake, and passed on for a while.
//!
//! What is learned is a pair of client and name, so that a client that ends handshakes on purpose opens the way for itself
//! only; and only where the service asks for it, because it is a way around the policy all the same. On each core alone.

use std::net::IpAddr;
use std::time::Duration;

use rustls::{AlertDescription, Error};

use super::aging::Aging;
use super::limits;
use super::stream::{Fault, HandshakeError};
use crate::stream::StreamError;

/// When a service takes an application for pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    /// So many handshakes in a row were ended by the client.
    pub after: u32,
    /// It is passed on for so long.
    pub keep: Duration,
}

type Pair = (String, IpAddr, String);

/// What a core knows.
#[derive(Debug)]
pub struct Pins(Aging<Pair, State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Suspected { times: u32, last: Duration },
    Pinned { until: Duration },
}

impl Default for Pins {
    fn default() -> Self {
        Pins(Aging::new(limits::PINS_MAX))
    }
}

impl Pins {
    /// Is it to be passed on?
    pub fn is_pinned(&mut self, service: &str, client: IpAddr, name: &str, now: Duration) -> bool {
        let pair = (service.to_owned(), client, name.to_owned());
        match self.0.get(&pair) {
            Some(State::Pinned { until }) if now < *until => true,
            Some(State::Pinned { .. }) => {
                self.0.remove(&pair);
                false
            }
            _ => false,
        }
    }

    /// The client ended a handshake; `true` when it is taken for pinned from now on.
    pub fn aborted(&mut self, service: &str, client: IpAddr, name: &str, learning: Learning, now: Duration) -> bool {
        let pair = (service.to_owned(), client, name.to_owned());
        let before = match self.0.get(&pair) {
            Some(State::Suspected { times, last }) if now.saturating_sub(*last) < limits::PIN_SUSPECT => *times,
            _ => 0,
        };
        let times = before + 1;
        let pinned = times >= learning.after;
        let state = if pinned {
            State::Pinned { until: now.saturating_add(learning.keep) }
        } else {
            State::Suspected { times, last: now }
        };
        self.0.insert(pair, state);
        pinned
    }

    /// A handshake was good, and bytes came: it is not pinned.
    pub fn cleared(&mut self, service: &str, client: IpAddr, name: &str) {
        self.0.remove(&(service.to_owned(), client, name.to_owned()));
    }
}

/// Does a handshake that ended so look like one of a client that does not want our certificate?
#[must_use]
pub fn looks_pinned(error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Stream(error) => *error == StreamError::Reset,
        HandshakeError::Fault(Fault::Truncated) => true,
        HandshakeError::Fault(Fault::Tls(Error::AlertReceived(alert))) => matches!(
            alert,
            AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied
                | AlertDescription::UserCanceled
                | AlertDescription::CloseNotify
        ),
        HandshakeError::Fault(Fault::Tls(_)) => false,
    }
}

#[cfg(test)]
mod tests;
