//! The task of a program's flow: moves pieces between the stream and the thread of programs, in both directions at once.
//!
//! It reads the stream only while the program's side has room, so TCP's window closes for a program that does not read;
//! it says that a piece has been taken when the stream has taken it, so a program's `write` blocks for a peer that does
//! not read. Half-closes and resets go through in both directions. When it ends, however it ends, the program is told.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use control::handoff::FromFlow;
use control::limits::FLOW_PIECE_BYTES;
use control::policy::Service;
use crossbeam_channel::Sender;
use proxy::outcome::Side;
use proxy::{Chunk, Host, Outcome, Reason, Stream, StreamError};

use super::{Inbound, SharedPipe};

/// How long a flow may be silent, and how long it may last: a service's times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) idle: Duration,
    pub(super) total: Option<Duration>,
}

impl Times {
    pub(super) fn of(service: &Service) -> Self {
        Self { idle: service.idle, total: service.total }
    }
}

/// See the module.
pub(super) struct Carrier<P> {
    flow: u64,
    pipe: SharedPipe<P>,
    to_programs: Sender<FromFlow>,
    over: Rc<RefCell<Vec<u64>>>,
    /// The program knows of the flow, and is to be told of its end.
    taken: bool,
    errno: Option<&'static str>,
    to_program: u64,
    to_peer: u64,
    read_all: bool,
    shut: bool,
}

impl<P: Chunk> Carrier<P> {
    pub(super) fn new(
        flow: u64,
        pipe: SharedPipe<P>,
        to_programs: Sender<FromFlow>,
        over: Rc<RefCell<Vec<u64>>>,
    ) -> Self {
        Self {
            flow,
            pipe,
            to_programs,
            over,
            taken: true,
            errno: Some("ECONNABORTED"),
            to_program: 0,
            to_peer: 0,
            read_all: false,
            shut: false,
        }
    }

