//! Whatever a client and a server say: the session ends, and the server has seen only whole requests of our own writing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Said {
    client: Vec<u8>,
    server: Vec<u8>,
    piece: u8,
}

fuzz_target!(|said: Said| proxy::http::fuzz::session(&said.client, &said.server, usize::from(said.piece)));
