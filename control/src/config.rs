//! The configuration file: one YAML file in, a [`Config`] or all its faults out.
//!
//! ```text
//! text → tree (every value with its place) → sections (types, bounds, names) → rules → check (what fits together)
//! ```
//!
//! Reading never stops at the first fault: YAML's own syntax aside, each section is read whatever the others hold.
//! What comes out is whole: every name is resolved to an index, every default is filled in, and
//! [`Policy::compile`](crate::Policy::compile) cannot fail on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::faults::{Faults, Place};
use crate::policy::{Interface, Listener, NatPolicy, PolicyRule, Route, Service, SetDefinition, Zone};
use crate::rules::Ruleset;

pub use load::{Peek, load, load_with_rules, parse, parse_with, peek};
pub use schema::schema;

mod check;
pub mod decode;
mod environment;
mod listeners;
mod load;
mod nat_policies;
mod network;
mod policy_rules;
mod router;
mod schema;
mod services;
mod sets;
#[cfg(test)]
mod tests;
pub mod tree;
mod zones;

/// A configuration that was read without fault.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file's name, as the operator gave it.
    pub file: Arc<str>,
    /// The data plane's environment.
    pub dpdk: Dpdk,
    /// Interfaces, in the order of the file.
    pub interfaces: Vec<Interface>,
    /// Routes as written; those of the interfaces' own networks are added by the policy.
    pub routes: Vec<Route>,
    /// Zones, in the order of the file.
    pub zones: Vec<Zone>,
    /// Services, in the order of the file.
    pub services: Vec<Service>,
    /// Listeners, in the order of the file.
    pub listeners: Vec<Listener>,
    /// Policy rules, in the order of the file.
    pub policy_rules: Vec<PolicyRule>,
    /// NAT policies, in the order of the file.
    pub nat_policies: Vec<NatPolicy>,
    /// The packet filter's rules, macros expanded.
    pub rules: Ruleset,
    /// The file that `rules_file` names; none where the rules stand in the configuration itself, or there are none.
    pub rules_file: Option<RulesFile>,
    /// Sets that rules ask, with what they begin with.
    pub sets: Vec<SetDefinition>,
    /// The control thread's sockets.
    pub control: Control,
    /// What looks wrong and does not keep the configuration from loading.
    pub warnings: Faults,
}

/// The file that rules were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFile {
    /// Where the rules file is; the text may be that of another one in its place.
    pub path: PathBuf,
    /// What was read.
    pub text: Arc<str>,
    /// Where `limpid rules gen` found what it made the rules of: from which line on, and what its comment there says.
    pub origins: Vec<(u32, Place)>,
}

impl RulesFile {
    /// A file with what its comments say.
    pub fn new(path: PathBuf, text: &str) -> RulesFile {
        let origins = (1u32..).zip(text.lines()).filter_map(|(line, text)| Some((line, origin(text)?)));
        RulesFile { path, text: text.into(), origins: origins.collect() }
    }

    /// Where the rule on a line comes from; none where it was written here. One comment stands for all rules that were
    /// made of one.
    pub fn origin(&self, line: u32) -> Option<&Place> {
        let after = self.origins.partition_point(|(from, _)| *from < line);
        self.origins[..after].last().map(|(_, place)| place)
    }
}

/// `# file:line`, as `limpid rules gen` writes it.
fn origin(comment: &str) -> Option<Place> {
    let (file, line) = comment.strip_prefix("# ")?.rsplit_once(':')?;
    let plain = !file.is_empty() && !file.contains(char::is_whitespace);
    Some(Place { file: file.into(), line: line.parse().ok().filter(|line| *line > 0 && plain)?, column: 0 })
}

/// `dpdk:`, the data plane's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpdk {
    /// Cores that run workers; all but the first when absent.
    pub cores: Option<Vec<u32>>,
    /// Which pages packet memory is on.
    pub hugepages: Hugepages,
    /// Packet memory.
    pub memory_mib: u32,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
    /// More arguments for DPDK's environment, verbatim.
    pub args: Vec<String>,
}

/// Which pages packet memory is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hugepages {
    /// What the machine has: huge ones where reserved, else ordinary.
    #[default]
    Auto,
    /// 2 MiB pages.
    Size2M,
    /// 1 GiB pages.
    Size1G,
    /// Ordinary pages.
    Off,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Backs off: pauses, then waits for interrupts or sleeps shortly.
    #[default]
    Adaptive,
    /// Burns the core.
    Poll,
}

/// `control:`, the control thread's sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Requests of operators and proxies, HTTP and JSON on a Unix socket.
    pub socket: PathBuf,
    /// Group whose members may make requests and take sockets, by name or number.
    pub group: Option<String>,
    /// Sockets for other programs ([`crate::handoff`]); off when absent.
    pub handoff: Option<PathBuf>,
    /// Metrics and status on the kernel's network; off when absent.
    pub http: Option<SocketAddr>,
}

/// Where the control socket is unless the file says otherwise.
pub const SOCKET: &str = "/run/limpid/control.sock";
/// Packet memory unless the file says otherwise: what 16 ports' descriptors and 100,000 flows' buffers need.
pub const MEMORY_MIB: u32 = 512;

impl Default for Dpdk {
    fn default() -> Self {
        Dpdk { cores: None, hugepages: Hugepages::Auto, memory_mib: MEMORY_MIB, idle: Idle::Adaptive, args: Vec::new() }
    }
}

impl Default for Control {
    fn default() -> Self {
        Control { socket: SOCKET.into(), group: None, handoff: None, http: None }
    }
}
