//! Whatever frames a client and a server send: the session ends, and the server has seen whole frames of ours.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use proxy::http::fuzz::Frame;

#[derive(Arbitrary, Debug)]
struct Said {
    client: Vec<Frame>,
    server: Vec<Frame>,
    piece: u8,
}

fuzz_target!(|said: Said| {
    proxy::http::fuzz::two(&said.client, &said.server, 1 + usize::from(said.piece));
});
