//! Fingerprints of clients by their ClientHello: JA3 and JA4, as the published descriptions have them.
//!
//! They tell programs apart, not people, and whoever wants can imitate another's: good for the log and for policy that
//! helps, not for policy that protects. JA3 depends on the order of extensions, which browsers shuffle today; JA4 sorts.

use std::fmt::{self, Write};

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::hello::{Hello, is_grease};
use super::md5;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// A JA4 fingerprint, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ja4(String);

impl Ja4 {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Version, ciphers, extensions, groups and point formats in decimal, GREASE left out, hashed by MD5.
pub(super) fn ja3(hello: &Hello) -> String {
    let formats: Vec<u16> = hello.point_formats.iter().map(|&format| format.into()).collect();
    let mut text = hello.legacy_version.to_string();
    for list in [&hello.ciphers, &hello.extensions, &hello.groups, &formats] {
        text.push(',');
        for (at, value) in meant(list).enumerate() {
            let dash = if at == 0 { "" } else { "-" };
            let _ = write!(text, "{dash}{value}");
        }
    }
    hex(&md5::digest(text.as_bytes()))
}

/// `t`, version, whether there is a name, counts, the first protocol; hash of the ciphers; hash of the rest.
pub(super) fn ja4(hello: &Hello) -> Ja4 {
    let mut ciphers: Vec<u16> = meant(&hello.ciphers).collect();
    ciphers.sort_unstable();
    let count = meant(&hello.extensions).count();
    let mut extensions: Vec<u16> =
        meant(&hello.extensions).filter(|&kind| kind != SERVER_NAME && kind != ALPN).collect();
    extensions.sort_unstable();

    let mut others = hex_list(extensions.iter().copied());
    let algorithms = hex_list(meant(&hello.signature_algorithms));
    if !algorithms.is_empty() {
        let _ = write!(others, "_{algorithms}");
    }
    if extensions.is_empty() {
        others.clear();
    }
    Ja4(format!(
        "t{}{}{:02}{:02}{}_{}_{}",
        version(hello.version()),
        if hello.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' },
        ciphers.len().min(99),
        count.min(99),
        protocol(hello.alpn().first().map_or(&[], Vec::as_slice)),
        short_hash(&hex_list(ciphers.into_iter())),
        short_hash(&others),
    ))
}

fn meant(values: &[u16]) -> impl Iterator<Item = u16> {
    values.iter().copied().filter(|&value| !is_grease(value))
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// First and last character; of the hexadecimal form where they are not letters or digits.
fn protocol(protocol: &[u8]) -> String {
    match (protocol.first(), protocol.last()) {
        (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => {
            [char::from(*first), char::from(*last)].iter().collect()
        }
        (Some(first), Some(last)) => format!("{:x}{:x}", first >> 4, last & 15),
        _ => "00".to_owned(),
    }
}

fn hex_list(values: impl Iterator<Item = u16>) -> String {
    let words: Vec<String> = values.map(|value| format!("{value:04x}")).collect();
    words.join(",")
}

fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let mut hash = hex(&sha256(text.as_bytes()));
    hash.truncate(12);
    hash
}

/// SHA-256, as the TLS library has it.
pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else {
        unreachable!("the suite is one of TLS 1.3");
    };
    suite.common.hash_provider.hash(data).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
