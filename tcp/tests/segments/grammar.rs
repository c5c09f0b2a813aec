//! The script language: text to events. `tests/scripts/README.md` describes it.

use std::time::Duration;

use tcp::{Ecn, Flags, IcmpKind, Options, SackBlocks, SeqNumber, Timestamp};

/// Numbers in scripts count from the initial ones; on the wire both wrap within a few segments, in every script.
pub(crate) const OURS: u32 = u32::MAX - 700;
pub(crate) const THEIRS: u32 = u32::MAX - 900;

/// Our port and the peer's.
pub(crate) const PORTS: (u16, u16) = (40_000, 80);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    /// After the line before; none for settings.
    pub(crate) after: Duration,
    pub(crate) event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// `set receive_buffer 4000`.
    Set(String, u64),
    /// `linux tcp_rfc1337 1`: where Linux has to be asked to do what we always do.
    Linux(String, u64),
    /// `us <...>`, `them <...>`: what the SYNs say.
    Us(Options),
    Them(Options),
    /// `< segment`: arrives; refused for that reason, if one is given.
    Arrives(Spec, Option<String>),
    /// `> segment`: comes out.
    Leaves(Spec),
    Connect,
    Listen,
    /// As a [`Listener`](tcp::Listener), with a backlog.
    Serve(usize),
    /// The application takes a connection.
    Accept,
    Established,
    Write(usize),
    /// So many bytes are there to be read, and are.
    Read(usize),
    Shutdown,
    Close,
    Abort,
    /// Nothing comes out until then.
    Silent,
    State(String),
    Error(String),
    /// A field of `Info`, as text.
    Info(String, String),
    /// What a router or the peer's host says of a segment with that sequence number.
    Icmp(IcmpKind, u32),
    /// Memory is short, or no longer.
    Pressure(bool),
}

/// A segment, numbers relative. What an expectation does not say is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The peer's, if it is not [`PEER_PORT`].
    pub(crate) port: Option<u16>,
    pub(crate) flags: Flags,
    pub(crate) seq: u32,
    pub(crate) len: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) window: Option<u16>,
    pub(crate) urgent: u16,
    pub(crate) ecn: Option<Ecn>,
    pub(crate) options: Option<Options>,
}

/// What SACK blocks are relative to.
#[derive(Clone, Copy)]
pub(crate) enum Blocks {
    OfOurs,
    OfTheirs,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or("").trim();
        if code.is_empty() {
            continue;
        }
        let number = index + 1;
        let (after, event) = line_of(code).map_err(|what| format!("line {number}: {what}: {line}"))?;
        lines.push(Line { number, after, event });
    }
    Ok(lines)
}

fn line_of(code: &str) -> Result<(Duration, Event), String> {
    let Some(timed) = code.strip_prefix('+') else { return Ok((Duration::ZERO, setting(code)?)) };
    let (time, rest) = timed.split_once(char::is_whitespace).ok_or("a time and an event")?;
    let seconds: f64 = time.parse().map_err(|_| "a time in seconds")?;
    Ok((Duration::from_secs_f64(seconds), event(rest.trim())?))
}

fn setting(code: &str) -> Result<Event, String> {
    let (word, rest) = code.split_once(' ').ok_or("a time (+0.1) or a setting")?;
    match word {
        "us" => Ok(Event::Us(options(rest.trim(), Blocks::OfOurs)?)),
        "them" => Ok(Event::Them(options(rest.trim(), Blocks::OfTheirs)?)),
        "set" | "linux" => {
            let (name, value) = rest.trim().split_once(' ').ok_or("a name and a number")?;
            let (name, value) = (name.to_owned(), number(value)?);
            Ok(if word == "set" { Event::Set(name, value) } else { Event::Linux(name, value) })
        }
        _ => Err(format!("unknown setting {word:?}")),
    }
}

/// What happens, without its time.
pub(crate) fn event(text: &str) -> Result<Event, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        ["<", ..] => {
            let (segment, refused) = match text[1..].split_once('!') {
                Some((segment, reason)) => (segment, Some(reason.trim().to_owned())),
                None => (&text[1..], None),
            };
            Event::Arrives(spec(segment, Blocks::OfOurs)?, refused)
        }
        [">", ..] => Event::Leaves(spec(&text[1..], Blocks::OfTheirs)?),
        ["connect"] => Event::Connect,
        ["listen"] => Event::Listen,
        ["serve", backlog] => Event::Serve(number(backlog)?),
        ["accept"] => Event::Accept,
        ["established"] => Event::Established,
        ["write", bytes] => Event::Write(number(bytes)?),
        ["read", bytes] => Event::Read(number(bytes)?),
        ["shutdown"] => Event::Shutdown,
        ["close"] => Event::Close,
        ["abort"] => Event::Abort,
        ["silent"] => Event::Silent,
        ["state", name] => Event::State(name.into()),
        ["error", name] => Event::Error(name.into()),
        ["info", field, value] => Event::Info(field.into(), value.into()),
        ["icmp", "too-big", mtu, "seq", seq] => Event::Icmp(IcmpKind::TooBig { mtu: number(mtu)? }, number(seq)?),
        ["icmp", kind, "seq", seq] => {
            let kind = match kind {
                "port-unreachable" => IcmpKind::Unreachable { hard: true },
                "host-unreachable" => IcmpKind::Unreachable { hard: false },
                "time-exceeded" => IcmpKind::TimeExceeded,
                _ => return Err(format!("unknown ICMP error {kind:?}")),
            };
            Event::Icmp(kind, number(seq)?)
        }
        ["pressure", "on"] => Event::Pressure(true),
        ["pressure", "off"] => Event::Pressure(false),
        _ => return Err("unknown event".into()),
    })
}

