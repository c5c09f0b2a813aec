//! A client's connection: streams come and go, until one of the two has enough.
//!
//! One step polls the client's connection, the servers', and the streams, in turn, as long as any of them has moved; so
//! that what a stream has written leaves with the same step. Everything that ends a connection is decided in
//! [`Serving::due`].

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason as Code;
use h2::server::{Builder, Connection};

use super::context::Context;
use super::flood::{Meter, Tally};
use super::set::Set;
use super::wire::Wire;
use super::{exchange, servers};
use crate::host::{Host, Level};
use crate::http::drive::{Step, drive};
use crate::http::event::Event;
use crate::http::limits::{self, LINGER_BYTES_MAX, LINGER_MAX};
use crate::http::serving::Serving as Session;
use crate::http::settings::Two;
use crate::http::url::Scheme;
use crate::outcome::{Outcome, Reason, Side};
use crate::stream::{Chunk, Stream};

/// See the module.
pub(super) struct Serving<H: Host> {
    context: Rc<Context<H>>,
    wire: Wire<H::Stream>,
    connection: Connection<Wire<H::Stream>, Bytes>,
    streams: Set,
    servers: Set,
    /// Streams that were accepted.
    accepted: u64,
    began: Duration,
    /// Since when no stream has been there.
    idle: Option<Duration>,
    phase: Phase,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Open,
    /// GOAWAY was said in good order: the streams that are there go on.
    Leaving(Reason, Duration),
    /// GOAWAY was said, and all streams are given up.
    Ending(Reason, Duration),
}

/// What is to be done at a time.
enum Due {
    /// The session is over.
    Over(Reason),
    /// GOAWAY was said, and has to be sent.
    Said,
    /// Nothing until then.
    Until(Duration),
}

/// What is common to a session that is about to be served.
pub(super) fn context<H: Host>(session: Session<H>, two: Two) -> (Rc<Context<H>>, H::Stream, Builder) {
    let Session { id, host, info, settings, client, script, end, .. } = session;
    let https = host.secured().is_some() || info.original_destination.port() == 443;
    let scheme = settings.scheme.unwrap_or(if https { Scheme::Https } else { Scheme::Http });
    let context = Context {
        id,
        host,
        info,
        settings,
        script,
        scheme,
        servers: servers::Servers::default(),
        resolved: RefCell::default(),
        requests: Cell::new(0),
        to_server: Cell::new(0),
        end,
    };
    (Rc::new(context), client, server(two))
}

/// Serves a client's connection to its end.
pub(super) async fn serve<H: Host>(context: Rc<Context<H>>, client: H::Stream, server: Builder) -> Outcome {
    let began = context.host.now();
    let wire = Wire::new(client, Meter::of_client(began));
    context.count(Event::TwoSession);
    let made = {
        wire.tick(began);
        let mut shaking = pin!(server.handshake::<_, Bytes>(wire.clone()));
        let until = began.saturating_add(context.settings.times.request).min(context.end);
        drive(&context.host, |cx, now| match shaking.as_mut().poll(cx) {
            Poll::Ready(made) => Step::Done(Some(made)),
            Poll::Pending if now >= until => Step::Done(None),
            Poll::Pending => Step::Until(until),
        })
        .await
    };
    let reason = match made {
        Some(Ok(connection)) => {
            let mut serving = Serving {
                wire: wire.clone(),
                connection,
                streams: Set::default(),
                servers: Set::default(),
                accepted: 0,
                began,
                idle: Some(began),
                phase: Phase::Open,
                context: Rc::clone(&context),
            };
            let host = context.host.clone();
            let reason = drive(&host, |cx, now| serving.step(cx, now)).await;
            return serving.close(reason).await;
        }
        Some(Err(error)) => match wire.failure() {
            Some(failure) => Reason::failed(Side::Client, failure),
            None => {
                context.count(if error.is_io() { Event::ClientTruncated } else { Event::TwoProtocol });
                Reason::ClientViolation
            }
        },
        None => {
            context.count(Event::RequestTimeout);
            Reason::ClientTooSlow
        }
    };
    linger(&context, &wire, &mut Set::default()).await;
    outcome(&context, &wire, reason)
}

