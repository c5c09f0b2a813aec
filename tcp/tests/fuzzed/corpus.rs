//! Where the fuzzers begin: one input for each state and each feature, written by code from the same words that they are read in.

use crate::any_state::STARTS;
use crate::setup::SETUP_BYTES;
use crate::tape::{Blow, Event, Fate, Near, Tape};

/// With everything on but what the numbers turn off; numbers that wrap soon.
const SETUPS: [[u8; SETUP_BYTES]; 5] = [
    // Scale, SACK, timestamps; CUBIC.
    [0x85, 0x03, 0x44, 0x90, 0xff, 0xfe, 0, 0],
    // Nothing of it; NewReno, Nagle.
    [0x02, 0x20, 0x33, 0x40, 1, 2, 3, 4],
    // BBR paced, ECN, offload.
    [0x8d, 0x4d, 0x55, 0xe0, 0, 0xff, 0, 0],
    // Small buffers, no delayed acknowledgments.
    [0x80, 0x13, 0x00, 0xff, 0xf0, 0xff, 0, 0],
    // SACK without timestamps, offload, ECN.
    [0x21, 0x4b, 0x77, 0xc8, 9, 9, 9, 9],
];

const PLAIN: Near = Near { flags: 0, seq: 0, ack: 0, window: 30_000, length: 0, extras: 2, sack: 0 };

/// For `any_state`: from every state, in every setup, a little of everything.
pub(crate) fn states() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, _) in STARTS.iter().enumerate() {
        for setup in SETUPS {
            let number = u8::try_from(number).expect("a few states");
            let mut tape = Tape::default().bytes(&[number]).bytes(&setup);
            for blow in blows() {
                tape = tape.blow(blow);
            }
            seeds.push(tape.0);
        }
    }
    seeds
}

fn blows() -> Vec<Blow> {
    let (fin, syn, rst, ack) = (1, 2, 4, 16);
    let data = Near { length: 500, ..PLAIN };
    vec![
        Blow::Segment(PLAIN),
        Blow::Write(4_000),
        Blow::Segment(data),
        Blow::Segment(Near { seq: 1_000, ..data }),
        Blow::Segment(Near { seq: 2_000, ..data }),
        Blow::Wait(5_000, 1),
        Blow::Segment(Near { ack: -4_000, extras: 14, sack: -3_000, ..PLAIN }),
        Blow::Segment(Near { window: 0, ..PLAIN }),
        Blow::Wait(50_000, 4),
        Blow::Icmp(2, 600, 100),
        Blow::Read,
        Blow::Segment(Near { flags: syn | ack, ..PLAIN }),
        Blow::Segment(Near { flags: rst | ack, seq: 10, ..PLAIN }),
        Blow::Pressure(true),
        Blow::Segment(Near { seq: -200, ..data }),
        Blow::Raw([0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4]),
        Blow::Shutdown,
        Blow::Segment(Near { flags: fin, ..PLAIN }),
        Blow::Wait(60_000, 10),
        Blow::Close,
    ]
}

/// For `endpoints`: each kind of weather on either wire, under traffic both ways.
pub(crate) fn networks() -> Vec<Vec<u8>> {
    let fates = [Fate::Lost, Fate::Twice, Fate::Late(3), Fate::Late(9), Fate::Spoilt, Fate::Marked];
    let mut seeds = Vec::new();
    for (number, setup) in SETUPS.iter().enumerate() {
        for (fate, wire) in fates.iter().flat_map(|fate| [(*fate, false), (*fate, true)]) {
            let other = SETUPS[(number + 1) % SETUPS.len()];
            let both = u8::from(fate == Fate::Late(3));
            let tape = Tape::default().bytes(setup).bytes(&other).bytes(&[both]);
            seeds.push(story(wire, fate).into_iter().fold(tape, Tape::event).0);
        }
    }
    seeds
}

fn story(wire: bool, fate: Fate) -> Vec<Event> {
    let mut events = vec![Event::Weather { wire, fate, mask: 0b0010_0001 }, Event::Wait(20)];
    for round in 0..12 {
        events.extend([
            Event::Write { end: false, bytes: 9_000 },
            Event::Write { end: true, bytes: 700 },
            Event::Wait(8),
            Event::Weather { wire, fate, mask: 0x91_u8.rotate_left(round) },
            Event::Replay(3),
            Event::Forge { to: wire, kind: round as u8, far: 100 },
            Event::Wait(30),
            Event::Read { end: true },
        ]);
    }
    events.extend([
        Event::TooBig { to: false, mtu: 700, known: true },
        Event::Pressure { end: true, on: true },
        Event::Write { end: false, bytes: 9_000 },
        Event::Weather { wire: !wire, fate: Fate::Lost, mask: 0xff },
        Event::Wait(900),
        Event::Shutdown { end: true },
        Event::Wait(300),
    ]);
    events
}
