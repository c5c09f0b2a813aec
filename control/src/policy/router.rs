//! Routers: which server a session is taken to, in which order others are tried, and from which port.
//!
//! Pure choices: states, time and chance are arguments, kept by who connects. A server that failed is skipped for
//! `retry_after`; when no other is left, all failures are forgotten and each is tried once more, so that a session
//! fails only after every server has been asked, and an outage of all of them does not outlive itself (Zorp's
//! FailoverChainer and RoundRobinChainer). A server is its address: what failed at one port is down at all.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::limits::ROUTER_TARGETS_MAX;

/// Which server a session is taken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Router {
    /// The one the client meant.
    Transparent {
        /// The port that takes the place of the client's; 0 leaves it.
        forced_port: u16,
    },
    /// One of a list.
    Directed(Directed),
    /// The one that the proxy learns from what the client says.
    Inband,
}

/// Servers to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directed {
    /// The servers, of both families; port 0 keeps the port the client meant.
    pub servers: Vec<SocketAddr>,
    /// In which order they are asked.
    pub order: Order,
    /// How long a server that failed is not asked.
    pub retry_after: Duration,
}

/// In which order servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The first of the list that is not down.
    #[default]
    Failover,
    /// Each session begins with the next one.
    RoundRobin,
}

/// What is known of a router's servers; kept by who connects.
#[derive(Clone, Debug, Default)]
pub struct ServerStates {
    /// Servers that failed, and until when (microseconds) they are not asked; in order of address.
    down: Vec<(IpAddr, u64)>,
    turn: u32,
}

/// One session's search for a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Bit n: the list's nth server was asked in this round.
    asked: u64,
    begin: Option<u32>,
    second_round: bool,
}

// A bit per server.
const _: () = assert!(ROUTER_TARGETS_MAX <= 64);

impl Router {
    /// The server that would be asked first, if none is down.
    pub fn first(&self, original: SocketAddr) -> Option<SocketAddr> {
        match self {
            Router::Transparent { forced_port: 0 } => Some(original),
            Router::Transparent { forced_port } => Some(SocketAddr::new(original.ip(), *forced_port)),
            Router::Directed(directed) => {
                let server = directed.servers.iter().find(|server| server.is_ipv4() == original.is_ipv4())?;
                Some(with_port(*server, original))
            }
            Router::Inband => None,
        }
    }

    /// The next server to ask; none when all were asked.
    pub fn next(
        &self,
        original: SocketAddr,
        states: &mut ServerStates,
        search: &mut Search,
        now: u64,
    ) -> Option<SocketAddr> {
        match self {
            Router::Directed(directed) => directed.next(original, states, search, now),
            Router::Transparent { .. } | Router::Inband => {
                let first_time = search.asked == 0;
                search.asked = 1;
                self.first(original).filter(|_| first_time)
            }
        }
    }

    /// How long a server that failed is not asked; none where there is no other to ask.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Router::Directed(directed) if directed.servers.len() > 1 => Some(directed.retry_after),
            _ => None,
        }
    }
}

impl Directed {
    fn next(
        &self,
        original: SocketAddr,
        states: &mut ServerStates,
        search: &mut Search,
        now: u64,
    ) -> Option<SocketAddr> {
        let count = self.servers.len().min(ROUTER_TARGETS_MAX) as u32;
        let begin = *search.begin.get_or_insert_with(|| match self.order {
            Order::Failover => 0,
            Order::RoundRobin => states.turn(count),
        });
        loop {
            let places = (0..count).map(|step| (begin + step) % count);
            let candidate = |place: &u32| {
                let server = self.servers[*place as usize];
                search.asked & (1 << place) == 0 && server.is_ipv4() == original.is_ipv4()
            };
            let up = |place: &u32| !states.is_down(self.servers[*place as usize].ip(), now);
            if let Some(place) = places.filter(candidate).find(up) {
                search.asked |= 1 << place;
                return Some(with_port(self.servers[place as usize], original));
            }
            if std::mem::replace(&mut search.second_round, true) {
                return None;
            }
            // "After all failed": what is known is forgotten, and each has one more chance.
            search.asked = 0;
            self.servers.iter().for_each(|server| states.answered(server.ip()));
        }
    }
}

impl ServerStates {
    /// A server did not answer, or refused.
    pub fn failed(&mut self, server: IpAddr, now: u64, retry_after: Duration) {
        let until = now.saturating_add(u64::try_from(retry_after.as_micros()).unwrap_or(u64::MAX));
        match self.down.binary_search_by_key(&server, |(address, _)| *address) {
            Ok(at) => self.down[at].1 = until,
            Err(_) if self.down.len() >= ROUTER_TARGETS_MAX => {}
            Err(at) => self.down.insert(at, (server, until)),
        }
    }

    /// A server has answered.
    pub fn answered(&mut self, server: IpAddr) {
        if let Ok(at) = self.down.binary_search_by_key(&server, |(address, _)| *address) {
            self.down.remove(at);
        }
    }

    fn is_down(&self, server: IpAddr, now: u64) -> bool {
        let found = self.down.binary_search_by_key(&server, |(address, _)| *address);
        found.is_ok_and(|at| now < self.down[at].1)
    }

    fn turn(&mut self, count: u32) -> u32 {
        let turn = self.turn % count.max(1);
        self.turn = turn + 1;
        turn
    }
}

fn with_port(server: SocketAddr, original: SocketAddr) -> SocketAddr {
    if server.port() == 0 { SocketAddr::new(server.ip(), original.port()) } else { server }
}

/// From which port a server is spoken to (Zorp's `forge_port`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgePort {
    /// Any free one of the ephemeral ports.
    Any,
    /// A free one of the client port's class: up to 513, up to 1024, above.
    Group,
    /// The client's own, or none.
    Exact,
    /// A free one above 1023, by chance.
    Random,
    /// This one.
    Number(u16),
}

impl ForgePort {
    /// The ports, first and last, that are looked through for a free one, for a client that uses `client`.
    pub fn range(self, client: u16) -> (u16, u16) {
        match self {
            // Linux' ip_local_port_range.
            ForgePort::Any => (32_768, 60_999),
            ForgePort::Group => match client {
                0..=513 => (1, 513),
                514..=1_024 => (514, 1_024),
                1_025.. => (1_025, u16::MAX),
            },
            ForgePort::Exact => (client, client),
            ForgePort::Random => (1_024, u16::MAX),
            ForgePort::Number(port) => (port, port),
        }
    }

    /// As written in the file.
    pub fn name(self) -> String {
        match self {
            ForgePort::Any => "any".to_owned(),
            ForgePort::Group => "group".to_owned(),
            ForgePort::Exact => "exact".to_owned(),
            ForgePort::Random => "random".to_owned(),
            ForgePort::Number(port) => port.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
