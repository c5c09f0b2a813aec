//! Paths and queries: escapes and dot segments in their canonical form, or none where servers would read them in several ways.

use super::{UrlFault, UrlRules};

/// The canonical form of a path that begins with `/`, and its query.
///
/// # Errors
/// Why it has none.
pub fn canonical(raw: &[u8], rules: &UrlRules) -> Result<String, UrlFault> {
    debug_assert_eq!(raw.first(), Some(&b'/'), "an origin form begins with its path");
    let (path, query) = match raw.iter().position(|byte| *byte == b'?') {
        Some(mark) => (&raw[..mark], Some(&raw[mark + 1..])),
        None => (raw, None),
    };
    let mut target = without_dots(&escaped(path, Part::Path, rules)?)?;
    if let Some(query) = query {
        target.push('?');
        target.push_str(&escaped(query, Part::Query, rules)?);
    }
    Ok(target)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Query,
}

/// Escapes in their canonical form: RFC 3986, 6.2.2.1 and 6.2.2.2.
fn escaped(raw: &[u8], part: Part, rules: &UrlRules) -> Result<String, UrlFault> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => rest = escape(rest, part, rules, &mut out)?,
            b'#' => return Err(UrlFault::Fragment),
            // What RFC 3986 does not know but browsers say has one canonical form: its escape.
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => push_escape(&mut out, *byte),
            // A separator for some servers, a character for others.
            b'\\' if part == Part::Path => return Err(UrlFault::Byte),
            b'\\' => push_escape(&mut out, b'\\'),
            b'!'..=b'~' => out.push(char::from(*byte)),
            _ => return Err(UrlFault::Byte),
        }
    }
    Ok(out)
}

/// One escape, its `%` read; gives what follows it.
fn escape<'a>(rest: &'a [u8], part: Part, rules: &UrlRules, out: &mut String) -> Result<&'a [u8], UrlFault> {
    if let Some(byte) = hex(rest) {
        match byte {
            0 if part == Part::Path => return Err(UrlFault::Nul),
            byte if is_unreserved(byte) => out.push(char::from(byte)),
            byte => push_escape(out, byte),
        }
        return Ok(&rest[2..]);
    }
    if let [b'u' | b'U', digits @ ..] = rest
        && digits.len() >= 4
        && digits[..4].iter().all(u8::is_ascii_hexdigit)
    {
        if !rules.permit_unicode {
            return Err(UrlFault::UnicodeEscape);
        }
        out.push_str("%u");
        out.extend(digits[..4].iter().map(|digit| char::from(digit.to_ascii_uppercase())));
        return Ok(&digits[4..]);
    }
    if !rules.permit_invalid_escape {
        return Err(UrlFault::Escape);
    }
    out.push_str("%25");
    Ok(rest)
}

fn hex(rest: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low, ..] = rest else { return None };
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 3986, 5.2.4, but for `..` above the root: servers either refuse it or stay there.
fn without_dots(path: &str) -> Result<String, UrlFault> {
    if hides_dots(path) {
        return Err(UrlFault::Dots);
    }
    let mut kept: Vec<&str> = Vec::new();
    let segments = path[1..].split('/');
    let mut directory = false;
    for segment in segments {
        directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop().ok_or(UrlFault::Dots)?),
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if directory || kept.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// Dot segments that only some servers see: behind an escaped slash or backslash, or before parameters.
fn hides_dots(path: &str) -> bool {
    path.split('/').any(|segment| {
        let odd = segment.contains("%2F") || segment.contains("%5C") || segment.contains(';');
        let pieces = segment.split("%2F").flat_map(|piece| piece.split("%5C"));
        odd && pieces
            .map(|piece| piece.split(';').next().unwrap_or_default())
            .any(|piece| piece == "." || piece == "..")
    })
}
