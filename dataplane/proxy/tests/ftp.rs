//! What the fuzzer of FTP does, with inputs by chance that begin with what is said.

#[path = "ftp/fuzzed.rs"]
mod fuzzed;

use proptest::prelude::*;

const WORDS: &[&str] = &[
    "220 ready\r\n",
    "USER joe\r\n",
    "331 ?\r\n",
    "PASS x\r\n",
    "230 in\r\n",
    "PASV\r\n",
    "227 (10,0,0,9,195,80)\r\n",
    "EPSV\r\n",
    "229 (|||50000|)\r\n",
    "PORT 192,168,1,5,200,1\r\n",
    "200 ok\r\n",
    "RETR a\r\n",
    "STOR a\r\n",
    "150 open\r\n",
    "226 done\r\n",
    "ABOR\r\n",
    "426 no\r\n",
    "FEAT\r\n",
    "211-a\r\n b\r\n211 c\r\n",
    "QUIT\r\n",
    "221 bye\r\n",
    "421 x\r\n",
    "\r",
    "\n",
    "\0",
];

fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = (any::<bool>(), prop::sample::select(WORDS)).prop_map(|(server, words)| {
        let head = (words.len() as u8) << 1 | u8::from(server);
        [&[head], words.as_bytes()].concat()
    });
    let noise = prop::collection::vec(any::<u8>(), 0..12);
    prop::collection::vec(prop_oneof![9 => piece, 1 => noise], 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_said(data in input()) {
        fuzzed::run_one(&data);
    }
}
