//! Two streams joined at a perfect wire with a window of given size in each direction.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::stream::{Ends, Stream, StreamError};

/// Two ends; each takes up to `window` unread bytes from the other.
#[must_use]
pub fn duplex(window: usize) -> (MemoryStream, MemoryStream) {
    let link = Rc::new(RefCell::new(Link { window, ends: [End::default(), End::default()] }));
    (MemoryStream { link: link.clone(), end: 0, between: None }, MemoryStream { link, end: 1, between: None })
}

struct Link {
    window: usize,
    ends: [End; 2],
}

/// One end: what it has yet to read, and what it has said and heard about the end of things.
#[derive(Default)]
struct End {
    incoming: VecDeque<Bytes>,
    incoming_len: usize,
    /// It has called `shutdown`.
    finished: bool,
    /// It has read the other's FIN.
    read_fin: bool,
    /// Nobody holds it any more.
    dropped: bool,
    failure: Option<StreamError>,
    waker: Option<Waker>,
}

impl End {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// One end of a duplex.
pub struct MemoryStream {
    link: Rc<RefCell<Link>>,
    end: usize,
    between: Option<Ends>,
}

impl MemoryStream {
    /// Lets the wire fail: both ends see `error` behind what they have yet to read.
    pub fn break_wire(&self, error: StreamError) {
        for end in &mut self.link.borrow_mut().ends {
            end.failure.get_or_insert(error);
            end.wake();
        }
    }

    /// Says between which addresses it is.
    pub fn set_ends(&mut self, ends: Ends) {
        self.between = Some(ends);
    }

    /// Bytes that wait to be read at this end.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.link.borrow().ends[self.end].incoming_len
    }

    /// Runs `act` on this end and the other, and registers the task when there is nothing to tell it yet.
    fn poll_with<T>(&self, cx: &mut Context<'_>, act: impl FnOnce(&mut End, &mut End, usize) -> Poll<T>) -> Poll<T> {
        let mut link = self.link.borrow_mut();
        let window = link.window;
        let [first, second] = &mut link.ends;
        let (own, other) = if self.end == 0 { (first, second) } else { (second, first) };
        let result = act(own, other, window);
        if result.is_pending() {
            own.waker = Some(cx.waker().clone());
        }
        result
    }
}

impl Stream for MemoryStream {
    type Chunk = Bytes;

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.poll_with(cx, |own, other, _| {
            if let Some(chunk) = own.incoming.pop_front() {
                own.incoming_len -= chunk.len();
                other.wake();
                return Poll::Ready(Ok(Some(chunk)));
            }
            if let Some(error) = own.failure {
                return Poll::Ready(Err(error));
            }
            if other.finished {
                own.read_fin = true;
                other.wake();
                return Poll::Ready(Ok(None));
            }
            Poll::Pending
        })
    }

    fn unread(&mut self, chunk: Bytes) {
        let own = &mut self.link.borrow_mut().ends[self.end];
        if !chunk.is_empty() {
            own.incoming_len += chunk.len();
            own.incoming.push_front(chunk);
        }
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.poll_with(cx, |own, other, window| match (own.failure, window.saturating_sub(other.incoming_len)) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, 0) => Poll::Pending,
            (None, room) => Poll::Ready(Ok(room)),
        })
    }

    fn write(&mut self, chunk: Bytes) -> Result<(), StreamError> {
        let mut link = self.link.borrow_mut();
        let own = &link.ends[self.end];
        assert!(!own.finished, "a stream is not written after shutdown");
        if let Some(error) = own.failure {
            return Err(error);
        }
        let other = &mut link.ends[1 - self.end];
        if other.dropped {
            link.ends[self.end].failure = Some(StreamError::Reset);
        } else if !chunk.is_empty() {
            other.incoming_len += chunk.len();
            other.incoming.push_back(chunk);
            other.wake();
        }
        Ok(())
    }

    fn shutdown(&mut self) {
        let mut link = self.link.borrow_mut();
        link.ends[self.end].finished = true;
        link.ends[1 - self.end].wake();
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.poll_with(cx, |own, other, _| {
            if let Some(error) = own.failure {
                return Poll::Ready(Err(error));
            }
            let acknowledged = other.incoming.is_empty() && (!own.finished || other.read_fin || other.dropped);
            if acknowledged { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        self.poll_with(cx, |own, _, _| own.failure.map_or(Poll::Pending, Poll::Ready))
    }

    fn ends(&self) -> Option<Ends> {
        self.between
    }

    fn unacknowledged(&self) -> usize {
        self.link.borrow().ends[1 - self.end].incoming_len
    }

    fn abort(&mut self) {
        let mut link = self.link.borrow_mut();
        let own = &mut link.ends[self.end];
        own.failure.get_or_insert(StreamError::Cut);
        own.finished = true;
        own.incoming.clear();
        own.incoming_len = 0;
        own.wake();
        let other = &mut link.ends[1 - self.end];
        other.failure.get_or_insert(StreamError::Reset);
        other.wake();
    }
}

impl Drop for MemoryStream {
    /// As a socket does when its program closes it: what nobody will read any more is answered by a reset.
    fn drop(&mut self) {
        let lost = {
            let mut link = self.link.borrow_mut();
            let own = &mut link.ends[self.end];
            own.dropped = true;
            !own.finished || !own.incoming.is_empty()
        };
        if lost {
            self.abort();
        }
        self.link.borrow_mut().ends[1 - self.end].wake();
    }
}
