//! Many futures in one: a session's streams are polled within its own future, and only those that were woken.
//!
//! Each has a waker of its own, which marks it and wakes the session. They are looked through in the order in which they
//! came, so that a run is the same with the same seed; a set is as large as its owner lets it become.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use crate::stack::LocalFuture;

/// See the module.
#[derive(Default)]
pub(super) struct Set {
    members: Vec<Member>,
    /// Of who polled last.
    parent: Option<Waker>,
}

struct Member {
    future: LocalFuture<'static, ()>,
    mark: Arc<Mark>,
    waker: Waker,
}

struct Mark {
    woken: AtomicBool,
    parent: Waker,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.parent.wake_by_ref();
        }
    }
}

impl Member {
    fn new(future: LocalFuture<'static, ()>, parent: &Waker) -> Member {
        let mark = Arc::new(Mark { woken: AtomicBool::new(true), parent: parent.clone() });
        Member { future, waker: Waker::from(Arc::clone(&mark)), mark }
    }
}

impl Set {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds one; it is polled with the next [`Set::poll`].
    pub(super) fn push(&mut self, cx: &Context<'_>, future: impl Future<Output = ()> + 'static) {
        self.adopt(cx);
        self.members.push(Member::new(Box::pin(future), cx.waker()));
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.members.clear();
    }

    /// Polls those that were woken, and forgets those that are done; whether there was any.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> bool {
        self.adopt(cx);
        let mut any = false;
        self.members.retain_mut(|member| {
            if !member.mark.woken.swap(false, Ordering::AcqRel) {
                return true;
            }
            any = true;
            Pin::as_mut(&mut member.future).poll(&mut Context::from_waker(&member.waker)).is_pending()
        });
        any
    }

    /// When somebody else polls than before, all members get to know.
    fn adopt(&mut self, cx: &Context<'_>) {
        if self.parent.as_ref().is_some_and(|parent| parent.will_wake(cx.waker())) {
            return;
        }
        self.parent = Some(cx.waker().clone());
        for member in &mut self.members {
            let future: LocalFuture<'static, ()> = std::mem::replace(&mut member.future, Box::pin(async {}));
            *member = Member::new(future, cx.waker());
        }
    }
}

#[cfg(test)]
mod tests;
