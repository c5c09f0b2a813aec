//! The clients: each connects, asks so many times, one request after the other's reply, and closes; then another one comes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;
use tcp::{Connection, Instant, State};

use super::channel::{Channel, HOST};
use crate::scenario::ends::{Arrived, End, Tuple, opening};

/// How they ask.
pub(super) struct Plan {
    /// Requests on a connection.
    pub(super) times: u64,
    /// Bytes of the body that answers each.
    pub(super) size: usize,
    /// In TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

pub(super) struct Clients {
    end: End,
    plan: Plan,
    request: Bytes,
    clients: HashMap<Tuple, Client, foldhash::fast::FixedState>,
    count: usize,
    opened: u64,
    /// Replies that came whole.
    pub(super) done: u64,
}

struct Client {
    connection: Connection<Bytes>,
    channel: Channel,
    asked: u64,
    answered: u64,
    /// What came of the reply that is under way.
    reply: Vec<u8>,
    closed: bool,
}

impl Clients {
    pub(super) fn new(end: End, count: usize, plan: Plan) -> Self {
        let connection = if plan.times > 1 { "keep-alive" } else { "close" };
        let request = format!(
            "GET /a/page.html?of=the-bench HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: limpid-bench\r\nAccept: */*\r\nConnection: {connection}\r\n\r\n"
        );
        Self { end, plan, request: request.into(), clients: HashMap::default(), count, opened: 0, done: 0 }
    }

    /// Takes what has come in, and keeps as many connections open as there are to be.
    pub(super) fn round(&mut self, now: Instant) -> Result<(), String> {
        while let Some(Arrived { tuple, segment }) = self.end.receive() {
            let Some(client) = self.clients.get_mut(&tuple) else { continue };
            let _discard = client.connection.handle_segment(now, segment);
            self.done += client.go_on(now, &self.plan, &self.request)?;
            self.end.transmit(now, &tuple, &mut client.connection);
        }
        let mut over = Vec::new();
        for (tuple, client) in &mut self.clients {
            if client.connection.deadline().is_some_and(|at| at <= now) {
                client.connection.handle_timeout(now);
                self.end.transmit(now, tuple, &mut client.connection);
            }
            if let Some(error) = client.connection.error() {
                return Err(format!("a connection ended by {error:?} after {} replies", client.answered));
            }
            if matches!(client.connection.state(), State::TimeWait | State::Closed) {
                if client.answered != self.plan.times {
                    return Err(format!("a connection ended after {} of {} replies", client.answered, self.plan.times));
                }
                over.push(*tuple);
            }
        }
        for tuple in over {
            self.clients.remove(&tuple);
        }
        while self.clients.len() < self.count {
            self.open(now);
        }
        Ok(())
    }

    fn open(&mut self, now: Instant) {
        let number = self.opened;
        self.opened += 1;
        // 50,000 ports of each of 60,000 clients: no tuple comes twice while the gateway remembers it.
        let address = Ipv4Addr::from_bits(0x0a01_0002 + (number / 50_000 % 60_000) as u32);
        let local = SocketAddr::new(address.into(), 10_000 + (number % 50_000) as u16);
        let remote = SocketAddr::new(Ipv4Addr::new(10, 2, 0, 2).into(), 80);
        let config = super::config();
        let opening = opening(number, config.mss_max);
        let mut connection = Connection::connect(now, (local.port(), remote.port()), &config, opening);
        let tuple = (local, remote);
        self.end.transmit(now, &tuple, &mut connection);
        let channel = Channel::client(self.plan.tls.clone());
        let client = Client { connection, channel, asked: 0, answered: 0, reply: Vec::new(), closed: false };
        self.clients.insert(tuple, client);
    }
}

impl Client {
    /// Reads and asks on; gives how many replies became whole.
    fn go_on(&mut self, now: Instant, plan: &Plan, request: &Bytes) -> Result<u64, String> {
        if self.connection.state() == State::Established || self.connection.state() == State::CloseWait {
            self.channel.flush(&mut self.connection);
        }
        for said in self.channel.read(&mut self.connection) {
            self.reply.extend_from_slice(&said);
        }
        let mut whole = 0;
        if let Some(head) = self.reply.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let length = head + 4 + plan.size;
            if self.reply.len() > length || !self.reply.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("an answer of another kind: {:?}", String::from_utf8_lossy(&self.reply)));
            }
            if self.reply.len() == length {
                self.reply.clear();
                self.answered += 1;
                whole = 1;
            }
        }
        if self.connection.state() == State::Established
            && self.channel.is_ready()
            && self.asked == self.answered
            && self.asked < plan.times
        {
            self.asked += 1;
            self.channel.write(&mut self.connection, request);
        }
        if self.answered == plan.times && !self.closed {
            self.closed = true;
            self.channel.finish(now, &mut self.connection);
        }
        Ok(whole)
    }
}
