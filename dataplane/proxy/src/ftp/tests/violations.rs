//! What ends a session, and what others would do with it.

use super::peer::{CLIENT, Cut, SERVER, play, play_cut};
use crate::ftp::Settings;
use crate::ftp::event::Event;
use crate::ftp::limits::PRELIMINARY_REPLIES;
use crate::outcome::Reason;
use crate::stream::Stream;

#[test]
fn a_line_is_one_line_or_the_end() {
    for input in [
        &b"CWD a\rDELE b\r\n"[..],
        b"CWD a\nDELE b\r\n",
        b"CWD a\0\r\n",
        b"CWD a\r\0DELE b\r\n",
        b"\xff\xfb\r\nDELE b\r\n",
    ] {
        let (outcome, host) = play_cut(&Settings::default(), |mut played| async move {
            played.logs_in().await;
            played.client.sends(input).await;
            played.client.expects("500 A line ends in CR LF").await;
            played.client.ends().await;
            assert_eq!(played.server.hears().await, "END", "nothing of it reaches the server");
        });
        assert_eq!((outcome.reason, host.counted(Event::LinesInvalid)), (Reason::ClientViolation, 1));
    }
}

#[test]
fn lines_and_replies_have_an_end() {
    let settings = Settings { line_max: 100, reply_lines_max: 3, ..Settings::default() };
    let (outcome, _) = play_cut(&settings, |mut played| async move {
        played.logs_in().await;
        played.client.sends(&[b'a'; 101]).await;
        played.client.expects("500 The line is too long").await;
        played.client.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ClientViolation);
    let long = "a".repeat(101);
    let replies = [long.as_str(), "200-a\r\nb\r\nc\r\nd", "hello", "220\nx", "099 x", ""];
    for reply in replies {
        let settings = settings.clone();
        let reply = reply.to_owned();
        let (outcome, _) = play(settings, Cut::Whole, (CLIENT, SERVER), |mut played| async move {
            played.logs_in().await;
            played.client.says("NOOP").await;
            played.server.expects("NOOP").await;
            played.server.sends(format!("{reply}\r\n").as_bytes()).await;
            played.client.expects("421 The server broke the protocol").await;
            played.client.ends().await;
        });
        assert_eq!(outcome.reason, Reason::ServerViolation);
    }
}

#[test]
fn a_server_speaks_when_it_is_asked() {
    let (outcome, host) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.server.says("226 transfer complete").await;
        played.client.expects("421 The server broke the protocol").await;
        played.client.ends().await;
    });
    assert_eq!((outcome.reason, host.counted(Event::RepliesUnasked)), (Reason::ServerViolation, 1));
    let (outcome, _) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.server.says("421 shutting down").await;
        played.client.expects("421 shutting down").await;
        played.client.ends().await;
        played.server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::Finished);
}

#[test]
fn preliminary_replies_are_not_endless() {
    let (outcome, _) = play(Settings::default(), Cut::Whole, (CLIENT, SERVER), |mut played| async move {
        for _ in 0..10 {
            played.server.says("120 soon").await;
        }
        for _ in 0..PRELIMINARY_REPLIES + 1 {
            played.client.expects("120 soon").await;
        }
        played.client.expects("421 The server broke the protocol").await;
        played.client.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ServerViolation);
}

#[test]
fn who_is_gone_ends_the_other() {
    let (outcome, _) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.client.stream.abort();
        assert_eq!(played.server.hears().await, "RESET");
    });
    assert_eq!(outcome.reason, Reason::ClientReset);
    let (outcome, _) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.server.stream.abort();
        played.client.expects("421 The server is gone").await;
        played.client.ends().await;
    });
    assert_eq!(outcome.reason, Reason::ServerReset);
    let (outcome, _) = play_cut(&Settings::default(), |mut played| async move {
        played.logs_in().await;
        played.client.stream.shutdown();
        played.client.ends().await;
        played.server.ends().await;
    });
    assert_eq!(outcome.reason, Reason::Finished);
}
