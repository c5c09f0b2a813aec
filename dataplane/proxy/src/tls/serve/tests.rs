//! Whole sessions in memory: a client and a server by the library, the proxy between them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertificateParams, SerialNumber, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, Error};

use crate::host::{ConnectError, Host};
use crate::memory::{ConnectAnswer, MemoryHost, MemoryStream, Task, World, duplex};
use crate::module::{Module, Settings as ModuleSettings};
use crate::outcome::{Outcome, Reason};
use crate::record::Value;
use crate::session::{Session, SessionId};
use crate::stream::{Stream, StreamError};
use crate::tls::certificates::{self, Own};
use crate::tls::ends::{Oldest, ToClient, ToServer};
use crate::tls::event::Event;
use crate::tls::names::Names;
use crate::tls::pins::Learning;
use crate::tls::policy::{Action, Match, Rule, Rules};
use crate::tls::stream::{Fault, HandshakeError, TlsStream, Truncation};
use crate::tls::testing::{Authority, Leaf, WINDOW, client, client_config, info, server, wire};
use crate::tls::verify::{Distrust, Trust};
use crate::tls::{Certificates, Encryption, NotTls, Settings, Stack, Untrusted, limits, mint, run};

const SECOND: Duration = Duration::from_secs(1);

/// The authorities: the world's, and our two.
pub(crate) struct Scene {
    web: Authority,
    pub(crate) trusted: Authority,
    untrusted: Authority,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene { web: Authority::new("web"), trusted: Authority::new("trusted"), untrusted: Authority::new("untrusted") }
    }

    /// Two-sided with the keybridge; everything is bumped.
    pub(crate) fn settings(&self) -> Settings {
        let clock = crate::tls::clock::Clock::default();
        let mut trust = Trust::default();
        trust.add_authority(&self.web.cert).expect("an authority");
        trust.missing_list_permitted = true;
        let mint = |of: &Authority| Box::new(mint::Authority::new(&of.pem, &of.key_pem).expect("it is one"));
        Settings {
            encryption: Encryption::TwoSided,
            rules: rules(vec![], Action::Bump),
            not_tls: NotTls::Deny,
            to_client: ToClient::new(Oldest::Tls12, &clock),
            certificates: Certificates::Keybridge {
                trusted: mint(&self.trusted),
                untrusted: Some(mint(&self.untrusted)),
            },
            to_server: ToServer::new(trust, Oldest::Tls12, &clock),
            untrusted: Untrusted::Permit,
            server_name: None,
            handshake: 10 * SECOND,
            truncation: Truncation::Mirror,
            learning: None,
            stack: None,
            script: None,
            clock,
        }
    }

    /// Nobody signs copies of what is not trusted.
    pub(crate) fn without_untrusted(&self, settings: &mut Settings) {
        let Certificates::Keybridge { untrusted, .. } = &mut settings.certificates else {
            panic!("it is the keybridge")
        };
        *untrusted = None;
    }

    pub(crate) fn good(&self) -> Leaf {
        self.web.leaf(&["a.example"], |_| ())
    }
}

fn rules(list: Vec<(Match, Action)>, otherwise: Action) -> Rules {
    let numbered = list.into_iter().enumerate();
    let rules = numbered.map(|(at, (matches, action))| Rule { name: (at + 1).to_string(), matches, action }).collect();
    Rules { rules, otherwise, ech_names: Names::new([]).expect("an empty set") }
}

fn sni(name: &str) -> Match {
    Match { sni: Some(Names::new([name]).expect("a name")), ..Match::default() }
}

fn serve(world: &mut World, client: MemoryStream, settings: &Arc<Settings>) -> Task<Outcome> {
    let session = Session { id: SessionId(7), host: world.host(), client, info: info() };
    let settings = Arc::clone(settings);
    world.spawn(async move { run(session, settings).await })
}

/// Says `ping`, hears the answer to its end.
type Heard = Result<(Vec<u8>, Option<Vec<u8>>), HandshakeError>;

fn ask(world: &mut World, io: MemoryStream, connection: rustls::ClientConnection) -> Task<Heard> {
    world.spawn(async move {
        let mut tls = TlsStream::client(io, connection);
        tls.handshake().await?;
        let alpn = tls.alpn().map(<[u8]>::to_vec);
        let _ = tls.send(Bytes::from_static(b"ping")).await;
        tls.shutdown();
        let mut all = Vec::new();
        loop {
            match tls.read().await {
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => {
                    let fault = tls.fault().cloned();
                    return Err(fault.map_or(HandshakeError::Stream(error), HandshakeError::Fault));
                }
            }
        }
        let _ = tls.finished().await;
        Ok((all, alpn))
    })
}

/// Hears to the end, answers with it doubled.
fn answer(world: &mut World, io: MemoryStream, leaf: &Leaf, alpn: &[&str]) -> Task<Result<Vec<u8>, HandshakeError>> {
    let connection = server(leaf, alpn);
    world.spawn(async move {
        let mut tls = TlsStream::server(io, connection);
        tls.handshake().await?;
        let mut all = Vec::new();
        while let Ok(Some(chunk)) = tls.read().await {
            all.extend_from_slice(&chunk);
        }
        let _ = tls.send(Bytes::from(all.repeat(2))).await;
        tls.shutdown();
        let _ = tls.finished().await;
        Ok(all)
    })
}

