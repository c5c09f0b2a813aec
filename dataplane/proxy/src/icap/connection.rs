//! A scanner's connection: made from the gateway's own address, kept within a session for as long as both want it.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::event::Event;
use super::head::{Collector, Head};
use super::options::Options;
use super::request::{self, Service};
use super::settings::Settings;
use super::shared::Slot;
use crate::host::{Host, Related};
use crate::http::drive::{Step, drive};
use crate::outcome::Side;
use crate::session::SessionId;
use crate::stream::{Chunk, Stream};

/// See the module.
#[derive(Debug)]
pub struct Connection<S> {
    /// What goes over it.
    pub stream: S,
    /// Something was asked over it before.
    pub reused: bool,
    _slot: Slot,
}

impl<S: Stream> Connection<S> {
    /// A new one.
    ///
    /// # Errors
    /// None could be had in time.
    pub async fn open<H: Host<Stream = S>>(
        host: &H,
        session: SessionId,
        settings: &Settings,
        max: Option<usize>,
    ) -> Result<Connection<S>, Event> {
        let until = host.now().saturating_add(settings.timeout);
        let core = host.core();
        let slot = drive(host, |cx, now| match core.icap.poll_slot(cx, settings.server, max) {
            Poll::Ready(slot) => Step::Done(Ok(slot)),
            Poll::Pending if now >= until => Step::Done(Err(Event::Busy)),
            Poll::Pending => Step::Until(until),
        })
        .await?;
        let related = Related { side: Side::Server, local: None, ports: 0..=0, remote: settings.server };
        let mut connecting = std::pin::pin!(host.connect_related(session, related));
        let stream = drive(host, |cx, now| match connecting.as_mut().poll(cx) {
            Poll::Ready(connected) => Step::Done(connected.map_err(|_| Event::NotConnected)),
            Poll::Pending if now >= until => Step::Done(Err(Event::NotConnected)),
            Poll::Pending => Step::Until(until),
        })
        .await?;
        Ok(Connection { stream, reused: false, _slot: slot })
    }

    /// Is an idle one still good? Who speaks unasked, or closes, is not asked again.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.stream.poll_read(cx).is_pending()
    }

    /// Asks what the scanner can do; `true`: the connection may be asked again.
    ///
    /// # Errors
    /// It does not say.
    pub async fn options<H: Host<Stream = S>>(
        &mut self,
        host: &H,
        settings: &Settings,
        path: &str,
        service: Service,
    ) -> Result<(Rc<Options>, bool), Event> {
        host.count(Event::Options.into());
        let until = host.now().saturating_add(settings.timeout);
        let mut question = Some(request::options(settings, path));
        let mut collector = Collector::default();
        let head = drive(host, |cx, now| {
            if question.is_some()
                && let Poll::Ready(Ok(_)) = self.stream.poll_writable(cx)
            {
                // A failure is read below.
                let _ = question.take().map(|question| self.stream.write(question.into()));
            }
            match self.poll_head(cx, &mut collector) {
                Poll::Ready(head) => Step::Done(head),
                Poll::Pending if now >= until => Step::Done(Err(Event::TimedOut)),
                Poll::Pending => Step::Until(until),
            }
        })
        .await?;
        let options = Options::read(&head, service, host.now())?;
        self.reused = true;
        let persistent = head.persistent && !head.encapsulated.body && head.encapsulated.head == 0;
        Ok((host.core().icap.keep(settings.server, path, service, options), persistent))
    }

    /// The head of an answer; what comes behind it stays in the stream.
    pub fn poll_head(&mut self, cx: &mut Context<'_>, collector: &mut Collector) -> Poll<Result<Head, Event>> {
        loop {
            match self.stream.poll_read(cx) {
                Poll::Ready(Ok(Some(mut chunk))) => {
                    if let Some(taken) = collector.feed(chunk.as_slice())? {
                        let _ = chunk.split_to(taken);
                        self.stream.unread(chunk);
                        return Poll::Ready(collector.parse());
                    }
                }
                Poll::Ready(Ok(None) | Err(_)) => return Poll::Ready(Err(Event::Closed)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// As many bytes as an encapsulated head has.
    pub fn poll_exact(&mut self, cx: &mut Context<'_>, bytes: &mut Vec<u8>, len: usize) -> Poll<Result<(), Event>> {
        while bytes.len() < len {
            match self.stream.poll_read(cx) {
                Poll::Ready(Ok(Some(mut chunk))) => {
                    let taken = chunk.len().min(len - bytes.len());
                    bytes.extend_from_slice(chunk.split_to(taken).as_slice());
                    self.stream.unread(chunk);
                }
                Poll::Ready(Ok(None) | Err(_)) => return Poll::Ready(Err(Event::Closed)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}
