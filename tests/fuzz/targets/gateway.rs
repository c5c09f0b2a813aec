//! Any frames at any times into the whole gateway: it goes on, answers within bounds, and can be emptied again.
//!
//! The first byte of each piece says how many bytes follow, the second how much time passes before them. Addresses are
//! set to where frames would be looked at, or nearly all of them would end at the first check.
#![no_main]

use std::time::Duration;

use dataplane::nic::PortId;
use libfuzzer_sys::fuzz_target;
use sim::{Gateway, Random};
use tcp::Instant;

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::from_micros(1);
    let mut gateway = Gateway::new(now, &mut Random::new(1), sim::town::YAML);
    let mut rest = data;
    while let [len, pause, more @ ..] = rest {
        let len = usize::from(*len).min(more.len());
        let (piece, next) = more.split_at(len);
        rest = next;
        now = now + Duration::from_micros(1 << (pause & 31));
        let port = u8::from(*pause >= 0x80);
        let mut frame = vec![0x02, 0, 0, 0, 0xff, port, 0x02, 9, 9, 9, 9, 9];
        frame.extend(piece);
        gateway.inject(PortId(u16::from(port)), &frame.into());
        run(&mut gateway, now);
    }
    for _ in 0..2_000 {
        let Some(next) = run(&mut gateway, now) else { break };
        now = next.max(now + Duration::from_micros(1));
    }
    assert!(gateway.frames_in_use() < 1_000, "{}", gateway.state());
});

/// Turns until it has nothing more to do now, and throws away what it says.
fn run(gateway: &mut Gateway, now: Instant) -> Option<Instant> {
    let next = gateway.turn(now);
    for port in 0..gateway.ports() {
        while gateway.take(PortId(port as u16)).is_some() {}
    }
    next
}
