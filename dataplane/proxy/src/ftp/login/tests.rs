//! Names of users and servers in one word.

use super::*;

fn read(argument: &str) -> Result<(String, String), u16> {
    let mut login = NamedServer { ports: vec![21..=21, 2000..=2999], ..NamedServer::default() };
    login.hosts.insert("files.example".into(), "10.0.0.9".parse().expect("it is an address"));
    let named = login.read(argument.as_bytes()).map_err(|NotNamed(code, _)| code)?;
    Ok((String::from_utf8_lossy(&named.user).into_owned(), named.server.to_string()))
}

#[test]
fn user_host_and_port() {
    let ok = |user: &str, server: &str| Ok((user.to_owned(), server.to_owned()));
    assert_eq!(read("joe@files.example"), ok("joe", "10.0.0.9:21"));
    assert_eq!(read("joe@Files.Example:2121"), ok("joe", "10.0.0.9:2121"));
    assert_eq!(read("joe@home@10.0.0.8"), ok("joe@home", "10.0.0.8:21"));
    assert_eq!(read("joe@2001:db8::1"), ok("joe", "[2001:db8::1]:21"));
    assert_eq!(read("joe@[2001:db8::1]:2121"), ok("joe", "[2001:db8::1]:2121"));
    assert_eq!(read("joe@[2001:db8::1]"), ok("joe", "[2001:db8::1]:21"));
    let long = format!("joe@{}", "a".repeat(200));
    for bad in [
        "",
        "joe",
        "@files.example",
        "joe@",
        "joe@files.example:22",
        "joe@files.example:x",
        "joe@other.example",
        "joe@[::1",
        "joe@[::1]2",
        &long,
    ] {
        assert_eq!(read(bad), Err(501), "{bad}");
    }
}

#[test]
fn addresses_may_be_refused() {
    let login = NamedServer { literal: false, ..NamedServer::default() };
    assert!(login.read(b"joe@10.0.0.9").is_err());
}
