//! Addresses of data connections: PORT and 227 (RFC 959), EPRT and 229 (RFC 2428), read and written.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `h1,h2,h3,h4,p1,p2` and nothing else: "the value of each field is transmitted as a decimal number".
#[must_use]
pub fn parse_port(argument: &[u8]) -> Option<SocketAddr> {
    let mut numbers = argument.split(|byte| *byte == b',').map(number::<u8>);
    let mut next = || numbers.next().flatten();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = u16::from_be_bytes([next()?, next()?]);
    numbers.next().is_none().then_some(SocketAddr::new(address.into(), port))
}

/// The form of PORT and 227.
#[must_use]
pub fn port(address: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = address.octets();
    let [high, low] = port.to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

/// Why an EPRT is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EprtError {
    /// Not of the form.
    Syntax,
    /// A network protocol that is neither 1 nor 2.
    Protocol,
}

/// `|1|132.235.1.2|6275|` or `|2|1080::8:800:200C:417A|5282|`, with any delimiter of ASCII 33 to 126.
///
/// # Errors
/// See [`EprtError`].
pub fn parse_eprt(argument: &[u8]) -> Result<SocketAddr, EprtError> {
    let (delimiter, rest) = argument.split_first().ok_or(EprtError::Syntax)?;
    if !delimiter.is_ascii_graphic() {
        return Err(EprtError::Syntax);
    }
    let fields: Vec<&[u8]> = rest.splitn(5, |byte| byte == delimiter).collect();
    let [protocol, address, port, b""] = fields[..] else { return Err(EprtError::Syntax) };
    let address = std::str::from_utf8(address).map_err(|_| EprtError::Syntax)?;
    let port = number(port).ok_or(EprtError::Syntax)?;
    let ip = match protocol {
        b"1" => address.parse().map(IpAddr::V4),
        b"2" => address.parse().map(IpAddr::V6),
        _ => return Err(EprtError::Protocol),
    };
    ip.map(|ip| SocketAddr::new(ip, port)).map_err(|_| EprtError::Syntax)
}

/// The form of EPRT.
#[must_use]
pub fn eprt(address: SocketAddr) -> String {
    let protocol = if address.is_ipv4() { 1 } else { 2 };
    format!("|{protocol}|{}|{}|", address.ip(), address.port())
}

/// Where 227 says that the server waits.
///
/// RFC 1123 4.1.2.6: "the format of the 227 reply to a PASV command is not well standardized … scan the reply for the first
/// digit of the host and port numbers". Six numbers that stand alone: a seventh one would be read differently by others.
#[must_use]
pub fn parse_227(text: &[u8]) -> Option<SocketAddr> {
    let start = text.iter().position(u8::is_ascii_digit)?;
    let length = text[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b',').count();
    parse_port(&text[start..start + length])
}

/// The port of 229: `(<d><d><d><tcp-port><d>)`.
#[must_use]
pub fn parse_229(text: &[u8]) -> Option<u16> {
    let open = memchr::memchr(b'(', text)?;
    let close = open + memchr::memchr(b')', &text[open..])?;
    let (delimiter, rest) = text[open + 1..close].split_first()?;
    let (port, end) = rest.strip_prefix(&[*delimiter, *delimiter])?.split_at_checked(rest.len().checked_sub(3)?)?;
    (delimiter.is_ascii_graphic() && end == [*delimiter]).then(|| number(port))?
}

/// Words of a 227 reply.
#[must_use]
pub fn text_227(address: Ipv4Addr, at: u16) -> String {
    format!("Entering Passive Mode ({})", port(address, at))
}

/// Words of a 229 reply: "The text returned in response to the EPSV command MUST be" this and the port in delimiters.
#[must_use]
pub fn text_229(port: u16) -> String {
    let mut text = String::from("Entering Extended Passive Mode ");
    let _ = write!(text, "(|||{port}|)");
    text
}

/// A decimal number without a sign, of at most five digits.
fn number<T: TryFrom<u32>>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    T::try_from(value).ok()
}

#[cfg(test)]
mod tests;
