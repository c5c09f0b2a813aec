//! `-m limit` and `-m hashlimit`: how many flows (or bytes) in how much time. Values only; the buckets are the
//! policy's.

use super::Touched;

/// `-m limit`: a bucket that all flows share. It matches while there is something in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Time for one flow, in ten-thousandths of a second, which is the unit iptables keeps rates in. Not 0.
    pub period: u32,
    /// How many flows the full bucket holds.
    pub burst: u32,
}

/// `-m hashlimit`: a bucket for each group of flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashLimit {
    /// Name of the table; rules that use the same name share it.
    pub name: String,
    /// `--hashlimit-above`: matches when the bucket is empty. Otherwise `--hashlimit-upto`.
    pub above: bool,
    /// What fills a bucket.
    pub rate: HashRate,
    /// What a full bucket holds.
    pub burst: Burst,
    /// What flows of one group have in common; none: all flows are one group.
    pub keys: HashKeys,
    /// `--hashlimit-srcmask`: so many bits of the source; 128 is the whole address in both families.
    pub source_length: u8,
    /// `--hashlimit-dstmask`.
    pub destination_length: u8,
    /// `--hashlimit-htable-size`: buckets of the hash table, if said.
    pub size: Option<u32>,
    /// `--hashlimit-htable-max`: most groups, if said.
    pub max: Option<u32>,
    /// `--hashlimit-htable-expire`: a group that was not seen for so many milliseconds is forgotten, if said.
    pub expire_ms: Option<u32>,
    /// `--hashlimit-htable-gcinterval`: milliseconds between looks for such groups, if said.
    pub sweep_ms: Option<u32>,
    /// `--hashlimit-rate-match`: the rate of a group is measured, there is no bucket.
    pub rate_match: bool,
    /// `--hashlimit-rate-interval`: seconds over which it is measured.
    pub rate_interval_s: u32,
}

/// What fills a bucket of hashlimit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRate {
    /// Time for one flow, in microseconds. Not 0.
    Flows {
        /// Microseconds.
        period: u64,
    },
    /// Bytes per second. Not 0.
    Bytes {
        /// Bytes.
        per_second: u64,
    },
}

/// What a full bucket of hashlimit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// Flows.
    Flows(u32),
    /// Bytes; 0 where the rule says none, which is as much as one second brings.
    Bytes(u64),
}

/// `--hashlimit-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKeys {
    /// `srcip`.
    pub source: bool,
    /// `srcport`.
    pub source_port: bool,
    /// `dstip`.
    pub destination: bool,
    /// `dstport`.
    pub destination_port: bool,
}

impl HashKeys {
    /// Whether the address on that side is part of the key.
    pub fn address(self, which: Touched) -> bool {
        match which {
            Touched::Source => self.source,
            Touched::Destination => self.destination,
        }
    }
}
