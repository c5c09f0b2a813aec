//! Whole sessions on streams in memory: each said whole, byte by byte, and cut at every place, with the same result.

mod anything;
mod control;
mod data;
mod peer;
mod scripted;
mod tls;
mod violations;
