//! A ClientHello in any pieces, and a whole session of the TLS proxy with whatever a client and a server say.
//!
//! The first five bytes of the input choose, the rest is what the client says; the server says the same backwards. Everything ends by
//! itself, within the time that the settings give, and the hello is the same in one piece and in two.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proxy::memory::{ConnectAnswer, MemoryHost, MemoryStream, World, duplex};
use proxy::tls::clock::Clock;
use proxy::tls::ends::{Oldest, ToClient, ToServer};
use proxy::tls::hello::Peek;
use proxy::tls::mint::Authority;
use proxy::tls::names::Names;
use proxy::tls::policy::{Action, Match, Rule, Rules};
use proxy::tls::stream::Truncation;
use proxy::tls::verify::Trust;
use proxy::tls::{Certificates, Encryption, NotTls, Settings, Untrusted, run as serve};
use proxy::{Host, Session, SessionId, SessionInfo, Stream};

/// What `openssl s_client -servername www.example -alpn h2,http/1.1` says.
const HELLO: &str = "160301014a010001460303fd0dbadf6736126c007fa2dbfc88686041500e3a06ebaa43d3d437f4d0372b88204a6410e628a231dc7b5f2c \
     44fc13a03a9eaa25d3b5c76a202170c170519deb65003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023 \
     c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000bf00000010000e00000b7777772e6578616d706c6500 \
     0b000403000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c02683208687474702f312e31 \
     0016000000170000000d002a0028040305030603080708080809080a080b08040805080604010501060103030301030204020502060200 \
     2b0009080304030303020301002d00020101003300260024001d0020329e2f0969e3b36c5d730dc16adda71da9d3c4a689cb62f858bc80 \
     3a9003164a";

const CERTIFICATE: &str = include_str!("../../../../tests/golden/proxies/tls/trusted.pem");
const KEY: &str = include_str!("../../../../tests/golden/proxies/tls/trusted.key");

/// [`HELLO`] as bytes.
fn hello() -> Vec<u8> {
    let digits: Vec<u8> =
        HELLO.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

thread_local! {
    static SETTINGS: RefCell<Vec<Arc<Settings>>> = RefCell::new(all_settings());
}

/// Does what the input says.
pub(crate) fn run(data: &[u8]) {
    let Some((&[which, cut, high, place, flip], said)) = data.split_first_chunk::<5>() else { return };
    let mut client = if which & 0x80 == 0 { said.to_vec() } else { [hello(), said.to_vec()].concat() };
    if which & 0x40 != 0 && !client.is_empty() {
        let at = (usize::from(place) | usize::from(high) << 8) % client.len();
        client[at] ^= flip;
    }
    let cut = usize::from(cut).min(client.len());

    let whole = Peek::default().feed(&client);
    let mut pieces = Peek::default();
    let mut split = pieces.feed(&client[..cut]);
    if split == Ok(None) {
        split = pieces.feed(&client[cut..]);
    }
    assert_eq!(split, whole, "a hello depends on how it comes");
    if let Ok(Some(hello)) = &whole {
        assert_eq!((hello.ja3().len(), hello.ja4().as_str().len()), (32, 36));
    }

    let settings = SETTINGS.with_borrow(|all| all[usize::from(which & 0x3f) % all.len()].clone());
    session(&settings, &client, cut);
}

fn session(settings: &Arc<Settings>, said: &[u8], cut: usize) {
    let mut world = World::new();
    let (at_client, client) = duplex(4_096);
    let (server_leg, at_server) = duplex(4_096);
    world.host().answer_connect(ConnectAnswer::After(Duration::from_millis(1), Ok(server_leg)));
    let session = Session { id: SessionId(1), host: world.host(), client, info: info() };
    let settings = Arc::clone(settings);
    let outcome = world.spawn(async move { serve(session, settings).await });
    let backwards: Vec<u8> = said.iter().rev().copied().collect();
    for (io, bytes) in [(at_client, said.to_vec()), (at_server, backwards)] {
        let host = world.host();
        let _ = world.spawn(async move { say(host, io, bytes, cut).await });
    }
    world.run();
    assert!(outcome.take().is_some(), "a session does not end");
}

/// Says everything in two pieces, and hears to the end.
async fn say(host: MemoryHost, mut io: MemoryStream, bytes: Vec<u8>, cut: usize) {
    let (first, second) = bytes.split_at(cut);
    for piece in [first, second] {
        if !piece.is_empty() && io.send(Bytes::copy_from_slice(piece)).await.is_err() {
            return;
        }
        host.sleep(Duration::from_millis(5)).await;
    }
    io.shutdown();
    while let Ok(Some(_)) = io.read().await {}
    let _ = io.finished().await;
}

/// Everything is bumped, spliced, or decided by what the hello says; with TLS on both sides and on one.
fn all_settings() -> Vec<Arc<Settings>> {
    let named = || Match { sni: Names::new([".example"]).ok(), ..Match::default() };
    let rule = |action| vec![Rule { name: "1".into(), matches: named(), action }];
    let cases = [
        (Encryption::TwoSided, vec![], Action::Bump, NotTls::Deny),
        (Encryption::TwoSided, rule(Action::Splice), Action::Bump, NotTls::Pass),
        (Encryption::TwoSided, rule(Action::Terminate), Action::Splice, NotTls::Pass),
        (Encryption::ServerOnly, vec![], Action::Bump, NotTls::Deny),
    ];
    let settings = |(encryption, rules, otherwise, not_tls)| {
        let clock = Clock::default();
        let mut trust = Trust::default();
        trust.add_authorities(CERTIFICATE).expect("it is one");
        let authority = || Box::new(Authority::new(CERTIFICATE, KEY).expect("it is one"));
        Arc::new(Settings {
            encryption,
            rules: Rules { rules, otherwise, ech_names: Names::new([]).expect("an empty set") },
            not_tls,
            to_client: ToClient::new(Oldest::Tls12, &clock),
            certificates: Certificates::Keybridge { trusted: authority(), untrusted: Some(authority()) },
            to_server: ToServer::new(trust, Oldest::Tls12, &clock),
            untrusted: Untrusted::Permit,
            server_name: None,
            handshake: Duration::from_secs(10),
            truncation: Truncation::Mirror,
            learning: None,
            stack: None,
            script: None,
            clock,
        })
    };
    cases.into_iter().map(settings).collect()
}

fn info() -> SessionInfo {
    SessionInfo {
        client: ([192, 0, 2, 5], 40_000).into(),
        original_destination: ([10, 0, 0, 9], 443).into(),
        service: "https".into(),
        client_zone: None,
        server_zone: None,
        interface: "intra".into(),
        idle: Duration::from_secs(60),
        total: None,
    }
}
