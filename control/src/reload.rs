//! Swapping the configuration under a running gateway: all of it or nothing.
//!
//! The file is read and compiled completely before anything is touched; on any fault the old one runs on. What was
//! given to DPDK and to the kernel at the start (cores, memory, ports, control sockets) cannot be changed so: then the
//! reload is refused as a whole, and says what wants a restart. Applying the rest and keeping silent about it would
//! leave a file that does something else than it says.

pub mod rules_files;

use std::path::Path;

use crate::config::{self, Config, RulesFile};
use crate::engine::ApiError;
use crate::faults::Faults;
use crate::modules::ModulesRef;
use crate::policy::{Interface, Policy};
use crate::rollback::Install;
use rules_files::RulesFiles;

/// Reads the file anew, for [`crate::engine::ApiRequest::Reload`].
pub fn read(path: &Path, modules: ModulesRef) -> Result<Box<Config>, Faults> {
    config::load(path, modules).map(Box::new)
}

/// A configuration with the rules that are to take the place of the rules file.
pub(crate) struct Candidate {
    /// What is to run.
    pub(crate) config: Box<Config>,
    /// Makes those rules the rules file.
    pub(crate) install: Install,
}

/// Reads the file anew, with the rules that `limpid rules gen` has made.
pub(crate) fn candidate(path: &Path, modules: ModulesRef) -> Result<Candidate, ApiError> {
    let config = config::load_with_rules(path, rules_files::NEW, modules)
        .map_err(|faults| ApiError::new(422, format!("what runs is kept as it was:\n{faults}")))?;
    let Some(RulesFile { path, text, .. }) = config.rules_file.clone() else {
        let said = "the rules stand in the configuration itself: test and commit are for a `rules_file`";
        return Err(ApiError::new(409, said));
    };
    let files = RulesFiles::new(path);
    if let Some(stale) = files.stale() {
        return Err(ApiError::new(409, stale));
    }
    let install = Install::new(move || files.install(&text));
    Ok(Candidate { config: Box::new(config), install })
}

/// What is to run next, if everything is in order.
pub(crate) fn next(
    running: &Config,
    deciding: &Policy,
    read: Result<Box<Config>, Faults>,
    generation: u64,
) -> Result<(Config, Policy), ApiError> {
    let refused = |faults: Faults| ApiError::new(422, format!("the configuration is kept as it was:\n{faults}"));
    let config = *read.map_err(refused)?;
    let stuck = needs_restart(running, &config);
    if !stuck.is_empty() {
        let stuck = stuck.join("; ");
        return Err(ApiError::new(
            409,
            format!("the configuration is kept as it was: a restart is needed for {stuck}"),
        ));
    }
    let policy = Policy::compile_after(&config, generation, Some(deciding)).map_err(refused)?;
    Ok((config, policy))
}

/// What of the new file a running gateway cannot take over, in words.
pub fn needs_restart(running: &Config, next: &Config) -> Vec<String> {
    let mut stuck = Vec::new();
    if running.dpdk != next.dpdk {
        stuck.push("dpdk (cores, memory and ports are taken at the start)".to_owned());
    }
    let name = |interface: &Interface| interface.name.clone();
    let gone = running.interfaces.iter().filter(|old| !next.interfaces.iter().any(|new| new.name == old.name));
    stuck.extend(gone.map(|old| format!("interface {} (removed)", name(old))));
    for new in &next.interfaces {
        match running.interfaces.iter().find(|old| old.name == new.name) {
            None => stuck.push(format!("interface {} (new)", name(new))),
            Some(old) if old != new => stuck.push(format!("interface {} (changed)", name(new))),
            Some(_) => {}
        }
    }
    if stuck.is_empty() && !running.interfaces.iter().map(name).eq(next.interfaces.iter().map(name)) {
        stuck.push("interfaces (their order)".to_owned());
    }
    if running.control != next.control {
        stuck.push("control (its sockets are open)".to_owned());
    }
    stuck
}

#[cfg(test)]
mod tests;
