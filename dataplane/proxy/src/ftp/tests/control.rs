//! The control connection: what passes, what does not, and in which order.

use std::time::Duration;

use super::peer::{CLIENT, Cut, SERVER, play, play_cut};
use crate::ftp::Settings;
use crate::ftp::event::Event;
use crate::ftp::policy::{Action, Class};
use crate::ftp::settings::NamedServer;
use crate::host::Target;
use crate::outcome::Reason;
use crate::stream::Stream;

#[test]
fn a_session_without_data() {
    let (outcome, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.passes("PWD", "257 \"/\" is here").await;
        played.passes("CWD a b", "250 there").await;
        played.passes("RNFR a", "350 and?").await;
        played.passes("RNTO b", "250 done").await;
        played.passes("HELP", "214-many\r\n words\r\n214 end").await;
        played.quits().await;
    });
    assert_eq!(outcome.reason, Reason::Finished);
    assert_eq!((host.counted(Event::Sessions), host.counted(Event::Logins)), (1, 1));
    for (_, _, line) in host.lines() {
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn what_is_sent_ahead_waits_for_its_turn() {
    play_cut(&Settings::default(), |mut played| async move {
        played.client.says("USER joe\r\nPASS secret\r\nPWD\r\nQUIT").await;
        played.server.says("120 soon\r\n220 ready").await;
        played.client.expects("120 soon\r\n220 ready").await;
        for (command, reply) in
            [("USER joe", "331 ?"), ("PASS secret", "230 in"), ("PWD", "257 /"), ("QUIT", "221 bye")]
        {
            played.server.expects(command).await;
            assert_eq!(played.server.stream.unread(), 0, "nothing is sent ahead");
            played.server.says(reply).await;
            played.client.expects(reply).await;
        }
        played.client.ends().await;
        played.server.ends().await;
    });
}

#[test]
fn what_is_refused_does_not_reach_the_server() {
    let mut settings = Settings { deny_parent: true, ..Settings::default() };
    settings.policy.class = Class::ReadOnly;
    let (_, host) = play_cut(&settings, |mut played| async move {
        played.server.says("220 ready").await;
        played.client.expects("220 ready").await;
        for (command, code) in [
            ("PASS x", "503"),
            ("CWD a", "530"),
            ("RETR a", "530"),
            ("XYZZY", "500"),
            ("", ""),
            ("STOR a", "500"),
            ("\u{e9}", "500"),
            ("LPRT 4,4,10,0,0,9,2,4,1", "500"),
            ("AUTH TLS", "502"),
            ("USER", "501"),
        ] {
            played.client.says(&format!("{command}\r\n")).await;
            if !code.is_empty() {
                assert_eq!(played.client.hears().await[..3], *code, "{command}");
            }
        }
        played.passes("USER joe", "331 password?").await;
        played.passes("PASS secret", "230 in").await;
        for (command, code) in [
            ("USER joe", "530"),
            ("CWD ../etc", "550"),
            ("RETR a", "425"),
            ("RNTO a", "500"),
            ("DELE a", "500"),
            ("TYPE E", "504"),
            ("QUIT now", "500"),
        ] {
            played.client.says(command).await;
            assert_eq!(played.client.hears().await[..3], *code, "{command}");
        }
        played.quits().await;
    });
    assert_eq!(host.counted(Event::PathsDenied), 1);
    assert_eq!(host.counted(Event::CommandsUnknown), 1);
    assert_eq!(host.counted(Event::CommandsDenied), 4);
    assert_eq!(host.counted(Event::CommandsOutOfOrder), 4);
}

#[test]
fn forms_are_put_into_one() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        for (said, sent) in [("pwd x", "PWD"), ("type i", "TYPE I"), ("\u{7f}", ""), ("Noop", "NOOP")] {
            played.client.says(said).await;
            if sent.is_empty() {
                assert_eq!(played.client.hears().await[..3], *"500");
                continue;
            }
            played.server.expects(sent).await;
            let reply = if sent == "PWD" { "257 /" } else { "200 ok" };
            played.server.says(reply).await;
            played.client.expects(reply).await;
        }
        played.client.sends(b"CWD \xff\xff\xff\xf1x\r\n").await;
        played.server.expects("CWD \\xff\\xffx").await;
        played.server.says("250 ok").await;
        played.client.expects("250 ok").await;
        played.quits().await;
    });
}

