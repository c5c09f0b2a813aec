//! One message and its verdict: the scanner's connection, what is held of the body, the question and the answer's head.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::feed::{Feed, Held, Saying};
use super::{Passage, Sender, Through, is_senders, unjudged};
use crate::host::{Host, Level};
use crate::http::body::Trailers;
use crate::http::drive::{Step, drive};
use crate::http::event::Event as HttpEvent;
use crate::http::head::Body;
use crate::http::refuse::Stop;
use crate::http::serving::client_failed;
use crate::http::settings::Times;
use crate::http::source::Source;
use crate::icap::request::{Message, modify};
use crate::icap::{Collector, Connection, Event, Head, Options, Otherwise, Settings, Treatment};
use crate::outcome::Reason;
use crate::session::SessionId;
use crate::stream::{Chunk, Stream};

/// One message that is asked about.
pub(super) struct Question<'a, H: Host> {
    pub host: &'a H,
    pub id: SessionId,
    pub settings: Arc<Settings>,
    pub message: Message,
    pub body: Body,
    /// Of the URL, for its extension.
    pub path: &'a str,
    pub times: Times,
    pub trailers: Trailers,
    /// Bytes that the body may have.
    pub max: Option<u64>,
    /// When the session is over.
    pub end: Duration,
    pub sender: Sender,
}

/// Where the body comes from, and what goes on meanwhile.
pub(super) struct Sides<'a, S> {
    pub client: &'a mut S,
    /// The server, where it is the response that is asked about; and the rest of the request.
    pub server: Option<(&'a mut S, &'a mut Passage<S>)>,
    /// The server takes no more of the request.
    pub deaf: bool,
}

/// What the scanner says.
pub(super) enum Answer<S> {
    /// Nothing against it; and the connection, if it may be asked again.
    Clean(Held, Option<Connection<S>>, Option<Head>),
    /// It gives a message back: its head, and the body behind it.
    Message(Head, Vec<u8>, Through<S>),
    /// It does not want to see it.
    Ignored,
}

/// Why there is no answer.
enum Fault {
    /// The scanner is at fault: what it has seen, if all of that is held.
    Scanner(Event, Option<Held>),
    /// It closed an idle connection when it was asked.
    Again(Held),
    /// Somebody else is.
    Stop(Stop),
}

impl<S: Stream> Sides<'_, S> {
    fn source(&mut self) -> &mut S {
        match &mut self.server {
            Some((server, _)) => server,
            None => self.client,
        }
    }

    /// What goes on beside; a client that is gone ends it.
    fn poll(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<(), Stop> {
        if let Some((server, upload)) = &mut self.server
            && !self.deaf
            && !upload.is_done()
        {
            // As in `bodies`: who has said enough of an answer may have heard enough of a request.
            self.deaf = matches!(upload.poll(cx, now, self.client, server), Poll::Ready(Err(_)));
        }
        match self.client.poll_failed(cx) {
            Poll::Ready(error) => Err(Stop::abort(HttpEvent::ClientTruncated, client_failed(error))),
            Poll::Pending => Ok(()),
        }
    }
}

