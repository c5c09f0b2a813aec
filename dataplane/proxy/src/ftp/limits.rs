//! Bounds of the FTP proxy, each with its reason. What a peer can make a session hold: one line of each side, one reply,
//! one command that waits, and what the streams' own windows hold.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of a line without its end, unless the service says otherwise.
///
/// Zorp's is 255; today's servers take paths of 4,096 bytes, today's programs send some hundred. 1,024 leaves room for both.
pub const LINE: usize = 1024;

/// What a service may set [`LINE`] to: `vsftpd` ends at 4,096, `PATH_MAX` and the command before it fit in the upper bound.
pub const LINE_SETTABLE: RangeInclusive<usize> = 64..=8192;

/// Bytes that a line may take on the wire for each byte that it may have: a doubled 255 (RFC 854) is two.
///
/// Telnet sequences count too, so that a line of nothing but options ends as well.
pub const WIRE_BYTES_PER_BYTE: usize = 2;

/// Lines of one reply, unless the service says otherwise (Zorp's `max_continuous_line`).
pub const REPLY_LINES: usize = 100;

/// What a service may set [`REPLY_LINES`] to; with the longest line it is what one session may hold of a server's words.
pub const REPLY_LINES_SETTABLE: RangeInclusive<usize> = 1..=10_000;

/// Bytes of a user's name, unless the service says otherwise; names are addresses of mail today.
pub const USER: usize = 64;

/// Bytes of a password, unless the service says otherwise.
pub const PASSWORD: usize = 128;

/// Bytes of a host's name after `USER user@`: what DNS permits is 253, Zorp's bound is 128.
pub const HOST: usize = 128;

/// Ports where the proxy waits for data connections, unless the service says otherwise.
pub const DATA_PORTS: RangeInclusive<u16> = 40_000..=41_000;

/// Lowest port that a peer may name for a data connection: below are the services of a host, which is what a bounce is for.
pub const PEER_PORT_MIN: u16 = 1024;

/// From the first byte to the end of the log-in, unless the service says otherwise: people type within a minute.
pub const LOGIN_TIME: Duration = Duration::from_secs(60);

/// Silence on all connections that ends a session, where the service's own idle time is longer (Zorp's `timeout`).
pub const IDLE: Duration = Duration::from_secs(300);

/// For a data connection to be there once the transfer was asked for: `vsftpd` waits 60 s for its peer; a lost SYN comes
/// again after 1, 3 and 7 s.
pub const DATA_SETUP: Duration = Duration::from_secs(30);

/// For each TLS handshake: four flights over a path of half a second, each lost once.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long last words to the client may take to be acknowledged.
pub const GOODBYE: Duration = Duration::from_secs(3);

/// Chunks of a transfer that are moved before others get their turn; see [`crate::limits::RELAY_CHUNKS_PER_POLL_MAX`].
pub const CHUNKS_PER_POLL: usize = crate::limits::RELAY_CHUNKS_PER_POLL_MAX;

/// Lines of a reply in front of the one that counts: 120 and 150 are followed by what they announce. More of them would
/// keep a session alive by words alone.
pub const PRELIMINARY_REPLIES: usize = 8;

/// Bytes of a path or a name in a log line or a record.
pub const LOGGED: usize = 256;
