//! A proxy within a proxy: the inner one has a host of its own, whose streams the outer one makes.
//!
//! TLS gives the decrypted stream to HTTP, HTTP the tunnel of a CONNECT to TLS: in any order and depth, so that the types of
//! hosts must not nest. [`Stacked`] is one host type for all inner proxies; its streams are boxed and carry [`Bytes`].
//! What the outer proxy does not answer itself (time, counters, related connections) goes on to its own host.
//!
//! ```text
//! client ⇄ H::Stream ⇄ outer proxy ⇄ BoxStream ⇄ inner proxy ⇄ BoxStream ⇄ outer proxy ⇄ H::Stream ⇄ server
//! ```

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::core::Core;
use crate::event::Event;
use crate::host::{
    ConnectError, Expected, Host, Level, Listener, Related, Secured, Target, TproxyError, TproxyReply, TproxyRequest,
};
use crate::module::{Module, serve};
use crate::outcome::Outcome;
use crate::record::Record;
use crate::relay::Limits;
use crate::release::{Handle, Release};
use crate::session::{Session, SessionId, SessionInfo};
use crate::stream::{Chunk, Ends, Stream, StreamError};

/// A stream of an inner proxy.
pub type BoxStream = Box<dyn Stream<Chunk = Bytes>>;

/// A future of this core.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How an inner proxy comes to its server.
pub trait Upstream: 'static {
    /// The server's stream as the inner proxy is to see it.
    fn connect(&self, session: SessionId, target: Target) -> LocalFuture<'_, Result<BoxStream, ConnectError>>;
}

/// The host of an inner proxy.
#[derive(Clone)]
pub struct Stacked {
    upstream: Rc<dyn Upstream>,
    below: Rc<dyn Below>,
    secured: Option<Secured>,
}

impl Stacked {
    /// A host whose servers come from `upstream`, and everything else from `host`.
    pub fn new<H: Host>(host: &H, upstream: impl Upstream) -> Stacked {
        Stacked { upstream: Rc::new(upstream), below: Rc::new(host.clone()), secured: host.secured() }
    }

    /// The same within TLS, or, with `None`, beside any that there is around it.
    #[must_use]
    pub fn within(self, secured: Option<Secured>) -> Stacked {
        Stacked { secured, ..self }
    }

    /// A host that has the servers of `host` as they are.
    pub fn over<H: Host>(host: &H) -> Stacked {
        Stacked::new(host, Direct(host.clone()))
    }
}

/// Serves an inner stream by the proxy of a service.
pub fn run(
    id: SessionId,
    info: SessionInfo,
    host: Stacked,
    client: BoxStream,
    module: Module,
) -> LocalFuture<'static, Outcome> {
    Box::pin(serve(Session { id, host, client, info }, module))
}

/// Any stream as an inner proxy sees it. What is read is copied out of the packet buffers.
pub fn boxed<S: Stream>(stream: S) -> BoxStream {
    Box::new(Plain(stream))
}

/// The servers of a host as they are.
struct Direct<H>(H);

impl<H: Host> Upstream for Direct<H> {
    fn connect(&self, session: SessionId, target: Target) -> LocalFuture<'_, Result<BoxStream, ConnectError>> {
        Box::pin(async move { self.0.connect(session, target).await.map(boxed) })
    }
}

struct Plain<S>(S);

impl<S: Stream> Stream for Plain<S> {
    type Chunk = Bytes;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.0.poll_read(cx).map_ok(|chunk| chunk.map(Chunk::into_bytes))
    }

    fn unread(&mut self, chunk: Bytes) {
        self.0.unread(chunk.into());
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.0.poll_writable(cx)
    }

    fn write(&mut self, chunk: Bytes) -> Result<(), StreamError> {
        self.0.write(chunk.into())
    }

    fn shutdown(&mut self) {
        self.0.shutdown();
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.0.poll_finished(cx)
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        self.0.poll_failed(cx)
    }

    fn unacknowledged(&self) -> usize {
        self.0.unacknowledged()
    }

    fn abort(&mut self) {
        self.0.abort();
    }

    fn ends(&self) -> Option<Ends> {
        self.0.ends()
    }

    fn handle(&self) -> Option<Handle> {
        self.0.handle()
    }
}

impl Stream for BoxStream {
    type Chunk = Bytes;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        (**self).poll_read(cx)
    }

    fn unread(&mut self, chunk: Bytes) {
        (**self).unread(chunk);
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        (**self).poll_writable(cx)
    }

    fn write(&mut self, chunk: Bytes) -> Result<(), StreamError> {
        (**self).write(chunk)
    }

    fn shutdown(&mut self) {
        (**self).shutdown();
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        (**self).poll_finished(cx)
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        (**self).poll_failed(cx)
    }

    fn unacknowledged(&self) -> usize {
        (**self).unacknowledged()
    }

    fn abort(&mut self) {
        (**self).abort();
    }

    fn ends(&self) -> Option<Ends> {
        (**self).ends()
    }

    fn handle(&self) -> Option<Handle> {
        (**self).handle()
    }
}

/// A listener of an inner proxy.
pub struct BoxListener(Box<dyn AnyListener>);

