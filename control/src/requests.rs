//! The seven requests of the original tproxy interface, as JSON and as values between threads.
//!
//! What was a bound socket there is a protocol and a local address here. Names of operations, flags and errors are the
//! kernel patch's own, so that a program and its author's knowledge can be carried over. `perform` holds each
//! request against its conditions and changes the table.

pub(crate) mod audit;
mod caller;
mod errno;
pub(crate) mod perform;

pub use caller::{Caller, Group, Permission};
pub use errno::{Errno, Refusal};

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::policy::{TCP, UDP};
use crate::tproxy::Flags;

/// What a program may ask about the addresses that stand for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Declares the caller's version of the interface if given; the reply names the gateway's.
    Version {
        /// What the caller was written for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
    },
    /// Lets a foreign address stand for a local one.
    Assign {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
        /// The address to stand for it. The unspecified address asks for a mark only; port 0 leaves the port open.
        foreign: SocketAddr,
        /// As SO_REUSEADDR: the foreign address may be taken already.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reuse: bool,
        /// Take the entry out again if nobody has unassigned or used it up by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// Takes the entry out. Connections that came of it go on.
    Unassign {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
    },
    /// Asks for the foreign address.
    Query {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
    },
    /// Asks for the flags, or replaces those that are the program's to set.
    Flags {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
        /// The new flags; leave out to ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set: Option<Flags>,
    },
    /// Chooses the foreign port that ASSIGN left open.
    Alloc {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
    },
    /// Names the only peer that the entry is for.
    Connect {
        /// TCP or UDP.
        #[serde(with = "protocol")]
        protocol: u8,
        /// The program's own address and port.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
    },
}

impl Request {
    /// The operations, as they are called in the API's paths.
    pub const OPERATIONS: [&str; 7] = ["version", "assign", "unassign", "query", "flags", "alloc", "connect"];

    /// The operation's name.
    pub fn operation(&self) -> &'static str {
        match self {
            Request::Version { .. } => "version",
            Request::Assign { .. } => "assign",
            Request::Unassign { .. } => "unassign",
            Request::Query { .. } => "query",
            Request::Flags { .. } => "flags",
            Request::Alloc { .. } => "alloc",
            Request::Connect { .. } => "connect",
        }
    }
}

/// What comes back when a request was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// VERSION: the gateway's.
    Version {
        /// 2.0.6, the last of the original interface.
        version: Version,
    },
    /// ASSIGN, QUERY, ALLOC: what stands for the local address now.
    Foreign {
        /// Address and port; port 0 if it is still open.
        foreign: SocketAddr,
    },
    /// FLAGS: what is set now, read-only ones included.
    Flags {
        /// The flags.
        flags: Flags,
    },
    /// UNASSIGN, CONNECT: done.
    Done {},
}

/// Version of the request interface: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8, pub u16);

impl Version {
    /// What is spoken here.
    pub const CURRENT: Version = Version(2, 0, 6);
}

impl From<u32> for Version {
    fn from(packed: u32) -> Version {
        Version((packed >> 24) as u8, (packed >> 16) as u8, packed as u16)
    }
}

impl From<Version> for u32 {
    fn from(Version(major, minor, patch): Version) -> u32 {
        u32::from(major) << 24 | u32::from(minor) << 16 | u32::from(patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a version is \"2.0.6\" or major<<24 | minor<<16 | patch")]
        enum Form {
            Packed(u32),
            Text(String),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Packed(packed) => return Ok(packed.into()),
            Form::Text(text) => text,
        };
        let mut parts = text.split('.');
        let version = (|| {
            let major = parts.next()?.parse().ok()?;
            let minor = parts.next().unwrap_or("0").parse().ok()?;
            let patch = parts.next().unwrap_or("0").parse().ok()?;
            parts.next().is_none().then_some(Version(major, minor, patch))
        })();
        version.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no version such as 2.0.6")))
    }
}

/// Protocols by name or number, so that one that tproxy does not know is refused as the kernel did, by EINVAL.
pub mod protocol {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::policy::{protocol_name, protocol_number};

    /// The protocol's name, or its number where it has none.
    pub fn name(protocol: u8) -> String {
        protocol_name(protocol).to_string()
    }

    /// The number of a protocol given by name or number.
    pub fn parse(text: &str) -> Result<u8, String> {
        protocol_number(text).ok_or_else(|| format!("{text:?} is no protocol such as tcp or udp"))
    }

    pub(super) fn serialize<S: Serializer>(protocol: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&name(*protocol))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a protocol is \"tcp\", \"udp\" or a number")]
        enum Form {
            Number(u8),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(number),
            Form::Text(text) => parse(&text).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests;
