//! The host of a test: answers to `connect` and `tproxy` are laid out beforehand, what was asked can be looked at.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::clock::Clock;
use super::duplex::{MemoryStream, duplex};
use crate::core::Core;
use crate::event::Event;
use crate::host::{
    ConnectError, Expected, Host, Level, Listener, Related, Target, TproxyError, TproxyReply, TproxyRequest,
};
use crate::module::Module;
use crate::record::Record;
use crate::session::SessionId;

/// Wall-clock time at the start of a world: 2026-01-01 00:00:00 UTC.
const WALL_AT_START: Duration = Duration::from_secs(1_767_225_600);

/// Bytes that each direction of a related connection takes unread.
const RELATED_WINDOW: usize = 64 << 10;

/// What happens to one call of `connect`.
pub enum ConnectAnswer {
    /// It takes so long and then comes to this.
    After(Duration, Result<MemoryStream, ConnectError>),
    /// It is never answered.
    Never,
}

/// A handle to the host of a [`super::World`].
#[derive(Clone)]
pub struct MemoryHost {
    clock: Clock,
    script: Rc<RefCell<Script>>,
    core: Rc<Core>,
    short_of_memory: Rc<Cell<bool>>,
}

/// Where a proxy waits for a related connection.
pub struct MemoryListener {
    address: SocketAddr,
    place: Rc<RefCell<Place>>,
}

struct Place {
    expected: Expected,
    address: SocketAddr,
    arrived: Option<(MemoryStream, SocketAddr)>,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Script {
    related: VecDeque<ConnectAnswer>,
    related_to: Vec<Related>,
    listening: Vec<Rc<RefCell<Place>>>,
    modules: HashMap<String, Module>,
    counted: HashMap<&'static str, u64>,
    records: Vec<Record>,
    connects: VecDeque<ConnectAnswer>,
    connected: Vec<(SessionId, Target)>,
    tproxy: VecDeque<Result<TproxyReply, TproxyError>>,
    requested: Vec<TproxyRequest>,
    lines: Vec<(SessionId, Level, String)>,
}

impl MemoryHost {
    pub(super) fn new(clock: Clock) -> Self {
        MemoryHost { clock, script: Rc::default(), core: Rc::default(), short_of_memory: Rc::default() }
    }

    /// Lays out the answer to the next unanswered `connect`.
    pub fn answer_connect(&self, answer: ConnectAnswer) {
        self.script.borrow_mut().connects.push_back(answer);
    }

    /// Lays out the answer to the next unanswered `connect_related`.
    pub fn answer_related(&self, answer: ConnectAnswer) {
        self.script.borrow_mut().related.push_back(answer);
    }

    /// Makes a service known, for proxies that hand on to it.
    pub fn add_module(&self, module: Module) {
        self.script.borrow_mut().modules.insert(module.service.to_string(), module);
    }

    /// Says whether memory is short from now on.
    pub fn set_short_of_memory(&self, short: bool) {
        self.short_of_memory.set(short);
    }

    /// Whom proxies connected to beside the server so far.
    #[must_use]
    pub fn related_to(&self) -> Vec<Related> {
        self.script.borrow().related_to.clone()
    }

    /// What proxies wait for now, and where.
    #[must_use]
    pub fn expected(&self) -> Vec<(SocketAddr, Expected)> {
        let listening = &self.script.borrow().listening;
        let open = listening.iter().filter(|place| !place.borrow().closed);
        open.map(|place| (place.borrow().address, place.borrow().expected.clone())).collect()
    }

    /// Connects to where a proxy listens; refused where nobody does, or not for this peer.
    ///
    /// # Errors
    /// [`ConnectError::Refused`].
    pub fn connect_to(&self, address: SocketAddr, from: SocketAddr) -> Result<MemoryStream, ConnectError> {
        let listening = self.script.borrow().listening.clone();
        let mut places = listening.iter().map(|place| place.borrow_mut());
        let place = places.find(|place| {
            let wanted = &place.expected;
            !place.closed
                && place.arrived.is_none()
                && place.address == address
                && wanted.peer == from.ip()
                && wanted.peer_port.is_none_or(|port| port == from.port())
        });
        let mut place = place.ok_or(ConnectError::Refused)?;
        let (ours, theirs) = duplex(RELATED_WINDOW);
        place.arrived = Some((ours, from));
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
        Ok(theirs)
    }