/// `FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [ecn FIELD] [port N] [<options>]`.
fn spec(text: &str, blocks: Blocks) -> Result<Spec, String> {
    let (plain, listed) = match text.split_once('<') {
        Some((plain, listed)) => (plain, Some(options(&format!("<{listed}"), blocks)?)),
        None => (text, None),
    };
    let mut words = plain.split_whitespace();
    let flags = flags(words.next().ok_or("flags")?)?;
    let (seq, len) = range(words.next().ok_or("SEQ:END(LEN)")?)?;
    let mut spec = Spec { flags, seq, len, options: listed, ..Spec::default() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or("a number")?;
        match word {
            "ack" => spec.ack = Some(number(value)?),
            "port" => spec.port = Some(number(value)?),
            "win" => spec.window = Some(number(value)?),
            "urg" => spec.urgent = number(value)?,
            "ecn" => spec.ecn = Some(codepoint(value)?),
            _ => return Err(format!("unknown word {word:?}")),
        }
    }
    Ok(spec)
}

fn codepoint(text: &str) -> Result<Ecn, String> {
    match text {
        "no" => Ok(Ecn::NotCapable),
        "ect0" => Ok(Ecn::Capable0),
        "ect1" => Ok(Ecn::Capable1),
        "ce" => Ok(Ecn::CongestionExperienced),
        _ => Err(format!("unknown ECN field {text:?}")),
    }
}

fn flags(text: &str) -> Result<Flags, String> {
    let mut flags = Flags::empty();
    for letter in text.chars() {
        flags |= match letter {
            'S' => Flags::SYN,
            'F' => Flags::FIN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            '-' => Flags::empty(),
            other => return Err(format!("unknown flag {other:?}")),
        };
    }
    Ok(flags)
}

fn range(text: &str) -> Result<(u32, u32), String> {
    let (seq, rest) = text.split_once(':').ok_or("SEQ:END(LEN)")?;
    let (end, len) = rest.trim_end_matches(')').split_once('(').ok_or("SEQ:END(LEN)")?;
    let (seq, end, len): (u32, u32, u32) = (number(seq)?, number(end)?, number(len)?);
    if seq.wrapping_add(len) != end {
        return Err(format!("{seq} and {len} do not make {end}"));
    }
    Ok((seq, len))
}

fn options(text: &str, blocks: Blocks) -> Result<Options, String> {
    let listed = text.trim().strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).ok_or("<options>")?;
    let mut options = Options::default();
    for option in listed.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let words: Vec<&str> = option.split_whitespace().collect();
        match words[..] {
            ["mss", value] => options.mss = Some(number(value)?),
            ["wscale", value] => options.window_scale = Some(number(value)?),
            ["sackOK"] => options.sack_permitted = true,
            ["nop" | "eol"] => {}
            ["TS", "val", value, "ecr", echo] => {
                options.timestamp = Some(Timestamp { value: number(value)?, echo: number(echo)? });
            }
            ["sack", ref ranges @ ..] => options.sack = sack(ranges, blocks)?,
            _ => return Err(format!("unknown option {option:?}")),
        }
    }
    Ok(options)
}

fn sack(ranges: &[&str], of: Blocks) -> Result<SackBlocks, String> {
    let base = match of {
        Blocks::OfOurs => OURS,
        Blocks::OfTheirs => THEIRS,
    };
    let mut blocks = SackBlocks::new();
    for range in ranges {
        let (start, end) = range.split_once(':').ok_or("a SACK block START:END")?;
        let at = |text| number::<u32>(text).map(|n| SeqNumber(base.wrapping_add(n)));
        if !blocks.push(at(start)?, at(end)?) {
            return Err("more than four SACK blocks".into());
        }
    }
    Ok(blocks)
}

/// A number; negative ones count backwards from the initial sequence number.
fn number<N: TryFrom<i64> + TryFrom<u32>>(text: &str) -> Result<N, String> {
    let bad = || format!("not a number that fits: {text:?}");
    let value: i64 = text.trim().parse().map_err(|_| bad())?;
    if value < 0 {
        let wrapped = u32::try_from(value.rem_euclid(1 << 32)).map_err(|_| bad())?;
        return <N as TryFrom<u32>>::try_from(wrapped).map_err(|_| bad());
    }
    <N as TryFrom<i64>>::try_from(value).map_err(|_| bad())
}
