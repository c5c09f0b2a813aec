//! The icap part; its owner writes this header.

pub mod event;
