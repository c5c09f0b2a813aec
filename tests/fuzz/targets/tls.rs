//! A ClientHello in any pieces, and a whole session of the TLS proxy; see `dataplane/proxy/tests/fuzzed/tls.rs`.
#![no_main]

#[path = "../../../dataplane/proxy/tests/fuzzed/tls.rs"]
mod tls;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tls::run(data));
