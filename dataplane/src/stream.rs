//! Streams over the core's own connections, and what else a proxy asks for: [`proxy::Stream`] and [`proxy::Host`].
//!
//! A stream moves slices of received packets between its connection and the proxy; no byte is copied here. Everything
//! that needs routes, flows or the control thread is a [`Request`] the worker serves in the same turn, after the
//! tasks have run.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use control::policy::Policy;
use control::requests as asked;
use proxy::relay::Limits;
use proxy::release::{Handle, Release};
use proxy::{
    ConnectError, Expected, Level, Related, SessionId, StreamError, Target, TproxyError, TproxyFlags, TproxyReply,
    TproxyRequest,
};
use slotmap::{Key as _, KeyData};
use smallvec::SmallVec;
use tcp::Error;

use crate::limits;
use crate::session::{Request, SessionKey};
use crate::socket::{Alarm, AlarmKey, Shared, Socket, SocketKey, Timer};
use crate::task::Reply;
use crate::timers::TimerId;

/// A connection in the hands of a task. Dropped without [`proxy::Stream::shutdown`], it resets the connection.
pub struct SocketStream<P: tcp::Payload> {
    shared: Rc<Shared<P>>,
    key: SocketKey,
    shut: bool,
    /// Put back to be read again, the next one last.
    unread: SmallVec<[P; 1]>,
}

impl<P: tcp::Payload> SocketStream<P> {
    /// Takes the socket into a task's hands; the worker keeps it until the stream is dropped.
    pub fn own(shared: &Rc<Shared<P>>, key: SocketKey) -> Self {
        if let Some(socket) = shared.sockets.borrow_mut().get_mut(key) {
            socket.owned = true;
            socket.was_owned = true;
        }
        Self { shared: Rc::clone(shared), key, shut: false, unread: SmallVec::new() }
    }

    /// Does something to the socket and has the worker ask it, this turn, what it wants to say.
    fn change<T>(&self, change: impl FnOnce(&mut Socket<P>) -> T) -> Option<T> {
        let mut sockets = self.shared.sockets.borrow_mut();
        let result = change(sockets.get_mut(self.key)?);
        sockets.touch(self.key);
        Some(result)
    }

    /// Asks the socket; if the answer is `Pending`, the task is woken by the next thing that happens to it.
    fn poll<T>(
        &self,
        context: &Context<'_>,
        ask: impl FnOnce(&mut Socket<P>) -> Poll<Result<T, StreamError>>,
    ) -> Poll<Result<T, StreamError>> {
        let mut sockets = self.shared.sockets.borrow_mut();
        let Some(socket) = sockets.get_mut(self.key) else { return Poll::Ready(Err(StreamError::Cut)) };
        let answer = ask(socket);
        if answer.is_pending() {
            socket.waker = Some(context.waker().clone());
        }
        answer
    }
}

/// The failure of a connection as a proxy is told.
fn failure<P: tcp::Payload>(socket: &Socket<P>) -> Option<StreamError> {
    match socket.connection.error() {
        Some(Error::Reset | Error::Refused) => Some(StreamError::Reset),
        Some(Error::TimedOut) => Some(StreamError::TimedOut),
        Some(Error::Unreachable) => Some(StreamError::Unreachable),
        None => None,
    }
}

/// Bytes written that the peer has not acknowledged.
fn outstanding<P: tcp::Payload>(socket: &Socket<P>) -> usize {
    socket.connection.unsent() + socket.connection.unacked()
}

impl<P: tcp::Payload + proxy::Chunk> proxy::Stream for SocketStream<P> {
    type Chunk = P;

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<P>, StreamError>> {
        if let Some(chunk) = self.unread.pop() {
            return Poll::Ready(Ok(Some(chunk)));
        }
        let answer = self.poll(context, |socket| {
            if let Some(chunk) = socket.connection.read() {
                return Poll::Ready(Ok(Some(chunk)));
            }
            if let Some(error) = failure(socket) {
                return Poll::Ready(Err(error));
            }
            if socket.connection.peer_finished() { Poll::Ready(Ok(None)) } else { Poll::Pending }
        });
        if matches!(answer, Poll::Ready(Ok(Some(_)))) {
            // What was read makes room: the connection may have a window update to send.
            self.shared.sockets.borrow_mut().touch(self.key);
        }
        answer
    }

