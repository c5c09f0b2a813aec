//! What a server's greeting says: FTP, SMTP, POP3, IMAP, SSH. Those are the protocols in which servers speak first.
//!
//! FTP and SMTP greet by the same code: the words say which, then the port, then which of them is looked for at all.

use super::Settings;
use super::client::{Judgement, answer, begins_with, ssh};
use super::event::Event;
use super::limits::SERVER_BYTES_MAX;

/// Looks at all that a server has said; `port` is where the client meant to find it.
pub(super) fn look(settings: &Settings, bytes: &[u8], port: u16) -> Judgement {
    let line = memchr::memchr(b'\n', bytes).map(|end| &bytes[..end]);
    let answers = [
        settings.ssh.as_ref().map(|service| answer(ssh(bytes), Event::Ssh, service)),
        settings.pop3.as_ref().map(|service| answer(begins_with(bytes, b"+OK"), Event::Pop3, service)),
        settings.imap.as_ref().map(|service| answer(imap(bytes), Event::Imap, service)),
        (settings.ftp.is_some() || settings.smtp.is_some()).then(|| by_code(settings, bytes, line, port)),
    ];
    let mut judgement = Judgement::No;
    for answer in answers.into_iter().flatten() {
        match answer {
            Judgement::Found(..) => return answer,
            Judgement::Maybe if bytes.len() < SERVER_BYTES_MAX => judgement = Judgement::Maybe,
            Judgement::Maybe | Judgement::No => {}
        }
    }
    judgement
}

/// RFC 9051, §7.1: an untagged OK, PREAUTH or BYE is a greeting.
fn imap(bytes: &[u8]) -> Option<bool> {
    let answers = [&b"* OK"[..], b"* PREAUTH", b"* BYE"].map(|greeting| begins_with(bytes, greeting));
    if answers.contains(&Some(true)) {
        return Some(true);
    }
    if answers.contains(&None) { None } else { Some(false) }
}

/// RFC 959, §5.4: 120, 220, 421; RFC 5321, §4.3.2: 220, 554, and 421 as anywhere.
fn by_code(settings: &Settings, bytes: &[u8], line: Option<&[u8]>, port: u16) -> Judgement {
    let mut codes = [&b"220"[..], b"120", b"421", b"554"].into_iter().map(|code| begins_with(bytes, code));
    if codes.all(|known| known == Some(false)) || bytes.get(3).is_some_and(|sign| !b" -\r\n".contains(sign)) {
        return Judgement::No;
    }
    let Some(line) = line else { return Judgement::Maybe };
    let says = |word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let is_smtp = match &line[..line.len().min(3)] {
        b"120" => false,
        b"554" => true,
        _ if says(b"SMTP") => true,
        _ if says(b"FTP") => false,
        _ => match port {
            21 => false,
            25 | 587 | 2525 => true,
            _ => settings.ftp.is_none(),
        },
    };
    let (event, service) = if is_smtp { (Event::Smtp, &settings.smtp) } else { (Event::Ftp, &settings.ftp) };
    match service {
        Some(service) => Judgement::Found(event, service.clone()),
        None => Judgement::No,
    }
}
