//! What all sessions of one core share: caches and engines that are too large to have for each session.
//!
//! One per worker, made with it and never seen by another thread. A module keeps here what outlives a session (its
//! script engine, its certificates); what a session needs for itself is in its future. Whatever grows is bounded by the
//! module that keeps it.

/// See the module.
#[derive(Debug, Default)]
pub struct Core {
    /// Minted certificates, and what is known to be pinned.
    pub tls: crate::tls::Shared,
    /// What scanners can do, and how many connections they have.
    pub(crate) icap: crate::icap::Shared,
    /// States of scripts.
    pub(crate) scripts: crate::script::Engines,
}

impl Core {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new() -> Core {
        Core::default()
    }
}
