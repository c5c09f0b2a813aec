//! The limit on answers to segments that anybody could have sent (RFC 5961, 7).
//!
//! "An ACK throttling mechanism ... example could be 10 in a 5 second window." The count is per connection: a common one
//! lets an attacker measure other people's connections (CVE-2016-5696). It also ends loops of ACKs between two ends
//! that each hold the other's segments unacceptable.

use crate::limits;
use crate::time::Instant;

/// How many may still be sent in this window of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChallengeLimit {
    /// In milliseconds modulo 2^32.
    since: u32,
    sent: u8,
}

impl ChallengeLimit {
    /// Whether one more answer may be sent now; counts it.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let age = now.tick().wrapping_sub(self.since);
        if self.sent == 0 || u128::from(age) >= limits::CHALLENGE_WINDOW.as_millis() {
            self.since = now.tick();
            self.sent = 0;
        }
        let allowed = self.sent < limits::CHALLENGE_ACKS_MAX;
        self.sent += u8::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ten_in_five_seconds_and_no_more() {
        let mut limit = ChallengeLimit::default();
        let start = Instant::from_micros(77);
        let allowed = (0..1_000u64).filter(|i| limit.allow(start + Duration::from_millis(*i))).count();
        assert_eq!(allowed, 10);
        assert!(limit.allow(start + limits::CHALLENGE_WINDOW));
    }
}
