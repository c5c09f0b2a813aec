//! Content vectoring to an outside scanner by ICAP (RFC 3507): what is said to it, what it may answer, and its connection.
//!
//! This part knows nothing of where a body comes from and goes to; the HTTP proxy (`http/scan`) hands its messages through it.
//! `ICAP.md` is the operator's manual.
//!
//! What must hold:
//! - the verdict is there before the first byte that was judged is passed on; no verdict is a "no" unless the service
//!   says otherwise, and even then only while nothing but what is held was given to the scanner;
//! - what a scanner says is input from the wire: bounded (`limits`), and refused where it is not what was asked for;
//! - a scanner is asked what it can do (OPTIONS) once per core and for as long as it says, and not connected to more
//!   often than it likes.
//!
//! Left out: ICAP over TLS, 206 (a draft), authentication towards the scanner, FTP and mail.

pub mod connection;
pub mod event;
pub mod fuzz;
pub mod head;
pub mod limits;
pub mod options;
pub mod request;
pub mod settings;
pub mod shared;
pub mod threat;

pub use connection::Connection;
pub use event::Event;
pub use head::{Collector, Encapsulated, Head, Part};
pub use options::{Options, Treatment};
pub use request::Service;
pub use settings::{Otherwise, Settings};
pub use shared::Shared;
pub use threat::Threat;

#[cfg(test)]
mod tests;
