//! Rules on probation: loaded for a while, and taken back unless somebody says that they are to stay.
//!
//! ```text
//!             ┌ kept (confirm) ──────────→ for good, and written to the rules file
//! try_out ──→ on probation
//!             └ time is up, or taken back → what was running before, of which a snapshot is kept here
//! ```
//!
//! What must hold: whoever locks himself out by new rules is let in again when the time is up, whatever has become of
//! his shell, of this thread, or of the connection they spoke over. So each core has the time and what was before,
//! too, and goes back on its own ([`crate::mailbox::ToCore::Probation`]); what is here makes the control thread say
//! and do the same. What comes back is what ran, not what some file says.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::Config;
use crate::policy::Policy;

/// What is done with the files when rules are to stay: made by whoever has read them, done by the engine when the
/// rules were found good.
pub struct Install(Box<dyn FnOnce() -> io::Result<()> + Send>);

impl Install {
    /// From what is to be done.
    pub fn new(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Install {
        Install(Box::new(work))
    }

    /// Does it.
    pub(crate) fn run(self) -> io::Result<()> {
        (self.0)()
    }
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Install")
    }
}

/// What ran before, and until when it may come back.
pub(crate) struct Probation {
    /// What comes back.
    pub(crate) before: (Config, Arc<Policy>),
    /// The policy on probation.
    pub(crate) generation: u64,
    pub(crate) began_us: u64,
    pub(crate) until_us: u64,
    /// Who asked.
    pub(crate) by: String,
    /// What keeping it means for the files; none: a test, which nobody can keep.
    pub(crate) install: Option<Install>,
}

impl Probation {
    /// For the API.
    pub(crate) fn shown(&self, now_us: u64) -> Value {
        json!({
            "generation": self.generation,
            "before": self.before.1.generation(),
            "kind": if self.install.is_some() { "confirm" } else { "test" },
            "by": self.by,
            "age_ms": now_us.saturating_sub(self.began_us) / 1_000,
            "remaining_ms": self.until_us.saturating_sub(now_us).div_ceil(1_000),
        })
    }

    /// For whoever comes too early.
    pub(crate) fn busy(&self, now_us: u64) -> String {
        let left = self.until_us.saturating_sub(now_us).div_ceil(1_000_000);
        format!(
            "rules are on probation (generation {}, by {}) for {left} s more; `limpid rules revert` ends that",
            self.generation, self.by
        )
    }
}

/// How the last probation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) generation: u64,
    pub(crate) how: End,
}

/// See [`Ended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Time was up.
    TimeUp,
    /// Somebody did not want to wait.
    TakenBack,
    /// Somebody confirmed it.
    Kept,
    /// Somebody confirmed it, and the rules file could not be written.
    NotWritten,
}

impl Ended {
    /// For the API.
    pub(crate) fn shown(self) -> Value {
        let how = match self.how {
            End::TimeUp => "reverted",
            End::TakenBack => "taken_back",
            End::Kept => "kept",
            End::NotWritten => "not_written",
        };
        json!({ "generation": self.generation, "ended": how })
    }
}
