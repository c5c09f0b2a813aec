//! The messages of the handoff socket: one JSON object in each packet of a SOCK_SEQPACKET connection.
//!
//! A request has an `op` and, if its answer is to be told from others, an `id` that comes back with it. Answers have `ok`
//! or `error` and `errno`; whatever the gateway says on its own has an `event`. Unknown fields are errors: a program
//! that misspells one must not believe that it was heard.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::requests::protocol;
use crate::tproxy::Flags;

/// Version of these messages.
pub const PROTOCOL: u32 = 1;

/// What a program asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Ask {
    /// What is spoken here.
    Version {},
    /// A socket at an address of the gateway; port 0: one that is free.
    Bind {
        /// `tcp`, or `udp`: then the answer has the descriptor that carries the datagrams.
        #[serde(deserialize_with = "protocol_of")]
        protocol: u8,
        /// The address.
        local: SocketAddr,
    },
    /// A foreign address for the socket.
    Assign {
        /// Which socket.
        socket: u32,
        /// The address.
        foreign: SocketAddr,
        /// As SO_REUSEADDR.
        #[serde(default)]
        reuse: bool,
        /// Take the entry out again by then.
        #[serde(default)]
        expires_ms: Option<u64>,
    },
    /// Takes the entry out.
    Unassign {
        /// Which socket.
        socket: u32,
    },
    /// The foreign address.
    Query {
        /// Which socket.
        socket: u32,
    },
    /// The flags, or new ones.
    Flags {
        /// Which socket.
        socket: u32,
        /// The new ones.
        #[serde(default)]
        set: Option<Flags>,
    },
    /// Chooses the foreign port.
    Alloc {
        /// Which socket.
        socket: u32,
    },
    /// Names the only peer the entry is for (the original interface's CONNECT).
    Remote {
        /// Which socket.
        socket: u32,
        /// The peer.
        remote: SocketAddr,
    },
    /// Connections to the socket's foreign address, and those that a listener of the policy takes for its own address,
    /// are accepted.
    Listen {
        /// Which socket.
        socket: u32,
        /// One only.
        #[serde(default)]
        once: bool,
    },
    /// A connection from the socket's foreign address; of a socket of datagrams, that they may leave from there.
    Connect {
        /// Which socket.
        socket: u32,
        /// Whom to.
        remote: SocketAddr,
        /// The entry is for this connection only.
        #[serde(default)]
        once: bool,
    },
    /// Ends a flow by a reset.
    Abort {
        /// Which flow.
        flow: u64,
    },
    /// Closes a socket; its flows go on.
    Close {
        /// Which socket.
        socket: u32,
    },
}

fn protocol_of<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let word = String::deserialize(deserializer)?;
    protocol::parse(&word).map_err(serde::de::Error::custom)
}

/// Why not: a sentence for people, a name for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct No {
    pub(super) errno: String,
    pub(super) error: String,
}

impl No {
    pub(super) fn new(errno: &str, error: impl Into<String>) -> No {
        No { errno: errno.to_owned(), error: error.into() }
    }
}

/// Reads a message: its `id`, and what it asks.
pub(super) fn read(bytes: &[u8]) -> (Value, Result<Ask, No>) {
    let wrong = |what: String| No::new("EINVAL", what);
    let mut value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return (Value::Null, Err(wrong(format!("the message is no JSON: {error}")))),
    };
    let Some(fields) = value.as_object_mut() else {
        return (Value::Null, Err(wrong("the message is no JSON object".to_owned())));
    };
    let id = fields.remove("id").unwrap_or(Value::Null);
    if let Some(op) = fields.get("op").and_then(Value::as_str)
        && !OPERATIONS.contains(&op)
    {
        let error = format!("there is no operation {op:?}; there are {}", OPERATIONS.join(", "));
        return (id, Err(No::new("ENOPROTOOPT", error)));
    }
    (id, serde_json::from_value(value).map_err(|error| wrong(error.to_string())))
}

const OPERATIONS: [&str; 12] = [
    "version", "bind", "assign", "unassign", "query", "flags", "alloc", "remote", "listen", "connect", "abort", "close",
];

/// An answer.
pub(super) fn answer(id: &Value, result: Result<Value, No>) -> Vec<u8> {
    let mut answer = match result {
        Ok(ok) => json!({ "ok": ok }),
        Err(No { errno, error }) => json!({ "error": error, "errno": errno }),
    };
    if !id.is_null() {
        answer["id"] = id.clone();
    }
    answer.to_string().into_bytes()
}
