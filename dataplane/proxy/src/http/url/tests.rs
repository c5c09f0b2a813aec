//! Spellings of one resource are one URL; what could be two is none.

use super::{Url, UrlFault, UrlRules};

fn url(text: &str) -> Result<String, UrlFault> {
    Url::parse(text.as_bytes(), &UrlRules::default()).map(|url| url.to_string())
}

#[test]
fn one_resource_is_one_url() {
    for (raw, canonical) in [
        ("http://example.com", "http://example.com/"),
        ("HTTP://Example.COM:80/", "http://example.com/"),
        ("http://example.com./x", "http://example.com/x"),
        ("http://example.com:8080/x", "http://example.com:8080/x"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("http://example.com:/x", "http://example.com/x"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://e/%7euser/%41%2d%2E%5f", "http://e/~user/A-._"),
        ("http://e/%3f%2f%e4", "http://e/%3F%2F%E4"),
        ("http://e/a/./b/../c", "http://e/a/c"),
        ("http://e/a/%2e%2E/c", "http://e/c"),
        ("http://e/a/.", "http://e/a/"),
        ("http://e/a/..", "http://e/"),
        ("http://e//a//b", "http://e//a//b"),
        ("http://e/a|b{c}\"<>^`", "http://e/a%7Cb%7Bc%7D%22%3C%3E%5E%60"),
        ("http://e/?a[]=1&b=%00../..&c=?", "http://e/?a[]=1&b=%00../..&c=?"),
        ("http://[2001:DB8::0:1]/", "http://[2001:db8::1]/"),
        ("http://[::1]:81/", "http://[::1]:81/"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
        ("http://my_host/", "http://my_host/"),
        ("http://e/a;b=1/c", "http://e/a;b=1/c"),
    ] {
        assert_eq!(url(raw).as_deref(), Ok(canonical), "{raw}");
        assert_eq!(url(canonical).as_deref(), Ok(canonical), "canonical stays: {canonical}");
    }
}

#[test]
fn what_could_be_two_is_none() {
    for (raw, fault) in [
        ("ftp://e/", UrlFault::Scheme),
        ("http:/e/", UrlFault::Scheme),
        ("http://u@e/", UrlFault::UserInfo),
        ("http://u:p@e/", UrlFault::UserInfo),
        ("http:///x", UrlFault::Host),
        ("http://a..b/", UrlFault::Host),
        ("http://.a/", UrlFault::Host),
        ("http://a%2eb/", UrlFault::Host),
        ("http://a b/", UrlFault::Host),
        ("http://127.1/", UrlFault::Host),
        ("http://0x7f.0.0.1/", UrlFault::Host),
        ("http://127.0.0.0x1/", UrlFault::Host),
        ("http://2130706433/", UrlFault::Host),
        ("http://010.0.0.1/", UrlFault::Host),
        ("http://[::1/", UrlFault::Host),
        ("http://[fe80::1%25eth0]/", UrlFault::Host),
        ("http://e:0/", UrlFault::Port),
        ("http://e:080/", UrlFault::Port),
        ("http://e:65536/", UrlFault::Port),
        ("http://e:8o/", UrlFault::Port),
        ("http://e/#x", UrlFault::Fragment),
        ("http://e/?q#x", UrlFault::Fragment),
        ("http://e/a\\b", UrlFault::Byte),
        ("http://e/a b", UrlFault::Byte),
        ("http://e/ä", UrlFault::Byte),
        ("http://e/%", UrlFault::Escape),
        ("http://e/%4", UrlFault::Escape),
        ("http://e/%zz", UrlFault::Escape),
        ("http://e/%u0041", UrlFault::UnicodeEscape),
        ("http://e/%00", UrlFault::Nul),
        ("http://e/..", UrlFault::Dots),
        ("http://e/a/../../b", UrlFault::Dots),
        ("http://e/a/..%2fb", UrlFault::Dots),
        ("http://e/a%2f..%2fb", UrlFault::Dots),
        ("http://e/a/..%5cb", UrlFault::Dots),
        ("http://e/a/..;/b", UrlFault::Dots),
        ("http://e/a/.;x/b", UrlFault::Dots),
    ] {
        assert_eq!(url(raw), Err(fault), "{raw}");
    }
}

#[test]
fn odd_escapes_pass_where_the_service_permits_them() {
    let rules = UrlRules { permit_unicode: true, permit_invalid_escape: true, ..UrlRules::default() };
    let url = |text: &str| Url::parse(text.as_bytes(), &rules).map(|url| url.to_string());
    assert_eq!(url("http://e/%u00e4x").as_deref(), Ok("http://e/%u00E4x"));
    assert_eq!(url("http://e/100%").as_deref(), Ok("http://e/100%25"));
}

#[test]
fn a_host_has_a_length() {
    let long = format!("http://{}/", "a".repeat(257));
    assert_eq!(url(&long), Err(UrlFault::Long));
}
