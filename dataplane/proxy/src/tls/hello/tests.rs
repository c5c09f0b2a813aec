//! A hello is the same however it comes in; what could be read in two ways is none.

use super::{Broken, Ech, Hello, Peek, is_grease};
use crate::tls::limits;

/// Puts hellos together.
#[derive(Clone)]
struct Builder {
    ciphers: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
    behind: Vec<u8>,
}

fn long(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

fn name(name: &str) -> (u16, Vec<u8>) {
    let mut entry = vec![0];
    entry.extend(long(name.as_bytes()));
    (0, long(&entry))
}

fn alpn(protocols: &[&str]) -> (u16, Vec<u8>) {
    let list: Vec<u8> = protocols.iter().flat_map(|p| std::iter::once(p.len() as u8).chain(p.bytes())).collect();
    (16, long(&list))
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

impl Builder {
    fn new(extensions: impl IntoIterator<Item = (u16, Vec<u8>)>) -> Builder {
        Builder {
            ciphers: vec![0x0a0a, 0x1301, 0xc02b],
            extensions: extensions.into_iter().collect(),
            behind: Vec::new(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(long(&words(&self.ciphers)));
        body.extend([1, 0]);
        let extensions: Vec<u8> =
            self.extensions.iter().flat_map(|(kind, data)| kind.to_be_bytes().into_iter().chain(long(data))).collect();
        body.extend(long(&extensions));
        body.extend(&self.behind);
        body
    }

    fn message(&self) -> Vec<u8> {
        let body = self.body();
        let mut message = vec![1];
        message.extend(&(body.len() as u32).to_be_bytes()[1..]);
        message.extend(body);
        message
    }

    /// In records of at most so many bytes.
    fn records(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(|part| [vec![22, 3, 1], long(part)].concat()).collect()
    }
}

fn whole() -> Builder {
    Builder::new([
        (0x2a2a, vec![]),
        name("WWW.Example.COM."),
        (10, long(&words(&[0x0a0a, 29, 23]))),
        (11, vec![1, 0]),
        (13, long(&words(&[0x0403, 0x0804]))),
        alpn(&["h2", "http/1.1"]),
        (43, [vec![6], words(&[0x1a1a, 0x0304, 0x0303])].concat()),
        (0xfe0d, [vec![0, 0, 1, 0, 1, 9], long(&[1; 32]), long(&[2; 144])].concat()),
        (41, vec![1, 2, 3]),
    ])
}

fn peek(bytes: &[u8]) -> Result<Option<Hello>, Broken> {
    Peek::default().feed(bytes)
}

#[test]
fn everything_is_found() {
    let hello = peek(&whole().records(1 << 14)).expect("it is good").expect("it is whole");
    assert_eq!(hello.server_name(), Some("www.example.com"));
    assert_eq!(hello.alpn(), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert!(hello.offers("h2") && !hello.offers("h3"));
    assert_eq!(hello.version(), 0x0304);
    assert_eq!(hello.ciphers, [0x0a0a, 0x1301, 0xc02b]);
    assert_eq!(hello.groups, [0x0a0a, 29, 23]);
    assert_eq!(hello.point_formats, [0]);
    assert_eq!(hello.signature_algorithms, [0x0403, 0x0804]);
    assert_eq!(hello.extensions, [0x2a2a, 0, 10, 11, 13, 16, 43, 0xfe0d, 41]);
    assert_eq!(hello.ech, Some(Ech { cipher: (1, 1), config_id: 9, payload: 144 }));
}

#[test]
fn the_same_in_every_piece() {
    let expected = peek(&whole().records(1 << 14));
    for record in [1, 2, 5, 100, 1 << 14] {
        let bytes = whole().records(record);
        let mut single = Peek::default();
        for (at, byte) in bytes.iter().enumerate() {
            let result = single.feed(&[*byte]);
            let wanted = if at + 1 == bytes.len() { expected.clone() } else { Ok(None) };
            assert_eq!(result, wanted, "byte {at} of records of {record}");
        }
        for at in 0..bytes.len() {
            let mut split = Peek::default();
            assert_eq!(split.feed(&bytes[..at]), Ok(None));
            assert_eq!(split.feed(&bytes[at..]), expected, "split at {at}");
        }
    }
}

#[test]
fn what_comes_behind_its_last_record_is_not_looked_at() {
    let mut bytes = whole().records(1 << 14);
    bytes.extend([20, 3, 3, 0, 1, 1]);
    assert!(matches!(peek(&bytes), Ok(Some(_))));
}

#[test]
fn a_hello_without_extensions_is_an_old_one() {
    let mut body = Builder::new([]).body();
    body.truncate(body.len() - 2);
    let hello = Hello::parse(&body).expect("TLS 1.0 had none");
    assert_eq!((hello.version(), hello.server_name()), (0x0303, None));
}

#[test]
fn what_is_none_is_told_at_the_first_byte_that_shows_it() {
    for (bytes, broken) in [
        (&b"G"[..], Broken::NotTls),
        (&[22, 4], Broken::NotTls),
        (&[22, 3, 1, 0, 0], Broken::Malformed("a record's length")),
        (&[22, 3, 1, 64, 1], Broken::Malformed("a record's length")),
        (&[22, 3, 1, 0, 9, 2], Broken::Malformed("it begins with another message")),
        (&[22, 3, 1, 0, 1, 1, 21], Broken::Malformed("another record within it")),
        (&[22, 3, 1, 0, 9, 1, 0, 64, 1], Broken::TooLong),
    ] {
        assert_eq!(peek(bytes), Err(broken), "{bytes:?}");
        assert_eq!(peek(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:?}");
    }
}

#[test]
fn two_readings_are_no_reading() {
    let two_names = [vec![0], long(b"a.example"), vec![0], long(b"b.example")].concat();
    let cases: Vec<(Builder, &str)> = vec![
        (Builder::new([name("a.example"), name("b.example")]), "an extension twice"),
        (Builder::new([(0, long(&two_names))]), "the server's name"),
        (Builder::new([(0, long(&[1, 0, 1, b'a']))]), "the server's name"),
        (Builder::new([name("")]), "the server's name"),
        (Builder::new([name(".")]), "the server's name"),
        (Builder::new([name("a..b")]), "the server's name"),
        (Builder::new([name("a\0b")]), "the server's name"),
        (Builder::new([name("a b")]), "the server's name"),
        (Builder::new([name(&"a".repeat(256))]), "the server's name"),
        (Builder::new([alpn(&[])]), "application protocols"),
        (Builder::new([alpn(&[""])]), "application protocols"),
        (Builder::new([(10, long(&[1]))]), "groups"),
        (Builder::new([(41, vec![]), name("a.example")]), "an extension behind the pre-shared key"),
        (Builder::new([(0xfe0d, vec![1])]), "the encrypted ClientHello"),
        (
            Builder::new([(0xfe0d, [vec![0, 0, 1, 0, 1, 9], long(&[]), long(&[])].concat())]),
            "the encrypted ClientHello",
        ),
        (Builder { behind: vec![0], ..Builder::new([]) }, "bytes behind its extensions"),
        (Builder { ciphers: vec![], ..Builder::new([]) }, "cipher suites"),
    ];
    for (builder, what) in cases {
        assert_eq!(peek(&builder.records(1 << 14)), Err(Broken::Malformed(what)));
    }
    let message = [Builder::new([]).message(), vec![1]].concat();
    let bytes = [vec![22, 3, 1], long(&message)].concat();
    assert_eq!(peek(&bytes), Err(Broken::Malformed("bytes behind it in its record")));
    // The rest of that record in a later piece is no excuse.
    assert_eq!(peek(&bytes[..bytes.len() - 1]), Err(Broken::Malformed("bytes behind it in its record")));
}

#[test]
fn every_cut_of_the_body_is_malformed_and_none_panics() {
    let body = whole().body();
    for at in 0..body.len() {
        let cut = Hello::parse(&body[..at]);
        let old = at == body.len() - 2 - long(&[]).len();
        assert!(cut.is_err() || old || cut.is_ok_and(|hello| hello.extensions.is_empty()), "cut at {at}");
    }
}

#[test]
fn bounds_are_reached() {
    let many = |count: usize| Builder::new((0..count).map(|kind| (1_000 + kind as u16, vec![])));
    assert!(matches!(peek(&many(limits::EXTENSIONS_MAX).records(1 << 14)), Ok(Some(_))));
    assert_eq!(peek(&many(limits::EXTENSIONS_MAX + 1).records(1 << 14)), Err(Broken::TooLong));

    let fill = limits::HELLO_MAX - Builder::new([(1_000, vec![])]).body().len();
    let filled = |count: usize| Builder::new([(1_000, vec![0; count])]);
    assert!(matches!(peek(&filled(fill).records(1 << 14)), Ok(Some(_))));
    assert_eq!(peek(&filled(fill + 1).records(1 << 14)), Err(Broken::TooLong));

    // In crumbs of a byte with a header each, half of it is too much.
    assert_eq!(peek(&filled(fill).records(1)), Err(Broken::TooLong));
    let longest = format!("{}.example", "a".repeat(limits::NAME_MAX - 8));
    assert!(matches!(peek(&Builder::new([name(&longest)]).records(99)), Ok(Some(_))));
}

#[test]
fn grease_is_what_the_rfc_lists() {
    let listed: Vec<u16> = (0..=0xffff).filter(|&value| is_grease(value)).collect();
    let expected: Vec<u16> = (0..16).map(|i| 0x0a0a + i * 0x1010).collect();
    assert_eq!(listed, expected);
}

proptest::proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same(bytes: Vec<u8>, at: usize, valid: bool, damage: (usize, u8)) {
        let mut bytes = if valid { whole().records(50) } else { bytes };
        if valid {
            let place = damage.0 % bytes.len();
            bytes[place] ^= damage.1;
        }
        let at = if bytes.is_empty() { 0 } else { at % bytes.len() };
        let mut split = Peek::default();
        let mut pieces = split.feed(&bytes[..at]);
        if pieces == Ok(None) {
            pieces = split.feed(&bytes[at..]);
        }
        proptest::prop_assert_eq!(pieces, peek(&bytes));
    }
}
