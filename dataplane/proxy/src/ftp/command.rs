//! A command: its name and its argument, as hooks and policy look at it and may change it.

use std::fmt;

use super::known::Known;

/// Letters of a command's name; RFC 959 has three or four, extensions up to eight.
const NAME_MAX: usize = 16;

/// What a client says in one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    name: String,
    argument: Vec<u8>,
}

/// Why a line is no command, or a name or argument may not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Nothing in it.
    Empty,
    /// The name is not one to sixteen letters and digits.
    BadName,
    /// CR, LF or NUL in the argument: it would be more than one line, or one for some readers only.
    BadArgument,
}

impl Command {
    /// From a line without its end.
    ///
    /// # Errors
    /// It is empty, or begins with what is no name.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if line.iter().all(|byte| *byte == b' ') {
            return Err(CommandError::Empty);
        }
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        let mut command = Command { name: String::new(), argument: Vec::new() };
        command.set_name(std::str::from_utf8(&line[..end]).map_err(|_| CommandError::BadName)?)?;
        // "The argument field consists of a variable length character string": what is behind one space, spaces and all.
        command.set_argument(line.get(end + 1..).unwrap_or_default())?;
        Ok(command)
    }

    /// One of our own making.
    ///
    /// Panics when the argument is none: it is ours.
    #[must_use]
    pub fn of(known: Known, argument: impl AsRef<[u8]>) -> Command {
        let mut command = Command { name: known.name().to_owned(), argument: Vec::new() };
        assert_eq!(command.set_argument(argument), Ok(()), "our own commands are one line");
        command
    }

    /// In capitals: "Upper and lower case alphabetic characters are to be treated identically."
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands behind the name and one space; passwords included.
    #[must_use]
    pub fn argument(&self) -> &[u8] {
        &self.argument
    }

    /// Which one it is of those that the proxy knows.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        Known::named(&self.name)
    }

    /// Changes the name.
    ///
    /// # Errors
    /// It is no name; the old one stays.
    pub fn set_name(&mut self, name: &str) -> Result<(), CommandError> {
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(CommandError::BadName);
        }
        self.name = name.to_ascii_uppercase();
        Ok(())
    }

    /// Changes the argument; empty: none.
    ///
    /// # Errors
    /// It does not stay on its line; the old one stays.
    pub fn set_argument(&mut self, argument: impl AsRef<[u8]>) -> Result<(), CommandError> {
        let argument = argument.as_ref();
        if argument.iter().any(|byte| matches!(*byte, b'\r' | b'\n' | 0)) {
            return Err(CommandError::BadArgument);
        }
        self.argument = argument.to_vec();
        Ok(())
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = self.name.clone().into_bytes();
        if !self.argument.is_empty() {
            line.push(b' ');
            line.extend_from_slice(&self.argument);
        }
        line
    }

    /// Does the argument belong to the user alone?
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.known(), Some(Known::Pass | Known::Acct))
    }
}

/// For logs: what is secret is not in it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
            return write!(f, "{} ***", self.name);
        }
        let shown = &self.argument[..self.argument.len().min(super::limits::LOGGED)];
        let space = if shown.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.name, shown.escape_ascii())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
