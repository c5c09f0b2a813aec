//! Why a request is refused: the kernel's names, and a sentence for whoever reads the log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The errors of the original interface that can arise here, by the names programs know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Errno {
    /// Not allowed for this caller.
    EPERM,
    /// No entry for this local address.
    ENOENT,
    /// The local address has an entry already.
    EEXIST,
    /// Not possible with these arguments.
    EINVAL,
    /// ALLOC found no free port.
    EFAULT,
    /// The foreign address is taken, and reuse was not asked for.
    EADDRINUSE,
    /// The table is full.
    ENOBUFS,
    /// No such operation.
    ENOPROTOOPT,
}

impl Errno {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Errno::EPERM => "EPERM",
            Errno::ENOENT => "ENOENT",
            Errno::EEXIST => "EEXIST",
            Errno::EINVAL => "EINVAL",
            Errno::EFAULT => "EFAULT",
            Errno::EADDRINUSE => "EADDRINUSE",
            Errno::ENOBUFS => "ENOBUFS",
            Errno::ENOPROTOOPT => "ENOPROTOOPT",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refused request: the name for the program, the sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name.
    pub errno: Errno,
    /// What stood against it.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(errno: Errno, reason: impl Into<String>) -> Refusal {
        Refusal { errno, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.errno, self.reason)
    }
}

impl std::error::Error for Refusal {}
