//! Only who was woken is polled, whoever polls the set.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::Set;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn wakers_find_their_future() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&first));
    let cx = Context::from_waker(&waker);
    let mut set = Set::default();
    let polled = Rc::new(Cell::new((0, 0)));
    let inner: Rc<Cell<Option<Waker>>> = Rc::default();
    let (seen, kept) = (Rc::clone(&polled), Rc::clone(&inner));
    set.push(
        &cx,
        poll_fn(move |cx| {
            seen.set((seen.get().0 + 1, seen.get().1));
            kept.set(Some(cx.waker().clone()));
            if seen.get().0 < 3 { Poll::Pending } else { Poll::Ready(()) }
        }),
    );
    let seen = Rc::clone(&polled);
    set.push(
        &cx,
        poll_fn(move |_| {
            seen.set((seen.get().0, seen.get().1 + 1));
            Poll::Pending
        }),
    );
    assert!(set.poll(&cx));
    assert!(!set.poll(&cx), "nobody was woken");
    assert_eq!(polled.get(), (1, 1));
    inner.take().expect("it was polled").wake();
    assert_eq!(first.0.load(Ordering::Relaxed), 1, "the parent was");
    assert!(set.poll(&cx));
    assert_eq!(polled.get(), (2, 1), "and only that one");
    // Another parent: everybody is polled once, to know it.
    let waker = Waker::from(Arc::clone(&second));
    assert!(set.poll(&Context::from_waker(&waker)));
    assert_eq!((polled.get(), set.len()), ((3, 2), 1), "one is done");
}
