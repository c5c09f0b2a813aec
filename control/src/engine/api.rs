//! What can be asked of the engine, and the shape of its answers: values, so that the server, signals and the simulator
//! ask alike. HTTP is only named where a status code says best what kind of refusal it is.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Config;
use crate::faults::Faults;
use crate::requests::{Caller, Errno, Refusal, Request};
use crate::rollback::Install;

/// One request of the API, or of a signal.
#[derive(Debug)]
pub enum ApiRequest {
    /// How the gateway is.
    Status,
    /// The same as metrics.
    Metrics,
    /// Whether every core answers.
    Health,
    /// The flows there are.
    Flows {
        /// How many at most.
        limit: usize,
    },
    /// What would become of a flow.
    Explain {
        /// Where it comes in.
        interface: String,
        /// Its protocol number.
        protocol: u8,
        /// Who begins it.
        source: SocketAddr,
        /// Whom they address.
        destination: SocketAddr,
        /// For programs or for people.
        format: Format,
    },
    /// Which policy runs, and the names in it.
    Policy,
    /// The tproxy entries there are.
    Entries {
        /// How many at most.
        limit: usize,
    },
    /// The sets there are.
    Sets,
    /// A set with its members.
    Set {
        /// Its name.
        name: String,
        /// How many members at most.
        limit: usize,
    },
    /// A change of a set, or a question about it.
    ChangeSet {
        /// Its name.
        name: String,
        /// What.
        change: SetChange,
    },
    /// A tproxy request.
    Tproxy(Request),
    /// The configuration file as it was just read.
    Reload {
        /// What is to run.
        read: Result<Box<Config>, Faults>,
        /// Flows that it forbids are cut.
        redecide: bool,
    },
    /// What is done with the rules file and the one that is to take its place.
    Rules(RulesRequest),
    /// Drain and end.
    Stop,
    /// Who asked for entries and who used them.
    Audit {
        /// How many changes at most.
        limit: usize,
    },
}

/// A request about rules.
#[derive(Debug)]
pub enum RulesRequest {
    /// The rules that run, in canonical form.
    Show {
        /// With packets and bytes of each rule.
        counters: bool,
        /// For programs or for people.
        format: Format,
    },
    /// Whether rules are on probation, and how the last probation ended.
    State,
    /// Load a configuration with new rules for a while, then go back to what ran before.
    Test {
        /// What is to be tested.
        read: Result<Box<Config>, Faults>,
        /// For how long.
        for_us: u64,
    },
    /// Load a configuration with new rules for good.
    Commit {
        /// What is to run.
        read: Result<Box<Config>, Faults>,
        /// Makes the new rules the rules file.
        install: Install,
        /// Only if it is confirmed within that time; else everything is as before.
        confirm_us: Option<u64>,
    },
    /// What is on probation is to stay.
    Confirm,
    /// What is on probation is to go now.
    Revert,
}

/// What is done with a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetChange {
    /// Adds members.
    Add {
        /// As they are written.
        members: Vec<String>,
    },
    /// Takes members out.
    Delete {
        /// As they are written.
        members: Vec<String>,
    },
    /// Changes nothing, and says whether a member is there.
    Test {
        /// As it is written.
        member: String,
    },
    /// Takes all out.
    Flush,
    /// Gives each of two sets the members of the other.
    Swap {
        /// The other.
        with: String,
    },
}

impl SetChange {
    /// As in the path of a request.
    pub fn name(&self) -> &'static str {
        match self {
            SetChange::Add { .. } => "add",
            SetChange::Delete { .. } => "delete",
            SetChange::Test { .. } => "test",
            SetChange::Flush => "flush",
            SetChange::Swap { .. } => "swap",
        }
    }
}

/// For programs or for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// Plain text.
    Text,
}

/// An answer.
pub type ApiReply = Result<Body, ApiError>;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// For programs.
    Json(Value),
    /// For people.
    Text(String),
    /// OpenMetrics text.
    Metrics(String),
}

impl Body {
    pub(crate) fn json(value: &impl Serialize) -> Body {
        Body::Json(serde_json::to_value(value).expect("our own types serialize"))
    }
}

/// Why not: an HTTP status, a sentence, and for tproxy requests the kernel's name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status code.
    pub status: u16,
    /// What stood against it.
    pub error: String,
    /// As the original interface would have said.
    pub errno: Option<Errno>,
}

impl ApiError {
    pub(crate) fn new(status: u16, error: impl Into<String>) -> ApiError {
        ApiError { status, error: error.into(), errno: None }
    }

    pub(crate) fn bad(error: impl Into<String>) -> ApiError {
        ApiError::new(400, error)
    }

    pub(crate) fn forbidden(caller: Caller, what: &str) -> ApiError {
        ApiError {
            status: 403,
            error: format!("{caller} may not {what}: only root and the gateway's own user may"),
            errno: Some(Errno::EPERM),
        }
    }

    /// As it is sent.
    pub fn to_json(&self) -> Value {
        match self.errno {
            Some(errno) => json!({ "error": self.error, "errno": errno.name() }),
            None => json!({ "error": self.error }),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let status = match refusal.errno {
            Errno::EPERM => 403,
            Errno::ENOENT | Errno::ENOPROTOOPT => 404,
            Errno::EEXIST | Errno::EADDRINUSE => 409,
            Errno::EINVAL => 400,
            // Nothing is wrong with the request: there is no room for it now.
            Errno::ENOBUFS | Errno::EFAULT => 429,
        };
        ApiError { status, error: refusal.reason, errno: Some(refusal.errno) }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Some(errno) => write!(f, "{errno}: {}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

impl std::error::Error for ApiError {}
