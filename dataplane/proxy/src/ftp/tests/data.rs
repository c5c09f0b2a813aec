//! Data connections: who connects to whom, what passes, and what happens when it does not.

use std::time::Duration;

use super::peer::{CLIENT, Cut, Peer, Played, SERVER, at, play, play_cut};
use crate::ftp::Settings;
use crate::ftp::event::Event;
use crate::ftp::settings::{ActivePort, DataMode};
use crate::host::{ConnectError, Related};
use crate::memory::ConnectAnswer;
use crate::outcome::Side;
use crate::record::{Record, Value};
use crate::stream::{Stream, StreamError};

const SERVER_DATA: &str = "10.0.0.9:50000";

fn mode(mode: DataMode) -> Settings {
    let mut settings = Settings::default();
    settings.data.mode = mode;
    settings
}

/// PASV on both sides; the server's end of the data.
async fn passive(played: &mut Played) -> Peer {
    played.client.says("PASV").await;
    played.server.expects("PASV").await;
    played.server.says("227 Entering Passive Mode (10,0,0,9,195,80).").await;
    played.client.expects("227 Entering Passive Mode (10,0,0,9,156,64)").await;
    played.accepts()
}

/// PORT on both sides.
async fn active(played: &mut Played) -> Peer {
    played.client.says("PORT 192,168,1,5,200,1").await;
    played.server.expects("PORT 192,168,1,5,156,64").await;
    played.server.says("200 ok").await;
    played.client.expects("200 PORT command successful").await;
    played.accepts()
}

fn field(record: &Record, name: &str) -> Value {
    record.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone()).expect("it is there")
}

#[test]
fn passive_download() {
    let (outcome, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR file").await;
        played.server.expects("RETR file").await;
        played.server.says("150 here it comes").await;
        played.pause(10).await;
        assert_eq!(played.client.stream.unread(), 0, "150 is held until there is something");
        from.sends(b"some bytes\r\nof a file").await;
        played.client.expects("150 here it comes").await;
        from.stream.shutdown();
        played.server.says("226 done").await;
        assert_eq!(to.rest().await, Ok(b"some bytes\r\nof a file".to_vec()));
        played.client.expects("226 done").await;
        played.quits().await;
    });
    let server = at(SERVER_DATA);
    let local = Some(at(CLIENT).ip());
    assert_eq!(host.related_to(), [Related { side: Side::Server, local, ports: 0..=0, remote: server }]);
    assert_eq!(host.expected(), [], "nothing is waited for any more");
    assert_eq!((host.counted(Event::Transfers), host.counted(Event::TransfersFailed)), (1, 0));
    let record = &host.records()[0];
    assert_eq!((record.kind, field(record, "bytes"), field(record, "code")), ("ftp.transfer", 21.into(), 226.into()));
    assert_eq!((field(record, "path"), field(record, "user")), ("file".into(), "joe".into()));
    assert_eq!((field(record, "client_mode"), field(record, "server_mode")), ("passive".into(), "passive".into()));
    assert!(outcome.to_client > 21);
}

#[test]
fn passive_upload() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut to = passive(&mut played).await;
        let mut from = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("STOR file").await;
        played.server.expects("STOR file").await;
        played.server.says("150 go on").await;
        played.client.expects("150 go on").await;
        from.sends(b"some bytes").await;
        from.stream.shutdown();
        assert_eq!(to.rest().await, Ok(b"some bytes".to_vec()));
        played.server.says("226 done").await;
        played.client.expects("226 done").await;
        played.quits().await;
    });
}

#[test]
fn active_download_comes_from_the_server_that_was_asked() {
    let (_, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut to = active(&mut played).await;
        played.client.says("LIST").await;
        played.server.expects("LIST").await;
        let mut from = played.connects("192.168.1.5:40000", "10.0.0.9:20");
        played.server.says("150 here it comes").await;
        from.sends(b"a list").await;
        from.stream.shutdown();
        played.client.expects("150 here it comes").await;
        played.server.says("226 done").await;
        assert_eq!(to.rest().await, Ok(b"a list".to_vec()));
        played.client.expects("226 done").await;
        played.quits().await;
    });
    let related =
        Related { side: Side::Client, local: Some(at(SERVER).ip()), ports: 20..=20, remote: at("192.168.1.5:51201") };
    assert_eq!(host.related_to(), [related]);
}

