//! What does not pass on a stream: counted, logged, told by a page or a reset; the other streams go on.
//!
//! As in HTTP/1 (`http/refuse.rs`), but nothing ends with it but the stream: where HTTP/1 closes or resets the connection
//! (`deny`, `abort`, `silent`), the stream is reset.

use std::task::Poll;

use bytes::Bytes;
use h2::Reason;

use super::body::poll_room;
use super::exchange::{Exchange, Failed};
use super::forward;
use crate::host::{Host, Level};
use crate::http::drive::{Step, drive};
use crate::http::event::Event;
use crate::http::head::Asked;
use crate::http::method::Method;
use crate::http::pages::{Content, Page};
use crate::http::policy::{How, Refusal};
use crate::http::refuse::Stop;

impl<H: Host> Exchange<H> {
    /// Ends the stream for what has failed.
    pub(super) async fn fail(&mut self, failed: Failed, asked: Option<&Asked>) {
        match failed {
            Failed::Stop(stop) => self.refuse(*stop, asked).await,
            Failed::Reset(event, code) => {
                self.note(event, asked);
                self.reset(code);
            }
            // RST_STREAM is counted where it is seen.
            Failed::Gone => self.access.event = Some(Event::ClientTruncated),
        }
    }

    async fn refuse(&mut self, stop: Stop, asked: Option<&Asked>) {
        let Refusal { event, how } = stop.refusal;
        self.note(event, asked);
        let (status, info, location) = match &how {
            How::Abort | How::Close => return self.reset(Reason::CANCEL),
            How::Page { .. } | How::Elsewhere { .. } if self.context.settings.pages.silent => {
                return self.reset(Reason::CANCEL);
            }
            How::Page { status, info } => (*status, &**info, None),
            How::Elsewhere { status, location } => (*status, event.sentence(), Some(location.as_str())),
        };
        self.access.status = status;
        let content = self.context.settings.pages.content(&Page {
            status,
            info,
            host: asked.map_or("", |asked| asked.request.url.host()),
            location,
            now: self.context.host.wall_clock(),
            close: false,
            head_only: false,
        });
        let head_only = asked.is_some_and(|asked| asked.request.method == Method::HEAD);
        self.say(status, content, head_only).await;
    }

    fn note(&mut self, event: Event, asked: Option<&Asked>) {
        self.context.count(event);
        self.access.event = Some(event);
        let context = &self.context;
        match asked {
            Some(Asked { request, .. }) => {
                let (method, url) = (&request.method, &request.url);
                context.host.log(context.id, Level::Info, format_args!("{method} {url}: {}", event.sentence()));
            }
            None => context.host.log(context.id, Level::Info, format_args!("no request: {}", event.sentence())),
        }
    }

    fn reset(&mut self, code: Reason) {
        match &mut self.sending {
            Some(sending) => sending.send_reset(code),
            None => self.respond.send_reset(code),
        }
    }

    /// A page, as far as the client takes it.
    async fn say(&mut self, status: u16, content: Content, head_only: bool) {
        let Ok(head) = forward::page(status, &content.fields) else { return self.reset(Reason::INTERNAL_ERROR) };
        let Ok(mut to) = self.respond.send_response(head, head_only) else { return };
        if head_only {
            return;
        }
        let host = &self.context.host;
        let until = host.now().saturating_add(self.context.settings.times.body_grace);
        let mut left = Bytes::from(content.body);
        let said = drive(host, |cx, now| {
            loop {
                match poll_room(cx, &mut to, left.len()) {
                    Poll::Ready(Ok(room)) => {
                        let part = left.split_to(room.min(left.len()));
                        let last = left.is_empty();
                        if to.send_data(part, last).is_err() || last {
                            return Step::Done(true);
                        }
                    }
                    Poll::Ready(Err(_)) => return Step::Done(true),
                    Poll::Pending if now >= until => return Step::Done(false),
                    Poll::Pending => return Step::Until(until),
                }
            }
        })
        .await;
        if !said {
            self.context.count(Event::ReaderTimeout);
            to.send_reset(Reason::CANCEL);
        }
    }
}
