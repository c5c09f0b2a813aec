//! Any bytes as a TCP header, and any segments, calls and delays to a connection in any state; see
//! `tcp/tests/fuzzed/any_state.rs`.
#![no_main]

#[path = "../../../tcp/tests/fuzzed/any_state.rs"]
mod any_state;
#[path = "../../../tcp/tests/fuzzed/corpus.rs"]
#[allow(dead_code, reason = "it has seeds for both targets")]
mod corpus;
mod seeds;
#[path = "../../../tcp/tests/fuzzed/setup.rs"]
mod setup;
#[path = "../../../tcp/tests/fuzzed/tape.rs"]
mod tape;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: seeds::write(&corpus::states()), |data: &[u8]| any_state::run(data));
