//! Waiting for the world outside, always with an end. The only place of these tests that reads a clock or sleeps:
//! other processes cannot be awaited otherwise.

use std::time::{Duration, Instant};

/// A point in time after which waiting has failed.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "real processes run on real time")]
    pub(crate) fn after(limit: Duration) -> Deadline {
        Deadline { start: Instant::now(), limit }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn passed(&self) -> bool {
        self.elapsed() >= self.limit
    }
}

/// Asks again and again until `probe` has an answer; `None` when time is up.
pub(crate) fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if deadline.passed() {
            return None;
        }
        pause(Duration::from_millis(10));
    }
}

/// Asks again and again until `probe` has an answer; the test fails, saying what was waited for, when time is up.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match poll(limit, probe) {
        Some(answer) => answer,
        None => panic!("waited {limit:?} in vain: {what}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two looks at another process")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
