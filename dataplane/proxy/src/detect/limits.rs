//! Bounds of detection: how many bytes are held of a session that has no service yet, and for how long they may be waited for.

use std::time::Duration;

/// How long either side has, unless the service says otherwise: Zorp's five seconds.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that can be set: a client that says nothing for a minute is no client.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Bytes that are looked at of a client: the longest `ClientHello` with its records' headers.
pub const CLIENT_BYTES_MAX: usize = crate::tls::limits::HELLO_WIRE_MAX;

/// Bytes that are looked at of a server: a greeting line has at most 512 (RFC 5321, §4.5.3.1.5), twice that.
pub const SERVER_BYTES_MAX: usize = 1_024;

/// Length of an HTTP request line: 8 KiB is what servers take.
pub const REQUEST_LINE_MAX: usize = 8 << 10;

/// Length of a method: the longest that is registered has 17 letters.
pub const METHOD_MAX: usize = 32;

/// Chunks that are held as they came; more are joined: a byte a packet must not hold a packet buffer each.
pub const CHUNKS_MAX: usize = 16;

/// How long a server that was given up has to be forgotten, before another one is asked under the same port: a turn of the core.
pub const GIVE_UP: Duration = Duration::from_millis(1);
