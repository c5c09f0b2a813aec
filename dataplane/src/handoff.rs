//! Flows of programs at the handoff socket, the core's side: offered when a client connects, connected when a program
//! asks, and carried between their streams and the thread of [`control::handoff`].
//!
//! Each flow is a session like others, with a task ([`carry`]) in the place of a proxy and the program in the place of the
//! missing end. Bytes for the wire are put into packet buffers here, once per turn; bytes of the wire are copied out by
//! the task. What must hold: a turn handles a bounded number of messages and makes no system call; what cannot have
//! buffers now waits, and the program with it.

mod carry;
mod connect;
pub(crate) mod datagrams;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use control::handoff::{CoreEnd, FromFlow, ToFlow};
use control::limits::FLOW_PIECES;
use control::policy::{Decision, Policy, Proxy, Verdict};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcp::Instant;

use crate::counters::Counter;
use crate::limits;
use crate::nic::{Frame, Nic};
use crate::piece::Piece;
use crate::session::SessionKey;
use crate::session::serve::EndGuard;
use crate::stream::{CoreHost, SocketStream};
use crate::worker::Worker;
use carry::{Carrier, Times};
use datagrams::Sockets;

/// The flows of programs on this core.
pub(crate) struct Handoff<P> {
    end: Option<CoreEnd>,
    pipes: HashMap<u64, SharedPipe<P>, FixedState>,
    /// The programs' own addresses, by the number of the session (or of the handshake) that is for them.
    locals: HashMap<u64, SocketAddr, FixedState>,
    /// Of the flow that was decided last, until it has a number.
    decided: Option<SocketAddr>,
    /// Flows that have ended since the last turn.
    over: Rc<RefCell<Vec<u64>>>,
    /// A message that no packet buffer was free for.
    stalled: Option<ToFlow>,
    /// Even ones are ours.
    next: u64,
    /// Sockets of datagrams.
    pub(crate) sockets: Sockets,
}

impl<P> Default for Handoff<P> {
    fn default() -> Self {
        Self {
            end: None,
            pipes: HashMap::default(),
            locals: HashMap::default(),
            decided: None,
            over: Rc::default(),
            stalled: None,
            next: 0,
            sockets: Sockets::default(),
        }
    }
}

/// What the worker has for a flow's task.
#[derive(Debug)]
pub(crate) struct Pipe<P> {
    inbox: VecDeque<Inbound<P>>,
    /// Pieces that the program's side has room for.
    credits: u32,
    answer: Option<bool>,
    aborted: bool,
    waker: Option<Waker>,
}

/// What a program says, in order.
#[derive(Debug)]
enum Inbound<P> {
    Data(P),
    /// The end of a piece: another may come when what is before it has been written.
    PieceEnd,
    Finish,
}

type SharedPipe<P> = Rc<RefCell<Pipe<P>>>;

impl<P> Handoff<P> {
    /// The thread of programs is there.
    pub(crate) fn connect(&mut self, end: CoreEnd) {
        self.end = Some(end);
    }

    /// A flow was decided: if it is a program's, remembers which, for the number that it will get.
    pub(crate) fn decided(&mut self, policy: &Policy, decision: &Decision) {
        self.decided = match decision.verdict {
            Verdict::Proxy { service, local, .. } if policy.service(service).proxy() == Some(Proxy::Handoff) => {
                Some(local)
            }
            _ => None,
        };
    }

    /// The flow that was decided last has this number now.
    pub(crate) fn note(&mut self, id: u64) {
        if let Some(local) = self.decided.take() {
            self.locals.insert(id, local);
        }
    }

    /// Where the program stands that a session is for.
    pub(crate) fn local(&self, id: u64) -> Option<SocketAddr> {
        self.locals.get(&id).copied()
    }

    /// A session or handshake is gone.
    pub(crate) fn forget(&mut self, id: u64) {
        self.locals.remove(&id);
    }

    fn pipe(&mut self, flow: u64) -> SharedPipe<P> {
        let pipe = Pipe { inbox: VecDeque::new(), credits: FLOW_PIECES, answer: None, aborted: false, waker: None };
        let pipe = Rc::new(RefCell::new(pipe));
        self.pipes.insert(flow, Rc::clone(&pipe));
        pipe
    }