    /// How often that was counted so far.
    #[must_use]
    pub fn counted(&self, event: impl Into<Event>) -> u64 {
        self.script.borrow().counted.get(event.into().name()).copied().unwrap_or(0)
    }

    /// What proxies have put on record so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.script.borrow().records.clone()
    }

    /// Lays out the answer to the next unanswered `tproxy`.
    pub fn answer_tproxy(&self, answer: Result<TproxyReply, TproxyError>) {
        self.script.borrow_mut().tproxy.push_back(answer);
    }

    /// Whom proxies wanted to connect to so far.
    #[must_use]
    pub fn connected(&self) -> Vec<(SessionId, Target)> {
        self.script.borrow().connected.clone()
    }

    /// What proxies asked of the tproxy table so far.
    #[must_use]
    pub fn requested(&self) -> Vec<TproxyRequest> {
        self.script.borrow().requested.clone()
    }

    /// What proxies logged so far.
    #[must_use]
    pub fn lines(&self) -> Vec<(SessionId, Level, String)> {
        self.script.borrow().lines.clone()
    }
}

impl Host for MemoryHost {
    type Stream = MemoryStream;
    type Listener = MemoryListener;

    /// Without an answer laid out, the server is unreachable: a test that forgot one sees it at once.
    async fn connect(&self, session: SessionId, target: Target) -> Result<MemoryStream, ConnectError> {
        let answer = {
            let mut script = self.script.borrow_mut();
            script.connected.push((session, target));
            script.connects.pop_front()
        };
        match answer {
            Some(ConnectAnswer::After(delay, result)) => {
                self.clock.sleep(delay).await;
                result
            }
            Some(ConnectAnswer::Never) => pending().await,
            None => Err(ConnectError::Unreachable),
        }
    }

    /// Without an answer laid out, the peer is unreachable.
    async fn connect_related(&self, _: SessionId, related: Related) -> Result<MemoryStream, ConnectError> {
        let answer = {
            let mut script = self.script.borrow_mut();
            script.related_to.push(related);
            script.related.pop_front()
        };
        match answer {
            Some(ConnectAnswer::After(delay, result)) => {
                self.clock.sleep(delay).await;
                result
            }
            Some(ConnectAnswer::Never) => pending().await,
            None => Err(ConnectError::Unreachable),
        }
    }

    /// The first free port of the range, so that every run is the same.
    async fn listen(&self, _: SessionId, expected: Expected) -> Result<MemoryListener, ConnectError> {
        let mut script = self.script.borrow_mut();
        script.listening.retain(|place| !place.borrow().closed);
        let taken = |port| {
            let at = SocketAddr::new(expected.local, port);
            script.listening.iter().any(|place| place.borrow().address == at)
        };
        let port = expected.ports.clone().find(|port| !taken(*port)).ok_or(ConnectError::NoPort)?;
        let address = SocketAddr::new(expected.local, port);
        let place = Place { expected, address, arrived: None, closed: false, waker: None };
        let place = Rc::new(RefCell::new(place));
        script.listening.push(Rc::clone(&place));
        Ok(MemoryListener { address, place })
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn wall_clock(&self) -> Duration {
        WALL_AT_START + self.clock.now()
    }

    fn is_short_of_memory(&self) -> bool {
        self.short_of_memory.get()
    }

    fn module(&self, _: SessionId, service: &str) -> Option<Module> {
        self.script.borrow().modules.get(service).cloned()
    }

    fn core(&self) -> Rc<Core> {
        Rc::clone(&self.core)
    }

    fn count(&self, event: Event) {
        *self.script.borrow_mut().counted.entry(event.name()).or_insert(0) += 1;
    }

    fn record(&self, _: SessionId, record: Record) {
        self.script.borrow_mut().records.push(record);
    }

    /// Without an answer laid out, the control thread does not answer.
    async fn tproxy(&self, request: TproxyRequest) -> Result<TproxyReply, TproxyError> {
        let mut script = self.script.borrow_mut();
        script.requested.push(request);
        script.tproxy.pop_front().unwrap_or(Err(TproxyError::Eagain))
    }

    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>) {
        self.script.borrow_mut().lines.push((session, level, text.to_string()));
    }
}

impl Listener for MemoryListener {
    type Stream = MemoryStream;

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(MemoryStream, SocketAddr), ConnectError>> {
        let mut place = self.place.borrow_mut();
        match place.arrived.take() {
            Some(arrived) => {
                place.closed = true;
                Poll::Ready(Ok(arrived))
            }
            None => {
                place.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.place.borrow_mut().closed = true;
    }
}
