//! How long things may take, and how much of them there is. A test that reaches one of these times has failed; none of
//! them is waited out when all is well.

use std::time::Duration;

/// A turn for one of the worlds. They take minutes in all; a test may be the last in the queue.
pub(crate) const SLOT: Duration = Duration::from_secs(900);

/// `ready`: the EAL starts, memory is touched, three devices come up, on a machine that is busy with another world.
pub(crate) const READY: Duration = Duration::from_secs(30);

/// From `SIGTERM` to the exit with nothing left to drain.
pub(crate) const STOP: Duration = Duration::from_secs(15);

/// Hosts and servers come up, neighbours are resolved.
pub(crate) const SETTLE: Duration = Duration::from_secs(20);

/// Any program of a host that does not say otherwise.
pub(crate) const PROGRAM: Duration = Duration::from_secs(60);

/// Something that has already happened becomes visible in a log or in `limpid status`.
pub(crate) const VISIBLE: Duration = Duration::from_secs(10);

/// How long a client waits for an answer that must not come. Linux sends its SYN again after 1 s and 3 s: three tries.
pub(crate) const SILENCE_S: f64 = 3.5;

/// "At once", for a refusal: below Linux's first SYN retransmission, so that it was the first SYN that was refused.
pub(crate) const AT_ONCE_S: f64 = 0.9;

/// "Unreachable" is the neighbour that does not answer: RFC 4861 and Linux give it three solicitations a second apart.
pub(crate) const UNREACHABLE_S: f64 = 12.0;

/// What goes up and down in the transfer tests.
pub(crate) const FILE_BYTES: u64 = 200 << 20;

/// Connections at once in the crowd test.
pub(crate) const CROWD: u64 = 1000;

/// How long garbage flows; `LIMPID_FLOOD_S` overrides it (the acceptance run is a minute).
pub(crate) const FLOOD_S: u64 = 10;