/// What came of a session.
struct Came {
    heard: Option<Heard>,
    server: Option<Result<Vec<u8>, HandshakeError>>,
    outcome: Option<Outcome>,
    host: MemoryHost,
}

impl Came {
    fn reason(&self) -> Option<Reason> {
        self.outcome.map(|outcome| outcome.reason)
    }

    /// A field of the session's one record.
    fn field(&self, name: &str) -> Option<Value> {
        let records = self.host.records();
        assert_eq!(records.len(), 1, "{records:?}");
        let mut fields = records[0].fields.iter();
        fields.find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned().into()))
}

fn alert(alert: AlertDescription) -> Option<Heard> {
    Some(Err(HandshakeError::Fault(Fault::Tls(Error::AlertReceived(alert)))))
}

fn pong() -> Option<Heard> {
    Some(Ok((b"pingping".to_vec(), None)))
}

/// One session of a client that trusts `roots` and wants `name`, with a server that has `leaf`.
fn session(settings: Settings, leaf: &Leaf, roots: &[&Authority], name: &str, size: usize) -> Came {
    let mut world = World::new();
    session_in(
        &mut world,
        &Arc::new(settings),
        leaf,
        client(client_config(roots, &[&TLS13, &TLS12], &[]), name),
        size,
        &[],
    )
}

fn session_in(
    world: &mut World,
    settings: &Arc<Settings>,
    leaf: &Leaf,
    connection: rustls::ClientConnection,
    size: usize,
    alpn: &[&str],
) -> Came {
    let (at_client, client_leg) = wire(world, size);
    let (server_leg, at_server) = wire(world, size);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
    let outcome = serve(world, client_leg, settings);
    let heard = ask(world, at_client, connection);
    let server = answer(world, at_server, leaf, alpn);
    world.run();
    Came { heard: heard.take(), server: server.take(), outcome: outcome.take(), host: world.host() }
}

#[test]
fn a_bumped_session_in_pieces_of_every_size() {
    let scene = Scene::new();
    for size in [1, 2, 3, 64, 517, 1_460, 100_000] {
        let came = session(scene.settings(), &scene.good(), &[&scene.trusted], "a.example", size);
        assert_eq!(came.heard, pong(), "pieces of {size}: {:?}", came.host.lines());
        assert_eq!(came.server, Some(Ok(b"ping".to_vec())));
        let outcome = came.outcome.expect("it ended");
        assert_eq!((outcome.reason, outcome.to_server, outcome.to_client), (Reason::Finished, 4, 8));
        for (field, value) in [
            ("action", "bump"),
            ("rule", "otherwise"),
            ("sni", "a.example"),
            ("certificate", "trusted"),
            ("minted_by", "trusted"),
            ("server_version", "TLSv1.3"),
            ("client_version", "TLSv1.3"),
            ("result", "bumped"),
        ] {
            assert_eq!(came.field(field), text(value), "{field}");
        }
        assert!(matches!(came.field("ja4"), Some(Value::Text(ja4)) if ja4.starts_with("t13d")));
        assert_eq!(came.host.counted(Event::Bumped), 1);
        assert_eq!(came.host.counted(Event::Minted), 1);
    }
}

#[test]
fn both_versions_on_either_side() {
    let scene = Scene::new();
    let mut world = World::new();
    let connection = client(client_config(&[&scene.trusted], &[&TLS12], &[]), "a.example");
    let came = session_in(&mut world, &Arc::new(scene.settings()), &scene.good(), connection, 100_000, &[]);
    assert_eq!(came.heard, pong());
    assert_eq!((came.field("client_version"), came.field("server_version")), (text("TLSv1.2"), text("TLSv1.3")));
}