/// What we are to clients.
fn server(two: Two) -> Builder {
    let mut server = Builder::new();
    server
        .max_concurrent_streams(two.streams)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_header_list_size(limits::HEADER_LIST_MAX)
        .max_send_buffer_size(limits::STREAM_SEND_MAX)
        .max_concurrent_reset_streams(limits::RESET_STREAMS_MAX)
        .reset_stream_duration(limits::RESET_STREAMS_TIME)
        // Resets are counted here, by their rate; the library's bounds are for a connection's whole life.
        .max_pending_accept_reset_streams(two.streams.max(limits::RESETS.burst) as usize)
        .max_local_error_reset_streams(None);
    server
}

impl<H: Host> Serving<H> {
    fn step(&mut self, cx: &mut Task<'_>, now: Duration) -> Step<Reason> {
        loop {
            if let Some(reason) = self.turn(cx, now) {
                return Step::Done(reason);
            }
            match self.due(now) {
                Due::Over(reason) => return Step::Done(reason),
                Due::Said => {}
                Due::Until(until) => return Step::Until(until),
            }
        }
    }

    /// Moves everything that can be moved; a reason when the connection is over.
    fn turn(&mut self, cx: &mut Task<'_>, now: Duration) -> Option<Reason> {
        for _ in 0..limits::ROUNDS_MAX {
            self.wire.tick(now);
            if let Poll::Ready(reason) = self.accept(cx) {
                return Some(reason);
            }
            self.tally();
            for server in self.context.servers.take_wanted(cx) {
                self.servers.push(cx, servers::serve(Rc::clone(&self.context), server));
            }
            let moved = self.servers.poll(cx) | self.wire.is_stalled();
            if !(self.streams.poll(cx) | moved) {
                return None;
            }
        }
        cx.waker().wake_by_ref();
        None
    }

