//! Connections beside the two of a session: data channels that a proxy connects or expects.

use std::net::SocketAddr;

use proxy::{ConnectError, Expected, Related};
use tcp::Instant;

use super::SessionKey;
use crate::nic::Nic;
use crate::socket::SocketKey;
use crate::task::Reply;
use crate::worker::Worker;

impl<N: Nic> Worker<N> {
    pub(crate) fn connect_related(
        &mut self,
        _: Instant,
        _: SessionKey,
        _: &Related,
        reply: Reply<Result<SocketKey, ConnectError>>,
    ) {
        reply.fill(Err(ConnectError::Denied));
    }

    pub(crate) fn listen_related(
        &mut self,
        _: Instant,
        _: SessionKey,
        _: &Expected,
        reply: &Reply<Result<SocketAddr, ConnectError>>,
        _: Reply<Result<(SocketKey, SocketAddr), ConnectError>>,
    ) {
        reply.fill(Err(ConnectError::Denied));
    }
}
