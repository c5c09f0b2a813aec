//! UDP flows that a service takes: sessions without a connection.
//!
//! The plug reads nothing of what it relays, so its datagrams take the way of forwarded packets ([`crate::forward`]),
//! without a task and without a copy beyond the one that sends them: to the server from the client's own address and
//! port (or as the service, its NAT policies, the OUTPUT rules or a foreign connect say), and back from the address that
//! the client meant. What makes them sessions is here: the service's and each client's share of the core, the idle time,
//! the record at the end. TTL, DSCP and ECN go on as over a router; ICMP errors find the end they are about.
//!
//! A service of kind `proxy: handoff` gives its datagrams to a program (`crate::handoff::datagrams`): then the flow has one
//! side on the wire. Flows that came by an entry end with it (`linked`).
//!
//! Entries with UNIDIR have each datagram rewritten one way, without a flow: whoever answers is a flow of his own.
//! Left out: secondary sessions (Zorp's `secondary_sessions`). A server of a router's list counts as down when the
//! network says so; silence is no refusal.

pub(crate) mod linked;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use control::mailbox::{FromCore, SessionSummary};
use control::policy::{
    Decision, DropReason, ForgePort, ListenerId, NatRange, Policy, Proxy, RuleRef, Search, Service, ServiceId, Source,
    Verdict, ZoneId,
};
use control::tproxy::{Flags, Link};
use proxy::{Outcome, Reason};
use tcp::Instant;

use crate::counters::Counter;
use crate::flow::Key;
use crate::flow::tracking::Tracking;
use crate::forward::ForwardKey;
use crate::handoff::datagrams::Program;
use crate::limits;
use crate::nat::{self, Wish};
use crate::nic::Nic;
use crate::packet::emit::{Ends, Rewrite};
use crate::packet::{PROTOCOL_UDP, icmp};
use crate::route::NextHop;
use crate::session::server::Asking;
use crate::worker::{Arrival, Worker};

/// What is known of a service's UDP flow beyond what is known of all.
pub struct Served {
    /// The policy it was decided under.
    pub(crate) policy: Arc<Policy>,
    service: ServiceId,
    /// The listener that led there; none when a policy rule chose the service.
    pub(crate) listener: Option<ListenerId>,
    /// Zones of client and server.
    pub(crate) client_zone: Option<ZoneId>,
    pub(crate) server_zone: Option<ZoneId>,
    rule: Option<RuleRef>,
    /// What the network has said of the server, if it said anything.
    refused: Option<Reason>,
    /// It takes up room in the counts of its service and its client.
    counted: bool,
    /// The program that is its other end.
    pub(crate) program: Option<Program>,
    /// The entries it came by, and its place among the flows that came by any.
    pub(crate) links: [Option<Link>; 2],
    place: Option<usize>,
}

impl Served {
    pub(crate) fn new(
        policy: &Arc<Policy>,
        service: ServiceId,
        listener: Option<ListenerId>,
        decision: &Decision,
        links: [Option<Link>; 2],
    ) -> Self {
        Self {
            policy: Arc::clone(policy),
            service,
            listener,
            client_zone: decision.client_zone,
            server_zone: decision.server_zone,
            rule: decision.rule,
            refused: None,
            counted: false,
            program: None,
            links,
            place: None,
        }
    }

    /// With a program as its other end.
    pub(crate) fn with(self, program: Program) -> Self {
        Self { program: Some(program), ..self }
    }

    /// The service's settings.
    pub(crate) fn service(&self) -> &Service {
        self.policy.service(self.service)
    }

    /// How long it may be silent, at most.
    pub(crate) fn idle(&self) -> Duration {
        self.service().idle
    }

    /// How long it may last.
    pub(crate) fn total(&self) -> Option<Duration> {
        self.service().total
    }
}

/// How a service's datagrams leave.
struct Leg {
    next_hop: NextHop,
    ends: Ends,
    /// By an entry that wants no flow.
    unidirectional: bool,
    /// The entry that gave it its source.
    link: Option<Link>,
}

