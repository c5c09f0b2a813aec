//! Polling under a deadline that moves: one timer, set anew only when it would ring too late.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::limits::TIME_MAX;
use crate::host::Host;

/// What a step of work came to.
pub(crate) enum Step<T> {
    /// It is done.
    Done(T),
    /// It waits, until this time at the latest; at that time it must be done.
    Until(Duration),
}

/// The timers' own grain: a step that did not keep its word is not asked more often.
const GRAIN: Duration = Duration::from_millis(1);

/// Runs steps until one is done.
pub(crate) async fn drive<H: Host, T>(host: &H, mut step: impl FnMut(&mut Context<'_>, Duration) -> Step<T>) -> T {
    let mut timer = pin!(host.sleep(Duration::ZERO));
    let mut rings: Option<Duration> = None;
    poll_fn(|cx| {
        loop {
            let now = host.now();
            let until = match step(cx, now) {
                Step::Done(result) => return Poll::Ready(result),
                Step::Until(until) => until,
            };
            if rings.is_none_or(|at| until < at) {
                timer.set(host.sleep(until.saturating_sub(now).clamp(GRAIN, TIME_MAX)));
                rings = Some(until);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            rings = None;
        }
    })
    .await
}
