//! Hosts: names in small letters, addresses in their one canonical form; what resolvers disagree about is none.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::UrlFault;

/// The canonical form of a host.
///
/// # Errors
/// [`UrlFault::Host`]; [`UrlFault::Long`] beyond `max` bytes.
pub fn canonical(raw: &[u8], max: usize) -> Result<String, UrlFault> {
    if raw.len() > max {
        return Err(UrlFault::Long);
    }
    let text = std::str::from_utf8(raw).map_err(|_| UrlFault::Host)?;
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(UrlFault::Host)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| UrlFault::Host)?;
        return Ok(format!("[{address}]"));
    }
    // A name with its root is the name.
    let name = text.strip_suffix('.').unwrap_or(text);
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.split('.').any(|label| label.is_empty() || !label.bytes().all(good)) {
        return Err(UrlFault::Host);
    }
    if looks_numeric(name) {
        // `127.1`, `0x7f.0.0.1`, `2130706433`: some resolvers take them for addresses, each in its own way.
        let address: Ipv4Addr = name.parse().map_err(|_| UrlFault::Host)?;
        return Ok(address.to_string());
    }
    Ok(name.to_ascii_lowercase())
}

/// Would some parser take it for an IPv4 address? Those whose last label is a number, decimal or hexadecimal.
fn looks_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default().as_bytes();
    match last {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}