impl<N: Nic> Worker<N> {
    /// Admits the flow of a datagram that `decision` gives to a service.
    pub(crate) fn open_datagrams(
        &mut self,
        now: Instant,
        key: Key,
        arrival: &Arrival<'_, N::Frame>,
        decision: &Decision,
    ) {
        let Verdict::Proxy { service, listener, local } = decision.verdict else { return };
        let entry = self.linked.take_decided();
        if let Err(counter) = self.admit(arrival, service).and_then(|()| self.admit_client(key.source().ip())) {
            let flow = self.new_flow(now, arrival);
            self.log_refused(now, &flow, decision, counter);
            return self.counters.count(counter);
        }
        // One that is used up with its flow has nothing more to say about it.
        let link = entry.filter(|(flags, _)| !flags.contains(Flags::ONCE)).map(|(_, link)| link);
        match self.policy.service(service).proxy() {
            // What a plug limits or says first is for streams.
            Some(Proxy::Plug) if crate::modules::takes_datagrams(self.policy.service(service)) => {}
            Some(Proxy::Handoff) => {
                let served = Served::new(&self.policy, service, listener, decision, [link, None]);
                return self.open_to_program(now, key, arrival, decision, (Box::new(served), local));
            }
            Some(Proxy::Plug | Proxy::Module(_)) | None => return self.counters.count(DropReason::NoProxyForProtocol),
        }
        let leg = match self.datagram_leg(now, &key, (service, listener), decision) {
            Ok(leg) => leg,
            Err(counter) => return self.refuse_flow(now, arrival, counter),
        };
        if !listener.is_none_or(|listener| self.policy.accept(listener)) {
            return self.counters.count(Counter::ListenerOver);
        }
        if leg.unidirectional || entry.is_some_and(|(flags, _)| is_unidirectional(flags)) {
            self.counters.count(Counter::DatagramsUnidir);
            self.send_on(now, arrival, &leg.next_hop, Rewrite { ends: Some(&leg.ends), shift: None });
            return;
        }
        let served = Served::new(&self.policy, service, listener, decision, [link, leg.link]);
        self.open_flow(now, key, arrival, (&leg.next_hop, leg.ends), decision, Some(Box::new(served)));
    }

    pub(crate) fn admit_client(&self, client: IpAddr) -> Result<(), Counter> {
        let running = self.per_client.get(&client).copied().unwrap_or(0) as usize;
        let most = (self.capacity.sessions / limits::DATAGRAMS_PER_CLIENT_SHARE).max(1);
        if running >= most { Err(Counter::DatagramClientLimit) } else { Ok(()) }
    }

    /// Who the server is, how to get there and as whom.
    fn datagram_leg(
        &mut self,
        now: Instant,
        key: &Key,
        (service, listener): (ServiceId, Option<ListenerId>),
        decision: &Decision,
    ) -> Result<Leg, Counter> {
        let policy = Arc::clone(&self.policy);
        let mut asking = Asking {
            interface: key.interface(),
            protocol: PROTOCOL_UDP,
            client: key.source(),
            original: key.destination(),
            service,
            listener,
            client_zone: decision.client_zone,
            rule: decision.rule,
            search: Search::default(),
            last_server: None,
            port_is_used: false,
        };
        let service = policy.service(service);
        let client = key.source();
        let (server, nat) = self.choose_server(now, &policy, &mut asking, proxy::Target::Original)?;
        let next_hop = self.routes.lookup(server.ip()).ok_or(Counter::NoRoute)?;
        let mut wish = wish(service, client, &next_hop, nat.source.as_ref())?;
        let mut source = self.free_source(PROTOCOL_UDP, &wish, server, next_hop.interface)?;
        let (mut unidirectional, mut link) = (false, None);
        // The README's foreign connect: a bound address that an entry exchanges for a foreign one.
        let seen = self.table.changes();
        if let Some(entry) = self.table.lookup_local(PROTOCOL_UDP, source)
            && !entry.mark_only()
            && entry.remote.is_none_or(|remote| remote == server)
        {
            wish = match entry.foreign.port() {
                0 => Wish { prefer: None, ..grouped(entry.foreign.ip(), client.port()) },
                _ => Wish::exactly(entry.foreign),
            };
            // Claimed last: who is refused for want of a port has not used it up.
            let foreign = self.free_source(PROTOCOL_UDP, &wish, server, next_hop.interface)?;
            if self.claim(&entry) {
                source = foreign;
                unidirectional = is_unidirectional(entry.flags);
                link = (!entry.flags.contains(Flags::ONCE)).then(|| entry.link(seen));
            }
        }
        Ok(Leg { next_hop, ends: nat::ends(PROTOCOL_UDP, source, server), unidirectional, link })
    }

