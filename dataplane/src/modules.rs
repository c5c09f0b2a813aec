//! The proxies that services may name, and what the configuration can tell each.
//!
//! `proxy` knows nothing of files, `control` nothing of proxies: here they meet. Each kind has a file below that reads its
//! section into the proxy's own settings, all faults with their places. Settings are read once per load and shared by
//! all cores; a session finds its own by the policy that it keeps.

mod detect;
mod ftp;
mod http;
mod plug;
mod script;
mod tls;

use std::sync::Arc;

use control::config::tree::Node;
use control::modules::{ModuleKind, ModuleSettings, Modules, Reading};
use control::policy::{Policy, Proxy, Service};
use proxy::{Module, Settings};

/// All proxies of this version.
pub static MODULES: &dyn Modules = &Proxies;

/// See [`MODULES`].
#[derive(Debug)]
struct Proxies;

const KINDS: &[ModuleKind] = &[
    // USER user@host, where the service says so.
    ModuleKind { name: "ftp", names_servers: true },
    ModuleKind { name: "tls", names_servers: false },
    ModuleKind { name: "http", names_servers: true },
    ModuleKind { name: "detect", names_servers: false },
];

impl Modules for Proxies {
    fn kinds(&self) -> &'static [ModuleKind] {
        KINDS
    }

    fn read(&self, kind: &str, section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
        match kind {
            "plug" => plug::read(section, reading),
            "ftp" => ftp::read(section, reading),
            "tls" => tls::read(section, reading),
            "http" => http::read(section, reading),
            "detect" => detect::read(section, reading),
            _ => None,
        }
    }

    fn schema(&self, kind: &str) -> Option<serde_json::Value> {
        match kind {
            "plug" => Some(plug::schema()),
            "ftp" => Some(ftp::schema()),
            "tls" => Some(tls::schema()),
            "http" => Some(http::schema()),
            "detect" => Some(detect::schema()),
            _ => None,
        }
    }
}

/// The proxy of a service by its name in a policy.
pub(crate) fn named(policy: &Policy, name: &str) -> Option<Module> {
    of(policy.services().iter().find(|service| service.name == name)?)
}

/// The proxy of a service as its sessions get it; none: the service has none that runs on a core.
pub(crate) fn of(service: &Service) -> Option<Module> {
    let settings = match &service.module {
        Some(module) => module.value.downcast_ref::<Settings>()?.clone(),
        // Of a configuration that was read without modules.
        None if service.proxy() == Some(Proxy::Plug) => Settings::Plug(Arc::default()),
        None => return None,
    };
    Some(Module { service: Arc::from(service.name.as_str()), settings })
}

/// Whether a service's proxy would do nothing but pass on what comes.
pub(crate) fn reads_nothing(service: &Service) -> bool {
    takes_datagrams(service)
}

/// Whether a service relays datagrams: a plug that would do nothing with them.
pub(crate) fn takes_datagrams(service: &Service) -> bool {
    service.proxy() == Some(Proxy::Plug)
        && of(service).is_some_and(|module| matches!(module.settings, Settings::Plug(plug) if plug.takes_datagrams()))
}

#[cfg(test)]
mod tests;
