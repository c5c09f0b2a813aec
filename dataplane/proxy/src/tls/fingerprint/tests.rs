//! The examples of the published descriptions.

use crate::tls::hello::Hello;

fn hello(version: u16, ciphers: &[u16], extensions: &[u16]) -> Hello {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([0; 33]);
    body.extend((2 * ciphers.len() as u16).to_be_bytes());
    body.extend(ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()));
    body.extend([1, 0]);
    let mut hello = Hello::parse(&body).expect("it is good");
    hello.extensions = extensions.to_vec();
    hello
}

/// The first example in JA3's README.
#[test]
fn ja3() {
    let mut old = hello(769, &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4], &[0, 10, 11]);
    old.groups = vec![23, 24, 25];
    old.point_formats = vec![0];
    assert_eq!(old.ja3(), "ada70206e40642a3e4461f35503241d5");
    // Without extensions: `769,4-5-10-9-100-98-3-6-19-18-99,,,`.
    let older = hello(769, &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], &[]);
    assert_eq!(older.ja3(), "de350869b8c85de67a350c8d186f11e6");
}

/// The example in JA4's technical details, GREASE mixed in.
#[test]
fn ja4() {
    let ciphers = [
        0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let extensions = [
        0x0a0a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01,
        0x000b, 0x000a, 0x0015,
    ];
    let mut chrome = hello(0x0303, &ciphers, &extensions);
    chrome.versions = vec![0x3a3a, 0x0304, 0x0303];
    chrome.signature_algorithms = vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    chrome.set_alpn(vec![b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(chrome.ja4().as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");

    chrome.set_alpn(vec![vec![0xab, 0xcd]]);
    assert_eq!(&chrome.ja4().as_str()[..10], "t13d1516ad");
    assert_eq!(hello(0x0301, &[4], &[]).ja4().as_str(), "t10i010000_0591b59c1bdd_000000000000");
}
