//! What a core knows of scanners: their options, and how many connections each has from here.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::limits::SERVICES_MAX;
use super::options::Options;
use super::request::Service;

/// See the module; a cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Shared(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    services: Vec<(Key, Rc<Options>)>,
    open: Vec<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    server: SocketAddr,
    path: String,
    service: Service,
}

/// Connections to one scanner; forgotten with the last of them.
#[derive(Debug)]
struct Open {
    server: SocketAddr,
    count: usize,
    waiting: Vec<Waker>,
}

/// The right to one connection; given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    shared: Shared,
    server: SocketAddr,
}

impl Shared {
    /// What is known of a service, as long as it holds.
    #[must_use]
    pub fn options(&self, server: SocketAddr, path: &str, service: Service, now: Duration) -> Option<Rc<Options>> {
        let inner = self.0.borrow();
        let known = |key: &Key| key.server == server && key.path == path && key.service == service;
        let found = inner.services.iter().find(|(key, options)| known(key) && now < options.until);
        found.map(|(_, options)| Rc::clone(options))
    }

    /// Keeps it; the service that was asked longest ago goes.
    pub fn keep(&self, server: SocketAddr, path: &str, service: Service, options: Options) -> Rc<Options> {
        let services = &mut self.0.borrow_mut().services;
        let key = Key { server, path: path.to_owned(), service };
        services.retain(|(known, _)| *known != key);
        if services.len() >= SERVICES_MAX {
            services.remove(0);
        }
        let options = Rc::new(options);
        services.push((key, Rc::clone(&options)));
        options
    }

    /// How many services are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.0.borrow().services.len()
    }

    /// Ready with the right to one more connection, unless there are `max` already.
    pub fn poll_slot(&self, cx: &mut Context<'_>, server: SocketAddr, max: Option<usize>) -> Poll<Slot> {
        let open = &mut self.0.borrow_mut().open;
        let at = open.iter().position(|open| open.server == server).unwrap_or_else(|| {
            open.push(Open { server, count: 0, waiting: Vec::new() });
            open.len() - 1
        });
        let open = &mut open[at];
        if max.is_some_and(|max| open.count >= max) {
            if !open.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                open.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        open.count += 1;
        Poll::Ready(Slot { shared: self.clone(), server })
    }

    /// Is more than half of what a scanner takes in use? Then nobody keeps an idle connection.
    #[must_use]
    pub fn is_crowded(&self, server: SocketAddr, max: Option<usize>) -> bool {
        let inner = self.0.borrow();
        let count = inner.open.iter().find(|open| open.server == server).map_or(0, |open| open.count);
        max.is_some_and(|max| count * 2 > max)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let inner = &mut *self.shared.0.borrow_mut();
        let Some(at) = inner.open.iter().position(|open| open.server == self.server) else { return };
        inner.open[at].count -= 1;
        // All of them: one that has been dropped meanwhile must not be the only one to hear of it.
        for waker in inner.open[at].waiting.drain(..) {
            waker.wake();
        }
        if inner.open[at].count == 0 {
            inner.open.swap_remove(at);
        }
    }
}
