//! What flows cost in memory, stage by stage: run with `--nocapture` to see the figures.

use std::mem::size_of;

use super::half_open::HalfOpen;
use super::*;
use crate::flow::Key;
use crate::nic::memory::MemorySlice;
use crate::socket::Socket;
use crate::step::Step;

/// An entry of the flow table: key, value, generation and tag, and its place in the index (four bytes and a control
/// byte, filled to three quarters).
const FLOW: usize = size_of::<Key>() + size_of::<Step>() + 8 + 7;
/// A slot map's generation.
const SLOT: usize = 4;

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn a_flow_costs_little_until_it_is_a_session() {
    let handshake = size_of::<HalfOpen>() + SLOT;
    let time_wait = time_wait::RECORD + SLOT + size_of::<time_wait::TimeWaitKey>();
    let session = size_of::<Session>() + 2 * size_of::<Socket<MemorySlice>>() + 3 * SLOT;
    println!("flow entry {FLOW} (key {}, step {})", size_of::<Key>(), size_of::<Step>());
    println!("answered handshake {} = {handshake} + 1 flow entry", handshake + FLOW);
    println!("mirrored handshake {} = {handshake} + 2 flow entries", handshake + 2 * FLOW);
    println!("TIME-WAIT {} = {time_wait} + 1 flow entry", time_wait + FLOW);
    println!(
        "established, idle {} = session {} + 2 sockets of {} + 2 flow entries, without the proxy's task",
        session + 2 * FLOW,
        size_of::<Session>(),
        size_of::<Socket<MemorySlice>>()
    );
    let released = size_of::<Session>() + crate::splice::RECORD + 2 * SLOT;
    println!("released, idle {} = {released} + 2 flow entries", released + 2 * FLOW);
    assert!(released + 2 * FLOW <= 800, "{}", released + 2 * FLOW);
    assert!(handshake <= 148 && time_wait <= 92 && FLOW <= 72);
    assert!(size_of::<Session>() <= 336, "{}", size_of::<Session>());
}