    /// Waits for the thread to say whether a program takes the flow.
    pub(super) async fn is_taken(&self) -> bool {
        poll_fn(|cx| {
            let mut pipe = self.pipe.borrow_mut();
            pipe.waker = Some(cx.waker().clone());
            pipe.answer.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Ready when the program gives the flow up before it is there.
    pub(super) fn poll_given_up(&self, cx: &Context<'_>) -> Poll<()> {
        let mut pipe = self.pipe.borrow_mut();
        pipe.waker = Some(cx.waker().clone());
        if pipe.aborted { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The program will not be told of the end: it never heard of the flow.
    pub(super) fn untold(&mut self) {
        self.taken = false;
    }

    pub(super) fn say(&self, message: FromFlow) {
        // A thread that is gone takes its programs along; the flow then ends when it is idle or its peer ends it.
        let _ = self.to_programs.send(message);
    }

    pub(super) fn flow(&self) -> u64 {
        self.flow
    }

    /// Carries the flow to its end; `peer` says which end of the session the stream is.
    pub(super) async fn run<S: Stream<Chunk = P>>(
        mut self,
        mut stream: S,
        peer: Side,
        times: Times,
        host: &impl Host,
    ) -> Outcome {
        let end = times.total.map(|total| host.now().saturating_add(total));
        loop {
            let before = (self.to_program, self.to_peer);
            let left = end.map(|end| end.saturating_sub(host.now()));
            let mut alarm = pin!(host.sleep(left.map_or(times.idle, |left| times.idle.min(left))));
            let ended = poll_fn(|cx| match self.poll(&mut stream, peer, cx) {
                Poll::Ready(reason) => Poll::Ready(Some(reason)),
                Poll::Pending => alarm.as_mut().poll(cx).map(|()| None),
            })
            .await;
            let reason = match ended {
                Some(reason) => reason,
                None if end.is_some_and(|end| end <= host.now()) => {
                    self.errno = Some("ETIMEDOUT");
                    stream.abort();
                    Reason::TotalTimeout
                }
                None if before != (self.to_program, self.to_peer) => continue,
                None => {
                    self.errno = Some("ETIMEDOUT");
                    stream.abort();
                    Reason::IdleTimeout
                }
            };
            let (to_server, to_client) = match peer {
                Side::Client => (self.to_program, self.to_peer),
                Side::Server => (self.to_peer, self.to_program),
            };
            return Outcome { verdict: reason.verdict(), reason, to_server, to_client };
        }
    }

    fn poll<S: Stream<Chunk = P>>(&mut self, stream: &mut S, peer: Side, cx: &mut Context<'_>) -> Poll<Reason> {
        self.pipe.borrow_mut().waker = Some(cx.waker().clone());
        if self.pipe.borrow().aborted {
            stream.abort();
            self.errno = Some("ECONNABORTED");
            let program = if peer == Side::Client { Side::Server } else { Side::Client };
            return Poll::Ready(Reason::failed(program, StreamError::Reset));
        }
        match self.pass_to_peer(stream, cx).and_then(|()| self.pass_to_program(stream, cx)) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                self.errno = None;
                Poll::Ready(Reason::Finished)
            }
            Err(error) => {
                self.errno = Some(errno(error));
                Poll::Ready(Reason::failed(peer, error))
            }
        }
    }

    fn pass_to_peer<S: Stream<Chunk = P>>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Result<(), StreamError> {
        let mut taken = 0;
        loop {
            let next = self.pipe.borrow_mut().inbox.pop_front();
            match next {
                None => break,
                Some(Inbound::PieceEnd) => taken += 1,
                Some(Inbound::Finish) => {
                    stream.shutdown();
                    self.shut = true;
                }
                Some(Inbound::Data(chunk)) => match stream.poll_writable(cx)? {
                    Poll::Ready(_) => {
                        self.to_peer += chunk.len() as u64;
                        stream.write(chunk)?;
                    }
                    Poll::Pending => {
                        self.pipe.borrow_mut().inbox.push_front(Inbound::Data(chunk));
                        break;
                    }
                },
            }
        }
        if taken > 0 {
            self.say(FromFlow::Credit { flow: self.flow, pieces: taken });
        }
        Ok(())
    }

    /// True when both directions have ended and everything was delivered.
    fn pass_to_program<S: Stream<Chunk = P>>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Result<bool, StreamError> {
        while !self.read_all && self.pipe.borrow().credits > 0 {
            let piece = self.read_piece(stream, cx)?;
            let more = piece.is_some();
            if let Some(bytes) = piece {
                self.to_program += bytes.len() as u64;
                self.pipe.borrow_mut().credits -= 1;
                self.say(FromFlow::Data { flow: self.flow, bytes });
            }
            if self.read_all {
                self.say(FromFlow::Finished { flow: self.flow });
            }
            if !more {
                break;
            }
        }
        if let Poll::Ready(error) = stream.poll_failed(cx) {
            return Err(error);
        }
        if !(self.read_all && self.shut) {
            return Ok(false);
        }
        match stream.poll_finished(cx) {
            Poll::Ready(done) => done.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// As much as is there, a piece at most; none: nothing now.
    fn read_piece<S: Stream<Chunk = P>>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Result<Option<Bytes>, StreamError> {
        let mut piece = BytesMut::new();
        while piece.len() < FLOW_PIECE_BYTES {
            match stream.poll_read(cx) {
                Poll::Ready(Ok(Some(chunk))) => piece.extend_from_slice(chunk.as_slice()),
                Poll::Ready(Ok(None)) => {
                    self.read_all = true;
                    break;
                }
                // What came before it is told first.
                Poll::Ready(Err(error)) if piece.is_empty() => return Err(error),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }
}

impl<P> Drop for Carrier<P> {
    /// The flow's number is free, and whoever has its other end is told: also when the operator has cut the session.
    fn drop(&mut self) {
        self.over.borrow_mut().push(self.flow);
        if self.taken {
            // A thread that is gone needs not be told.
            let _ = self.to_programs.send(FromFlow::Ended { flow: self.flow, errno: self.errno });
        }
    }
}

fn errno(error: StreamError) -> &'static str {
    match error {
        StreamError::Reset => "ECONNRESET",
        StreamError::TimedOut => "ETIMEDOUT",
        StreamError::Unreachable => "EHOSTUNREACH",
        StreamError::Cut => "ECONNABORTED",
    }
}
