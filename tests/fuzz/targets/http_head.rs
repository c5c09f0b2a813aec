//! Any bytes as a request's or response's head: pieces make no difference, and what passes reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| proxy::http::fuzz::heads(bytes));