#[test]
fn either_side_can_be_the_other_way() {
    // Active at the client, passive at the server.
    let (_, host) = play_cut(&mode(DataMode::Passive), |mut played| async move {
        played.logs_in().await;
        played.client.says("PORT 192,168,1,5,200,1").await;
        played.server.expects("PASV").await;
        played.server.says("227 =10,0,0,9,195,80").await;
        played.client.expects("200 PORT command successful").await;
        let (mut from, mut to) = (played.accepts(), played.accepts());
        played.client.says("NLST").await;
        played.server.expects("NLST").await;
        played.server.says("125 open").await;
        from.sends(b"names").await;
        from.stream.shutdown();
        played.client.expects("125 open").await;
        played.server.says("250 done").await;
        assert_eq!(to.rest().await, Ok(b"names".to_vec()));
        played.client.expects("250 done").await;
        played.quits().await;
    });
    assert_eq!(field(&host.records()[0], "client_mode"), "active".into());
    assert_eq!(field(&host.records()[0], "server_mode"), "passive".into());
    // Passive at the client, active at the server.
    let (_, host) = play_cut(&mode(DataMode::Active), |mut played| async move {
        played.logs_in().await;
        played.client.says("EPSV").await;
        played.server.expects("EPRT |1|192.168.1.5|40000|").await;
        played.server.says("200 ok").await;
        played.client.expects("229 Entering Extended Passive Mode (|||40000|)").await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("MLSD").await;
        played.server.expects("MLSD").await;
        let mut from = played.connects("192.168.1.5:40000", "10.0.0.9:20");
        played.server.says("150 open").await;
        from.sends(b"facts").await;
        from.stream.shutdown();
        played.client.expects("150 open").await;
        played.server.says("226 done").await;
        assert_eq!(to.rest().await, Ok(b"facts".to_vec()));
        played.client.expects("226 done").await;
        played.quits().await;
    });
    assert_eq!(field(&host.records()[0], "client_mode"), "passive".into());
    assert_eq!(field(&host.records()[0], "server_mode"), "active".into());
}

#[test]
fn version_6_has_its_own_commands() {
    let addresses = ("[2001:db8:1::5]:41000", "[2001:db8:2::9]:21");
    for cut in [Cut::Whole, Cut::Bytes] {
        let (_, host) = play(Settings::default(), cut, addresses, |mut played| async move {
            played.logs_in().await;
            for (command, code) in
                [("PASV", "522"), ("EPSV 1", "522"), ("EPRT |1|192.168.1.5|51201|", "522"), ("EPSV x", "501")]
            {
                played.client.says(command).await;
                assert_eq!(played.client.hears().await[..3], *code, "{command}");
            }
            played.client.says("EPSV").await;
            played.server.expects("EPSV").await;
            played.server.says("229 ok (|||50000|)").await;
            played.client.expects("229 Entering Extended Passive Mode (|||40000|)").await;
            let mut from = played.accepts();
            let mut to = played.connects("[2001:db8:2::9]:40000", "[2001:db8:1::5]:41001");
            played.client.says("RETR a").await;
            played.server.expects("RETR a").await;
            played.server.says("150 open").await;
            from.stream.shutdown();
            played.client.expects("150 open").await;
            assert_eq!(to.rest().await, Ok(Vec::new()), "a file may be empty");
            played.server.says("226 done").await;
            played.client.expects("226 done").await;
            played.client.says("EPRT |2|2001:db8:1::5|51201|").await;
            played.server.expects("EPRT |2|2001:db8:1::5|40000|").await;
            played.server.says("200 ok").await;
            played.client.expects("200 EPRT command successful").await;
            played.quits().await;
        });
        assert_eq!(host.related_to()[0].remote, at("[2001:db8:2::9]:50000"));
    }
}

#[test]
fn epsv_all_is_kept() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.client.says("EPSV ALL").await;
        played.client.expects("200 EPSV ALL ok").await;
        for command in ["PASV", "PORT 192,168,1,5,200,1", "EPRT |1|192.168.1.5|51201|"] {
            played.client.says(command).await;
            assert_eq!(played.client.hears().await[..3], *"500");
        }
        played.quits().await;
    });
}

#[test]
fn nobody_is_bounced_to() {
    let (_, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        for command in
            ["PORT 192,168,1,6,200,1", "PORT 192,168,1,5,0,25", "EPRT |1|10.0.0.9|51201|", "EPRT |1|192.168.1.5|80|"]
        {
            played.client.says(command).await;
            assert_eq!(played.client.hears().await[..3], *"500", "{command}");
        }
        for reply in
            ["227 (10,0,0,10,195,80)", "227 (10,0,0,9,0,25)", "227 what", "229 (|||50000|)", "227 (127,0,0,1,195,80)"]
        {
            played.client.says("PASV").await;
            played.server.expects("PASV").await;
            played.server.says(reply).await;
            assert_eq!(played.client.hears().await[..3], *"500", "{reply}");
        }
        played.client.says("RETR a").await;
        assert_eq!(played.client.hears().await[..3], *"425");
        played.quits().await;
    });
    assert_eq!((host.counted(Event::BounceClient), host.counted(Event::BounceServer)), (4, 3));
    assert_eq!(host.related_to(), []);
}

