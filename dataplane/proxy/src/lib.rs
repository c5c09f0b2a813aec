//! Proxy modules: they see a session and byte streams, never packets.
//!
//! A proxy is an `async fn` over a [`Session`]: it reads and writes the client's [`Stream`], asks its [`Host`] for the
//! server's, and says at the end how the session went ([`Outcome`]). Whoever runs it brings the host: the gateway's
//! worker (streams over its own TCP) or [`memory`] (duplex streams on virtual time, for tests).
//!
//! What must hold:
//! - no clock, no IO, no executor in here: time and streams come from the host, any executor may poll;
//! - a proxy never starts tasks of its own: both directions live in one future ([`relay::Relay`]), so that dropping
//!   that future ends the session and nothing is left behind;
//! - what a peer sends bounds nothing: memory held per session is what the streams hold (their windows).
//!
//! A proxy that panics is the executor's business: it drops the future, and dropped streams abort.

pub mod core;
pub mod detect;
pub mod event;
pub mod ftp;
pub mod host;
pub mod http;
pub mod icap;
pub mod limits;
pub mod memory;
pub mod module;
pub mod outcome;
pub mod plug;
pub mod proxy_protocol;
pub mod record;
pub mod relay;
pub mod release;
pub mod script;
pub mod session;
pub mod stack;
pub mod stream;
pub mod tls;

pub use core::Core;
pub use event::Event;
pub use host::{
    ConnectError, Expected, Host, Level, Listener, Related, Secured, Target, TproxyError, TproxyFlags, TproxyReply,
    TproxyRequest,
};
pub use module::{Module, Settings, serve};
pub use outcome::{Outcome, Reason, Side, Verdict};
pub use record::{Record, Value};
pub use session::{Session, SessionId, SessionInfo};
pub use stream::{Chunk, Ends, Stream, StreamError};
