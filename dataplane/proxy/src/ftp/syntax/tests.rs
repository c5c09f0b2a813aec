//! Each kind of argument: what goes on, in which form, and what is answered instead.

use super::*;
use crate::ftp::policy::Class;

fn checked(line: &str, settings: &Settings) -> String {
    let mut command = Command::parse(line.as_bytes()).expect("it is a command");
    let known = command.known().expect("it is known");
    match check(known, &mut command, settings) {
        Ok(()) => String::from_utf8_lossy(&command.line()).into_owned(),
        Err(refusal) => refusal.code.to_string(),
    }
}

#[test]
fn arguments_are_what_they_have_to_be() {
    for (line, becomes) in [
        ("PWD", "PWD"),
        ("PWD x", "PWD"),
        ("QUIT", "QUIT"),
        ("QUIT now", "500"),
        ("CWD /a b", "CWD /a b"),
        ("CWD", "501"),
        ("RETR", "501"),
        ("LIST", "LIST"),
        ("LIST -la", "LIST -la"),
        ("SITE", "501"),
        ("TYPE a", "TYPE A"),
        ("TYPE A N", "TYPE A"),
        ("TYPE i", "TYPE I"),
        ("TYPE L 8", "504"),
        ("TYPE A T", "504"),
        ("TYPE E", "504"),
        ("TYPE", "504"),
        ("MODE s", "MODE S"),
        ("MODE Z", "504"),
        ("STRU f", "STRU F"),
        ("STRU R", "504"),
        ("ALLO 5", "ALLO 5"),
        ("ALLO 5 R 7", "ALLO 5 R 7"),
        ("ALLO", "501"),
        ("ALLO -5", "501"),
        ("ALLO 5 R", "501"),
        ("ALLO 5 X 7", "501"),
        ("REST 0", "REST 0"),
        ("REST", "501"),
        ("REST +1", "501"),
        ("REST 123456789012345678901", "501"),
        ("AUTH tls", "AUTH TLS"),
        ("AUTH TLS-C", "AUTH TLS"),
        ("AUTH SSL", "504"),
        ("AUTH GSSAPI", "504"),
        ("PBSZ 0", "PBSZ 0"),
        ("PBSZ 1", "501"),
        ("PROT p", "PROT P"),
        ("PROT C", "PROT C"),
        ("PROT S", "536"),
        ("PROT X", "504"),
        ("USER", "501"),
        ("USER joe", "USER joe"),
        ("PASS", "PASS"),
        ("PASS a b", "PASS a b"),
    ] {
        assert_eq!(checked(line, &Settings::default()), becomes, "{line}");
    }
}

#[test]
fn names_and_passwords_have_bounds() {
    let mut settings = Settings { user_max: 4, password_max: 3, user_characters: "abc@".into(), ..Settings::default() };
    assert_eq!(checked("USER abca", &settings), "USER abca");
    assert_eq!(checked("USER abcab", &settings), "501");
    assert_eq!(checked("USER abx", &settings), "501");
    assert_eq!(checked("PASS abc", &settings), "PASS abc");
    assert_eq!(checked("PASS abcd", &settings), "501");
    assert_eq!(checked("USER abc@somewhere.else", &settings), "501");
    settings.login = Some(crate::ftp::settings::NamedServer::default());
    assert_eq!(checked("USER abc@somewhere.else", &settings), "USER abc@somewhere.else");
    let mut anonymous = Settings::default();
    anonymous.policy.class = Class::AnonymousReadOnly;
    assert_eq!(checked("USER anonymous", &anonymous), "USER anonymous");
    assert_eq!(checked("USER ftp", &anonymous), "USER ftp");
    assert_eq!(checked("USER Anonymous", &anonymous), "530");
    assert_eq!(checked("USER root", &anonymous), "530");
}

#[test]
fn upwards_is_upwards_with_either_slash() {
    for path in ["..", "../a", "a/..", "a/../b", "..\\a", "a\\..\\b", "/.."] {
        assert!(has_parent(path.as_bytes()), "{path}");
    }
    for path in ["", "a", "...", "a..b", "..a", "/a/b/", "a/.../b"] {
        assert!(!has_parent(path.as_bytes()), "{path}");
    }
}
