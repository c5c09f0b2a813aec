//! Raw bindings to the system's libdpdk, and to the wrappers of its static inline functions.
//!
//! Names are DPDK's own; what begins with `limpid_` is from `wrapper.h`, which also says why it is there. Nothing
//! here is safe to call as it is: the crate `dpdk` puts owners around it.

#![allow(non_camel_case_types, non_upper_case_globals, non_snake_case, missing_docs)]
#![allow(clippy::all)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
