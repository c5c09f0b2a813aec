//! Byte for byte, as the specification's layout has it.

use super::{Version, header};

#[test]
fn version_1() {
    let header = |client: &str, destination: &str| {
        header(Version::V1, client.parse().expect("an address"), destination.parse().expect("an address"))
    };
    assert_eq!(header("192.168.0.1:56324", "192.168.0.11:443"), "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    assert_eq!(header("[2001:db8::1]:65535", "[::1]:1"), "PROXY TCP6 2001:db8::1 ::1 65535 1\r\n");
    let longest =
        header("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0]:65535");
    assert!(longest.len() <= 107, "a line has at most 107 bytes");
}

#[test]
fn version_2() {
    let header = |client: &str, destination: &str| {
        header(Version::V2, client.parse().expect("an address"), destination.parse().expect("an address"))
    };
    let v4 = header("192.168.0.1:256", "10.0.0.11:443");
    assert_eq!(&v4[..12], b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a");
    assert_eq!(&v4[12..], [0x21, 0x11, 0, 12, 192, 168, 0, 1, 10, 0, 0, 11, 1, 0, 1, 187]);
    let v6 = header("[2001:db8::1]:256", "[2001:db8::2]:443");
    assert_eq!((v6.len(), &v6[12..16]), (16 + 36, &[0x21, 0x21, 0, 36][..]));
    assert_eq!(&v6[16..20], [0x20, 0x01, 0x0d, 0xb8]);
    assert_eq!((v6[31], v6[47]), (1, 2));
    assert_eq!(&v6[48..], [1, 0, 1, 187]);
}
