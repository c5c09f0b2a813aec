//! Proxy modules as the configuration sees them: kinds that services may name, and who reads their sections.
//!
//! What a proxy can be told is the proxy's business, and proxies are no part of this crate. Whoever runs them brings a
//! [`Modules`]: it reads a service's section (`http: {…}` of a service with `proxy: http`), with the same tools and the
//! same rule as everything else here: all faults, each with its place. What comes out is carried to the cores unseen.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::tree::Node;
use crate::faults::{Faults, Place};

/// The modules of a process: they live as long as it does.
pub type ModulesRef = &'static dyn Modules;

/// Who knows the proxies.
pub trait Modules: Send + Sync + 'static {
    /// Which there are, beside plug and handoff.
    fn kinds(&self) -> &'static [ModuleKind];

    /// Reads the section of a service; `None`: the file has none, and defaults are meant.
    ///
    /// Also asked for a plug's. A section with faults gives what it can, or nothing.
    fn read(&self, kind: &str, section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings>;

    /// The JSON schema of a kind's section.
    fn schema(&self, kind: &str) -> Option<serde_json::Value>;
}

/// A kind of proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct ModuleKind {
    /// As written in the file.
    pub name: &'static str,
    /// Whether it learns servers from what clients say, as `router: inband` needs.
    pub names_servers: bool,
}

/// What a section is read with.
pub struct Reading<'a> {
    /// The service's name.
    pub service: &'a str,
    /// Where the service stands, for faults about what is not there.
    pub place: &'a Place,
    /// What is wrong.
    pub faults: &'a mut Faults,
    /// Reads a file beside the configuration (CA, script, list), by the path as written.
    pub read_file: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// What a section says.
#[derive(Clone)]
pub struct ModuleSettings {
    /// In the proxy's own type.
    pub value: Arc<dyn Any + Send + Sync>,
    /// Services that it hands streams on to, and where they are named.
    pub hands_on_to: Vec<(String, Place)>,
}

impl ModuleSettings {
    /// Settings that hand on to nobody.
    pub fn new(value: impl Any + Send + Sync) -> ModuleSettings {
        ModuleSettings { value: Arc::new(value), hands_on_to: Vec::new() }
    }
}

impl fmt::Debug for ModuleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleSettings").field("hands_on_to", &self.hands_on_to).finish_non_exhaustive()
    }
}

/// Each reading makes its own.
impl PartialEq for ModuleSettings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }
}

impl Eq for ModuleSettings {}

/// No proxies but those that need none: plug, and programs.
pub static NONE: NoModules = NoModules;

/// See [`NONE`].
#[derive(Debug)]
pub struct NoModules;

impl Modules for NoModules {
    fn kinds(&self) -> &'static [ModuleKind] {
        &[]
    }

    fn read(&self, _: &str, _: Option<&Node>, _: &mut Reading<'_>) -> Option<ModuleSettings> {
        None
    }

    fn schema(&self, _: &str) -> Option<serde_json::Value> {
        None
    }
}
