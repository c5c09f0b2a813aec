//! limpid-bench
fn main() {}
