//! Where a session is, and what may be said there: RFC 959 section 6 as one table.
//!
//! ```text
//! Greeting ──220──→ Login ──USER 331──→ Password ──PASS 230──→ Conversation ←──────────────────┐
//!                     ↑ │                  │ 332                 │ │  │ ↑                        │
//!                     │ └─USER 332──→ Account ←──────┘  ACCT 230─┘ │  │ └─any reply── Rename     │
//!                     │ USER 230 ────────────────────────────────→┘  │                ↑ RNFR 350 │
//!                     └──REIN 220──                  QUIT 221 → Quit  └──RETR … 150→ Data ──226───┘
//! ```

use super::known::Known;
use super::syntax::Refusal;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The server has yet to say who it is.
    Greeting,
    /// A user's name is expected.
    Login,
    /// A password is expected.
    Password,
    /// An account is expected.
    Account,
    /// Logged in.
    Conversation,
    /// RNFR was accepted: RNTO is expected.
    Rename,
    /// A transfer is under way.
    Data,
    /// The last words have been said.
    Quit,
}

/// When a command has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// After the transfer: as at the server, which reads it then.
    Later,
    /// Never in this state.
    Refused(Refusal),
}

const fn refused(code: u16, text: &'static str) -> Turn {
    Turn::Refused(Refusal { code, text })
}

impl State {
    /// All states.
    pub const ALL: &[State] = &[
        State::Greeting,
        State::Login,
        State::Password,
        State::Account,
        State::Conversation,
        State::Rename,
        State::Data,
        State::Quit,
    ];

    /// Has a command its turn? `None`: one that only the service knows.
    #[must_use]
    pub fn turn(self, command: Option<Known>) -> Turn {
        use Known::{
            Abor, Acct, Auth, Ccc, Feat, Greeting, Help, Noop, Opts, Pass, Pbsz, Prot, Quit, Rein, Rnto, Stat, Syst,
            User,
        };
        match (self, command) {
            (State::Greeting | State::Quit, _) | (_, Some(Greeting)) => {
                refused(500, "Command is not allowed at this time")
            }
            (_, Some(Quit)) if self != State::Data => Turn::Now,
            (State::Login | State::Password | State::Account, Some(User)) => Turn::Now,
            (State::Password, Some(Pass)) | (State::Account, Some(Acct)) => Turn::Now,
            (State::Login, Some(Pass | Acct)) => refused(503, "Log in with USER first"),
            (State::Password | State::Account, Some(Pass | Acct)) => refused(503, "Not what comes next in the log-in"),
            (
                State::Login | State::Password | State::Account,
                Some(Auth | Ccc | Feat | Help | Noop | Opts | Pbsz | Prot | Rein | Syst) | None,
            ) => Turn::Now,
            (State::Login | State::Password | State::Account, Some(_)) => refused(530, "Log in first"),
            (State::Conversation | State::Rename | State::Data, Some(User)) => refused(530, "Already logged in"),
            (State::Conversation, Some(Rnto)) => refused(503, "RNFR comes first"),
            (State::Conversation, _) | (State::Rename, Some(Rnto | Abor)) => Turn::Now,
            (State::Rename, _) => refused(503, "RNTO comes next"),
            // RFC 959 5.1: "certain commands (such as ABOR, STAT, QUIT) may be sent over the control connection while a
            // data transfer is in progress"; of QUIT: "the connection will remain open for result response".
            (State::Data, Some(Abor | Stat)) => Turn::Now,
            (State::Data, _) => Turn::Later,
        }
    }

    /// The state after a command's last reply.
    #[must_use]
    pub fn after(self, command: Option<Known>, code: u16) -> State {
        let Some(command) = command else { return self };
        let in_login = matches!(self, State::Login | State::Password | State::Account);
        match (command, code) {
            (Known::Greeting | Known::Rein, 220) => State::Login,
            (Known::User, 331 | 336) => State::Password,
            (Known::User | Known::Pass, 332) => State::Account,
            (Known::User | Known::Pass | Known::Acct, 200..=299) => State::Conversation,
            (Known::User | Known::Pass | Known::Acct, _) if in_login => State::Login,
            (Known::Rnfr, 350) => State::Rename,
            (Known::Quit, 200..=299) => State::Quit,
            (_, _) if self == State::Rename => State::Conversation,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests;