#[test]
fn spliced_bytes_are_the_client_s_own() {
    let scene = Scene::new();
    let mut hello = Vec::new();
    client(client_config(&[], &[&TLS13], &[]), "a.example").write_tls(&mut hello).expect("a Vec takes all");
    hello.extend_from_slice(b"and what follows");
    for cut in (0..hello.len()).chain([hello.len()]) {
        let settings =
            Settings { rules: rules(vec![(sni("a.example"), Action::Splice)], Action::Terminate), ..scene.settings() };
        let mut world = World::new();
        let (mut at_client, client_leg) = duplex(WINDOW);
        let (server_leg, mut at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
        let outcome = serve(&mut world, client_leg, &Arc::new(settings));
        let (host, bytes) = (world.host(), hello.clone());
        let answered = world.spawn(async move {
            let _ = at_client.send(Bytes::copy_from_slice(&bytes[..cut])).await;
            host.sleep(SECOND).await;
            let _ = at_client.send(Bytes::copy_from_slice(&bytes[cut..])).await;
            at_client.shutdown();
            (at_client.read().await, at_client.read().await)
        });
        let heard = world.spawn(async move {
            let mut all = Vec::new();
            while let Ok(Some(chunk)) = at_server.read().await {
                all.extend_from_slice(&chunk);
            }
            let _ = at_server.send(Bytes::from_static(b"\x15 anything")).await;
            at_server.shutdown();
            let _ = at_server.finished().await;
            all
        });
        assert_eq!(world.run(), 0);
        assert_eq!(heard.take(), Some(hello.clone()), "cut at {cut}");
        assert_eq!(answered.take(), Some((Ok(Some(Bytes::from_static(b"\x15 anything"))), Ok(None))));
        assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
        assert_eq!(world.host().counted(Event::Spliced), 1);
    }
}

#[test]
fn servers_that_are_not_trusted() {
    let scene = Scene::new();
    let serial = |params: &mut CertificateParams| params.serial_number = Some(SerialNumber::from_slice(&[5]));
    let cases: Vec<(Leaf, &str, Distrust)> = vec![
        (
            scene.web.leaf(&["a.example"], |params| params.not_after = date_time_ymd(2025, 12, 1)),
            "a.example",
            Distrust::Expired,
        ),
        (scene.good(), "b.example", Distrust::WrongName),
        (Authority::new("another").leaf(&["a.example"], |_| ()), "a.example", Distrust::UnknownIssuer),
        (scene.web.leaf(&["a.example"], serial), "a.example", Distrust::Revoked),
    ];
    for (leaf, name, distrust) in &cases {
        let with_list = || {
            let mut settings = scene.settings();
            let mut trust = Trust::default();
            trust.add_authority(&scene.web.cert).expect("an authority");
            trust.add_lists(&scene.web.crl(&[&[5]])).expect("a list");
            settings.to_server = ToServer::new(trust, Oldest::Tls12, &settings.clock);
            settings
        };
        // Permitted: who trusts our trusted authority alone does not take the copy.
        let came = session(with_list(), leaf, &[&scene.trusted], name, 100_000);
        assert!(
            matches!(came.heard, Some(Err(HandshakeError::Fault(Fault::Tls(Error::InvalidCertificate(_)))))),
            "{distrust}: {:?}",
            came.heard
        );
        assert_eq!(came.reason(), Some(Reason::ClientHandshake));
        assert_eq!((came.field("minted_by"), came.field("certificate")), (text("untrusted"), text(distrust.name())));

        // Who trusts the other one, too, sees the fault itself, where the copy has it.
        let came = session(with_list(), leaf, &[&scene.untrusted], name, 100_000);
        let copied = matches!(distrust, Distrust::Expired | Distrust::WrongName);
        assert_eq!(came.heard == pong(), !copied, "{distrust}: {:?}", came.heard);

        // Denied: the client hears an alert, the server its own.
        let denied = Settings { untrusted: Untrusted::Deny, ..with_list() };
        let came = session(denied, leaf, &[&scene.trusted, &scene.untrusted], name, 100_000);
        assert_eq!(came.heard, alert(AlertDescription::AccessDenied), "{distrust}");
        assert_eq!(came.reason(), Some(Reason::ServerUntrusted));
        assert!(matches!(came.server, Some(Err(HandshakeError::Fault(Fault::Tls(Error::AlertReceived(_)))))));
        assert_eq!(came.host.counted(Event::UntrustedDenied), 1);

        // No authority for them is a denial as well.
        let mut single = with_list();
        scene.without_untrusted(&mut single);
        let came = session(single, leaf, &[&scene.trusted], name, 100_000);
        assert_eq!(
            (came.heard, came.outcome.map(|o| o.reason)),
            (alert(AlertDescription::AccessDenied), Some(Reason::ServerUntrusted))
        );
    }
}

#[test]
fn ended_by_policy_before_a_server_is_spoken_to() {
    let scene = Scene::new();
    let reject = Action::Reject(AlertDescription::UnrecognisedName);
    let by_zone = Match { client_zones: vec!["intranet".into()], ..Match::default() };
    for (rule, action, expected) in [
        (sni(".example"), reject, alert(AlertDescription::UnrecognisedName)),
        (sni(".example"), Action::Terminate, Some(Err(HandshakeError::Stream(StreamError::Reset)))),
        (by_zone, Action::Terminate, Some(Err(HandshakeError::Stream(StreamError::Reset)))),
    ] {
        let settings = Settings { rules: rules(vec![(rule, action)], Action::Bump), ..scene.settings() };
        let came = session(settings, &scene.good(), &[&scene.trusted], "a.example", 64);
        assert_eq!(came.heard, expected);
        assert_eq!(came.reason(), Some(Reason::PolicyDenied));
        assert!(came.host.connected().is_empty());
        assert_eq!((came.field("action"), came.field("rule")), (text(action.name()), text("1")));
    }
}

#[test]
fn the_certificate_decides() {
    let scene = Scene::new();
    let bad = Match { trusted: Some(false), ..Match::default() };
    let settings = || Settings {
        rules: rules(vec![(bad.clone(), Action::Reject(AlertDescription::CertificateUnknown))], Action::Bump),
        ..scene.settings()
    };
    let other = Authority::new("another").leaf(&["a.example"], |_| ());
    let came = session(settings(), &other, &[&scene.trusted], "a.example", 100_000);
    assert_eq!((came.reason(), came.heard), (Some(Reason::PolicyDenied), alert(AlertDescription::CertificateUnknown)));
    let came = session(settings(), &scene.good(), &[&scene.trusted], "a.example", 100_000);
    assert_eq!(came.heard, pong());
    assert_eq!(came.host.connected().len(), 1, "looked at on the connection that is used");
}

#[test]
fn who_may_be_spliced_by_certificate_is_looked_at_beside() {
    let scene = Scene::new();
    let names = Some(Names::new(["a.example"]).expect("a name"));
    let bank = Match { certificate_names: names, trusted: Some(true), ..Match::default() };
    let settings = Arc::new(Settings { rules: rules(vec![(bank, Action::Splice)], Action::Bump), ..scene.settings() });
    for (leaf, root, action) in [
        (scene.good(), &scene.web, "splice"),
        (Authority::new("another").leaf(&["a.example"], |_| ()), &scene.untrusted, "bump"),
    ] {
        let mut world = World::new();
        let (probe_leg, at_probe) = duplex(WINDOW);
        world.host().answer_related(ConnectAnswer::After(SECOND, Ok(probe_leg)));
        let probed = answer(&mut world, at_probe, &leaf, &[]);
        let connection = client(client_config(&[root], &[&TLS13], &[]), "a.example");
        let came = session_in(&mut world, &settings, &leaf, connection, 100_000, &[]);
        assert_eq!(probed.take(), Some(Ok(Vec::new())), "{action}");
        assert_eq!(came.heard, pong(), "{action}");
        assert_eq!(came.field("action"), text(action));
        let related = came.host.related_to();
        assert_eq!(related.len(), 1);
        assert_eq!((related[0].remote, related[0].local), (info().original_destination, Some(info().client.ip())));
    }
}

#[test]
fn protocols_are_what_all_can_speak() {
    let scene = Scene::new();
    let stack = Some(Stack { service: "inner".into(), alpn: Some(vec![b"http/1.1".to_vec()]) });
    for (stack, offered, expected) in [
        (None, vec!["h2", "http/1.1"], Some("h2")),
        (stack.clone(), vec!["h2", "http/1.1"], Some("http/1.1")),
        (stack, vec!["h2"], None),
        (None, vec![], None),
    ] {
        let mut world = World::new();
        let plug = ModuleSettings::Plug(Arc::default());
        world.host().add_module(Module { service: "inner".into(), settings: plug });
        let settings = Arc::new(Settings { stack, ..scene.settings() });
        let connection = client(client_config(&[&scene.trusted], &[&TLS13], &offered), "a.example");
        let came = session_in(&mut world, &settings, &scene.good(), connection, 100_000, &["h2", "http/1.1"]);
        let expected = expected.map(|protocol: &str| protocol.as_bytes().to_vec());
        assert_eq!(came.heard, Some(Ok((b"pingping".to_vec(), expected))), "{offered:?}");
        let outcome = came.outcome.expect("it ended");
        assert_eq!((outcome.reason, outcome.to_server, outcome.to_client), (Reason::Finished, 4, 8));
    }
}

/// The protocol that a client got, and what it read there in HTTP/2.
type Asked = (Option<Vec<u8>>, Option<(u16, Vec<u8>)>);

/// A client of HTTP/2 whose session is decrypted for an `http` service, which speaks HTTP/2 or not.
fn within(scene: &Scene, encryption: Encryption, http2: bool, at_server: &[&str]) -> (Option<Asked>, MemoryHost) {
    use crate::http::two::tests as two;
    let mut world = World::new();
    let http =
        crate::http::Settings { http2: http2.then(crate::http::Two::default), ..crate::http::Settings::default() };
    let module = Module { service: "inner".into(), settings: ModuleSettings::Http(Arc::new(http)) };
    world.host().add_module(module);
    let stack = Some(Stack { service: "inner".into(), alpn: None });
    let mut settings = Settings { encryption, stack, ..scene.settings() };
    let leaf = scene.good();
    if encryption == Encryption::ClientOnly {
        let certificate = certificates::read(&leaf.pem, &leaf.key_pem).expect("they belong together");
        settings.certificates = Certificates::Own(vec![Own { names: None, certificate }]);
    }
    let (at_client, client_leg) = wire(&mut world, 1_000);
    let (server_leg, server_end) = wire(&mut world, 1_000);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
    let _ = serve(&mut world, client_leg, &Arc::new(settings));
    let connection = server(&leaf, at_server);
    let _ = world.spawn(async move {
        let mut tls = TlsStream::server(server_end, connection);
        if tls.handshake().await.is_ok() && tls.alpn() == Some(b"h2") {
            two::serve(tls, two::by_path, std::rc::Rc::default()).await;
        }
    });
    let roots = [&scene.trusted, &scene.web];
    let connection = client(client_config(&roots, &[&TLS13], &["h2", "http/1.1"]), "a.example");
    let asked = world.spawn(async move {
        let mut tls = TlsStream::client(at_client, connection);
        tls.handshake().await.expect("it is answered");
        let alpn = tls.alpn().map(<[u8]>::to_vec);
        if alpn.as_deref() != Some(b"h2") {
            return (alpn, None);
        }
        let request = http::Request::builder().uri("https://a.example/x").body(()).expect("it is a request");
        let got = two::talk(tls, |send| two::fetch(send, request, vec![], None)).await;
        (alpn, Some((got.status, got.body)))
    });
    world.run();
    (asked.take(), world.host())
}

#[test]
fn http_2_is_for_services_that_speak_it_and_servers_that_chose_it() {
    let scene = Scene::new();
    let old = || Some((Some(b"http/1.1".to_vec()), None));
    let (asked, host) = within(&scene, Encryption::TwoSided, true, &["h2", "http/1.1"]);
    assert_eq!(asked, Some((Some(b"h2".to_vec()), Some((200, b"hello /x".to_vec())))), "{:?}", host.lines());
    assert_eq!(host.counted(crate::http::event::Event::TwoSession), 1);
    assert_eq!(within(&scene, Encryption::TwoSided, true, &["http/1.1"]).0, old(), "the server does not speak it");
    assert_eq!(within(&scene, Encryption::TwoSided, false, &["h2", "http/1.1"]).0, old(), "the service does not");
    assert_eq!(within(&scene, Encryption::ClientOnly, true, &[]).0, old(), "nobody knows what the server speaks");
}

#[test]
fn a_stacked_service_that_is_gone_ends_the_session() {
    let scene = Scene::new();
    let settings = Settings { stack: Some(Stack { service: "gone".into(), alpn: None }), ..scene.settings() };
    let came = session(settings, &scene.good(), &[&scene.trusted], "a.example", 100_000);
    assert_eq!(came.reason(), Some(Reason::PolicyDenied));
    assert_eq!(came.heard, Some(Err(HandshakeError::Stream(StreamError::Reset))));
}

#[test]
fn tls_with_the_client_alone() {
    let scene = Scene::new();
    let own = |name: Option<&str>, leaf: &Leaf| Own {
        names: name.map(|name| Names::new([name]).expect("a name")),
        certificate: certificates::read(&leaf.pem, &leaf.key_pem).expect("they belong together"),
    };
    let (first, second) = (scene.web.leaf(&["a.example"], |_| ()), scene.web.leaf(&["b.example"], |_| ()));
    for (name, has_default, expected) in
        [("a.example", true, true), ("b.example", true, true), ("a.example", false, true), ("b.example", false, false)]
    {
        let mut all = vec![own(Some("a.example"), &first)];
        if has_default {
            all.push(own(None, &second));
        }
        let settings =
            Settings { encryption: Encryption::ClientOnly, certificates: Certificates::Own(all), ..scene.settings() };
        let mut world = World::new();
        let (at_client, client_leg) = duplex(WINDOW);
        let (server_leg, mut at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
        let outcome = serve(&mut world, client_leg, &Arc::new(settings));
        let heard = ask(&mut world, at_client, client(client_config(&[&scene.web], &[&TLS13], &[]), name));
        let server = world.spawn(async move {
            let heard = (at_server.read().await, at_server.read().await);
            let _ = at_server.send(Bytes::from_static(b"clear")).await;
            at_server.shutdown();
            let _ = at_server.finished().await;
            heard
        });
        world.run();
        if expected {
            assert_eq!(heard.take(), Some(Ok((b"clear".to_vec(), None))), "{name}");
            assert_eq!(server.take(), Some((Ok(Some(Bytes::from_static(b"ping"))), Ok(None))));
            assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
        } else {
            assert_eq!(heard.take(), alert(AlertDescription::UnrecognisedName));
            assert_eq!(world.host().counted(Event::NoCertificate), 1);
        }
    }
}

#[test]
fn tls_with_the_server_alone() {
    let scene = Scene::new();
    for (name, untrusted, expected) in [
        ("a.example", Untrusted::Deny, true),
        ("b.example", Untrusted::Permit, true),
        ("b.example", Untrusted::Deny, false),
    ] {
        let settings = Settings {
            encryption: Encryption::ServerOnly,
            server_name: Some(name.try_into().expect("a name")),
            untrusted,
            ..scene.settings()
        };
        let mut world = World::new();
        let (mut at_client, client_leg) = duplex(WINDOW);
        let (server_leg, at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
        let outcome = serve(&mut world, client_leg, &Arc::new(settings));
        let server = answer(&mut world, at_server, &scene.good(), &[]);
        let heard = world.spawn(async move {
            let _ = at_client.send(Bytes::from_static(b"clear")).await;
            at_client.shutdown();
            (at_client.read().await, at_client.read().await)
        });
        world.run();
        if expected {
            assert_eq!(heard.take(), Some((Ok(Some(Bytes::from_static(b"clearclear"))), Ok(None))));
            assert_eq!(server.take(), Some(Ok(b"clear".to_vec())));
            assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::Finished));
        } else {
            let reset = Err(StreamError::Reset);
            assert_eq!(heard.take(), Some((reset.clone(), reset)));
            assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ServerUntrusted));
        }
    }
}

