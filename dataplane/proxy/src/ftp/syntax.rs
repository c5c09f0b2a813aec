//! What the argument of each command has to be; what differs only in form is put into one form, so that no server has to
//! guess what two forms mean.

use super::command::Command;
use super::known::{Argument, Known};
use super::settings::Settings;

/// Why a command is not passed on: the reply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the reply.
    pub code: u16,
    /// Of the reply.
    pub text: &'static str,
}

const fn no(code: u16, text: &'static str) -> Refusal {
    Refusal { code, text }
}

/// Looks at a command's argument, and normalises it. Addresses are read where they are used (`super::data`).
///
/// # Errors
/// What to answer instead of passing it on.
pub fn check(known: Known, command: &mut Command, settings: &Settings) -> Result<(), Refusal> {
    let argument = command.argument();
    let normal: &[u8] = match known.argument() {
        Argument::None => b"",
        Argument::Nothing if argument.is_empty() => b"",
        Argument::Nothing => return Err(no(500, "No parameter is allowed here")),
        Argument::Path | Argument::Words | Argument::Port | Argument::ExtendedPort if argument.is_empty() => {
            return Err(no(501, "A parameter is missing"));
        }
        Argument::User => {
            user(argument, settings)?;
            argument
        }
        Argument::Password if argument.len() > settings.password_max => {
            return Err(no(501, "The password is too long"));
        }
        Argument::Type => match argument.to_ascii_uppercase().as_slice() {
            // "A N" is what A means (RFC 959 3.1.1.5.1: non-print is the default).
            b"A" | b"A N" => b"A",
            b"I" => b"I",
            _ => return Err(no(504, "Only types A and I are supported")),
        },
        Argument::Mode => match argument.to_ascii_uppercase().as_slice() {
            b"S" => b"S",
            b"B" => b"B",
            b"C" => b"C",
            _ => return Err(no(504, "Only modes S, B and C are supported")),
        },
        Argument::Structure if argument.eq_ignore_ascii_case(b"F") => b"F",
        Argument::Structure => return Err(no(504, "Only structure F is supported")),
        Argument::Allocate if is_allocation(argument) => argument,
        Argument::Allocate => return Err(no(501, "The size is not a number")),
        Argument::Position if is_number(argument) => argument,
        Argument::Position => return Err(no(501, "The position is not a number")),
        Argument::Mechanism if ["TLS", "TLS-C"].iter().any(|name| argument.eq_ignore_ascii_case(name.as_bytes())) => {
            b"TLS"
        }
        Argument::Mechanism => return Err(no(504, "Only TLS is supported")),
        Argument::BufferSize if argument == b"0" => b"0",
        Argument::BufferSize => return Err(no(501, "Only a buffer size of 0 is supported")),
        Argument::Protection => match argument.to_ascii_uppercase().as_slice() {
            b"C" => b"C",
            b"P" => b"P",
            b"S" | b"E" => return Err(no(536, "Only levels C and P are supported")),
            _ => return Err(no(504, "Only levels C and P are supported")),
        },
        Argument::Path
        | Argument::Words
        | Argument::Port
        | Argument::ExtendedPort
        | Argument::OptionalPath
        | Argument::OptionalWords
        | Argument::ExtendedPassive
        | Argument::Password => argument,
    };
    if normal != argument {
        let normal = normal.to_vec();
        // It has no line end: what is normal is ours, or was there before.
        let _ = command.set_argument(normal);
    }
    Ok(())
}

/// Does a path lead upwards? Both kinds of slash, as servers on Windows have it.
#[must_use]
pub fn has_parent(path: &[u8]) -> bool {
    path.split(|byte| matches!(*byte, b'/' | b'\\')).any(|part| part == b"..")
}

fn user(name: &[u8], settings: &Settings) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(no(501, "A user name is missing"));
    }
    // With `user@host` the name ends at the last @; the host has its own check.
    let name = match (&settings.login, memchr::memrchr(b'@', name)) {
        (Some(_), Some(at)) => &name[..at],
        _ => name,
    };
    if name.len() > settings.user_max {
        return Err(no(501, "The user name is too long"));
    }
    let allowed = settings.user_characters.as_bytes();
    if !allowed.is_empty() && !name.iter().all(|byte| allowed.contains(byte)) {
        return Err(no(501, "The user name has characters that are not allowed"));
    }
    if settings.policy.class.is_anonymous() && !matches!(name, b"anonymous" | b"ftp") {
        return Err(no(530, "Only anonymous log-ins are allowed"));
    }
    Ok(())
}

/// Digits that a file's size can have.
fn is_number(text: &[u8]) -> bool {
    (1..=20).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// `n` or `n R m`.
fn is_allocation(text: &[u8]) -> bool {
    let mut words = text.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(size), None, ..) => is_number(size),
        (Some(size), Some(b"R" | b"r"), Some(record), None) => is_number(size) && is_number(record),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