    /// The flow is in the table: it counts.
    pub(crate) fn datagrams_begin(&mut self, key: ForwardKey) {
        let Some(forward) = self.forwards.get_mut(key) else { return };
        let client = forward.arrives[0].source.ip();
        let Some(served) = &mut forward.served else { return };
        served.counted = true;
        if served.links.iter().any(Option::is_some) {
            served.place = Some(self.linked.insert(key));
        }
        self.serving += 1;
        *self.per_service.entry_ref(served.service().name.as_str()).or_insert(0) += 1;
        *self.per_client.entry(client).or_insert(0) += 1;
        self.counters.count(Counter::DatagramSessions);
    }

    /// The session has ended, by silence or (`cut`) by an order; its record is written.
    pub(crate) fn datagrams_end(&mut self, key: ForwardKey, cut: Option<Reason>) {
        let now = self.shared.now.get();
        let Some(forward) = self.forwards.get_mut(key) else { return };
        let Some(served) = forward.served.take().filter(|served| served.counted) else { return };
        let (client, server) = (forward.arrives[0].source.ip(), forward.arrives[1]);
        let answered = forward.tracking == Tracking::Udp { replied: true };
        let outcome = outcome(cut, served.refused.filter(|_| !answered), forward.bytes);
        // A program that was met has no server; one that connects is met by nobody.
        let meets = served.program.is_none() || forward.flows[1].is_some();
        let summary = SessionSummary {
            core: self.core,
            id: forward.id,
            service: served.service().name.clone(),
            protocol: "udp".to_owned(),
            interface: self.interfaces.get(forward.interface).name.clone(),
            client: forward.arrives[0].source,
            destination: forward.arrives[0].destination,
            client_local: forward.arrives[0].destination,
            started: self.unix_at_zero.saturating_add_unsigned(forward.started.as_micros() / 1_000_000),
            server: meets.then_some(server.source),
            server_local: meets.then_some(server.destination),
            rule: served.rule.map(|rule| served.policy.rule(rule).place.to_string()),
            generation: served.policy.generation(),
            client_zone: served.client_zone.map(|id| served.policy.zone_name(id).to_owned()),
            server_zone: served.server_zone.map(|id| served.policy.zone_name(id).to_owned()),
            verdict: outcome.verdict.name().to_owned(),
            reason: outcome.reason.name().to_owned(),
            bytes_to_server: outcome.to_server,
            bytes_to_client: outcome.to_client,
            duration_ms: (now - forward.started).as_millis() as u64,
        };
        let moved = served.place.and_then(|place| Some((place, self.linked.remove(place)?)));
        if let Some((place, moved)) = moved
            && let Some(served) = self.forwards.get_mut(moved).and_then(|forward| forward.served.as_mut())
        {
            served.place = Some(place);
        }
        if let Some(program) = &served.program {
            self.handoff.sockets.forget(program);
        }
        self.serving -= 1;
        if let Some(running) = self.per_service.get_mut(served.service().name.as_str()) {
            *running -= 1;
        }
        if let Some(running) = self.per_client.get_mut(&client) {
            *running -= 1;
            if *running == 0 {
                self.per_client.remove(&client);
            }
        }
        self.counters.count(outcome.reason);
        if self.control.try_send(FromCore::Summary(summary)).is_err() {
            self.counters.count(Counter::RecordLost);
        }
    }

