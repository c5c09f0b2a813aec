//! Tests, see the parent module: what an operator may do and what comes of it.
