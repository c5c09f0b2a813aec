//! The sockets of datagrams that programs have: where each stands, whether it listens, how much its program has room for,
//! and which flows are its own. All of it is bounded by the thread that opens them, and by the flow table.

use std::net::SocketAddr;

use control::limits::SOCKET_ROOM;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::forward::ForwardKey;
use crate::packet::emit::Ends;

/// The sockets of datagrams of all programs.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(super) sockets: HashMap<u64, Socket, FixedState>,
    /// Those that listen, by their own address.
    pub(super) listening: HashMap<SocketAddr, u64, FixedState>,
    /// Closed ones whose flows are still to be ended.
    pub(super) closing: Vec<u64>,
    /// IPv4 identification of the datagram that was sent last.
    identification: u16,
    /// Where datagrams that are cut are put together first.
    pub(super) scratch: Vec<u8>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) peer: Option<SocketAddr>,
    /// What the program's side has room for.
    pub(super) room: u32,
    /// By the program's ends as it writes them.
    pub(super) flows: HashMap<Ends, ForwardKey, FixedState>,
}

/// The program's end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(super) socket: u64,
    /// From whom and to whom the program's datagrams go.
    pub(super) says: Ends,
    /// The same as it was written: perhaps without a source.
    pub(super) asked: Ends,
}

impl Sockets {
    /// Peers choose what is hashed: `seed` is nobody's to know.
    pub(super) fn open(&mut self, socket: u64, local: SocketAddr, seed: u64) {
        let flows = HashMap::with_hasher(FixedState::with_seed(seed));
        let new = Socket { local, peer: None, room: SOCKET_ROOM, flows };
        self.sockets.insert(socket, new);
    }

    pub(super) fn listen(&mut self, socket: u64, listens: bool) {
        let Some(local) = self.local(socket) else { return };
        if listens {
            self.listening.insert(local, socket);
        } else if self.listening.get(&local) == Some(&socket) {
            self.listening.remove(&local);
        }
    }

    pub(super) fn close(&mut self, socket: u64) {
        self.listen(socket, false);
        if let Some(closed) = self.sockets.get_mut(&socket) {
            // What still comes by its flows is lost, and counted.
            closed.room = 0;
            self.closing.push(socket);
        }
    }

    /// Where a socket stands.
    pub(crate) fn local(&self, socket: u64) -> Option<SocketAddr> {
        self.sockets.get(&socket).map(|socket| socket.local)
    }

    pub(super) fn flow(&self, socket: u64, says: &Ends) -> Option<ForwardKey> {
        self.sockets.get(&socket)?.flows.get(says).copied()
    }

    pub(super) fn remember(&mut self, program: &Program, key: ForwardKey) {
        let Some(socket) = self.sockets.get_mut(&program.socket) else { return };
        socket.flows.insert(program.says, key);
        socket.flows.insert(program.asked, key);
    }

    pub(super) fn next_identification(&mut self) -> u16 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }

    /// A flow has ended.
    pub(crate) fn forget(&mut self, program: &Program) {
        let Some(socket) = self.sockets.get_mut(&program.socket) else { return };
        socket.flows.remove(&program.says);
        socket.flows.remove(&program.asked);
    }

    /// Takes room for something that is to be said to a program.
    pub(super) fn take_room(&mut self, socket: u64, cost: u32) -> bool {
        let Some(socket) = self.sockets.get_mut(&socket) else { return false };
        let Some(left) = socket.room.checked_sub(cost) else { return false };
        socket.room = left;
        true
    }
}
