//! The fuzzers with fixed seeds, on mutations of the table of requests.

use super::{Frame, chunks, heads, session, two};

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    ":",
    " ",
    "\t",
    "\0",
    "chunked",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "Host: a\r\n",
    "GET / HTTP/1.1\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    ";x=y",
    "HTTP/1.1 200 OK\r\n",
    "Connection: close\r\n",
    "Upgrade: websocket\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "%2e",
    "/../",
    "http://a/",
    "Expect: 100-continue\r\n",
    "HEAD",
    "POST / HTTP/1.1\r\n",
];

/// Bytes changed at a few places.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => drop(bytes.drain(at..(at + random.below(9)).min(bytes.len()))),
            1 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            _ => bytes.insert(at, random.next() as u8),
        }
    }
    bytes
}

fn table(text: &str) -> Vec<Vec<u8>> {
    crate::http::tests::said_in(text)
}

#[test]
fn mutations_hold_what_must_hold() {
    let requests = table(include_str!("../tests/requests.txt"));
    let responses = table(include_str!("../tests/responses.txt"));
    let mut random = Random(7);
    for _ in 0..40_000 {
        let request = mutated(&requests[random.below(requests.len())], &mut random);
        heads(&request);
        chunks(&request);
    }
    for _ in 0..4_000 {
        let mut request = mutated(&requests[random.below(requests.len())], &mut random);
        if random.below(2) == 0 {
            request.extend(mutated(&requests[random.below(requests.len())], &mut random));
        }
        let response = mutated(&responses[random.below(responses.len())], &mut random);
        session(&request, &response, 1 + random.below(200));
    }
}

/// Frames that a peer may send, and some that it may not.
fn some_frames(random: &mut Random) -> Vec<Frame> {
    let one = |random: &mut Random| {
        // Heads and data more often than the rest.
        let kind = [1, 1, 0, 0, 0, 8, 3, 2, 4, 6, 7, 9, 5, 11][random.below(14)];
        let flags = [0, 1, 4, 5, 5, 8, 0x20, random.next() as u8][random.below(8)];
        let payload = match random.below(4) {
            0 => random.next().to_be_bytes()[..4].to_vec(),
            1 => vec![0; random.below(30)],
            2 => vec![0, 0, 0, [0, 8, 7, 1][random.below(4)]],
            _ => (0..random.below(40)).map(|_| random.next() as u8).collect(),
        };
        (kind, flags, random.below(5) as u8, payload)
    };
    (0..random.below(24)).map(|_| one(random)).collect()
}

/// Requests and answers in good order, with a few frames among them that may break it.
fn almost_good(random: &mut Random) -> (Vec<Frame>, Vec<Frame>) {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for stream in 0..1 + random.below(6) as u8 {
        for side in [&mut client, &mut server] {
            let body = random.below(3);
            side.push((1, if body == 0 { 5 } else { 4 }, stream, Vec::new()));
            for n in (0..body).rev() {
                side.push((0, u8::from(n == 0), stream, vec![0; random.below(3000)]));
            }
        }
    }
    for side in [&mut client, &mut server] {
        for frame in some_frames(random).into_iter().take(random.below(3)) {
            let at = random.below(side.len() + 1);
            side.insert(at, frame);
        }
    }
    (client, server)
}

#[test]
fn frames_hold_what_must_hold() {
    let mut random = Random(11);
    let mut passed = 0;
    for round in 0..4_000 {
        let (client, server) = match round % 4 {
            0 => (some_frames(&mut random), some_frames(&mut random)),
            _ => almost_good(&mut random),
        };
        passed += two(&client, &server, 1 + random.below(300));
    }
    assert!(passed > 100, "some of them are good: {passed}");
}
