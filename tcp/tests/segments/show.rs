//! A segment that came out beside one that a script expects, and both as a script would write them.
//!
//! What must hold: numbers are in the script's space already, counted from [`OURS`] and [`THEIRS`]; whoever runs a script against a
//! stack that chooses its own numbers translates them before.

use tcp::{Ecn, Flags, Header, Options, SeqNumber};

use crate::grammar::{OURS, PORTS, Spec, THEIRS};

/// How closely a segment is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eye {
    /// Everything that the script says.
    Strict,
    /// Of windows only whether they are closed, of window scales and clocks only that they are there, nothing of PSH (Linux
    /// marks what crosses half of the window, too): what another stack is free to choose.
    Lenient,
}

/// A segment that came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) header: Header,
    pub(crate) len: u32,
    pub(crate) ecn: Ecn,
}

/// In what it differs from what was expected, if it does.
pub(crate) fn difference(out: &Out, spec: &Spec, eye: Eye) -> Option<&'static str> {
    let Out { header, len, ecn } = out;
    let free = if eye == Eye::Strict { Flags::empty() } else { Flags::PSH };
    if header.flags.difference(free) != spec.flags.difference(free) {
        return Some("set of flags");
    }
    if (header.seq, *len) != (SeqNumber(OURS.wrapping_add(spec.seq)), spec.len) {
        return Some("sequence range");
    }
    if spec.ack.is_some_and(|ack| header.ack != SeqNumber(THEIRS.wrapping_add(ack))) {
        return Some("acknowledgment");
    }
    let window = |window: u16| if eye == Eye::Strict { window } else { window.min(1) };
    if spec.window.is_some_and(|expected| window(header.window) != window(expected)) {
        return Some("window");
    }
    if spec.options.is_some_and(|options| seen(header.options, eye) != seen(options, eye)) {
        return Some("set of options");
    }
    if header.dst_port != spec.port.unwrap_or(PORTS.1) {
        return Some("port");
    }
    if spec.ecn.is_some_and(|expected| *ecn != expected) {
        return Some("ECN field");
    }
    None
}

fn seen(mut options: Options, eye: Eye) -> Options {
    if eye == Eye::Lenient {
        options.window_scale = options.window_scale.map(|_| 0);
        if let Some(timestamp) = &mut options.timestamp {
            timestamp.value = 0;
        }
    }
    options
}

/// As a script would say it.
pub(crate) fn describe(out: &Out) -> String {
    let Out { header, len, ecn } = *out;
    let letters = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
    ];
    let flags: String =
        letters.iter().filter(|(flag, _)| header.flags.contains(*flag)).map(|(_, letter)| letter).collect();
    let seq = header.seq.0.wrapping_sub(OURS).cast_signed();
    let ack = header.ack.0.wrapping_sub(THEIRS).cast_signed();
    let Options { mss, window_scale, sack_permitted, timestamp, sack, .. } = header.options;
    let mut options: Vec<String> = Vec::new();
    options.extend(mss.map(|mss| format!("mss {mss}")));
    options.extend(window_scale.map(|shift| format!("wscale {shift}")));
    options.extend(sack_permitted.then(|| "sackOK".into()));
    options.extend(timestamp.map(|ts| format!("TS val {} ecr {}", ts.value, ts.echo)));
    let blocks = sack.as_slice().iter().map(|(start, end)| {
        format!(" {}:{}", start.0.wrapping_sub(THEIRS).cast_signed(), end.0.wrapping_sub(THEIRS).cast_signed())
    });
    let blocks: String = blocks.collect();
    options.extend((!blocks.is_empty()).then(|| format!("sack{blocks}")));
    let end = seq.wrapping_add(len.cast_signed());
    let mark = match ecn {
        Ecn::NotCapable => "",
        Ecn::Capable0 => " ecn ect0",
        Ecn::Capable1 => " ecn ect1",
        Ecn::CongestionExperienced => " ecn ce",
    };
    let port = if header.dst_port == PORTS.1 { String::new() } else { format!(" port {}", header.dst_port) };
    format!("{flags} {seq}:{end}({len}) ack {ack} win {}{mark}{port} <{}>", header.window, options.join(","))
}
