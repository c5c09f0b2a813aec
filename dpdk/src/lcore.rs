//! Which CPU runs what: EAL's lcores, the main one apart from the workers even when the workers use every CPU.
//!
//! An lcore is an EAL thread; `--lcores id@cpu` says where it runs. Lcore 0 is always the main one, with the CPUs that
//! no worker was given, or all of them when none is left: the kernel's scheduler then shares one.

use std::fs;

use crate::error::Error;
use crate::limits;

#[cfg(test)]
mod tests;

/// A worker thread of EAL's, pinned to a CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct Lcore {
    pub(crate) id: u32,
    cpu: u32,
}

impl Lcore {
    /// The CPU it is pinned to.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }
}

/// EAL's `--lcores` value for workers on these CPUs, and the workers.
pub(crate) fn place(cores: &[u32], allowed: &[u32]) -> Result<(String, Vec<Lcore>), Error> {
    let doing = "cannot place the workers";
    if cores.is_empty() {
        return Err(Error::new(doing, "no core is given").advise("name at least one CPU in dpdk.cores"));
    }
    if cores.len() > limits::WORKERS_MAX {
        return Err(Error::new(doing, format!("{} cores are more than EAL's {}", cores.len(), limits::WORKERS_MAX)));
    }
    for (index, core) in cores.iter().enumerate() {
        if !allowed.contains(core) {
            let usable = join(allowed);
            return Err(Error::new(doing, format!("this process may not run on CPU {core}"))
                .advise(format!("dpdk.cores out of {usable}, or another CPU set (taskset, systemd's AllowedCPUs)")));
        }
        if cores[..index].contains(core) {
            return Err(Error::new(doing, format!("CPU {core} is named twice")));
        }
    }
    let left: Vec<u32> = allowed.iter().copied().filter(|cpu| !cores.contains(cpu)).collect();
    let main = if left.is_empty() { allowed } else { &left };
    let workers: Vec<Lcore> = (1..).zip(cores).map(|(id, &cpu)| Lcore { id, cpu }).collect();
    let mut value = format!("0@({})", join(main));
    for worker in &workers {
        value.push_str(&format!(",{}@{}", worker.id, worker.cpu));
    }
    Ok((value, workers))
}

/// The CPUs this process may run on.
///
/// # Errors
/// When /proc is not mounted.
pub fn allowed_cpus() -> Result<Vec<u32>, Error> {
    let doing = "cannot learn the CPUs of this process from /proc/self/status";
    let status = fs::read_to_string("/proc/self/status").map_err(|error| Error::new(doing, error.to_string()))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(|list| parse_list(list.trim())).ok_or_else(|| Error::new(doing, "no Cpus_allowed_list in it"))
}

/// `0-2,7`, as the kernel writes it.
fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
        cpus.extend(first..=last);
    }
    Some(cpus)
}

fn join(cpus: &[u32]) -> String {
    cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