#[test]
fn what_is_pinned_is_learned_and_spliced_for_its_time() {
    let scene = Scene::new();
    let learning = Some(Learning { after: 2, keep: 3_600 * SECOND });
    let settings = Arc::new(Settings { learning, ..scene.settings() });
    let mut world = World::new();
    // It trusts the world's authority and none of ours.
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let refused = Some(Err(HandshakeError::Fault(Fault::Tls(unknown))));
    for expected in [refused.clone(), refused.clone(), pong(), pong()] {
        let connection = client(client_config(&[&scene.web], &[&TLS13], &[]), "a.example");
        let came = session_in(&mut world, &settings, &scene.good(), connection, 100_000, &[]);
        assert_eq!(came.heard, expected);
    }
    let counted = |event| world.host().counted(event);
    assert_eq!(counted(Event::PinSuspected), 2);
    assert_eq!(counted(Event::PinLearned), 1);
    assert_eq!(counted(Event::PinSpliced), 2);
    assert!(world.host().lines().iter().any(|(_, _, line)| line.contains("does not take our certificate")));
    // Another name of the same client is bumped.
    let connection = client(client_config(&[&scene.trusted], &[&TLS13], &[]), "c.example");
    let leaf = scene.web.leaf(&["c.example"], |_| ());
    assert_eq!(session_in(&mut world, &settings, &leaf, connection, 100_000, &[]).heard, pong());
    world.run_until(world.now() + 3_601 * SECOND);
    let connection = client(client_config(&[&scene.web], &[&TLS13], &[]), "a.example");
    assert_eq!(session_in(&mut world, &settings, &scene.good(), connection, 100_000, &[]).heard, refused);
}

