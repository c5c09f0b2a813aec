//! How lines of the log look: for people, as Zorp writes them, or as JSON, a line each.
//!
//! ```text
//! text  2026-11-23T03:30:18.123456Z  INFO session ended rule="…" session=svc/web:0/7 …
//! zorp  limpid[812]: core.summary(4): (svc/web:0/7): session ended; rule='…', client='10.0.0.2:40000', …
//! json  {"time":"…","level":"INFO","tag":"core.summary","message":"session ended","rule":"…",…}
//! ```
//!
//! Formatting is done by whoever logs, and cores do not: what they have to say goes to the control thread first.

use std::fmt::{self, Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How lines of the log look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// As Zorp: `prog[pid]: tag(level): (session): text; key='value', ...`
    Zorp,
    /// One JSON object a line
    Json,
}

/// Writes lines as Zorp does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zorp;

/// Writes lines as JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json;

impl<S, F> FormatEvent<S, F> for Zorp
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, F>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let (tag, level) = (tag(event), severity(event));
        writeln!(writer, "limpid[{}]: {}", std::process::id(), zorp_line(tag, level, &said))
    }
}

impl<S, F> FormatEvent<S, F> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, F>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = event.metadata().level().to_string();
        writeln!(writer, "{}", json_line(&iso(now()), &level, tag(event), said))
    }
}

/// Zorp's tag: what the line names, and for everything else the part of the program that speaks.
fn tag(event: &Event<'_>) -> &'static str {
    let target = event.metadata().target();
    if target.starts_with("core.") { target } else { "core.info" }
}

/// Zorp counts from 0, the worst, to 10; summaries are 4.
fn severity(event: &Event<'_>) -> u8 {
    if event.metadata().target() == "core.summary" {
        return 4;
    }
    match *event.metadata().level() {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 6,
        Level::TRACE => 8,
    }
}

fn zorp_line(tag: &str, level: u8, said: &Said) -> String {
    let mut line = format!("{tag}({level}): ");
    let session = said.fields.iter().find(|(name, _)| *name == "session").map(|(_, value)| plain(value));
    let _ = write!(line, "({}): {}", session.as_deref().unwrap_or("nosession"), escaped(&said.message));
    let others = said.fields.iter().filter(|(name, _)| *name != "session");
    for (number, (name, value)) in others.enumerate() {
        let _ = write!(line, "{}{name}='{}'", if number == 0 { "; " } else { ", " }, escaped(&plain(value)));
    }
    line
}

fn json_line(time: &str, level: &str, tag: &str, said: Said) -> Value {
    let mut line = Map::new();
    line.insert("time".to_owned(), time.into());
    line.insert("level".to_owned(), level.into());
    line.insert("tag".to_owned(), tag.into());
    line.insert("message".to_owned(), said.message.into());
    line.extend(said.fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Value::Object(line)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A line stays a line, and a value ends where its quote does: names and prefixes come from outside.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = plain(&value),
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// Microseconds since 1970.
fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// ISO 8601 in UTC. Days to dates in the proleptic Gregorian calendar, counted from 1 March of the year 0 so that leap
/// days stand at the end of a year.
pub(crate) fn iso(micros: u64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let year = era * 400 + year;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests;
