//! All bounds of the tls module, with the reason of each: what a stranger can make a session or a core remember, and how
//! long one waits. What a service may set itself (handshakes' time) is in its settings.

use std::time::Duration;

/// A ClientHello may be so long, bytes of its handshake message.
///
/// Post-quantum key shares make two kilobytes of it, an ECH another one. Nothing in use comes near 16 KiB, which is also
/// what one record can carry.
pub const HELLO_MAX: usize = 16 << 10;

/// And take so many bytes on the wire, records' headers included: a hello cut into crumbs is not read for ever.
pub const HELLO_WIRE_MAX: usize = 2 * HELLO_MAX;

/// Extensions of a hello. Browsers send about twenty; the check for doubles is quadratic.
pub const EXTENSIONS_MAX: usize = 128;

/// Length of a server's name: that of a domain name (RFC 1035, 2.3.4).
pub const NAME_MAX: usize = 255;

/// Certificates that were minted and are kept on a core: about 2 KiB each, so some 8 MiB.
pub const MINTED_MAX: usize = 4_096;

/// A minted certificate is used for so long at most, then made anew with another serial number.
pub const MINTED_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Names that are copied into a minted certificate. Shared hosts have a hundred; more make a handshake that clients refuse.
pub const NAMES_COPIED_MAX: usize = 256;

/// Pairs of client and server that are remembered on a core as pinned or suspected: about 100 bytes each.
pub const PINS_MAX: usize = 8_192;

/// How long an aborted handshake counts: what is pinned comes again within minutes, what was once bad luck does not.
pub const PIN_SUSPECT: Duration = Duration::from_secs(600);

/// How long an alert in place of a handshake may stay unacknowledged before the client's connection is dropped.
pub const ALERT_LINGER_MAX: Duration = Duration::from_secs(3);