type Reads = Vec<Result<Option<Bytes>, StreamError>>;

/// With TLS 1.3 a client has finished its handshake when it looks at our certificate as its application does.
#[test]
fn who_leaves_without_a_word_after_the_handshake_is_pinned_too() {
    let scene = Scene::new();
    let learning = Some(Learning { after: 2, keep: 3_600 * SECOND });
    let settings = Arc::new(Settings { learning, ..scene.settings() });
    let mut world = World::new();
    for round in 0..4 {
        let (at_client, client_leg) = duplex(WINDOW);
        let (server_leg, at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
        let outcome = serve(&mut world, client_leg, &settings);
        let _ = answer(&mut world, at_server, &scene.good(), &[]);
        let connection = client(client_config(&[&scene.trusted, &scene.web], &[&TLS13], &[]), "a.example");
        let host = world.host();
        let _ = world.spawn(async move {
            let mut tls = TlsStream::client(at_client, connection);
            let _ = tls.handshake().await;
            // Round 1 is one that speaks: it begins anew after that.
            if round == 1 {
                let _ = tls.send(Bytes::from_static(b"ping")).await;
            }
            host.sleep(SECOND).await;
            tls.abort();
        });
        world.run();
        assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientReset), "round {round}");
    }
    assert_eq!(world.host().counted(Event::PinSuspected), 3);
    assert_eq!(world.host().counted(Event::PinLearned), 1);
}

