//! What the fuzzers of proxies in `tests/fuzz` do, with fixed seeds: so that it compiles, and holds, without a fuzzer.

#[path = "fuzzed/tls.rs"]
mod tls;

/// A xorshift64 sequence.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn tls_with_fixed_seeds() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..3_000_u64 {
        // Half of it begins with a hello that is good but for one byte; which settings it meets goes round.
        let choice = (round % 4) as u8 | if round % 8 < 6 { 0xc0 } else { 0 };
        let mut data = vec![choice];
        data.extend(next(&mut state).to_le_bytes().into_iter().take(4));
        data.extend((0..next(&mut state) % 40).map(|_| next(&mut state) as u8));
        tls::run(&data);
    }
}

#[test]
fn tls_with_every_cut_of_a_hello() {
    for choice in [0x80, 0x81, 0x82, 0x83] {
        for cut in 0..=255 {
            tls::run(&[choice, cut, 0, 0, 0]);
        }
    }
}

/// What a scanner could say, in pieces that belong together or not.
const SCANNER: [&[u8]; 9] = [
    b"ICAP/1.0 200 OK\r\n",
    b"ICAP/1.0 204 No Content\r\n\r\n",
    b"ICAP/1.0 100 Continue\r\n\r\n",
    b"Encapsulated: res-hdr=0, res-body=19\r\n",
    b"X-Infection-Found: Type=0; Resolution=2; Threat=A;\r\n",
    b"\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0; ieof\r\n\r\n",
];

#[test]
fn icap_with_fixed_seeds() {
    let mut state = 0x1cab_1cab_1cab_1cab;
    for _ in 0..2_000_u64 {
        let mut said = Vec::new();
        for _ in 0..next(&mut state) % 8 {
            said.extend_from_slice(SCANNER[(next(&mut state) % 9) as usize]);
        }
        if !said.is_empty() && next(&mut state).is_multiple_of(3) {
            let at = (next(&mut state) % said.len() as u64) as usize;
            said[at] = next(&mut state) as u8;
        }
        proxy::icap::fuzz::heads(&said);
        proxy::icap::fuzz::scanned(&said, (next(&mut state) % 40) as usize + 1, next(&mut state).is_multiple_of(2));
    }
}