    /// Ends one by order.
    pub(crate) fn cut_forward(&mut self, key: ForwardKey) {
        self.datagrams_end(key, Some(Reason::Cut));
        self.remove_forward(key);
    }

    /// Ends all of them: the gateway stops.
    pub(crate) fn cut_datagrams(&mut self) {
        let served = self.forwards.iter().filter(|(_, forward)| forward.served.is_some());
        let keys: Vec<ForwardKey> = served.map(|(key, _)| key).collect();
        for key in keys {
            self.cut_forward(key);
        }
    }

    /// The network says that a datagram did not reach the server: a router with others asks these first for a while.
    pub(crate) fn datagrams_told(&mut self, now: Instant, key: ForwardKey, kind: icmp::ErrorKind) {
        let Some(forward) = self.forwards.get_mut(key) else { return };
        let server = forward.arrives[1].source;
        let Some(served) = &mut forward.served else { return };
        let icmp::ErrorKind::Unreachable(unreachable) = kind else { return };
        served.refused = Some(match unreachable {
            icmp::Unreachable::Port => Reason::ConnectRefused,
            _ => Reason::ConnectUnreachable,
        });
        let (policy, service) = (Arc::clone(&served.policy), served.service);
        self.server_failed(now, policy.service(service), server);
    }
}

/// As whom the server is spoken to.
fn wish(
    service: &Service,
    client: std::net::SocketAddr,
    next_hop: &NextHop,
    nat: Option<&NatRange>,
) -> Result<Wish, Counter> {
    let own = client.port();
    let wish = match service.source {
        Source::Client => Wish::exactly(client),
        Source::Gateway => grouped(next_hop.source.ok_or(Counter::NoSourceAddress)?, own),
        Source::Address(address) if address.port() == 0 => grouped(address.ip(), own),
        Source::Address(address) => Wish::exactly(address),
    };
    let wish = match service.forge_port {
        None => wish,
        Some(ForgePort::Exact) => Wish { prefer: Some(own), ports: None, ..wish },
        Some(ForgePort::Number(port)) => Wish { prefer: Some(port), ports: None, ..wish },
        Some(forge) => Wish { prefer: None, ports: Some(forge.range(own)), ..wish },
    };
    let Some(range) = nat else { return Ok(wish) };
    let address = range.address().unwrap_or(wish.address);
    let like = wish.prefer.unwrap_or(own);
    Ok(match range.ports {
        Some(ports) => Wish { address, prefer: Some(range.port(like)), ports: Some(ports) },
        None => Wish { address, prefer: Some(like), ..grouped(address, like) },
    })
}

/// From this address, from a free port of the class of `like`.
fn grouped(address: IpAddr, like: u16) -> Wish {
    Wish { address, prefer: None, ports: Some(limits::port_class(like)) }
}

/// An entry for datagrams without a flow; one that is used up by the first cannot be for each.
fn is_unidirectional(flags: Flags) -> bool {
    flags.contains(Flags::UNIDIR) && !flags.contains(Flags::ONCE)
}

/// UDP has no end but silence: that is how a session is served. Nobody there, and nobody ever answered: it was not.
fn outcome(cut: Option<Reason>, refused: Option<Reason>, [to_server, to_client]: [u64; 2]) -> Outcome {
    let (verdict, reason) = match (cut, refused) {
        (Some(cut), _) => (cut.verdict(), cut),
        (None, Some(refused)) => (refused.verdict(), refused),
        (None, None) => (proxy::Verdict::Accepted, Reason::IdleTimeout),
    };
    Outcome { verdict, reason, to_server, to_client }
}
