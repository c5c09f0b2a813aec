//! FTP, its parsers and whole sessions; see `dataplane/proxy/tests/ftp/fuzzed.rs`.
#![no_main]

#[path = "../../../dataplane/proxy/tests/ftp/fuzzed.rs"]
mod fuzzed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::run_one(data));