    fn unread(&mut self, chunk: P) {
        if !proxy::Chunk::is_empty(&chunk) {
            self.unread.push(chunk);
        }
    }

    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.poll(context, |socket| match (failure(socket), socket.connection.writable()) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, 0) => Poll::Pending,
            (None, room) => Poll::Ready(Ok(room)),
        })
    }

    fn write(&mut self, chunk: P) -> Result<(), StreamError> {
        self.change(|socket| match failure(socket) {
            Some(error) => Err(error),
            None => {
                socket.connection.write(chunk);
                Ok(())
            }
        })
        .unwrap_or(Err(StreamError::Cut))
    }

    fn shutdown(&mut self) {
        self.shut = true;
        let now = self.shared.now.get();
        self.change(|socket| socket.connection.shutdown(now));
    }

    fn poll_finished(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let shut = self.shut;
        self.poll(context, |socket| {
            if let Some(error) = failure(socket) {
                return Poll::Ready(Err(error));
            }
            let done = if shut { socket.connection.finished() } else { outstanding(socket) == 0 };
            if done { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
    }

    fn poll_failed(&mut self, context: &mut Context<'_>) -> Poll<StreamError> {
        let answer = self.poll(context, |socket| match failure(socket) {
            Some(error) => Poll::Ready(Ok(error)),
            None => Poll::Pending,
        });
        answer.map(|failed| failed.unwrap_or_else(|gone| gone))
    }

    fn unacknowledged(&self) -> usize {
        self.shared.sockets.borrow().get(self.key).map_or(0, outstanding)
    }

    fn abort(&mut self) {
        self.shut = true;
        self.change(|socket| socket.connection.abort());
    }

    fn ends(&self) -> Option<proxy::Ends> {
        let sockets = self.shared.sockets.borrow();
        sockets.get(self.key).map(|socket| proxy::Ends { local: socket.path.local, peer: socket.path.remote })
    }

    fn handle(&self) -> Option<Handle> {
        self.unread.is_empty().then(|| Handle(self.key.data().as_ffi()))
    }
}

impl<P: tcp::Payload> Drop for SocketStream<P> {
    fn drop(&mut self) {
        let shut = self.shut;
        self.change(|socket| {
            socket.owned = false;
            socket.waker = None;
            if !shut && !socket.passed_by {
                socket.connection.abort();
            }
        });
    }
}

/// What a proxy's session asks of its core.
pub struct CoreHost<P: tcp::Payload> {
    shared: Rc<Shared<P>>,
    session: SessionKey,
    policy: Arc<Policy>,
}

impl<P: tcp::Payload> CoreHost<P> {
    /// The host of one session.
    pub fn new(shared: &Rc<Shared<P>>, session: SessionKey, policy: &Arc<Policy>) -> Self {
        Self { shared: Rc::clone(shared), session, policy: Arc::clone(policy) }
    }

    fn ask(&self, request: Request) {
        self.shared.requests.borrow_mut().push(request);
    }
}

impl<P: tcp::Payload> Clone for CoreHost<P> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared), session: self.session, policy: Arc::clone(&self.policy) }
    }
}

impl<P: tcp::Payload + proxy::Chunk> proxy::Host for CoreHost<P> {
    type Stream = SocketStream<P>;
    type Listener = RelatedListener<P>;

    async fn connect(&self, _: SessionId, target: Target) -> Result<SocketStream<P>, ConnectError> {
        let reply = Reply::new();
        self.ask(Request::Connect { session: self.session, target, reply: reply.clone() });
        reply.await.map(|key| SocketStream::own(&self.shared, key))
    }

    async fn connect_related(&self, _: SessionId, related: Related) -> Result<SocketStream<P>, ConnectError> {
        let reply = Reply::new();
        self.ask(Request::ConnectRelated { session: self.session, related, reply: reply.clone() });
        reply.await.map(|key| SocketStream::own(&self.shared, key))
    }

    async fn listen(&self, _: SessionId, expected: Expected) -> Result<RelatedListener<P>, ConnectError> {
        let (reply, arrived) = (Reply::new(), Reply::new());
        self.ask(Request::Listen { session: self.session, expected, reply: reply.clone(), arrived: arrived.clone() });
        reply.await.map(|address| RelatedListener {
            shared: Rc::clone(&self.shared),
            session: self.session,
            address,
            arrived,
        })
    }

    async fn sleep(&self, duration: Duration) {
        Sleep::new(Rc::clone(&self.shared), duration).await;
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.shared.now.get().as_micros())
    }

    fn wall_clock(&self) -> Duration {
        let unix = u64::try_from(self.shared.unix_at_zero.get()).unwrap_or(0);
        Duration::from_secs(unix) + self.now()
    }

    fn is_short_of_memory(&self) -> bool {
        self.shared.free_share.get() < limits::FREE_SHARE_FOR_ALL
    }

    fn module(&self, _: SessionId, service: &str) -> Option<proxy::Module> {
        crate::modules::named(&self.policy, service)
    }

    fn core(&self) -> Rc<proxy::Core> {
        Rc::clone(&self.shared.core)
    }

    fn count(&self, event: proxy::Event) {
        self.shared.events.borrow_mut().push(event);
    }

    fn record(&self, _: SessionId, record: proxy::Record) {
        if self.shared.requests.borrow().len() < limits::REQUESTS_WITH_NOTICES {
            self.ask(Request::Record { session: self.session, record });
        }
    }

    fn release(&self, _: SessionId, client: Handle, server: Handle, limits: Limits) -> Option<Release> {
        let (release, key) = (Release::wanted(), |handle: Handle| SocketKey::from(KeyData::from_ffi(handle.0)));
        let legs = [key(client), key(server)];
        self.ask(Request::Release { session: self.session, legs, limits, release: release.clone() });
        Some(release)
    }

    async fn tproxy(&self, request: TproxyRequest) -> Result<TproxyReply, TproxyError> {
        let reply = Reply::new();
        self.ask(Request::Tproxy { request: to_control(request), reply: reply.clone() });
        from_control(reply.await)
    }

    fn log(&self, _: SessionId, level: Level, text: fmt::Arguments<'_>) {
        if level <= Level::Info && self.shared.requests.borrow().len() < limits::REQUESTS_WITH_NOTICES {
            self.ask(Request::Notice { session: self.session, text: text.to_string() });
        }
    }
}

