//! AUTH TLS at either side, at both, and what is tried to get around it.

use std::sync::Arc;

use rustls::version::TLS13;

use super::peer::{CLIENT, Cut, Peer, Played, SERVER, play};
use crate::ftp::Settings;
use crate::ftp::event::Event;
use crate::ftp::settings::{ClientTls, ServerTls, When};
use crate::memory::MemoryStream;
use crate::outcome::Reason;
use crate::stream::Stream;
use crate::tls::TlsStream;
use crate::tls::certificates;
use crate::tls::ends::{Oldest, ToClient, ToServer};
use crate::tls::testing::{Authority, Leaf, NOW, client, client_config, server};
use crate::tls::verify::Trust;

/// Both ends' certificates, by one authority.
struct Keys {
    root: Authority,
    leaf: Leaf,
}

impl Keys {
    fn new() -> Keys {
        let root = Authority::new("root");
        let leaf = root.leaf(&["gateway.example", "10.0.0.9"], |_| ());
        Keys { root, leaf }
    }

    fn with_client(&self, settings: &mut Settings, required: bool) {
        let certificate = certificates::read(&self.leaf.pem, &self.leaf.key_pem).expect("it is one");
        let ends = ToClient::new(Oldest::Tls12, &settings.tls.clock);
        settings.tls.client = Some(ClientTls { ends, certificate, required, private_data: required });
    }

    fn with_server(&self, settings: &mut Settings, when: When, trusts: bool) {
        let mut trust = Trust::default();
        trust.missing_list_permitted = true;
        if trusts {
            trust.add_authority(&self.root.cert).expect("it is one");
        }
        let ends = ToServer::new(trust, Oldest::Tls12, &settings.tls.clock);
        settings.tls.clock.set(NOW);
        settings.tls.server = Some(ServerTls { ends, name: None, when, demand: true, private_data: true });
    }

    async fn secure_client(&self, peer: Peer) -> Peer<TlsStream<MemoryStream>> {
        let connection = client(client_config(&[&self.root], &[&TLS13], &[]), "gateway.example");
        let mut stream = TlsStream::client(peer.stream, connection);
        stream.handshake().await.expect("it is trusted");
        Peer::new(stream, Cut::Whole)
    }

    async fn secure_server(&self, peer: Peer) -> Peer<TlsStream<MemoryStream>> {
        let mut stream = TlsStream::server(peer.stream, server(&self.leaf, &[]));
        stream.handshake().await.expect("it trusts us");
        Peer::new(stream, Cut::Whole)
    }
}

async fn greets(played: &mut Played) {
    played.server.says("220 ready").await;
    played.client.expects("220 ready").await;
}

async fn both<C: Stream<Chunk = bytes::Bytes>, S: Stream<Chunk = bytes::Bytes>>(
    client: &mut Peer<C>,
    server: &mut Peer<S>,
    lines: &[(&str, &str)],
) {
    for (command, reply) in lines {
        client.says(command).await;
        server.expects(command).await;
        server.says(reply).await;
        client.expects(reply).await;
    }
}

const LOGS_IN: &[(&str, &str)] = &[("USER joe", "331 ?"), ("PASS secret", "230 in")];

#[test]
fn with_the_client_alone() {
    let keys = Arc::new(Keys::new());
    let mut settings = Settings::default();
    keys.with_client(&mut settings, true);
    for cut in [Cut::Whole, Cut::Bytes] {
        let keys = Arc::clone(&keys);
        let (outcome, host) = play(settings.clone(), cut, (CLIENT, SERVER), |mut played| async move {
            greets(&mut played).await;
            for (command, code) in [("USER joe", "530"), ("PBSZ 0", "503"), ("PROT P", "503"), ("AUTH SSL", "504")] {
                played.client.says(command).await;
                assert_eq!(played.client.hears().await[..3], *code, "{command}");
            }
            played.client.says("AUTH TLS").await;
            played.client.expects("234 AUTH TLS ok").await;
            let Played { client, mut server, host, .. } = played;
            let mut client = keys.secure_client(client).await;
            for (command, code) in
                [("AUTH TLS", "503"), ("PROT P", "503"), ("PBSZ 0", "200"), ("PROT C", "534"), ("REIN", "502")]
            {
                client.says(command).await;
                assert_eq!(client.hears().await[..3], *code, "{command}");
            }
            both(&mut client, &mut server, LOGS_IN).await;
            client.says("FEAT").await;
            server.expects("FEAT").await;
            server.says("211-x\r\n UTF8\r\n211 End").await;
            client.expects("211-Features:\r\n UTF8\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n211 End").await;
            // A transfer: private at the client, clear at the server.
            client.says("EPSV").await;
            server.expects("EPSV").await;
            server.says("229 (|||50000|)").await;
            client.expects("229 Entering Extended Passive Mode (|||40000|)").await;
            let played =
                Played { client: server, server: Peer::new(crate::memory::duplex(1).0, Cut::Whole), host, cut };
            let mut from = played.accepts();
            let to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
            let mut server = played.client;
            client.says("RETR a").await;
            assert_eq!(client.hears().await[..3], *"522", "not without PROT P");
            client.says("PROT P").await;
            assert_eq!(client.hears().await[..3], *"200");
            client.says("RETR a").await;
            server.expects("RETR a").await;
            server.says("150 open").await;
            from.sends(b"in clear there").await;
            from.stream.shutdown();
            client.expects("150 open").await;
            let mut to = keys.secure_client(to).await;
            assert_eq!(to.rest().await, Ok(b"in clear there".to_vec()));
            drop(to);
            server.says("226 done").await;
            client.expects("226 done").await;
            both(&mut client, &mut server, &[("QUIT", "221 bye")]).await;
            client.ends().await;
            server.ends().await;
        });
        assert_eq!(outcome.reason, Reason::Finished);
        assert_eq!((host.counted(Event::TlsClient), host.counted(Event::TlsServer)), (2, 0));
    }
}