/// What a client hears that says `bytes` and waits.
fn says(settings: Settings, bytes: &'static [u8], end: bool) -> (World, Reads, Option<Reason>) {
    let mut world = World::new();
    let (mut at_client, client_leg) = duplex(WINDOW);
    let (server_leg, mut at_server) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
    let outcome = serve(&mut world, client_leg, &Arc::new(settings));
    let heard = world.spawn(async move {
        let _ = at_client.send(Bytes::from_static(bytes)).await;
        if end {
            at_client.shutdown();
        }
        let mut all = vec![at_client.read().await];
        while let Some(Ok(Some(_))) = all.last() {
            all.push(at_client.read().await);
        }
        all
    });
    let _ = world.spawn(async move {
        while let Ok(Some(chunk)) = at_server.read().await {
            let _ = at_server.send(chunk).await;
        }
        at_server.shutdown();
        let _ = at_server.finished().await;
    });
    world.run_until(1_000 * SECOND);
    let reason = outcome.take().map(|outcome| outcome.reason);
    (world, heard.take().expect("it ended"), reason)
}

#[test]
fn what_is_no_tls() {
    let scene = Scene::new();
    let reset = || vec![Err(StreamError::Reset)];
    let get = b"GET / HTTP/1.0\r\n\r\n";
    let (world, heard, reason) = says(scene.settings(), get, true);
    assert_eq!((heard, reason), (reset(), Some(Reason::ClientViolation)));
    assert_eq!(world.host().counted(Event::NotTls), 1);

    let (_, heard, reason) = says(Settings { not_tls: NotTls::Pass, ..scene.settings() }, get, true);
    assert_eq!((heard, reason), (vec![Ok(Some(Bytes::from_static(get))), Ok(None)], Some(Reason::Finished)));

    // What begins as TLS and is none gets its alert, whatever becomes of other protocols.
    let broken = b"\x16\x03\x01\x00\x04\x01\x00\x00\x00";
    let (world, heard, reason) = says(Settings { not_tls: NotTls::Pass, ..scene.settings() }, broken, false);
    let alert = Ok(Some(Bytes::from_static(b"\x15\x03\x03\x00\x02\x02\x32")));
    assert_eq!((heard, reason), (vec![alert, Ok(None)], Some(Reason::ClientViolation)));
    assert_eq!(world.host().counted(Event::MalformedHello), 1);

    let (_, heard, reason) = says(scene.settings(), b"\x16\x03\x01", true);
    assert_eq!((heard, reason), (reset(), Some(Reason::ClientHandshake)));
}

