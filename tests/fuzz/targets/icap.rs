//! Whatever a scanner says, as a head and within a session: pieces make no difference, and nothing passes unjudged.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    proxy::icap::fuzz::heads(bytes);
    if let Some((choice, said)) = bytes.split_first() {
        proxy::icap::fuzz::scanned(said, usize::from(choice >> 1) + 1, choice & 1 == 1);
    }
});
