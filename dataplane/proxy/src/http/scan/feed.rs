//! A message on its way to the scanner: first what is held of it, then, if the scanner wants it, the rest as it comes.
//!
//! ```text
//! with a preview:     head, preview ─→ Preview ──(100 Continue)──→ the rest of what is held ─→ Stream ─→ Over
//!                                         └──(200, 204)──→ nothing more is said
//! without:            head, what is held ─→ Stream ─→ Over
//! ```
//!
//! As long as it has not come to Stream, all that the scanner has seen is held, and can be given again or passed on.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::http::body::{BodyError, Framing, Pump, Trailers};
use crate::http::pace::Waits;
use crate::http::source::Source;
use crate::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(in crate::http) struct Feed {
    /// Waits to be written.
    out: Option<Bytes>,
    stage: Stage,
    active: Duration,
    trailers: Trailers,
    max: Option<u64>,
    broken: bool,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes of what is held are seen; the scanner has the word.
    Preview(usize, Held),
    Stream(Box<Pump>),
    /// All is said; what was held is still there.
    Over(Option<Held>),
}

/// The beginning of a body, and where its source stands after it.
#[derive(Debug)]
pub(in crate::http) struct Held {
    pub bytes: Bytes,
    pub source: Source,
}

/// What a message's head needs to be said to a scanner.
pub(super) struct Saying {
    /// Its ICAP head and what that encapsulates.
    pub head: Bytes,
    pub has_body: bool,
    /// Bytes of the preview; `None`: there is none.
    pub preview: Option<usize>,
    pub trailers: Trailers,
    pub max: Option<u64>,
}

impl Feed {
    pub(super) fn new(saying: Saying, held: Held, now: Duration) -> Feed {
        let Saying { head, has_body, preview, trailers, max } = saying;
        let mut out = Vec::from(head);
        let whole = held.source.is_over();
        let stage = match preview {
            _ if !has_body => Stage::Over(Some(held)),
            Some(preview) => {
                let seen = preview.min(held.bytes.len());
                chunk(&held.bytes[..seen], &mut out);
                // RFC 3507, 4.5: "ieof" says that the preview was all there is.
                if whole && seen == held.bytes.len() {
                    out.extend_from_slice(b"0; ieof\r\n\r\n");
                    Stage::Over(Some(held))
                } else {
                    out.extend_from_slice(b"0\r\n\r\n");
                    Stage::Preview(seen, held)
                }
            }
            None if whole => {
                chunk(&held.bytes, &mut out);
                out.extend_from_slice(b"0\r\n\r\n");
                Stage::Over(Some(held))
            }
            None => Stage::Stream(Box::new(stream(&held.bytes, held.source, trailers, max, now))),
        };
        Feed { out: Some(Bytes::from(out)), stage, active: now, trailers, max, broken: false }
    }

    /// The scanner wants the rest; `false`: it has no right to ask for it.
    pub(super) fn go_on(&mut self, now: Duration) -> bool {
        if self.out.is_some() || !matches!(self.stage, Stage::Preview(..)) {
            return false;
        }
        let Stage::Preview(seen, held) = std::mem::replace(&mut self.stage, Stage::Over(None)) else { return false };
        self.active = now;
        if held.source.is_over() {
            let mut out = Vec::new();
            chunk(&held.bytes[seen..], &mut out);
            out.extend_from_slice(b"0\r\n\r\n");
            self.out = Some(Bytes::from(out));
            self.stage = Stage::Over(Some(held));
        } else {
            let Held { bytes, source } = held;
            // What the preview had counts as well.
            let max = self.max.map(|max| max.saturating_sub(seen as u64));
            let mut pump = stream(&bytes[seen..], source, self.trailers, max, now);
            pump.moved = bytes.len() as u64;
            self.stage = Stage::Stream(Box::new(pump));
        }
        true
    }

    /// What the scanner has seen, if all of it is held.
    pub(super) fn into_held(self) -> Option<Held> {
        match self.stage {
            Stage::Preview(_, held) => Some(held),
            Stage::Over(held) => held,
            Stage::Stream(_) => None,
        }
    }

    /// Is all that the scanner has seen held?
    pub(super) fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Preview(..) | Stage::Over(Some(_)))
    }

    /// Has the scanner a whole message, or the preview that it has judged by?
    pub(super) fn is_said(&self) -> bool {
        self.out.is_none() && !self.broken && !matches!(self.stage, Stage::Stream(_))
    }

    /// Has the body been read to its end?
    pub(super) fn is_read(&self) -> bool {
        match &self.stage {
            Stage::Preview(_, held) => held.source.is_over(),
            Stage::Stream(_) => false,
            Stage::Over(_) => true,
        }
    }

    /// Whom it waits for; nobody: the scanner has the word, or all is said.
    pub(super) fn waits(&self) -> Waits {
        match &self.stage {
            _ if self.broken => Waits::Nobody,
            _ if self.out.is_some() => Waits::Receiver,
            Stage::Stream(pump) => pump.waits(),
            _ => Waits::Nobody,
        }
    }

    /// When bytes last moved.
    pub(super) fn active(&self) -> Duration {
        match &self.stage {
            Stage::Stream(pump) => self.active.max(pump.active()),
            _ => self.active,
        }
    }

    /// When its sender will have been too slow.
    pub(super) fn slow_at(&self, grace: Duration, rate: u64) -> Option<Duration> {
        match &self.stage {
            Stage::Stream(pump) => pump.slow_at(Waits::Sender, grace, rate),
            _ => None,
        }
    }

    /// Says what can be said. A scanner that takes nothing more may have answered: that is no error here.
    pub(super) fn poll<F: Stream, T: Stream<Chunk = F::Chunk>>(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        from: &mut F,
        scanner: &mut T,
    ) -> Result<(), BodyError> {
        if self.broken {
            return Ok(());
        }
        if let Some(out) = self.out.take() {
            match scanner.poll_writable(cx) {
                Poll::Ready(Ok(_)) => self.active = now,
                Poll::Ready(Err(_)) => {
                    self.broken = true;
                    return Ok(());
                }
                Poll::Pending => {
                    self.out = Some(out);
                    return Ok(());
                }
            }
            self.broken = scanner.write(out.into()).is_err();
        }
        let Stage::Stream(pump) = &mut self.stage else { return Ok(()) };
        match pump.poll(cx, now, from, scanner) {
            Poll::Ready(Ok(())) => {
                self.active = now;
                self.stage = Stage::Over(None);
            }
            Poll::Ready(Err(BodyError::To(_))) => self.broken = true,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => {}
        }
        Ok(())
    }
}

/// One chunk; none where there are no bytes, for that would be the end.
fn chunk(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

fn stream(held: &[u8], source: Source, trailers: Trailers, max: Option<u64>, now: Duration) -> Pump {
    let trailers = if trailers == Trailers::Refuse { trailers } else { Trailers::Drop };
    Pump::resume(Bytes::new(), held, source, Framing::Chunked, trailers, max, now)
}
