//! Two TCP connections and a network that does its worst; see `tcp/tests/fuzzed/endpoints.rs`.
#![no_main]

#[path = "../../../tcp/tests/fuzzed/any_state.rs"]
#[allow(dead_code, reason = "the seeds know its states")]
mod any_state;
#[path = "../../../tcp/tests/fuzzed/corpus.rs"]
#[allow(dead_code, reason = "it has seeds for both targets")]
mod corpus;
#[path = "../../../tcp/tests/fuzzed/endpoints.rs"]
mod endpoints;
mod seeds;
#[path = "../../../tcp/tests/fuzzed/setup.rs"]
mod setup;
#[path = "../../../tcp/tests/fuzzed/tape.rs"]
mod tape;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: seeds::write(&corpus::networks()), |data: &[u8]| endpoints::run(data));