/// Where a related connection is waited for; dropped, nobody waits there any more.
pub struct RelatedListener<P: tcp::Payload> {
    shared: Rc<Shared<P>>,
    session: SessionKey,
    address: SocketAddr,
    arrived: Reply<Result<(SocketKey, SocketAddr), ConnectError>>,
}

impl<P: tcp::Payload + proxy::Chunk> proxy::Listener for RelatedListener<P> {
    type Stream = SocketStream<P>;

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<Result<(SocketStream<P>, SocketAddr), ConnectError>> {
        Pin::new(&mut self.arrived).poll(context).map_ok(|(key, peer)| (SocketStream::own(&self.shared, key), peer))
    }
}

impl<P: tcp::Payload> Drop for RelatedListener<P> {
    fn drop(&mut self) {
        let request = Request::Unlisten { session: self.session, address: self.address };
        self.shared.requests.borrow_mut().push(request);
    }
}

/// A sleeping task; dropped early, its alarm is forgotten.
struct Sleep<P: tcp::Payload> {
    shared: Rc<Shared<P>>,
    key: AlarmKey,
    timer: TimerId,
}

impl<P: tcp::Payload> Sleep<P> {
    fn new(shared: Rc<Shared<P>>, duration: Duration) -> Self {
        let key = shared.alarms.borrow_mut().insert(Alarm::default());
        let timer = shared.wheel.borrow_mut().set(shared.now.get() + duration, Timer::Alarm(key));
        Self { shared, key, timer }
    }
}

impl<P: tcp::Payload> Future for Sleep<P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.shared.alarms.borrow_mut().get_mut(self.key) {
            Some(alarm) if !alarm.rung => {
                alarm.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl<P: tcp::Payload> Drop for Sleep<P> {
    fn drop(&mut self) {
        self.shared.alarms.borrow_mut().remove(self.key);
        self.shared.wheel.borrow_mut().cancel(self.timer);
    }
}

/// A proxy's request in the control thread's words.
fn to_control(request: TproxyRequest) -> asked::Request {
    fn flags(flags: TproxyFlags) -> control::tproxy::Flags {
        control::tproxy::Flags::from_bits_retain(flags.0)
    }
    match request {
        TproxyRequest::Version => asked::Request::Version { version: None },
        TproxyRequest::Assign { protocol, local, foreign } => {
            asked::Request::Assign { protocol, local, foreign, reuse: false, expires_ms: None }
        }
        TproxyRequest::Unassign { protocol, local } => asked::Request::Unassign { protocol, local },
        TproxyRequest::Query { protocol, local } => asked::Request::Query { protocol, local },
        TproxyRequest::Flags { protocol, local, set } => asked::Request::Flags { protocol, local, set: set.map(flags) },
        TproxyRequest::Alloc { protocol, local } => asked::Request::Alloc { protocol, local },
        TproxyRequest::Connect { protocol, local, remote } => asked::Request::Connect { protocol, local, remote },
    }
}

/// The control thread's answer in a proxy's words.
fn from_control(answer: Result<asked::Reply, asked::Errno>) -> Result<TproxyReply, TproxyError> {
    match answer {
        Ok(asked::Reply::Done {}) => Ok(TproxyReply::Done),
        Ok(asked::Reply::Version { version }) => Ok(TproxyReply::Version(version.into())),
        Ok(asked::Reply::Foreign { foreign }) => Ok(TproxyReply::Foreign(foreign)),
        Ok(asked::Reply::Flags { flags }) => Ok(TproxyReply::Flags(TproxyFlags(flags.bits()))),
        Err(errno) => Err(match errno {
            asked::Errno::EPERM => TproxyError::Eperm,
            asked::Errno::EINVAL => TproxyError::Einval,
            asked::Errno::EEXIST => TproxyError::Eexist,
            asked::Errno::EADDRINUSE => TproxyError::Eaddrinuse,
            asked::Errno::ENOBUFS => TproxyError::Enobufs,
            asked::Errno::ENOENT => TproxyError::Enoent,
            asked::Errno::EFAULT => TproxyError::Efault,
            asked::Errno::ENOPROTOOPT => TproxyError::Enoprotoopt,
        }),
    }
}
