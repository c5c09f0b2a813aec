//! The executor of a test: runs what can run, in the order it was woken, then lets time pass.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::clock::Clock;
use super::host::MemoryHost;

/// Tasks, their time and their host.
pub struct World {
    clock: Clock,
    host: MemoryHost,
    tasks: VecDeque<Running>,
}

struct Running {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

/// A waker is only a flag: the tasks are looked through in order, so that every run is the same.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The result of a spawned future, once there is one.
pub struct Task<T>(Rc<RefCell<Option<T>>>);

impl<T> Task<T> {
    /// The result, if the task has ended; only the first caller gets it.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Nothing runs, and it is the start of time.
    #[must_use]
    pub fn new() -> Self {
        let clock = Clock::default();
        World { host: MemoryHost::new(clock.clone()), clock, tasks: VecDeque::new() }
    }

    /// The host for the proxies of this world.
    #[must_use]
    pub fn host(&self) -> MemoryHost {
        self.host.clone()
    }

    /// Time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Adds a task.
    pub fn spawn<F>(&mut self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        let slot = Rc::new(RefCell::new(None));
        let result = slot.clone();
        let future = Box::pin(async move {
            let output = future.await;
            *result.borrow_mut() = Some(output);
        });
        self.tasks.push_back(Running { future, woken: Arc::new(Woken(AtomicBool::new(true))) });
        Task(slot)
    }

    /// Runs until nothing can happen any more; returns how many tasks still wait, for what will never come.
    pub fn run(&mut self) -> usize {
        self.run_until(Duration::MAX)
    }

    /// Runs until nothing can happen before `until`; returns how many tasks still wait.
    pub fn run_until(&mut self, until: Duration) -> usize {
        loop {
            while self.poll_woken() {}
            if !self.clock.advance(until) {
                return self.tasks.len();
            }
        }
    }

    /// Polls every woken task once; `false` when there was none.
    fn poll_woken(&mut self) -> bool {
        let mut any = false;
        for _ in 0..self.tasks.len() {
            let Some(mut task) = self.tasks.pop_front() else { break };
            if task.woken.0.swap(false, Ordering::Relaxed) {
                any = true;
                let waker = Waker::from(task.woken.clone());
                if let Poll::Ready(()) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    continue;
                }
            }
            self.tasks.push_back(task);
        }
        any
    }
}
