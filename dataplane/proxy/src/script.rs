//! The script part; its owner writes this header.

pub mod event;
