//! The time that certificates are held against: what the host says, never the system's.
//!
//! The TLS library asks for it in the middle of a handshake, through a configuration that all cores share; so it is a cell
//! that every session sets before it goes on. Cores differ by less than a turn, certificates count in seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// A shared handle.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Says what time it is, since 1970 UTC.
    pub fn set(&self, wall_clock: Duration) {
        self.0.store(wall_clock.as_secs(), Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}
