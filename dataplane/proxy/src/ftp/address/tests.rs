//! Every form, and what is nearly one.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

#[test]
fn port_is_six_numbers() {
    assert_eq!(parse_port(b"10,0,0,9,4,1"), Some(at("10.0.0.9:1025")));
    for bad in [
        "",
        "1,2,3,4,5",
        "1,2,3,4,5,6,7",
        "1,2,3,4,5,256",
        "1,2,3,4,5,",
        "1,2,3,4,5,-6",
        " 1,2,3,4,5,6",
        "1,2,3,4,+5,6",
        "a",
    ] {
        assert_eq!(parse_port(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn eprt_is_of_either_family() {
    assert_eq!(parse_eprt(b"|1|10.0.0.9|6275|"), Ok(at("10.0.0.9:6275")));
    assert_eq!(parse_eprt(b"|2|1080::8:800:200C:417A|5282|"), Ok(at("[1080::8:800:200c:417a]:5282")));
    assert_eq!(parse_eprt(b"!1!10.0.0.9!6275!"), Ok(at("10.0.0.9:6275")));
    assert_eq!(parse_eprt(b"|3|10.0.0.9|6275|"), Err(EprtError::Protocol));
    for bad in [
        "",
        "|",
        "|1|10.0.0.9|6275",
        "|1|10.0.0.9|6275|x",
        "|1|10.0.0.9|65536|",
        "|2|10.0.0.9|6275|",
        "|1|::1|6275|",
        " 1 ::1 1 ",
    ] {
        assert_eq!(parse_eprt(bad.as_bytes()), Err(EprtError::Syntax), "{bad}");
    }
}

#[test]
fn servers_say_227_in_many_ways() {
    for text in ["Entering Passive Mode (10,0,0,9,4,1).", "=10,0,0,9,4,1", "Passive mode ok 10,0,0,9,4,1"] {
        assert_eq!(parse_227(text.as_bytes()), Some(at("10.0.0.9:1025")), "{text}");
    }
    for bad in ["", "no", "(10,0,0,9,4)", "(10,0,0,9,4,1,1)", "2 (10,0,0,9,4,1)"] {
        assert_eq!(parse_227(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn of_229_only_the_port_counts() {
    assert_eq!(parse_229(b"Entering Extended Passive Mode (|||6446|)"), Some(6446));
    assert_eq!(parse_229(b"ok (!!!6446!)"), Some(6446));
    for bad in
        ["", "()", "(|||)", "(||||)", "(|||6446)", "(||6446|)", "(|||65536|)", "(|1|10.0.0.1|6446|)", "(|", ")(|||1|"]
    {
        assert_eq!(parse_229(bad.as_bytes()), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(v4: Ipv4Addr, v6: std::net::Ipv6Addr, number: u16) {
        let address = SocketAddr::new(v4.into(), number);
        prop_assert_eq!(parse_port(port(v4, number).as_bytes()), Some(address));
        prop_assert_eq!(parse_227(text_227(v4, number).as_bytes()), Some(address));
        prop_assert_eq!(parse_229(text_229(number).as_bytes()), Some(number));
        prop_assert_eq!(parse_eprt(eprt(address).as_bytes()), Ok(address));
        let address = SocketAddr::new(v6.into(), number);
        prop_assert_eq!(parse_eprt(eprt(address).as_bytes()), Ok(address));
    }

    #[test]
    fn anything_else_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (parse_port(&bytes), parse_eprt(&bytes), parse_227(&bytes), parse_229(&bytes));
    }
}
