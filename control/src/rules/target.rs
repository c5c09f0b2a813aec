//! What happens to a flow that fits a rule: values only. What a target may not do where it stands is checked elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use crate::policy::RejectKind;

/// What a rule does with a flow that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Let it pass this table.
    Accept,
    /// End it without an answer.
    Drop,
    /// Go back to the chain that called; in a built-in chain, to its policy.
    Return,
    /// End it with an answer.
    Reject(RejectKind),
    /// Redirect it to a listener.
    Tproxy {
        /// The listener's port; 0 keeps the flow's.
        port: u16,
        /// The local address; the incoming interface's first when absent.
        address: Option<IpAddr>,
    },
    /// Go on in a user's chain and come back (`-j`).
    Jump(Arc<str>),
    /// Go on in a user's chain and come back to where this chain was called from (`-g`).
    Goto(Arc<str>),
}

/// What happens at the end of a built-in chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainPolicy {
    /// Pass.
    Accept,
    /// End.
    Drop,
}

impl ChainPolicy {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            ChainPolicy::Accept => "ACCEPT",
            ChainPolicy::Drop => "DROP",
        }
    }
}