/// [`Listener`] without its type.
trait AnyListener: 'static {
    fn address(&self) -> SocketAddr;
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(BoxStream, SocketAddr), ConnectError>>;
}

impl<L: Listener> AnyListener for L {
    fn address(&self) -> SocketAddr {
        Listener::address(self)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(BoxStream, SocketAddr), ConnectError>> {
        Listener::poll_accept(self, cx).map_ok(|(stream, peer)| (boxed(stream), peer))
    }
}

impl Listener for BoxListener {
    type Stream = BoxStream;

    fn address(&self) -> SocketAddr {
        self.0.address()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(BoxStream, SocketAddr), ConnectError>> {
        self.0.poll_accept(cx)
    }
}

/// [`Host`] without its types.
trait Below: 'static {
    fn connect_related(&self, session: SessionId, related: Related)
    -> LocalFuture<'_, Result<BoxStream, ConnectError>>;
    fn listen(&self, session: SessionId, expected: Expected) -> LocalFuture<'_, Result<BoxListener, ConnectError>>;
    fn sleep(&self, duration: Duration) -> LocalFuture<'_, ()>;
    fn now(&self) -> Duration;
    fn wall_clock(&self) -> Duration;
    fn is_short_of_memory(&self) -> bool;
    fn module(&self, session: SessionId, service: &str) -> Option<Module>;
    fn core(&self) -> Rc<Core>;
    fn count(&self, event: Event);
    fn record(&self, session: SessionId, record: Record);
    fn tproxy(&self, request: TproxyRequest) -> LocalFuture<'_, Result<TproxyReply, TproxyError>>;
    fn release(&self, session: SessionId, client: Handle, server: Handle, limits: Limits) -> Option<Release>;
    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>);
}

impl<H: Host> Below for H {
    fn connect_related(
        &self,
        session: SessionId,
        related: Related,
    ) -> LocalFuture<'_, Result<BoxStream, ConnectError>> {
        Box::pin(async move { Host::connect_related(self, session, related).await.map(boxed) })
    }

    fn listen(&self, session: SessionId, expected: Expected) -> LocalFuture<'_, Result<BoxListener, ConnectError>> {
        Box::pin(async move {
            let listener = Host::listen(self, session, expected).await?;
            Ok(BoxListener(Box::new(listener)))
        })
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'_, ()> {
        Box::pin(Host::sleep(self, duration))
    }

    fn now(&self) -> Duration {
        Host::now(self)
    }

    fn wall_clock(&self) -> Duration {
        Host::wall_clock(self)
    }

    fn is_short_of_memory(&self) -> bool {
        Host::is_short_of_memory(self)
    }

    fn module(&self, session: SessionId, service: &str) -> Option<Module> {
        Host::module(self, session, service)
    }

    fn core(&self) -> Rc<Core> {
        Host::core(self)
    }

    fn count(&self, event: Event) {
        Host::count(self, event);
    }

    fn record(&self, session: SessionId, record: Record) {
        Host::record(self, session, record);
    }

    fn tproxy(&self, request: TproxyRequest) -> LocalFuture<'_, Result<TproxyReply, TproxyError>> {
        Box::pin(Host::tproxy(self, request))
    }

    fn release(&self, session: SessionId, client: Handle, server: Handle, limits: Limits) -> Option<Release> {
        Host::release(self, session, client, server, limits)
    }

    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>) {
        Host::log(self, session, level, text);
    }
}

impl Host for Stacked {
    type Stream = BoxStream;
    type Listener = BoxListener;

    async fn connect(&self, session: SessionId, target: Target) -> Result<BoxStream, ConnectError> {
        self.upstream.connect(session, target).await
    }

    async fn connect_related(&self, session: SessionId, related: Related) -> Result<BoxStream, ConnectError> {
        self.below.connect_related(session, related).await
    }

    async fn listen(&self, session: SessionId, expected: Expected) -> Result<BoxListener, ConnectError> {
        self.below.listen(session, expected).await
    }

    async fn sleep(&self, duration: Duration) {
        self.below.sleep(duration).await;
    }

    fn now(&self) -> Duration {
        self.below.now()
    }

    fn wall_clock(&self) -> Duration {
        self.below.wall_clock()
    }

    fn is_short_of_memory(&self) -> bool {
        self.below.is_short_of_memory()
    }

    fn module(&self, session: SessionId, service: &str) -> Option<Module> {
        self.below.module(session, service)
    }

    fn secured(&self) -> Option<Secured> {
        self.secured.clone()
    }

    fn core(&self) -> Rc<Core> {
        self.below.core()
    }

    fn count(&self, event: Event) {
        self.below.count(event);
    }

    fn record(&self, session: SessionId, record: Record) {
        self.below.record(session, record);
    }

    async fn tproxy(&self, request: TproxyRequest) -> Result<TproxyReply, TproxyError> {
        self.below.tproxy(request).await
    }

    fn release(&self, session: SessionId, client: Handle, server: Handle, limits: Limits) -> Option<Release> {
        self.below.release(session, client, server, limits)
    }

    fn log(&self, session: SessionId, level: Level, text: fmt::Arguments<'_>) {
        self.below.log(session, level, text);
    }
}
