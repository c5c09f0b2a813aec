//! Seeds: every random choice of a run comes from one number, and a failing run says which.
//!
//! `LIMPID_SEED=n` runs exactly that seed; `LIMPID_SEEDS=n` runs so many instead of the scenario's own number, from
//! `LIMPID_FIRST_SEED` (default 1) on. Runs without either always take the same seeds: a test that fails by chance
//! fails for everybody.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The source of a run's random choices.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The source that `seed` names.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A source of its own for a part of the run, so that parts do not shift each other's choices.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 when `end` is.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// True in `share` of all cases.
    pub fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.0.random_bool(share.min(1.0))
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// Runs `scenario` for each of its seeds; a run that panics is named before the panic goes on.
///
/// # Panics
/// When `scenario` does.
pub fn for_each_seed(usual: u64, scenario: impl Fn(u64)) {
    for seed in seeds(usual) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            let test = std::thread::current().name().unwrap_or("NAME").to_owned();
            eprintln!("seed {seed} fails; again: LIMPID_SEED={seed} cargo test -p tests --test scenarios {test}");
            resume_unwind(panic);
        }
    }
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    if let Some(seed) = variable("LIMPID_SEED") {
        return seed..seed + 1;
    }
    let first = variable("LIMPID_FIRST_SEED").unwrap_or(1);
    first..first + variable("LIMPID_SEEDS").unwrap_or(usual)
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