#[test]
fn others_find_nobody_where_data_is_expected() {
    let (_, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let _ = passive(&mut played).await;
        for stranger in ["192.168.1.6:41001", "10.0.0.9:20"] {
            assert!(played.host.connect_to(at("10.0.0.9:40000"), at(stranger)).is_err());
        }
        let _ = active(&mut played).await;
        assert!(
            played.host.connect_to(at("10.0.0.9:40000"), at("192.168.1.5:41001")).is_err(),
            "PORT took PASV's place"
        );
        played.client.says("LIST").await;
        played.server.expects("LIST").await;
        let mut wrong = played.connects("192.168.1.5:40000", "10.0.0.9:12345");
        assert_eq!(wrong.hears().await, "RESET", "not the port that a server has");
        played.server.says("150 open").await;
        played.server.says("226 done").await;
        played.client.expects("425 Cannot open the data connection").await;
        played.quits().await;
    });
    assert_eq!((host.counted(Event::BounceServer), host.counted(Event::TransfersFailed)), (1, 1));
}

#[test]
fn ports_and_addresses_can_be_told_otherwise() {
    let mut settings = Settings::default();
    settings.data.active_port = ActivePort::Random;
    settings.data.strict_server_port = false;
    settings.data.announce_to_client = Some("203.0.113.1".parse().expect("it is an address"));
    settings.data.announce_to_server = Some("203.0.113.2".parse().expect("it is an address"));
    settings.data.ports = 2048..=2048;
    let (_, host) = play_cut(&settings, |mut played| async move {
        played.logs_in().await;
        played.client.says("PASV").await;
        played.server.expects("PASV").await;
        played.server.says("227 (10,0,0,9,195,80)").await;
        played.client.expects("227 Entering Passive Mode (203,0,113,1,8,0)").await;
        played.client.says("PORT 192,168,1,5,200,1").await;
        played.server.expects("PORT 203,0,113,2,8,0").await;
        played.server.says("200 ok").await;
        played.client.expects("200 PORT command successful").await;
        let mut to = played.accepts();
        played.client.says("LIST").await;
        played.server.expects("LIST").await;
        let mut from = played.connects("192.168.1.5:2048", "10.0.0.9:54321");
        played.server.says("150 open").await;
        from.stream.shutdown();
        played.client.expects("150 open").await;
        assert_eq!(to.rest().await, Ok(Vec::new()));
        played.server.says("226 done").await;
        played.client.expects("226 done").await;
        played.quits().await;
    });
    assert_eq!(host.related_to()[0].ports, 0..=0);
}

#[test]
fn a_refused_transfer_is_one_reply() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        for replies in ["550 no such file", "150 open\r\n451 disk"] {
            let _from = passive(&mut played).await;
            let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
            played.client.says("RETR a").await;
            played.server.expects("RETR a").await;
            played.server.says(replies).await;
            let last = replies.lines().last().unwrap_or_default();
            played.client.expects(last).await;
            assert_eq!(to.hears().await, "RESET", "no client takes it for an empty file");
        }
        played.quits().await;
    });
}

#[test]
fn success_is_only_told_when_the_client_has_everything() {
    let (_, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        played.server.says("150 open").await;
        from.sends(b"half").await;
        played.client.expects("150 open").await;
        from.stream.abort();
        played.server.says("226 done").await;
        played.client.expects("426 Data connection closed; transfer aborted").await;
        assert_eq!(to.rest().await, Err(StreamError::Reset));
        // The same with a client that does not want any more.
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        played.server.says("150 open").await;
        from.sends(b"half").await;
        played.client.expects("150 open").await;
        to.stream.abort();
        assert_eq!(from.hears().await, "RESET");
        played.server.says("426 broken").await;
        played.client.expects("426 broken").await;
        played.quits().await;
    });
    assert_eq!(host.counted(Event::TransfersFailed), 2);
}

#[test]
fn data_goes_one_way_only() {
    let (_, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        to.sends(b"GET / HTTP/1.0").await;
        played.server.says("150 open").await;
        from.sends(b"x").await;
        assert_eq!(from.hears().await, "RESET");
        played.server.says("226 done").await;
        let heard = played.client.hears().await;
        let last = if heard.starts_with("150") { played.client.hears().await } else { heard };
        assert_eq!(last, "426 Data connection closed; transfer aborted");
        played.quits().await;
    });
    assert_eq!(host.counted(Event::DataWrongWay), 1);
}

