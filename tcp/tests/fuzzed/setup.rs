//! What both fuzzers begin with: settings of a connection from a few bytes, so that every feature is on in some input.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use tcp::{Algorithm, Config, Opening, SeqNumber, TimestampClock};

/// How one end is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) opening: Opening,
    /// Largest output.
    pub(crate) limit: usize,
}

/// Bytes that a [`Setup`] is read from.
pub(crate) const SETUP_BYTES: usize = 8;

/// As TIME-WAIT would otherwise end while the network is still bad.
const TIME_WAIT: Duration = Duration::from_secs(240);

impl<'a> Arbitrary<'a> for Setup {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Setup> {
        let [features, more, buffer, segment, isn @ ..] = <[u8; SETUP_BYTES]>::arbitrary(u)?;
        let bit = |bits: u8, n: u8| bits >> n & 1 != 0;
        let receive_buffer = 2_000 << (buffer & 7);
        let mss = 300 + u16::from(segment) * 5;
        let config = Config {
            receive_buffer,
            send_buffer: 2_000 << (buffer >> 4 & 7),
            mss_max: 1_460,
            time_wait: TIME_WAIT,
            congestion: match more & 3 {
                0 => Algorithm::NewReno,
                1 => Algorithm::Bbr,
                _ => Algorithm::Cubic,
            },
            pacing: bit(more, 2),
            ecn: bit(more, 3),
            delayed_ack: if bit(more, 4) { Duration::ZERO } else { Duration::from_millis(40) },
            nagle: bit(more, 5),
            ..Config::default()
        };
        let opening = Opening {
            // Near the end as often as not: numbers must be free to wrap.
            isn: SeqNumber(u32::from_le_bytes(isn) | if bit(features, 7) { 0xffff_0000 } else { 0 }),
            mss,
            window_scale: bit(features, 0).then_some(features >> 3 & 7),
            sack_permitted: !bit(features, 1),
            timestamp: bit(features, 2).then(|| TimestampClock::with_offset(u32::MAX - u32::from(segment) * 100)),
        };
        let limit = if bit(more, 6) { 65_535 } else { usize::from(mss) };
        Ok(Setup { config, opening, limit })
    }
}