#[test]
fn whoever_is_too_slow() {
    let scene = Scene::new();
    let (world, heard, reason) = says(scene.settings(), b"\x16\x03\x01", false);
    assert_eq!((heard, reason), (vec![Err(StreamError::Reset)], Some(Reason::ClientTooSlow)));
    assert_eq!(world.host().counted(Event::HelloTimeout), 1);

    // A server that is silent.
    let mut world = World::new();
    let (at_client, client_leg) = duplex(WINDOW);
    let (server_leg, mut at_server) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
    let outcome = serve(&mut world, client_leg, &Arc::new(scene.settings()));
    let connection = client(client_config(&[&scene.trusted], &[&TLS13], &[]), "a.example");
    let heard = ask(&mut world, at_client, connection);
    let silent = world.spawn(async move { at_server.failed().await });
    world.run();
    assert_eq!(heard.take(), Some(Err(HandshakeError::Stream(StreamError::Reset))));
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ServerTooSlow));
    assert_eq!(silent.take(), Some(StreamError::Reset));
    assert_eq!(world.now(), 11 * SECOND);
    assert_eq!(world.host().counted(Event::ServerTimeout), 1);

    // A client that is silent after its hello.
    let mut world = World::new();
    let (mut at_client, client_leg) = duplex(WINDOW);
    let (server_leg, at_server) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
    let outcome = serve(&mut world, client_leg, &Arc::new(scene.settings()));
    let _ = answer(&mut world, at_server, &scene.good(), &[]);
    let mut hello = Vec::new();
    client(client_config(&[], &[&TLS13], &[]), "a.example").write_tls(&mut hello).expect("a Vec takes all");
    let _ = world.spawn(async move {
        let _ = at_client.send(Bytes::from(hello)).await;
        at_client.failed().await
    });
    world.run();
    assert_eq!(outcome.take().map(|outcome| outcome.reason), Some(Reason::ClientTooSlow));
    assert_eq!(world.host().counted(Event::ClientTimeout), 1);
}

#[test]
fn who_does_not_take_its_alert_goes_without() {
    let scene = Scene::new();
    let reject = Action::Reject(AlertDescription::AccessDenied);
    let settings = Settings { rules: rules(vec![(sni(".example"), reject)], Action::Bump), ..scene.settings() };
    let mut world = World::new();
    let (mut at_client, client_leg) = duplex(WINDOW);
    let outcome = serve(&mut world, client_leg, &Arc::new(settings));
    let mut hello = Vec::new();
    client(client_config(&[], &[&TLS13], &[]), "a.example").write_tls(&mut hello).expect("a Vec takes all");
    let ended = world.spawn(async move {
        let _ = at_client.send(Bytes::from(hello)).await;
        at_client.failed().await
    });
    assert_eq!(world.run(), 0);
    assert_eq!((world.now(), ended.take()), (limits::ALERT_LINGER_MAX, Some(StreamError::Reset)));
    assert_eq!(outcome.take(), Some(Outcome::unserved(Reason::PolicyDenied)));
}

#[test]
fn a_server_s_alert_is_the_client_s() {
    let scene = Scene::new();
    let mut world = World::new();
    let connection = client(client_config(&[&scene.trusted], &[&TLS13], &["h3"]), "a.example");
    let came = session_in(&mut world, &Arc::new(scene.settings()), &scene.good(), connection, 64, &["h2"]);
    assert_eq!(came.heard, alert(AlertDescription::NoApplicationProtocol));
    assert_eq!(came.reason(), Some(Reason::ServerHandshake));
    assert_eq!(came.field("result"), text("server_handshake"));
}

#[test]
fn without_a_server_the_client_gets_a_reset() {
    let scene = Scene::new();
    let mut world = World::new();
    let (at_client, client_leg) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::After(SECOND, Err(ConnectError::Refused)));
    let outcome = serve(&mut world, client_leg, &Arc::new(scene.settings()));
    let heard = ask(&mut world, at_client, client(client_config(&[], &[&TLS13], &[]), "a.example"));
    assert_eq!(world.run(), 0);
    assert_eq!(heard.take(), Some(Err(HandshakeError::Stream(StreamError::Reset))));
    assert_eq!(outcome.take(), Some(Outcome::unserved(Reason::ConnectRefused)));
}

