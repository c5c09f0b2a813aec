//! Any frames at any times into the whole gateway: it goes on, answers within bounds, and can be emptied again.
//!
//! The first byte of each piece says how many bytes follow, the second how much time passes before them. Addresses are
//! set to where frames would be looked at, or nearly all of them would end at the first check.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use control::{Config, Policy, config};
use dataplane::limits::Capacity;
use dataplane::nic::PortId;
use libfuzzer_sys::fuzz_target;
use sim::gateway::Settings;
use sim::{Gateway, Random};
use tcp::Instant;

/// Reading takes longer than a run, so it is done once.
static READ: OnceLock<(Config, Arc<Policy>)> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::from_micros(1);
    let (config, policy) = READ.get_or_init(read).clone();
    let mut gateway = Gateway::of(now, &mut Random::new(1), config, policy, &small());
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

fn read() -> (Config, Arc<Policy>) {
    let config = config::parse("town.yaml", sim::town::YAML).expect("the town's configuration is good");
    let policy = Policy::compile(&config, 1).expect("the town's policy is good");
    (config, Arc::new(policy))
}

/// Few enough of everything that an input can use it up.
fn small() -> Settings {
    let limits = Capacity { flows: 64, sessions: 24, half_open: 8 };
    Settings { limits, frames: 1_024, ..Settings::default() }
}

/// Turns until it has nothing more to do now, and throws away what it says.
fn run(gateway: &mut Gateway, now: Instant) -> Option<Instant> {
    let next = gateway.turn(now);
    for port in 0..gateway.ports() {
        while gateway.take(PortId(port as u16)).is_some() {}
    }
    next
}
