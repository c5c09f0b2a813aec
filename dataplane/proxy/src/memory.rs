//! A host in memory: duplex streams, virtual time and a small executor, so that every proxy can be tested on its own.
//!
//! Everything happens on one thread and in a fixed order; time stands still while any task can go on and then jumps to
//! the next timer. The wire between two ends of a duplex is perfect: written bytes can be read at once, and count as
//! acknowledged when they are read. What TCP does on bad wires is the simulator's subject, not this module's.
//!
//! The module is part of the library (not `cfg(test)`) because proxies' tests in other crates use it too.

mod clock;
mod duplex;
mod host;
mod world;

pub use clock::Sleep;
pub use duplex::{MemoryStream, duplex};
pub use host::{ConnectAnswer, MemoryHost, MemoryListener};
pub use world::{Task, World};

#[cfg(test)]
mod tests;