#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    let scene = Scene::new();
    let mut world = World::new();
    let (mut at_client, client_leg) = duplex(WINDOW);
    world.host().answer_connect(ConnectAnswer::Never);
    let outcome = serve(&mut world, client_leg, &Arc::new(scene.settings()));
    let mut hello = Vec::new();
    client(client_config(&[], &[&TLS13], &[]), "a.example").write_tls(&mut hello).expect("a Vec takes all");
    let host = world.host();
    let _ = world.spawn(async move {
        let _ = at_client.send(Bytes::from(hello)).await;
        host.sleep(SECOND).await;
        at_client.abort();
    });
    assert_eq!(world.run(), 0);
    assert_eq!(outcome.take(), Some(Outcome::unserved(Reason::ClientReset)));
}

#[test]
fn a_truncated_answer_is_truncated_for_the_client_too() {
    let scene = Scene::new();
    for truncation in [Truncation::Mirror, Truncation::Deny, Truncation::Permit] {
        let mut world = World::new();
        let settings = Settings { truncation, ..scene.settings() };
        let (at_client, client_leg) = duplex(WINDOW);
        let (server_leg, at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(SECOND, Ok(server_leg)));
        let outcome = serve(&mut world, client_leg, &Arc::new(settings));
        let heard = ask(&mut world, at_client, client(client_config(&[&scene.trusted], &[&TLS13], &[]), "a.example"));
        let connection = server(&scene.good(), &[]);
        let _ = world.spawn(async move {
            let mut tls = TlsStream::server(at_server, connection);
            while let Ok(Some(_)) = tls.read().await {}
            let _ = tls.send(Bytes::from_static(b"half")).await;
            tls.truncate();
            let _ = tls.finished().await;
        });
        world.run();
        let (heard, reason) = (heard.take(), outcome.take().map(|outcome| outcome.reason));
        let reset = Some(Err(HandshakeError::Stream(StreamError::Reset)));
        let cut = Some(Err(HandshakeError::Fault(Fault::Truncated)));
        let expected = match truncation {
            Truncation::Mirror => (cut, Some(Reason::Finished)),
            Truncation::Deny => (reset, Some(Reason::ServerReset)),
            Truncation::Permit => (Some(Ok((b"half".to_vec(), None))), Some(Reason::Finished)),
        };
        assert_eq!((heard, reason), expected, "{truncation:?}");
    }
}

#[test]
fn a_script_splices_bumps_and_denies() {
    let scene = Scene::new();
    let lua = r#"function hello(s, h)
          assert(h.version == "1.3" and h.ja4:sub(1, 4) == "t13d" and #h.ja3 > 0 and not h.ech)
          if h.sni == "a.example" then return "bump" end
          if h.sni == "b.example" then return "splice" end
          if h.sni == "c.example" then return "deny", "not this one" end
          while true do end
        end"#;
    let script = crate::script::Settings::new("test", lua, 1 << 20, 100_000).expect("it is good");
    // The rules alone would refuse all of them.
    let rules = rules(vec![], Action::Terminate);
    let with = |encryption| Settings {
        rules: Rules {
            rules: vec![Rule { name: "1".into(), matches: sni("never.example"), action: Action::Bump }],
            ..rules.clone()
        },
        script: Some(Arc::new(script.clone())),
        encryption,
        ..scene.settings()
    };
    let settings = Arc::new(with(Encryption::TwoSided));
    let told = |name: &str, settings: &Arc<Settings>| {
        let mut world = World::new();
        let (mut at_client, client_leg) = duplex(WINDOW);
        let (server_leg, mut at_server) = duplex(WINDOW);
        world.host().answer_connect(ConnectAnswer::After(Duration::ZERO, Ok(server_leg)));
        let mut hello = Vec::new();
        client(client_config(&[], &[&TLS13], &[]), name).write_tls(&mut hello).expect("a Vec takes all");
        let outcome = serve(&mut world, client_leg, settings);
        let said = hello.clone();
        let _ = world.spawn(async move {
            let _ = at_client.send(Bytes::from(said)).await;
            at_client.shutdown();
            while let Ok(Some(_)) = at_client.read().await {}
        });
        let heard = world.spawn(async move {
            let first = at_server.read().await;
            at_server.shutdown();
            while let Ok(Some(_)) = at_server.read().await {}
            first.ok().flatten().unwrap_or_default().to_vec()
        });
        world.run();
        (
            heard.take().unwrap_or_default() == hello,
            outcome.take().expect("it is over").reason,
            world.host().counted(Event::Spliced),
        )
    };
    assert_eq!(told("b.example", &settings), (true, Reason::Finished, 1));
    assert_eq!(told("c.example", &settings), (false, Reason::PolicyDenied, 0));
    assert_eq!(told("d.example", &settings), (false, Reason::ScriptFailed, 0));
    let (same, _, spliced) = told("a.example", &settings);
    assert_eq!((same, spliced), (false, 0), "the server gets a hello of ours");
    assert_eq!(told("b.example", &Arc::new(with(Encryption::ClientOnly))).1, Reason::ScriptFailed);
}
