//! Whatever either side says first: the service does not depend on the pieces, and nothing is lost.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Said {
    client: Vec<u8>,
    server: Vec<u8>,
    piece: u8,
}

fuzz_target!(|said: Said| proxy::detect::fuzz::pieces(&said.client, &said.server, usize::from(said.piece)));
