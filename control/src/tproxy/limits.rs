//! Bounds of the tproxy table, and why each is what it is. They stand here and not with those of the crate because
//! nothing else has to do with them.

/// Entries a gateway holds unless told otherwise: one for each port of one foreign address. 64 bytes each and 32 for
/// the two indexes, so 6 MiB.
pub const ENTRIES_DEFAULT: usize = 65_536;

/// Most entries any table may hold: a slot number must fit the index word beside its tag.
pub const ENTRIES_MAX: usize = 1 << 24;

/// Buckets a key may lie away from its home. At most half of all places are in use, so that a run of eight full
/// buckets has a probability below one in a million million; beyond it the table says that it is full.
pub(crate) const PROBE_BUCKETS_MAX: usize = 8;

/// Ports that ALLOC chooses from: what Linux takes for connections without a port of their own.
pub(crate) const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;
