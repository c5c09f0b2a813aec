//! The mirrored handshake: one end's SYN becomes ours on the other leg.
//!
//! A gateway that mirrors sends the server the client's SYN and the client the server's SYN-ACK. Both legs then live
//! in the same sequence space, with the same options and windows shifted alike, and each leg's timestamps continue the
//! clock of the end it stands for. Only the MSS may differ: no end may be told a size our own links cannot carry.
//!
//! What follows by itself from the rest of the crate: the server's SYN-ACK can only have options that the client's SYN
//! had, so what the client is answered is a subset of what it offered; and where the server has no window scale,
//! neither leg offers more than 65,535 bytes.

use crate::limits;
use crate::open::{Opening, PeerSyn, TimestampClock};
use crate::time::Instant;

impl Opening {
    /// Says what the other end's SYN or SYN-ACK, received now, said; the MSS at most `mss_max`.
    #[must_use]
    pub fn mirror(now: Instant, other: &PeerSyn, mss_max: u16) -> Opening {
        let options = &other.options;
        Opening {
            isn: other.seq,
            mss: options.mss.unwrap_or(limits::MSS_DEFAULT).min(mss_max),
            window_scale: options.window_shift(),
            sack_permitted: options.sack_permitted,
            timestamp: options.timestamp.map(|timestamp| TimestampClock::continuing(now, timestamp.value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flags, Options, SeqNumber, Timestamp};

    #[test]
    fn says_what_the_other_end_said() {
        let now = Instant::from_micros(5_000_000);
        let options = Options {
            mss: Some(9_000),
            window_scale: Some(15),
            sack_permitted: true,
            timestamp: Some(Timestamp { value: 4_000_000_000, echo: 0 }),
            ..Options::default()
        };
        let syn = PeerSyn { seq: SeqNumber(42), flags: Flags::SYN, window: 64_240, options };
        let ours = Opening::mirror(now, &syn, 1_460);
        assert_eq!(
            (ours.isn, ours.mss, ours.window_scale, ours.sack_permitted),
            (SeqNumber(42), 1_460, Some(14), true)
        );
        assert_eq!(ours.timestamp.unwrap().value(now), 4_000_000_000);
        let bare = PeerSyn { options: Options::default(), ..syn };
        let ours = Opening::mirror(now, &bare, 1_460);
        assert_eq!((ours.mss, ours.window_scale, ours.sack_permitted, ours.timestamp), (536, None, false, None));
    }
}
