//! The policy: rules in order, the first that matches decides, and one looks only as far as that needs.
//!
//! As Squid has it in three steps: first addresses and zones are known, then what the client offers, then the server's
//! certificate. At each step the rules are gone through from the top. One that cannot match any more is passed over; one
//! that matches decides; one that may yet match makes the proxy look on ([`Decision::LookOn`]). So the rules mean the same
//! as if everything were known from the start, and what a rule does not ask for is not looked at. `peek` as an action
//! matches without deciding: it only makes the proxy look as far as it can go from there.
//!
//! ```text
//! addresses ──LookOn──→ ClientHello ──LookOn──→ certificate        splice, bump, terminate, reject: final at each
//! ```

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use rustls::AlertDescription;

use super::hello::Hello;
use super::names::Names;
use super::verify::{Distrust, Verdict};
use crate::session::SessionInfo;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look on.
    Peek,
    /// Passed on untouched.
    Splice,
    /// Decrypted, and encrypted again.
    Bump,
    /// Ended by a reset.
    Terminate,
    /// Ended by an alert.
    Reject(AlertDescription),
}

impl Action {
    /// For logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Peek => "peek",
            Action::Splice => "splice",
            Action::Bump => "bump",
            Action::Terminate => "terminate",
            Action::Reject(_) => "reject",
        }
    }
}

/// How an encrypted ClientHello is told from one that greases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchKind {
    /// There is none.
    Absent,
    /// There is one, and the name is no provider's public one: most likely made up (GREASE).
    Grease,
    /// There is one, and the name is a provider's public one: the true name is within.
    Real,
}

/// The name of the last resort among the rules.
pub const OTHERWISE: &str = "otherwise";

/// What a rule asks for; what is not set asks for nothing. Of a list one has to fit.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Networks of the client.
    pub clients: Vec<IpNet>,
    /// Zones of the client.
    pub client_zones: Vec<String>,
    /// Networks of the address that the client wants.
    pub servers: Vec<IpNet>,
    /// Zones of it.
    pub server_zones: Vec<String>,
    /// Ports of it.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Names that the client wants (SNI).
    pub sni: Option<Names>,
    /// Does the client say a name at all?
    pub has_sni: Option<bool>,
    /// Application protocols, one of which the client offers.
    pub alpn: Vec<String>,
    /// Fingerprints.
    pub ja3: Vec<String>,
    /// Fingerprints; one may be the beginning of it, up to an underscore.
    pub ja4: Vec<String>,
    /// Encrypted ClientHello.
    pub ech: Option<EchKind>,
    /// Is the server's certificate trusted?
    pub trusted: Option<bool>,
    /// What is wrong with the certificate.
    pub faults: Vec<Distrust>,
    /// Names that the certificate is for.
    pub certificate_names: Option<Names>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the log calls it.
    pub name: String,
    /// What it is for.
    pub matches: Match,
    /// What becomes of that.
    pub action: Action,
}

/// All of a service.
#[derive(Clone, Debug)]
pub struct Rules {
    /// In order.
    pub rules: Vec<Rule>,
    /// For what no rule is for.
    pub otherwise: Action,
    /// Public names of providers of encrypted ClientHellos.
    pub ech_names: Names,
}

/// What is known so far.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Who connected where.
    pub info: &'a SessionInfo,
    /// From the second step on.
    pub hello: Option<&'a Hello>,
    /// In the third.
    pub certificate: Option<&'a Shown>,
}

/// What a server showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The verdict about its certificate.
    pub verdict: Verdict,
    /// Whom it is for.
    pub names: Vec<String>,
}

/// What follows from what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// More has to be known.
    LookOn,
    /// This, by the rule of that name.
    Final(Action, &'a str),
}

/// Whether something fits, as far as one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    No,
    Yes,
    NotYetKnown,
}

