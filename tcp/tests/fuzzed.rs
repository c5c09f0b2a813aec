//! What the fuzzers of `tests/fuzz` do, with the seeds they begin with and a fixed number of random inputs.
//!
//! A failing input is a number: `SEED=n` runs it alone. The fuzzers themselves look further; this keeps what they know true.

#[path = "fuzzed/any_state.rs"]
mod any_state;
#[path = "fuzzed/corpus.rs"]
mod corpus;
#[path = "fuzzed/endpoints.rs"]
mod endpoints;
#[path = "fuzzed/setup.rs"]
mod setup;
#[path = "fuzzed/tape.rs"]
mod tape;

use any_state::{Bench, STARTS, Start};
use arbitrary::{Arbitrary, Unstructured};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tape::{Blow, Event, Fate, Near, Tape};
use tcp::State;

/// Random inputs of each kind.
const SEEDS: u64 = 1_500;
const LENGTH_MAX: usize = 600;

fn random(run: fn(&[u8])) {
    let only: Option<u64> = std::env::var("SEED").ok().map(|text| text.parse().unwrap());
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut data = vec![0; rng.random_range(1..LENGTH_MAX)];
        rng.fill_bytes(&mut data);
        // The number is all that is needed to see it again.
        let outcome = std::panic::catch_unwind(|| run(&data));
        assert!(outcome.is_ok(), "SEED={seed}");
    }
}

#[test]
fn any_segment_into_any_state() {
    corpus::states().iter().for_each(|seed| any_state::run(seed));
    random(any_state::run);
}

#[test]
fn two_endpoints_and_a_network_that_does_its_worst() {
    corpus::networks().iter().for_each(|seed| endpoints::run(seed));
    random(endpoints::run);
}

/// The states that runs begin in are those that their names say.
#[test]
fn every_state_is_a_start() {
    let setup = || setup::Setup::arbitrary(&mut Unstructured::new(&[0x85, 3, 0x44, 0x90, 0xff, 0xfe, 0, 0])).unwrap();
    for start in STARTS {
        let state = match start {
            Start::SynSent | Start::Record | Start::Listening => State::SynSent,
            Start::SynReceived | Start::Crossed => State::SynReceived,
            Start::Established => State::Established,
            Start::FinWait1 => State::FinWait1,
            Start::FinWait2 => State::FinWait2,
            Start::CloseWait => State::CloseWait,
            Start::LastAck => State::LastAck,
            Start::Closing => State::Closing,
            Start::TimeWait => State::TimeWait,
            Start::Closed => State::Closed,
        };
        assert_eq!(Bench::new(start, setup()).connection.state(), state);
    }
}

#[test]
fn what_is_written_on_a_tape_is_read_from_it() {
    let near = Near { flags: 3, seq: -4, ack: 5, window: 6, length: 7, extras: 8, sack: -9 };
    let blows = [
        Blow::Segment(near),
        Blow::Raw([5; 24]),
        Blow::Icmp(1, 2, 3),
        Blow::Read,
        Blow::Write(9),
        Blow::Shutdown,
        Blow::Close,
        Blow::Abort,
        Blow::Pressure(true),
        Blow::Pressure(false),
        Blow::Wait(77, 9),
    ];
    let tape = blows.into_iter().fold(Tape::default(), Tape::blow).0;
    let mut u = Unstructured::new(&tape);
    assert_eq!(blows.map(|_| Blow::arbitrary(&mut u).unwrap()), blows);
    let events = [
        Event::Weather { wire: true, fate: Fate::Late(11), mask: 0x55 },
        Event::Weather { wire: false, fate: Fate::Lost, mask: 1 },
        Event::Weather { wire: false, fate: Fate::Twice, mask: 1 },
        Event::Weather { wire: false, fate: Fate::Spoilt, mask: 1 },
        Event::Weather { wire: false, fate: Fate::Marked, mask: 1 },
        Event::Write { end: true, bytes: 300 },
        Event::Read { end: false },
        Event::Shutdown { end: true },
        Event::Pressure { end: true, on: true },
        Event::Wait(500),
        Event::Replay(7),
        Event::Forge { to: true, kind: 3, far: 900 },
        Event::TooBig { to: false, mtu: 600, known: true },
    ];
    let tape = events.into_iter().fold(Tape::default(), Tape::event).0;
    let mut u = Unstructured::new(&tape);
    assert_eq!(events.map(|_| Event::arbitrary(&mut u).unwrap()), events);
}
