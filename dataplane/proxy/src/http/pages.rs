//! Pages that tell a client why it gets nothing else: built in, or the operator's files.
//!
//! Macros are Zorp's `@INFO@`, `@VERSION@`, `@DATE@` and `@HOST@`, and `@STATUS@` and `@REASON@`. What a client said is escaped
//! and bounded. A page closes the connection unless its request was whole and nothing follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::limits::PAGE_INFO_MAX;

/// The operator's pages.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// By status; `0` is for those that have none of their own.
    pub templates: BTreeMap<u16, Arc<str>>,
    /// No pages at all: the connection is closed.
    pub silent: bool,
}

const BUILT_IN: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>@STATUS@ @REASON@</title></head>\n\
    <body>\n<h1>@STATUS@ @REASON@</h1>\n<p>@INFO@</p>\n<hr>\n<address>Limpid @VERSION@, @DATE@</address>\n</body>\n</html>\n";

/// What a page is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub status: u16,
    pub info: &'a str,
    /// Of the URL that was asked for, if that is known.
    pub host: &'a str,
    /// An absolute URL to look at instead.
    pub location: Option<&'a str>,
    /// Since 1970.
    pub now: Duration,
    /// The connection ends after it.
    pub close: bool,
    /// It answers a HEAD.
    pub head_only: bool,
}

/// A page's fields and its body.
pub(super) struct Content {
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
}

impl Pages {
    /// The whole response of HTTP/1.
    pub(super) fn render(&self, page: &Page<'_>) -> Bytes {
        let Content { fields, body } = self.content(page);
        let mut out = format!("HTTP/1.1 {} {}\r\n", page.status, reason(page.status));
        for (name, value) in fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(if page.close { "Connection: close\r\n\r\n" } else { "\r\n" });
        if !page.head_only {
            out.push_str(&body);
        }
        Bytes::from(out)
    }

    /// What a page says, however it is framed.
    pub(super) fn content(&self, page: &Page<'_>) -> Content {
        let template = self.templates.get(&page.status).or_else(|| self.templates.get(&0));
        let template = template.map_or(BUILT_IN, |template| template);
        let date = http_date(page.now);
        let body = fill(template, &|name| match name {
            "INFO" => Some(escaped(page.info)),
            "VERSION" => Some(env!("CARGO_PKG_VERSION").to_owned()),
            "DATE" => Some(date.clone()),
            "HOST" => Some(escaped(page.host)),
            "STATUS" => Some(page.status.to_string()),
            "REASON" => Some(reason(page.status).to_owned()),
            _ => None,
        });
        let mut fields = vec![
            ("Date", date.clone()),
            ("Content-Type", "text/html; charset=utf-8".to_owned()),
            ("Content-Length", body.len().to_string()),
            ("Cache-Control", "no-store".to_owned()),
        ];
        fields.extend(page.location.map(|location| ("Location", location.to_owned())));
        Content { fields, body }
    }
}

/// A template with its macros replaced; what is between two `@` and is none stays.
fn fill(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let found = after.split_once('@').and_then(|(name, behind)| Some((value(name)?, behind)));
        match found {
            Some((value, behind)) => {
                out.push_str(&value);
                rest = behind;
            }
            None => {
                out.push('@');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// For HTML, and not too long.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(PAGE_INFO_MAX) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

/// The words of RFC 9110, 15 for what we say ourselves.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}

/// RFC 9110, 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn http_date(since_1970: Duration) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = since_1970.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Years that begin in March have their leap day last: eras of 400 of them are all alike.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests;
