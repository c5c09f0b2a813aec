//! Bounds of the tproxy table, and why each is what it is. They stand here and not with those of the crate because
//! nothing else has to do with them.

/// Entries a gateway holds unless told otherwise: one for each port of one foreign address. 64 bytes each, 32 to
/// remember a claim, and 21 in the two indexes: 7 MiB.
pub const ENTRIES_DEFAULT: usize = 65_536;

/// Most entries any table may hold: a slot number and eight bits of the hash share an index word of 32 bits.
pub const ENTRIES_MAX: usize = (1 << 24) - 2;

/// Buckets a key may lie in, from its home on. Half of the places are in use when the table is full, and then one bucket in
/// fifty is: a run of eight full ones has a probability of less than one in a million million. Beyond it the table
/// says that it is full.
pub(crate) const PROBE_BUCKETS_MAX: usize = 8;

/// Ports that ALLOC chooses from: what Linux takes for connections without a port of their own.
pub(crate) const EPHEMERAL_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// Look-ups whose memory is asked for at once: a core has some ten to twenty outstanding misses, and a burst of a port
/// is 32 packets.
pub(crate) const LOOKUP_BURST: usize = 32;