#[test]
fn replies_that_do_not_belong_are_replaced() {
    let mut settings = Settings::default();
    settings.policy.replies.insert("PWD".into(), [("257".into(), Action::Abort)].into());
    let (outcome, host) = play_cut(&settings, |mut played| async move {
        played.logs_in().await;
        for (command, reply, heard) in [
            ("NOOP", "226 transfer complete", "500 The server's reply is not permitted by the gateway"),
            ("CWD a", "150 wait\r\n250 ok", "500 The server's reply is not permitted by the gateway"),
            ("MDTM a", "213 20260101000000", "213 20260101000000"),
        ] {
            played.client.says(command).await;
            played.server.expects(command).await;
            played.server.says(reply).await;
            played.client.expects(heard).await;
        }
        played.client.says("PWD").await;
        played.server.expects("PWD").await;
        played.server.says("257 /").await;
        played.client.expects("421 The server's reply is not permitted by the gateway").await;
        played.client.ends().await;
        played.server.ends().await;
    });
    assert_eq!((outcome.reason, host.counted(Event::RepliesDenied)), (Reason::PolicyAborted, 3));
}

#[test]
fn features_are_those_of_the_policy() {
    play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.client.says("FEAT").await;
        played.server.expects("FEAT").await;
        played.server.says("211-Features:\r\n AUTH TLS\r\n MFMT\r\n MDTM\r\n UTF8\r\n211 End").await;
        played.client.expects("211-Features:\r\n MDTM\r\n UTF8\r\n211 End").await;
        played.quits().await;
    });
}

#[test]
fn words_of_the_server_can_be_kept_from_clients() {
    let settings = Settings { server_text: false, ..Settings::default() };
    play_cut(&settings, |mut played| async move {
        played.server.says("220 SomeFTPd 1.0 ready").await;
        played.client.expects("220 Done").await;
        played.client.says("USER joe").await;
        played.server.expects("USER joe").await;
        played.server.says("331 tell me").await;
        played.client.expects("331 Done").await;
        played.client.says("PASS x").await;
        played.server.expects("PASS x").await;
        played.server.says("530 go away").await;
        played.client.expects("530 Failed").await;
        played.client.stream.abort();
        assert_eq!(played.server.hears().await, "RESET");
    });
}

#[test]
fn silence_ends_a_session() {
    let settings = Settings { idle: Duration::from_secs(100), ..Settings::default() };
    let (outcome, host) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        played.logs_in().await;
        played.client.expects("421 Time is over").await;
        played.client.ends().await;
        played.server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::IdleTimeout);
    drop(host);
}

#[test]
fn a_log_in_has_its_time_however_busy_it_is() {
    let (outcome, _) = play(Settings::default(), Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        played.server.says("220 ready").await;
        played.client.expects("220 ready").await;
        for _ in 0..11 {
            played.pause(5000).await;
            played.passes("NOOP", "200 ok").await;
        }
        played.client.expects("421 Time is over").await;
        played.client.ends().await;
        played.server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ClientTooSlow);
}

#[test]
fn a_client_can_name_its_server() {
    let mut login = NamedServer::default();
    login.hosts.insert("files".into(), "10.0.0.77".parse().expect("it is an address"));
    let settings = Settings { login: Some(login), ..Settings::default() };
    let (_, host) = play_cut(&settings, |mut played| async move {
        played.client.expects("220 Limpid FTP gateway: log in as user@server").await;
        for (command, code) in
            [("SYST", "530"), ("NOOP", "200"), ("USER joe", "501"), ("USER joe@nowhere", "501"), ("PASS x", "503")]
        {
            played.client.says(command).await;
            assert_eq!(played.client.hears().await[..3], *code, "{command}");
        }
        played.client.says("FEAT").await;
        played.client.expects("211-Features:\r\n EPRT\r\n EPSV\r\n PASV\r\n211 End").await;
        played.client.says("USER joe@files").await;
        played.server.says("220 ready").await;
        played.server.expects("USER joe").await;
        played.server.says("331 password?").await;
        played.client.expects("331 password?").await;
        played.passes("PASS secret", "230 in").await;
        played.quits().await;
    });
    let server = "10.0.0.77:21".parse().expect("it is an address");
    assert_eq!(host.connected()[0].1, Target::Address(server));
}

#[test]
fn anonymous_is_anonymous() {
    let mut settings = Settings::default();
    settings.policy.class = Class::AnonymousReadOnly;
    let (_, host) = play_cut(&settings, |mut played| async move {
        played.server.says("220 ready").await;
        played.client.expects("220 ready").await;
        played.client.says("USER joe").await;
        assert_eq!(played.client.hears().await[..3], *"530");
        played.passes("USER anonymous", "331 mail?").await;
        played.passes("PASS me@home", "230 in").await;
        played.quits().await;
    });
    assert_eq!(host.counted(Event::LoginsFailed), 1);
}
