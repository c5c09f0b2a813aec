//! Any bytes as a chunked body: pieces make no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| proxy::http::fuzz::chunks(bytes));
