//! Responses before the client sees them (RESPMOD): the scanner has them, and its verdict, before the first byte goes on.

use super::ask::{Answer, Question, Sides};
use super::{Passage, Scanned, Sender, heads, infected, unjudged};
use crate::host::{Host, Level};
use crate::http::event::Event as HttpEvent;
use crate::http::head::{Answered, Asked, Body};
use crate::http::refuse::Stop;
use crate::http::serving::Serving;
use crate::icap::request::Message;
use crate::icap::{Event, Head, Otherwise, Part, Service, Settings, Threat};
use crate::outcome::Reason;
use crate::record::Record;

impl<H: Host> Serving<H> {
    /// Asks the scanner about a response whose head is there; it becomes what the scanner made of it.
    pub(in crate::http) async fn scan_response(
        &mut self,
        asked: &Asked,
        answered: &mut Answered,
        upload: &mut Passage<H::Stream>,
    ) -> Result<Scanned<H::Stream>, Stop> {
        let Some(settings) = self.settings.icap.clone().filter(|settings| settings.respmod.is_some()) else {
            return Ok(Scanned::Not);
        };
        if matches!(answered.body, Body::None | Body::Length(0)) {
            return Ok(Scanned::Not);
        }
        let content_type = answered.response.headers.get("Content-Type");
        if content_type.is_some_and(|content_type| settings.skips(content_type)) {
            self.host.count(Event::SkippedType.into());
            return Ok(Scanned::Not);
        }
        if !self.may_scan(&settings, answered.body)? {
            return Ok(Scanned::Not);
        }
        let (client, server) = (self.info.client.ip(), self.info.original_destination.ip());
        let message = Message {
            service: Service::Respmod,
            request: heads::request(asked),
            response: Some(heads::response(&answered.response, answered.body)),
            has_body: true,
            client,
            server,
        };
        let idle = self.scanner.take();
        let Serving { host, id, client, upstream, settings: all, end, .. } = self;
        let Some(stream) = upstream.stream.as_mut() else { return Err(unjudged()) };
        let question = Question {
            host: &*host,
            id: *id,
            settings,
            message,
            body: answered.body,
            path: asked.request.url.target(),
            times: all.times,
            trailers: all.trailers,
            max: all.response_body_max,
            end: *end,
            sender: Sender::Server,
        };
        let sides = Sides { client, server: Some((stream, upload)), deaf: false };
        match question.ask(sides, idle).await? {
            Answer::Ignored => Ok(Scanned::Not),
            Answer::Clean(held, connection, head) => {
                self.scanner = connection;
                self.judged(Service::Respmod, asked, head.as_ref(), Event::Clean, None);
                Ok(Scanned::Clean(held))
            }
            Answer::Message(head, bytes, mut through) => {
                self.threat(Service::Respmod, asked, &head)?;
                if head.encapsulated.part != Some(Part::Response) {
                    return Err(self.senseless(Event::EncapsulatedInvalid));
                }
                let length = heads::changed_response(&bytes, head.encapsulated.body, answered);
                through.length = length.map_err(|event| self.senseless(event))?;
                self.judged(Service::Respmod, asked, Some(&head), Event::Changed, None);
                Ok(Scanned::Changed(through))
            }
        }
    }

    /// Is a body of that length scanned? An error: it must not pass unscanned either.
    pub(super) fn may_scan(&mut self, settings: &Settings, body: Body) -> Result<bool, Stop> {
        match (body, settings.max_scan) {
            (Body::Length(length), Some(max)) if length > max => match settings.on_large {
                Otherwise::Pass => {
                    self.host.count(Event::SkippedLarge.into());
                    Ok(false)
                }
                Otherwise::Deny => {
                    self.host.count(Event::DeniedLarge.into());
                    Err(Stop::page(HttpEvent::ScannerDenied, 403, Reason::ScannerDenied))
                }
            },
            _ => Ok(true),
        }
    }

    /// What the scanner has found, if it says that; what it has repaired passes.
    pub(super) fn threat(&mut self, service: Service, asked: &Asked, head: &Head) -> Result<(), Stop> {
        let Some(threat) = Threat::of(&head.headers) else { return Ok(()) };
        if threat.repaired {
            self.judged(service, asked, Some(head), Event::Repaired, Some(&threat));
            return Ok(());
        }
        self.judged(service, asked, Some(head), Event::Infected, Some(&threat));
        Err(infected(&threat))
    }

    /// The scanner's message makes no sense: there is no verdict.
    pub(super) fn senseless(&mut self, event: Event) -> Stop {
        self.host.count(event.into());
        self.host.count(Event::DeniedOnFailure.into());
        self.host.log(self.id, Level::Warning, format_args!("scanner: {}", event.sentence()));
        unjudged()
    }

    /// Counts a verdict and puts it on record.
    pub(super) fn judged(
        &mut self,
        service: Service,
        asked: &Asked,
        head: Option<&Head>,
        event: Event,
        threat: Option<&Threat>,
    ) {
        // Without a head there was no verdict, and the failure has been counted.
        let Some(head) = head else { return };
        self.host.count(event.into());
        let url = crate::http::access::cut(&asked.request.url.to_string(), crate::http::limits::RECORD_URL_MAX);
        let tag = head.headers.get("ISTag").unwrap_or_default();
        let tag: String = String::from_utf8_lossy(tag).chars().take(crate::icap::limits::TAG_MAX).collect();
        let mut record = Record::new("icap.verdict")
            .with("method", service.method())
            .with("url", url)
            .with("verdict", event.name().trim_start_matches("icap_"))
            .with("istag", tag);
        if let Some(threat) = threat {
            let (id, url) = (self.id, &asked.request.url);
            self.host.log(id, Level::Warning, format_args!("{url}: the scanner found {}", threat.name));
            record = record.with("threat", threat.name.clone());
        }
        self.host.record(self.id, record);
    }
}