#[test]
fn abor_ends_the_transfer_and_nothing_else() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        played.server.says("150 open").await;
        from.sends(b"half").await;
        played.client.expects("150 open").await;
        // Telnet's Interrupt Process and Synch, as clients send them.
        played.client.sends(b"\xff\xf4\xff\xf2ABOR\r\n").await;
        played.server.expects("ABOR").await;
        assert_eq!(from.hears().await, "RESET");
        assert_eq!(to.rest().await, Err(StreamError::Reset));
        played.server.says("426 aborted\r\n226 abort done").await;
        played.client.expects("426 aborted\r\n226 abort done").await;
        played.passes("PWD", "257 /").await;
        // Too late: the transfer was done already.
        played.passes("ABOR", "225 nothing to abort").await;
        played.quits().await;
    });
}

#[test]
fn stat_is_answered_meanwhile_and_the_rest_waits() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        let mut to = passive(&mut played).await;
        let mut from = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("STOR a").await;
        played.server.expects("STOR a").await;
        played.server.says("150 open").await;
        played.client.expects("150 open").await;
        from.sends(b"half").await;
        played.client.says("STAT").await;
        played.server.expects("STAT").await;
        played.server.says("211-so far\r\n four bytes\r\n211 end").await;
        played.client.expects("211-so far\r\n four bytes\r\n211 end").await;
        played.client.says("NOOP\r\nQUIT").await;
        played.pause(10).await;
        assert_eq!(played.server.stream.unread(), 0, "not before the transfer is done");
        from.sends(b"rest").await;
        from.stream.shutdown();
        assert_eq!(to.rest().await, Ok(b"halfrest".to_vec()));
        played.server.says("226 done").await;
        played.client.expects("226 done").await;
        played.server.expects("NOOP").await;
        played.server.says("200 ok").await;
        played.client.expects("200 ok").await;
        played.server.expects("QUIT").await;
        played.server.says("221 bye").await;
        played.client.expects("221 bye").await;
        played.client.ends().await;
        played.server.ends().await;
    });
}

#[test]
fn data_that_does_not_come_to_be_is_told() {
    let (_, host) = play(Settings::default(), Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        played.logs_in().await;
        // The client never connects.
        let mut from = passive(&mut played).await;
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        played.server.says("150 open").await;
        from.sends(b"x").await;
        played.client.expects("150 open").await;
        assert_eq!(from.hears().await, "RESET");
        played.server.says("426 broken").await;
        played.client.expects("426 broken").await;
        // The client cannot be connected to.
        played.client.says("PORT 192,168,1,5,200,1").await;
        played.server.expects("PORT 192,168,1,5,156,64").await;
        played.server.says("200 ok").await;
        played.client.expects("200 PORT command successful").await;
        played.host.answer_related(ConnectAnswer::After(Duration::from_secs(1), Err(ConnectError::Refused)));
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        let mut from = played.connects("192.168.1.5:40000", "10.0.0.9:20");
        played.server.says("150 open").await;
        assert_eq!(from.hears().await, "RESET");
        played.server.says("226 done").await;
        played.client.expects("425 Cannot open the data connection").await;
        played.quits().await;
    });
    assert_eq!(host.counted(Event::DataSetupFailed), 2);
}

#[test]
fn a_server_that_knows_no_epsv_is_asked_for_pasv_next() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.client.says("EPSV").await;
        played.server.expects("EPSV").await;
        played.server.says("500 what?").await;
        played.client.expects("500 what?").await;
        let _ = passive(&mut played).await;
        played.quits().await;
    });
}

#[test]
fn a_slow_reader_is_not_idle() {
    let settings = Settings { idle: Duration::from_secs(80), ..Settings::default() };
    let (outcome, _) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        played.logs_in().await;
        let mut from = passive(&mut played).await;
        let mut to = played.connects("10.0.0.9:40000", "192.168.1.5:41001");
        played.client.says("RETR a").await;
        played.server.expects("RETR a").await;
        played.server.says("150 open").await;
        for _ in 0..10 {
            from.sends(&[0; 1000]).await;
        }
        from.stream.shutdown();
        played.server.says("226 done").await;
        played.client.expects("150 open").await;
        let mut read = 0;
        for _ in 0..10 {
            played.pause(60_000).await;
            read += to.stream.read().await.expect("it is alive").map_or(0, |chunk| chunk.len());
        }
        assert_eq!((read, to.rest().await), (10_000, Ok(Vec::new())));
        played.client.expects("226 done").await;
        played.quits().await;
    });
    assert_eq!(outcome.reason, crate::outcome::Reason::Finished);
}
