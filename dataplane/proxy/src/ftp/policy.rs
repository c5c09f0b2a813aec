//! What a service permits: commands, replies, features. One class to begin with, single entries on top of it.

use std::collections::HashMap;

use super::command::Command;
use super::known::{ANY_REPLY, Known, NEVER, Use};

/// What becomes of a command or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Accept,
    /// It is answered (a command) or replaced (a reply) by an error.
    Reject,
    /// It ends the session.
    Abort,
}

/// What becomes of a line of FEAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// It goes on if the server says it.
    Accept,
    /// It is left out.
    Drop,
    /// It is said whether the server says it or not.
    Insert,
}

/// Ready-made sets of commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// All that the proxy knows.
    #[default]
    Full,
    /// Looking and fetching.
    ReadOnly,
    /// That, and changing.
    ReadWrite,
    /// Looking and fetching, as `anonymous` or `ftp` only.
    AnonymousReadOnly,
    /// That, and changing, as `anonymous` or `ftp` only.
    AnonymousReadWrite,
}

impl Class {
    /// Is every name but `anonymous` and `ftp` refused?
    #[must_use]
    pub fn is_anonymous(self) -> bool {
        matches!(self, Class::AnonymousReadOnly | Class::AnonymousReadWrite)
    }

    fn permits(self, known: Known) -> bool {
        match (self, known.class()) {
            (Class::Full, _) | (_, Use::Read) => true,
            (Class::ReadWrite, Use::Write | Use::WriteByName) | (Class::AnonymousReadWrite, Use::Write) => true,
            (_, Use::Write | Use::WriteByName | Use::Other) => false,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where commands without an entry are looked up.
    pub class: Class,
    /// Entries by name in capitals.
    pub commands: HashMap<String, Action>,
    /// For what has no entry, instead of the class.
    pub other_commands: Option<Action>,
    /// Do commands pass that the proxy does not know?
    pub unknown_commands: bool,
    /// Replies by the command's name in capitals; those of `*` are for all.
    pub replies: HashMap<String, Replies>,
    /// Lines of FEAT by their first word in capitals; `*` is for all.
    pub features: HashMap<String, Feature>,
}

/// Codes or the first digits of codes, and what becomes of them.
pub type Replies = HashMap<String, Action>;

/// What the policy says of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// The policy does not want it.
    Denied,
    /// Nobody knows it.
    Unknown,
    /// It ends the session.
    Abort,
}

impl Policy {
    /// Its own entry, then what is said of all others, then the class; what is nowhere is refused.
    #[must_use]
    pub fn command(&self, command: &Command) -> Verdict {
        let name = command.name();
        if NEVER.contains(&name) {
            return Verdict::Denied;
        }
        let entry = self.commands.get(name).copied();
        let known = match command.known() {
            Some(Known::Greeting) => None,
            known => known,
        };
        let action = match (entry, known, self.other_commands) {
            (Some(action), ..) | (None, Some(_), Some(action)) => action,
            (None, Some(known), None) if self.class.permits(known) => Action::Accept,
            (None, Some(_), None) => Action::Reject,
            (None, None, _) if self.unknown_commands => Action::Accept,
            (None, None, _) => return Verdict::Unknown,
        };
        match action {
            Action::Accept => Verdict::Accept,
            Action::Reject => Verdict::Denied,
            Action::Abort => Verdict::Abort,
        }
    }

    /// The longest match among the service's entries, the command's before those of `*`; then the built-in table.
    #[must_use]
    pub fn reply(&self, name: &str, code: u16) -> Action {
        let digits = code.to_string();
        let own = [self.replies.get(name), self.replies.get("*")];
        for length in (0..=digits.len()).rev() {
            let entry = own.iter().flatten().find_map(|replies| replies.get(&digits[..length]));
            if let Some(action) = entry {
                return *action;
            }
        }
        let accepted = match Known::named(name) {
            Some(known) => known.replies().contains(&code) || ANY_REPLY.contains(&code),
            // Of a command that only the service knows, it knows the replies too.
            None => true,
        };
        if accepted { Action::Accept } else { Action::Reject }
    }

    /// The entry of a feature, or the one for all; accepted without either, as in Zorp's ready-made classes.
    #[must_use]
    pub fn feature(&self, name: &str) -> Feature {
        let entry = self.features.get(name).or_else(|| self.features.get("*"));
        entry.copied().unwrap_or(Feature::Accept)
    }
}

#[cfg(test)]
mod tests;