#[test]
fn with_the_server_alone() {
    let keys = Arc::new(Keys::new());
    let mut settings = Settings::default();
    keys.with_server(&mut settings, When::Always, true);
    let (outcome, host) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.server.expects("AUTH TLS").await;
        played.server.says("234 go").await;
        let Played { mut client, server, host, cut } = played;
        let mut server = keys.secure_server(server).await;
        for (command, reply) in [("PBSZ 0", "200 ok"), ("PROT P", "200 ok")] {
            server.expects(command).await;
            server.says(reply).await;
        }
        both(&mut client, &mut server, LOGS_IN).await;
        client.says("AUTH TLS").await;
        assert_eq!(client.hears().await[..3], *"502");
        client.says("PASV").await;
        server.expects("PASV").await;
        server.says("227 (10,0,0,9,195,80)").await;
        client.expects("227 Entering Passive Mode (10,0,0,9,156,64)").await;
        let played = Played { client, server: Peer::new(crate::memory::duplex(1).0, Cut::Whole), host, cut };
        let to = played.accepts();
        let mut from = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        let mut client = played.client;
        client.says("STOR a").await;
        server.expects("STOR a").await;
        server.says("150 open").await;
        client.expects("150 open").await;
        let mut to = keys.secure_server(to).await;
        from.sends(b"in clear here").await;
        from.stream.shutdown();
        assert_eq!(to.rest().await, Ok(b"in clear here".to_vec()));
        // In memory a FIN is acknowledged when it is read, and TLS reads no further than close_notify.
        drop(to);
        server.says("226 done").await;
        client.expects("226 done").await;
        both(&mut client, &mut server, &[("QUIT", "221 bye")]).await;
        client.ends().await;
        server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::Finished);
    assert_eq!((host.counted(Event::TlsClient), host.counted(Event::TlsServer)), (0, 2));
}

#[test]
fn the_server_is_asked_when_the_client_asks() {
    let keys = Arc::new(Keys::new());
    let mut settings = Settings::default();
    keys.with_client(&mut settings, false);
    keys.with_server(&mut settings, When::Follow, true);
    let (outcome, _) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.client.says("AUTH TLS").await;
        played.server.expects("AUTH TLS").await;
        played.server.says("431 not now").await;
        played.client.expects("431 not now").await;
        played.client.says("AUTH TLS").await;
        played.server.expects("AUTH TLS").await;
        played.server.says("234 go").await;
        let Played { client, server, .. } = played;
        let mut server = keys.secure_server(server).await;
        for command in ["PBSZ 0", "PROT P"] {
            server.expects(command).await;
            server.says("200 ok").await;
        }
        let mut client = client;
        client.expects("234 AUTH TLS ok").await;
        let mut client = keys.secure_client(client).await;
        both(&mut client, &mut server, LOGS_IN).await;
        both(&mut client, &mut server, &[("QUIT", "221 bye")]).await;
        client.ends().await;
        server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::Finished);
}

#[test]
fn text_behind_auth_ends_the_session() {
    let keys = Keys::new();
    let mut settings = Settings::default();
    keys.with_client(&mut settings, false);
    let (outcome, host) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.client.says("AUTH TLS\r\nUSER injected").await;
        played.client.expects("421 There is text in clear behind AUTH TLS").await;
        played.client.ends().await;
        assert_eq!(played.server.hears().await, "END");
    });
    assert_eq!((outcome.reason, host.counted(Event::TextBeforeTls)), (Reason::ClientViolation, 1));
    let mut settings = Settings::default();
    keys.with_server(&mut settings, When::Always, true);
    let (outcome, _) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.server.expects("AUTH TLS").await;
        played.server.says("234 go\r\n230 injected").await;
        played.client.expects("421 There is text in clear behind AUTH TLS").await;
        played.client.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ServerViolation);
}

#[test]
fn a_server_that_cannot_be_trusted_gets_no_password() {
    let keys = Arc::new(Keys::new());
    let mut settings = Settings::default();
    keys.with_server(&mut settings, When::Always, false);
    let (outcome, host) = play(settings.clone(), Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.server.expects("AUTH TLS").await;
        played.server.says("234 go").await;
        let Played { mut client, server: peer, .. } = played;
        let mut stream = TlsStream::server(peer.stream, server(&keys.leaf, &[]));
        assert!(stream.handshake().await.is_err());
        client.expects("421 TLS with the server could not be set up").await;
        client.ends().await;
    });
    assert_eq!((outcome.reason, host.counted(Event::TlsFailed)), (Reason::ServerUntrusted, 1));
    let (outcome, _) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        greets(&mut played).await;
        played.server.expects("AUTH TLS").await;
        played.server.says("502 what?").await;
        played.client.expects("421 TLS with the server could not be set up").await;
        played.client.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ServerHandshake);
}
