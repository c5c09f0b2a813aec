//! The list of intended differences, `tests/scripts/linux.txt`: where the kernel does something else than we do, and why both
//! may.
//!
//! An entry replaces lines of a script by what the kernel does there, so the rest of the script is still compared. What
//! must hold (the test checks it): with all entries of a script the kernel does what it says; without any one of them it does
//! not.

use std::collections::BTreeMap;

use crate::grammar::{self, Event, Line};

/// Shorter reasons explain nothing.
const REASON_MIN: usize = 30;

/// What the list says of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Not asked of the kernel at all, for this reason.
    pub(crate) not_run: Option<String>,
    /// By line.
    pub(crate) swaps: BTreeMap<usize, Swap>,
}

/// What the kernel does instead of what a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// These events; none: the line does not happen.
    Instead(Vec<Event>),
    /// It goes another way; the rest cannot be compared.
    End,
}

pub(crate) type List = BTreeMap<String, Entry>;

pub(crate) fn parse(text: &str) -> Result<List, String> {
    let mut list = List::new();
    let mut script = String::new();
    let mut reason: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(more) = line.strip_prefix("    ") {
            let (_, reason) = reason.as_mut().ok_or(format!("line {number}: a reason for nothing"))?;
            reason.push_str(more);
            continue;
        }
        // Several lines in a row have one reason.
        let shared = reason.as_ref().is_some_and(|(_, text)| text.is_empty()) && !line.starts_with("== ");
        if !shared {
            reasoned(reason.take())?;
        }
        if let Some(name) = line.strip_prefix("== ") {
            script = name.trim().to_owned();
            if list.insert(script.clone(), Entry::default()).is_some() {
                return Err(format!("line {number}: {script} is there twice"));
            }
            continue;
        }
        reason = Some((number, String::new()));
        let entry = list.get_mut(&script).ok_or(format!("line {number}: a script first"))?;
        let (at, what) = line.split_once(':').ok_or(format!("line {number}: LINE: what"))?;
        if at == "not run" {
            entry.not_run = Some(what.trim().to_owned());
            continue;
        }
        let at: usize = at.trim().parse().map_err(|_| format!("line {number}: a line's number"))?;
        entry.swaps.insert(at, swap(what.trim()).map_err(|what| format!("line {number}: {what}"))?);
    }
    reasoned(reason)?;
    Ok(list)
}

fn reasoned(reason: Option<(usize, String)>) -> Result<(), String> {
    match reason {
        Some((number, text)) if text.len() < REASON_MIN => Err(format!("line {number}: no reason is given")),
        _ => Ok(()),
    }
}

fn swap(text: &str) -> Result<Swap, String> {
    match text {
        "nothing" => Ok(Swap::Instead(Vec::new())),
        "end" => Ok(Swap::End),
        events => {
            let events = events.split(';').map(|event| grammar::event(event.trim()));
            events.collect::<Result<_, _>>().map(Swap::Instead)
        }
    }
}

/// The script as the kernel plays it. The time of a line is kept by what stands in its place, or by the next line.
pub(crate) fn apply(lines: &[Line], swaps: &BTreeMap<usize, Swap>) -> Result<Vec<Line>, String> {
    let mut played: Vec<Line> = Vec::new();
    let mut left = std::time::Duration::ZERO;
    let known = |number: &usize| lines.iter().any(|line| line.number == *number);
    if let Some(number) = swaps.keys().find(|number| !known(number)) {
        return Err(format!("there is no line {number}"));
    }
    for line in lines {
        let events = match swaps.get(&line.number) {
            None => vec![line.event.clone()],
            Some(Swap::Instead(events)) => events.clone(),
            Some(Swap::End) => return Ok(played),
        };
        left += line.after;
        for event in events {
            played.push(Line { number: line.number, after: std::mem::take(&mut left), event });
        }
    }
    Ok(played)
}