impl<H: Host> Question<'_, H> {
    /// The scanner's answer, over the connection that is kept or a new one.
    pub(super) async fn ask(
        &self,
        mut sides: Sides<'_, H::Stream>,
        idle: Option<Connection<H::Stream>>,
    ) -> Result<Answer<H::Stream>, Stop> {
        let path = self.message.service.path(&self.settings).unwrap_or_default();
        let mut held = Held { bytes: Bytes::new(), source: Source::new(self.body) };
        let (mut connection, options) = match self.connected(path, idle).await {
            Ok(connected) => connected,
            Err(event) => return self.failed(event, Some(held)),
        };
        let treatment = options.treatment(self.path);
        if treatment == Treatment::Ignore {
            self.host.count(Event::SkippedTransfer.into());
            return Ok(Answer::Ignored);
        }
        let preview = options.preview.filter(|_| self.message.has_body && treatment == Treatment::Preview);
        let preview = preview.map(|preview| preview.min(self.settings.preview));
        held = self.collect(&mut sides, held, preview.unwrap_or(0)).await?;
        self.host.count(Event::Asked.into());
        loop {
            if connection.reused {
                self.host.count(Event::Reused.into());
            }
            match self.exchange(&mut sides, connection, held, preview, &options).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Stop(stop)) => return Err(stop),
                Err(Fault::Scanner(event, held)) => return self.failed(event, held),
                Err(Fault::Again(again)) => {
                    self.host.count(Event::Retried.into());
                    held = again;
                    let opened = Connection::open(self.host, self.id, &self.settings, options.max_connections);
                    connection = match opened.await {
                        Ok(connection) => connection,
                        Err(event) => return self.failed(event, Some(held)),
                    };
                }
            }
        }
    }

    /// A connection, and what the scanner can do.
    async fn connected(
        &self,
        path: &str,
        idle: Option<Connection<H::Stream>>,
    ) -> Result<(Connection<H::Stream>, Rc<Options>), Event> {
        let (server, service) = (self.settings.server, self.message.service);
        let known = self.host.core().icap.options(server, path, service, self.host.now());
        let max = known.as_ref().and_then(|options| options.max_connections);
        let mut idle = idle;
        if let Some(connection) = &mut idle
            && !std::future::poll_fn(|cx| Poll::Ready(connection.is_quiet(cx))).await
        {
            idle = None;
        }
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.host, self.id, &self.settings, max).await?,
        };
        if let Some(options) = known {
            return Ok((connection, options));
        }
        let (options, persistent) = connection.options(self.host, &self.settings, path, service).await?;
        if !persistent {
            connection = Connection::open(self.host, self.id, &self.settings, options.max_connections).await?;
        }
        Ok((connection, options))
    }

    /// What is held before anything is said: a small body whole, else a preview.
    async fn collect(&self, sides: &mut Sides<'_, H::Stream>, held: Held, preview: usize) -> Result<Held, Stop> {
        let wanted = match self.body {
            Body::Length(length) if length <= self.settings.hold as u64 => length as usize,
            _ => preview,
        };
        let Held { mut source, .. } = held;
        let mut bytes: Vec<u8> = Vec::new();
        let (began, mut active) = (self.host.now(), self.host.now());
        drive(self.host, |cx, now| {
            while bytes.len() < wanted && !source.is_over() {
                let room = wanted - bytes.len();
                match source.poll_data(cx, sides.source(), room, self.trailers) {
                    Poll::Ready(Ok(Some(data))) => {
                        bytes.extend_from_slice(data.as_slice());
                        active = now;
                    }
                    Poll::Ready(Ok(None)) => break,
                    Poll::Ready(Err(error)) => return Step::Done(Err(self.sender.failed(error))),
                    Poll::Pending => {
                        if let Err(stop) = sides.poll(cx, now) {
                            return Step::Done(Err(stop));
                        }
                        let earned = (bytes.len() as u64 * 1000).checked_div(self.times.rate_min);
                        let slow_at =
                            earned.map(|earned| began + self.times.body_grace + Duration::from_millis(earned));
                        return self.wait(now, self.sender.patience(&self.times, active, slow_at));
                    }
                }
            }
            Step::Done(Ok(()))
        })
        .await?;
        let over = self.max.is_some_and(|max| bytes.len() as u64 > max);
        if over {
            return Err(self.sender.failed(crate::http::body::BodyError::Fault(HttpEvent::BodyLong)));
        }
        Ok(Held { bytes: Bytes::from(bytes), source })
    }

    /// Says it, and hears the head of the answer.
    async fn exchange(
        &self,
        sides: &mut Sides<'_, H::Stream>,
        mut connection: Connection<H::Stream>,
        held: Held,
        preview: Option<usize>,
        options: &Options,
    ) -> Result<Answer<H::Stream>, Fault> {
        let path = self.message.service.path(&self.settings).unwrap_or_default();
        let allow_204 = options.allow_204 && held.source.is_over();
        let head = modify(&self.settings, path, &self.message, preview, allow_204);
        let (has_body, trailers) = (self.message.has_body, self.trailers);
        let max = [self.max, self.settings.max_scan].into_iter().flatten().min();
        let saying = Saying { head, has_body, preview, trailers, max };
        let mut feed = Feed::new(saying, held, self.host.now());
        let mut collector = Collector::default();
        let head = loop {
            let heard =
                self.hear(sides, &mut connection, &mut feed, |connection, cx| connection.poll_head(cx, &mut collector));
            match heard.await {
                Ok(head) if head.status == 100 && feed.go_on(self.host.now()) => {
                    self.host.count(Event::Continued.into());
                    collector = Collector::default();
                }
                Ok(head) => break head,
                Err(Fault::Scanner(Event::Closed, _)) if connection.reused && collector.is_untouched() => {
                    return Err(match feed.into_held() {
                        Some(held) => Fault::Again(held),
                        None => Fault::Scanner(Event::Closed, None),
                    });
                }
                Err(Fault::Scanner(event, _)) => return Err(Fault::Scanner(event, feed.into_held())),
                Err(fault) => return Err(fault),
            }
        };
        connection.reused = true;
        match head.status {
            // RFC 3507, 4.6: "a server MAY respond with 204" to a preview, or to who says Allow: 204.
            204 if feed.is_held() && (preview.is_some() || allow_204) => {
                let persistent = head.persistent && feed.is_said() && !self.is_crowded(options);
                let Some(held) = feed.into_held() else { return Err(Fault::Scanner(Event::StatusUnexpected, None)) };
                Ok(Answer::Clean(held, persistent.then_some(connection), Some(head)))
            }
            200 => {
                let mut bytes = Vec::new();
                let len = head.encapsulated.head;
                let heard = self.hear(sides, &mut connection, &mut feed, |connection, cx| {
                    connection.poll_exact(cx, &mut bytes, len)
                });
                match heard.await {
                    Ok(()) => {}
                    Err(Fault::Scanner(event, _)) => return Err(Fault::Scanner(event, feed.into_held())),
                    Err(fault) => return Err(fault),
                }
                let timeout = self.settings.timeout;
                let persistent = head.persistent && !self.is_crowded(options);
                let has_body = head.encapsulated.body;
                let through = Through { feed, scanner: connection, has_body, length: None, timeout, persistent };
                Ok(Answer::Message(head, bytes, through))
            }
            _ => Err(Fault::Scanner(Event::StatusUnexpected, feed.into_held())),
        }
    }

    /// Something of the answer, while what is to be said is said.
    async fn hear<T>(
        &self,
        sides: &mut Sides<'_, H::Stream>,
        connection: &mut Connection<H::Stream>,
        feed: &mut Feed,
        mut poll: impl FnMut(&mut Connection<H::Stream>, &mut Context<'_>) -> Poll<Result<T, Event>>,
    ) -> Result<T, Fault> {
        let began = self.host.now();
        drive(self.host, |cx, now| {
            if let Err(error) = feed.poll(cx, now, sides.source(), &mut connection.stream) {
                if error == crate::http::body::BodyError::Fault(HttpEvent::BodyLong) && self.scans_less() {
                    self.host.count(Event::DeniedLarge.into());
                    return Step::Done(Err(Fault::Stop(unjudged())));
                }
                return Step::Done(Err(Fault::Stop(self.sender.failed(error))));
            }
            match poll(connection, cx) {
                Poll::Ready(Ok(heard)) => return Step::Done(Ok(heard)),
                Poll::Ready(Err(event)) => return Step::Done(Err(Fault::Scanner(event, None))),
                Poll::Pending => {}
            }
            if let Err(stop) = sides.poll(cx, now) {
                return Step::Done(Err(Fault::Stop(stop)));
            }
            let active = began.max(feed.active());
            if is_senders(feed.waits()) {
                let slow_at = feed.slow_at(self.times.body_grace, self.times.rate_min);
                let patience = self.sender.patience(&self.times, active, slow_at);
                return match self.wait::<()>(now, patience) {
                    Step::Done(Err(stop)) => Step::Done(Err(Fault::Stop(stop))),
                    Step::Done(Ok(())) => Step::Until(now),
                    Step::Until(until) => Step::Until(until),
                };
            }
            let until = active.saturating_add(self.settings.timeout);
            if now >= until.min(self.end) {
                return Step::Done(Err(Fault::Scanner(Event::TimedOut, None)));
            }
            Step::Until(until.min(self.end))
        })
        .await
    }

    /// The bound that was reached is the one for scanning, not the service's for bodies.
    fn scans_less(&self) -> bool {
        self.settings.max_scan.is_some_and(|most| self.max.is_none_or(|max| most < max))
    }

    /// Others wait for connections of this scanner.
    fn is_crowded(&self, options: &Options) -> bool {
        self.host.core().icap.is_crowded(self.settings.server, options.max_connections)
    }

    fn wait<T>(&self, now: Duration, (until, stop): (Duration, Stop)) -> Step<Result<T, Stop>> {
        if now >= self.end {
            return Step::Done(Err(Stop::abort(stop.refusal.event, Reason::TotalTimeout)));
        }
        if now >= until { Step::Done(Err(stop)) } else { Step::Until(until.min(self.end)) }
    }

    /// There is no verdict: what the service says of that, if anything can be passed at all.
    fn failed(&self, event: Event, held: Option<Held>) -> Result<Answer<H::Stream>, Stop> {
        self.host.count(event.into());
        let server = self.settings.server;
        self.host.log(self.id, Level::Warning, format_args!("scanner {server}: {}", event.sentence()));
        match held.filter(|_| self.settings.on_failure == Otherwise::Pass) {
            Some(held) => {
                self.host.count(Event::PassedOnFailure.into());
                Ok(Answer::Clean(held, None, None))
            }
            None => {
                self.host.count(Event::DeniedOnFailure.into());
                Err(unjudged())
            }
        }
    }
}
