//! A proxy's tproxy request crosses both channels, and what a core says when it is asked.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use control::policy::InterfaceId;
use control::tproxy::Flags;
use crossbeam_channel::{Sender, bounded};
use proxy::{Host, TproxyError, TproxyReply, TproxyRequest};

use super::*;
use crate::limits::Capacity;
use crate::nic::memory::{self, MemoryNic};
use crate::nic::{Offloads, PortInfo};
use crate::packet::MacAddress;
use crate::session::SessionKey;
use crate::stream::CoreHost;
use crate::worker::Options;

const YAML: &str = "
interfaces:
  one: { port: net_null0, addresses: [192.0.2.1/24] }
zones:
  all: { networks: [0.0.0.0/0], inbound_services: ['*'], outbound_services: ['*'] }
services:
  plug: { proxy: plug }
listeners:
  - { port: 50000, service: plug }
rules: |
  *filter
  :INPUT ACCEPT
  :FORWARD DROP
  :OUTPUT ACCEPT
  COMMIT
";

struct Bench {
    worker: Worker<MemoryNic>,
    to_core: Sender<ToCore>,
    from_core: crossbeam_channel::Receiver<FromCore>,
    now: Instant,
}

impl Bench {
    fn new(letters: usize) -> Self {
        let policy = policy(1);
        let port = PortInfo {
            device: "memory".to_owned(),
            driver: "memory".to_owned(),
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            mtu: 1_500,
            offloads: Offloads::default(),
        };
        let (nic, _) = memory::nic(vec![port], 64);
        let (table, _) = control::tproxy::table(16, 1);
        let (to_core, mailbox) = bounded(8);
        let (to_control, from_core) = bounded(letters);
        let now = Instant::from_micros(1_000_000);
        let options = Options { core: 3, seed: 1, limits: Capacity { flows: 16, sessions: 8, half_open: 8 } };
        let worker = Worker::new(&options, now, nic, &[PortId(0)], policy, table, mailbox, to_control);
        Self { worker, to_core, from_core, now }
    }

    /// Starts a task that asks, and returns where its answer will be.
    fn ask(&self, request: TproxyRequest) -> Rc<RefCell<Option<Result<TproxyReply, TproxyError>>>> {
        let host = CoreHost::new(&self.worker.shared, SessionKey::default(), &self.worker.policy);
        let answer = Rc::new(RefCell::new(None));
        let told = Rc::clone(&answer);
        self.worker
            .shared
            .executor
            .spawn(async move { *told.borrow_mut() = Some(host.tproxy(request).await) })
            .detach();
        answer
    }

    fn turn(&mut self) {
        self.worker.turn(self.now);
    }
}

fn policy(generation: u64) -> Arc<Policy> {
    let config = control::config::parse("test.yaml", YAML).expect("the configuration of this test is good");
    Arc::new(Policy::compile(&config, generation).expect("and compiles"))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_proxy_s_request_reaches_the_control_thread_and_its_answer_the_proxy() {
    let mut bench = Bench::new(8);
    let local = address("192.0.2.1:4000");
    let flags = proxy::TproxyFlags::LISTEN.union(proxy::TproxyFlags::ONCE);
    let answer = bench.ask(TproxyRequest::Flags { protocol: 6, local, set: Some(flags) });
    bench.turn();
    let Ok(FromCore::Tproxy { core: 3, ticket, request }) = bench.from_core.try_recv() else {
        panic!("the request has not arrived");
    };
    assert_eq!(request, Asked::Flags { protocol: 6, local, set: Some(Flags::LISTEN | Flags::ONCE) });
    assert_eq!(*answer.borrow(), None);
    let result = Ok(Granted::Flags { flags: Flags::LISTEN | Flags::ONCE });
    bench.to_core.send(ToCore::TproxyReply { ticket, result }).expect("the core is there");
    bench.turn();
    assert_eq!(*answer.borrow(), Some(Ok(TproxyReply::Flags(flags))));
}

#[test]
fn a_refusal_keeps_its_errno() {
    let mut bench = Bench::new(8);
    let answer = bench.ask(TproxyRequest::Query { protocol: 6, local: address("192.0.2.1:4000") });
    bench.turn();
    let Ok(FromCore::Tproxy { ticket, .. }) = bench.from_core.try_recv() else { panic!("the request has not arrived") };
    bench.to_core.send(ToCore::TproxyReply { ticket, result: Err(Errno::ENOENT) }).expect("the core is there");
    bench.turn();
    assert_eq!(*answer.borrow(), Some(Err(TproxyError::Enoent)));
}

#[test]
fn a_full_channel_refuses_at_once_and_is_counted() {
    let mut bench = Bench::new(1);
    let query = TproxyRequest::Query { protocol: 6, local: address("192.0.2.1:4000") };
    let first = bench.ask(query);
    let second = bench.ask(query);
    bench.turn();
    assert_eq!(*first.borrow(), None);
    assert_eq!(*second.borrow(), Some(Err(TproxyError::Enobufs)));
    assert_eq!(bench.worker.counters.get(Counter::ControlBusy), 1);
}

#[test]
fn a_core_reports_itself_and_adopts_a_policy() {
    let mut bench = Bench::new(8);
    bench.to_core.send(ToCore::Policy(policy(7))).expect("the core is there");
    let (reply, report) = bounded(1);
    bench.to_core.send(ToCore::Report(reply)).expect("the core is there");
    bench.turn();
    let report = report.try_recv().expect("it reports in the turn it is asked");
    assert_eq!((report.core, report.generation, report.sessions), (3, 7, 0));
    assert_eq!(report.ports[0].interface, "one");
    assert_eq!(bench.worker.port_of(InterfaceId(0)), PortId(0));
}

#[test]
fn told_to_stop_it_stops() {
    let mut bench = Bench::new(8);
    bench.to_core.send(ToCore::Stop).expect("the core is there");
    bench.turn();
    assert!(bench.worker.is_stopped());
}
