//! All bounds of the HTTP proxy, with the reason of each. What a service may set is bounded here as well.

/// Bytes of a head, request or response, whatever the service permits.
///
/// Browsers' cookies and Kerberos tickets together stay below 64 KiB; so do the largest heads that nginx and Apache can be told
/// to take without a rebuild of both.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Bytes of the longest host unless the service says otherwise: names in the DNS have at most 253.
pub const HOST_MAX: usize = 256;