    /// Polls the client's connection, and takes the streams that it opens.
    fn accept(&mut self, cx: &mut Task<'_>) -> Poll<Reason> {
        let room = self.context.settings.http2.map_or(0, |two| 2 * two.streams as usize);
        while self.streams.len() < room {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.accepted += 1;
                    if !matches!(self.phase, Phase::Ending(..)) {
                        self.streams.push(cx, exchange::run(Rc::clone(&self.context), request, respond));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.broken(&error)),
                Poll::Ready(None) => return Poll::Ready(self.reason()),
                Poll::Pending => return Poll::Pending,
            }
        }
        // Exchanges whose streams are over are taken away before more are begun; until then frames are only answered.
        match self.connection.poll_closed(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(self.reason()),
            Poll::Ready(Err(error)) => Poll::Ready(self.broken(&error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn tally(&self) {
        let Tally { resets, broken, refused } = self.wire.take_tally();
        for (event, times) in
            [(Event::TwoReset, resets), (Event::TwoMalformed, broken), (Event::TwoStreamsMax, refused)]
        {
            self.context.count_times(event, times);
        }
    }

    /// Everything that ends a connection, in order of its weight.
    fn due(&mut self, now: Duration) -> Due {
        let (context, times) = (Rc::clone(&self.context), self.context.settings.times);
        let busy = !self.streams.is_empty();
        self.idle = if busy { None } else { self.idle.or(Some(now)) };
        if let Phase::Ending(reason, until) = self.phase {
            return if now >= until { Due::Over(reason) } else { Due::Until(until) };
        }
        if let Some(flood) = self.wire.flood() {
            context.count(flood);
            context.host.log(context.id, Level::Warning, format_args!("HTTP/2: {}", flood.sentence()));
            return self.end(Reason::ClientViolation, Code::ENHANCE_YOUR_CALM, now);
        }
        if now >= context.end {
            return self.end(Reason::TotalTimeout, Code::NO_ERROR, now);
        }
        let head = self.wire.head_since().map_or(Duration::MAX, |since| since.saturating_add(times.request));
        if now >= head {
            context.count(Event::RequestTimeout);
            return self.end(Reason::ClientTooSlow, Code::ENHANCE_YOUR_CALM, now);
        }
        let wakes = head.min(context.end);
        if let Phase::Leaving(reason, until) = self.phase {
            let until = if busy { now.saturating_add(LINGER_MAX) } else { until };
            self.phase = Phase::Leaving(reason, until);
            return if now >= until { Due::Over(reason) } else { Due::Until(until.min(wakes)) };
        }
        if context.settings.requests_max.is_some_and(|max| self.accepted >= max) {
            context.count(Event::RequestsMax);
            return self.leave(now);
        }
        let Some(idle) = self.idle else { return Due::Until(wakes) };
        let until = match self.accepted {
            0 => self.began.saturating_add(times.request),
            _ => idle.saturating_add(times.keep_alive.min(context.info.idle)),
        };
        match self.accepted {
            _ if now < until => Due::Until(until.min(wakes)),
            0 => {
                context.count(Event::RequestTimeout);
                self.end(Reason::ClientTooSlow, Code::NO_ERROR, now)
            }
            _ => {
                context.count(Event::KeepAliveTimeout);
                self.leave(now)
            }
        }
    }

    /// GOAWAY in good order (RFC 9113, 6.8): what the client has sent meanwhile is still served.
    fn leave(&mut self, now: Duration) -> Due {
        self.connection.graceful_shutdown();
        self.phase = Phase::Leaving(Reason::Finished, now.saturating_add(LINGER_MAX));
        Due::Said
    }

    /// GOAWAY with a code, and nothing more.
    fn end(&mut self, reason: Reason, code: Code, now: Duration) -> Due {
        self.streams.clear();
        self.connection.abrupt_shutdown(code);
        self.phase = Phase::Ending(reason, now.saturating_add(LINGER_MAX));
        Due::Said
    }

    /// Why the connection is over when nothing went wrong.
    fn reason(&self) -> Reason {
        match self.phase {
            Phase::Open => Reason::Finished,
            Phase::Leaving(reason, _) | Phase::Ending(reason, _) => reason,
        }
    }

    /// Why it is over when something did.
    fn broken(&self, error: &h2::Error) -> Reason {
        let context = &self.context;
        if let Phase::Ending(reason, _) = self.phase {
            return reason;
        }
        if let Some(failure) = self.wire.failure() {
            return Reason::failed(Side::Client, failure);
        }
        context.host.log(context.id, Level::Info, format_args!("HTTP/2 with the client: {error}"));
        let event = match error.reason() {
            Some(Code::ENHANCE_YOUR_CALM) if error.is_library() => Event::TwoCalm,
            _ if error.is_library() => Event::TwoProtocol,
            _ if error.is_io() => Event::ClientTruncated,
            // Its own GOAWAY with a code: it has said why.
            _ => return Reason::Finished,
        };
        context.count(event);
        Reason::ClientViolation
    }

    async fn close(self, reason: Reason) -> Outcome {
        let Serving { context, wire, connection, mut streams, mut servers, .. } = self;
        streams.clear();
        context.servers.close();
        drop(connection);
        linger(&context, &wire, &mut servers).await;
        outcome(&context, &wire, reason)
    }
}

/// What was written is delivered: our FIN, then what the client still says is read and forgotten, so that it reads our last
/// words before it hears of a reset. Servers' connections say their own last words meanwhile.
async fn linger<H: Host>(context: &Context<H>, wire: &Wire<H::Stream>, servers: &mut Set) {
    if wire.failure().is_some() {
        return wire.with(Stream::abort);
    }
    wire.with(Stream::shutdown);
    let until = context.host.now().saturating_add(LINGER_MAX);
    let (mut left, mut heard_all, mut over) = (LINGER_BYTES_MAX, false, false);
    drive(&context.host, |cx, now| {
        servers.poll(cx);
        while !heard_all && !over {
            match wire.with(|client| client.poll_read(cx)) {
                Poll::Ready(Ok(Some(chunk))) => match left.checked_sub(chunk.len() as u64) {
                    Some(less) => left = less,
                    None => over = true,
                },
                Poll::Ready(Ok(None)) => heard_all = true,
                Poll::Ready(Err(_)) => over = true,
                Poll::Pending => break,
            }
        }
        over |= heard_all && wire.with(|client| client.poll_finished(cx)).is_ready();
        if now >= until || (over && servers.is_empty()) { Step::Done(()) } else { Step::Until(until) }
    })
    .await;
}

fn outcome<H: Host>(context: &Context<H>, wire: &Wire<H::Stream>, reason: Reason) -> Outcome {
    Outcome { verdict: reason.verdict(), reason, to_server: context.to_server.get(), to_client: wire.written() }
}
