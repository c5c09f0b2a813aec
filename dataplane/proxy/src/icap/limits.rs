//! All bounds of scanning, with the reason of each. What a service may set is bounded here as well.

use std::time::Duration;

/// Bytes of an ICAP head. Those of c-icap, of commercial scanners with long names of policies, stay below 4 KiB.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Fields of an ICAP head; twenty are many.
pub const FIELDS_MAX: usize = 64;

/// Bytes of a preview unless the service says otherwise: what scanners ask for at most, and the type is known by then.
pub const PREVIEW_DEFAULT: usize = 4096;

/// Bytes of a body that are held for the scanner's 204, unless the service says otherwise.
///
/// Most pages and scripts are smaller. A session that scans a request and a response at the same time holds twice this.
pub const HOLD_DEFAULT: usize = 64 << 10;

/// And whatever the service says: a thousand sessions hold 1 GiB then.
pub const HOLD_MAX: usize = 1 << 20;

/// How long a scanner may be silent unless the service says otherwise. ClamAV takes seconds for an archive of 100 MB.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// And whatever the service says; clients have left by then.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// What a scanner can do is asked again after so long, whatever it says (RFC 3507, 4.10.2: without Options-TTL it would
/// never be): an operator who changes it waits no longer.
pub const OPTIONS_TTL_MAX: Duration = Duration::from_secs(3600);

/// And not before: `Options-TTL: 0` would double the requests.
pub const OPTIONS_TTL_MIN: Duration = Duration::from_secs(10);

/// Scanner's services whose options a core keeps; a configuration has a few. The oldest goes.
pub const SERVICES_MAX: usize = 64;

/// File extensions in a scanner's Transfer lists; c-icap has `*`, commercial ones some dozens.
pub const EXTENSIONS_MAX: usize = 512;

/// Letters of a threat's name that are told and logged.
pub const THREAT_MAX: usize = 128;

/// Letters of an ISTag that are logged; RFC 3507, 4.7: "32 bytes".
pub const TAG_MAX: usize = 34;

/// Content types that a service may skip.
pub const SKIP_MAX: usize = 64;