impl Rules {
    /// Decides by what is known.
    #[must_use]
    pub fn decide(&self, known: &Known<'_>) -> Decision<'_> {
        for rule in &self.rules {
            match self.fits(&rule.matches, known) {
                Fits::No => {}
                Fits::NotYetKnown => return Decision::LookOn,
                Fits::Yes if rule.action != Action::Peek => return Decision::Final(rule.action, &rule.name),
                Fits::Yes if known.certificate.is_none() => return Decision::LookOn,
                Fits::Yes => {}
            }
        }
        Decision::Final(self.otherwise, OTHERWISE)
    }

    /// Can it come to `splice` when only the certificate is still to be seen? Then the server is to be looked at without
    /// using up the connection.
    #[must_use]
    pub fn may_splice(&self, known: &Known<'_>) -> bool {
        let open = self.rules.iter().filter(|rule| self.fits(&rule.matches, known) != Fits::No);
        open.map(|rule| rule.action).chain([self.otherwise]).any(|action| action == Action::Splice)
    }

    /// Does any rule ask for the certificate?
    #[must_use]
    pub fn ask_for_certificate(&self) -> bool {
        self.rules.iter().any(|rule| rule.matches.asks_for_certificate() || rule.action == Action::Peek)
    }

    /// What kind of encrypted ClientHello this is.
    #[must_use]
    pub fn ech(&self, hello: &Hello) -> EchKind {
        match (hello.ech, hello.server_name()) {
            (None, _) => EchKind::Absent,
            (Some(_), Some(name)) if self.ech_names.contains(name) => EchKind::Real,
            _ => EchKind::Grease,
        }
    }

    /// What cannot fit any more is told at once, whatever is still unknown.
    fn fits(&self, matches: &Match, known: &Known<'_>) -> Fits {
        if !matches.fits_addresses(known.info) {
            return Fits::No;
        }
        match known.hello {
            Some(hello) if !matches.fits_hello(hello, self.ech(hello)) => return Fits::No,
            None if matches.asks_for_hello() => return Fits::NotYetKnown,
            _ => {}
        }
        match known.certificate {
            Some(shown) if !matches.fits_certificate(shown) => Fits::No,
            None if matches.asks_for_certificate() => Fits::NotYetKnown,
            _ => Fits::Yes,
        }
    }
}

impl Match {
    fn fits_addresses(&self, info: &SessionInfo) -> bool {
        in_networks(&self.clients, info.client)
            && in_networks(&self.servers, info.original_destination)
            && in_zones(&self.client_zones, info.client_zone.as_deref())
            && in_zones(&self.server_zones, info.server_zone.as_deref())
            && one(&self.ports, |ports| ports.contains(&info.original_destination.port()))
    }

    /// Only the second step can tell.
    #[must_use]
    pub fn asks_for_hello(&self) -> bool {
        self.sni.is_some()
            || self.has_sni.is_some()
            || self.ech.is_some()
            || !(self.alpn.is_empty() && self.ja3.is_empty() && self.ja4.is_empty())
    }

    fn fits_hello(&self, hello: &Hello, ech: EchKind) -> bool {
        let name = hello.server_name();
        self.sni.as_ref().is_none_or(|names| name.is_some_and(|name| names.contains(name)))
            && self.has_sni.is_none_or(|wanted| wanted == name.is_some())
            && one(&self.alpn, |protocol| hello.offers(protocol))
            && self.ech.is_none_or(|wanted| wanted == ech)
            && (self.ja3.is_empty() || self.ja3.contains(&hello.ja3()))
            && (self.ja4.is_empty() || begins(&self.ja4, hello.ja4().as_str()))
    }

    /// Only the third step can tell.
    #[must_use]
    pub fn asks_for_certificate(&self) -> bool {
        self.trusted.is_some() || self.certificate_names.is_some() || !self.faults.is_empty()
    }

    fn fits_certificate(&self, shown: &Shown) -> bool {
        self.trusted.is_none_or(|wanted| wanted == shown.verdict.is_ok())
            && one(&self.faults, |fault| shown.verdict == Err(*fault))
            && self.certificate_names.as_ref().is_none_or(|names| shown.names.iter().any(|name| names.contains(name)))
    }
}

/// An empty list asks for nothing.
fn one<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

fn in_networks(networks: &[IpNet], address: SocketAddr) -> bool {
    one(networks, |network| network.contains(&address.ip()))
}

fn in_zones(zones: &[String], zone: Option<&str>) -> bool {
    one(zones, |wanted| zone == Some(wanted.as_str()))
}

/// A whole fingerprint, or parts of it from the left.
fn begins(list: &[String], whole: &str) -> bool {
    list.iter()
        .any(|wanted| whole.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

#[cfg(test)]
mod tests;
