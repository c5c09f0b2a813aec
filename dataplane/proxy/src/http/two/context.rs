//! What all streams of a session share: its host, settings and script, its servers, and what is counted of it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use super::servers::Servers;
use crate::host::Host;
use crate::http::decider::{Decider, Resolved};
use crate::http::event::Event;
use crate::http::head::{Completion, RequestRules};
use crate::http::settings::Settings;
use crate::http::url::Scheme;
use crate::script::Script;
use crate::session::{SessionId, SessionInfo};

/// See the module.
pub(super) struct Context<H: Host> {
    pub id: SessionId,
    pub host: H,
    pub info: SessionInfo,
    pub settings: Arc<Settings>,
    pub script: Script,
    /// Of URLs.
    pub scheme: Scheme,
    pub servers: Servers,
    /// The name that was looked up last.
    pub resolved: RefCell<Resolved>,
    pub requests: Cell<u64>,
    /// Bytes written to servers.
    pub to_server: Cell<u64>,
    /// When the session is over, whatever it does.
    pub end: Duration,
}

impl<H: Host> Context<H> {
    pub(super) fn count(&self, event: Event) {
        self.host.count(event.into());
    }

    /// The same so many times.
    pub(super) fn count_times(&self, event: Event, times: u32) {
        for _ in 0..times {
            self.count(event);
        }
    }

    pub(super) fn decider(&self) -> Decider<'_, H> {
        let Context { id, host, info, settings, script, .. } = self;
        Decider { id: *id, host, info, settings, script }
    }

    /// By what rules requests of this session are read.
    pub(super) fn rules(&self) -> RequestRules {
        let completion = Completion {
            scheme: self.scheme,
            server: self.info.original_destination,
            // RFC 9113, 8.3.1: a request without an authority and without Host is for nobody here.
            require_host: true,
        };
        RequestRules { completion, url: self.settings.url, permit_odd_body: self.settings.permit_get_body }
    }
}