    /// Does something to a flow's pipe and lets its task go on.
    fn change(&self, flow: u64, change: impl FnOnce(&mut Pipe<P>)) {
        let Some(pipe) = self.pipes.get(&flow) else { return };
        let waker = {
            let mut pipe = pipe.borrow_mut();
            change(&mut pipe);
            pipe.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<N: Nic> Worker<N> {
    /// What the programs say, a bounded number of messages per turn.
    pub(crate) fn hear_programs(&mut self, now: Instant) -> usize {
        for flow in self.handoff.over.take() {
            self.handoff.pipes.remove(&flow);
        }
        let ended = self.end_closed_sockets();
        let Some(end) = &self.handoff.end else { return 0 };
        let from_programs = end.from_programs.clone();
        for heard in 0..limits::PROGRAM_MESSAGES_PER_TURN {
            let message = match self.handoff.stalled.take() {
                Some(message) => message,
                None => match from_programs.try_recv() {
                    Ok(message) => message,
                    Err(_) => return ended + heard,
                },
            };
            self.handoff.stalled = self.hear_program(now, message);
            if self.handoff.stalled.is_some() {
                return ended + heard;
            }
        }
        limits::PROGRAM_MESSAGES_PER_TURN
    }

    /// One message; what is left of it for lack of buffers.
    fn hear_program(&mut self, now: Instant, message: ToFlow) -> Option<ToFlow> {
        match message {
            ToFlow::Take { flow } => self.handoff.change(flow, |pipe| pipe.answer = Some(true)),
            ToFlow::Refuse { flow } => self.handoff.change(flow, |pipe| pipe.answer = Some(false)),
            ToFlow::Connect { flow, local, remote } => self.program_connects(now, flow, local, remote),
            ToFlow::Data { flow, mut bytes } => {
                if !self.handoff.pipes.contains_key(&flow) {
                    return None;
                }
                while !bytes.is_empty() {
                    let len = bytes.len().min(limits::PROGRAM_CHUNK);
                    let Some(mut frame) = self.nic.allocate() else { return Some(ToFlow::Data { flow, bytes }) };
                    // A buffer that holds a frame holds a segment's bytes.
                    if frame.push(&bytes[..len]).is_err() {
                        self.counters.count(Counter::FrameFull);
                        self.handoff.change(flow, |pipe| pipe.aborted = true);
                        return None;
                    }
                    let _ = bytes.split_to(len);
                    let slice = Piece::Received(frame.into_slice(0..len));
                    self.handoff.change(flow, |pipe| pipe.inbox.push_back(Inbound::Data(slice)));
                }
                self.handoff.change(flow, |pipe| pipe.inbox.push_back(Inbound::PieceEnd));
            }
            ToFlow::Credit { flow, pieces } => self.handoff.change(flow, |pipe| pipe.credits += pieces),
            ToFlow::Finish { flow } => self.handoff.change(flow, |pipe| pipe.inbox.push_back(Inbound::Finish)),
            ToFlow::Abort { flow } => self.handoff.change(flow, |pipe| pipe.aborted = true),
            ToFlow::Socket { socket, message } => self.hear_socket(now, socket, message),
        }
        None
    }

    /// A session for a program has its client: which program will have it, the thread knows.
    pub(crate) fn offer(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(key) else { return };
        let Some(client) = session.client_socket else { return };
        let guard = EndGuard::new(&self.shared, key);
        let stream = SocketStream::own(&self.shared, client);
        let (Some(end), Some(local)) = (&self.handoff.end, self.handoff.locals.get(&session.id)) else {
            // Nobody can take it: the stream resets its client when it is dropped.
            self.counters.count(Counter::HandoffRefused);
            return guard.end(proxy::Outcome::unserved(proxy::Reason::ConnectRefused));
        };
        let zone = |id: Option<control::policy::ZoneId>| id.map(|id| session.policy.zone_name(id).to_owned());
        let zones = (zone(session.client_zone), zone(session.server_zone));
        let flow = self.handoff.next;
        let offer = FromFlow::Offer { flow, local: *local, client: session.client, original: session.original, zones };
        let (to_programs, times) = (end.to_programs.clone(), Times::of(session.service()));
        let host = CoreHost::new(&self.shared, key, &session.policy);
        let refused = to_programs.send(offer).is_err();
        self.handoff.next += 2;
        self.counters.count(if refused { Counter::HandoffRefused } else { Counter::HandoffOffered });
        let pipe = self.handoff.pipe(flow);
        if refused {
            self.handoff.change(flow, |pipe| pipe.answer = Some(false));
        }
        let over = Rc::clone(&self.handoff.over);
        let carrier = Carrier::new(flow, pipe, to_programs, over);
        let task = self.shared.executor.spawn(async move {
            let taken = carrier.is_taken().await;
            guard.end(if taken {
                carrier.run(stream, proxy::outcome::Side::Client, times, &host).await
            } else {
                drop(stream);
                proxy::Outcome::unserved(proxy::Reason::ConnectRefused)
            });
        });
        if let Some(session) = self.sessions.get_mut(key) {
            session.task = Some(task);
        }
    }
}
