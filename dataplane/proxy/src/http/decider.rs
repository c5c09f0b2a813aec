//! What decides about the messages of a session, whatever connection they came by: settings, script, and who knows names.
//!
//! HTTP/1 makes one for each decision, HTTP/2 for each stream; it only borrows, so that neither has to be held for it.

use std::net::{IpAddr, SocketAddr};

use super::event::Event;
use super::policy::Route;
use super::refuse::Stop;
use super::resolve::resolve;
use super::settings::Settings;
use super::url::Url;
use crate::host::{Host, Target};
use crate::outcome::Reason;
use crate::script::Script;
use crate::session::{SessionId, SessionInfo};

/// A name that was looked up, and its address.
pub(super) type Resolved = Option<(String, IpAddr)>;

/// See the module.
pub(super) struct Decider<'a, H> {
    pub id: SessionId,
    pub host: &'a H,
    pub info: &'a SessionInfo,
    pub settings: &'a Settings,
    pub script: &'a Script,
}

impl<H: Host> Decider<'_, H> {
    /// The address of a route's server. `resolved` is the name that was looked up last, and is kept for the next request.
    pub(super) async fn target(&self, route: Route, url: &Url, resolved: &mut Resolved) -> Result<Target, Stop> {
        let unresolved = |event| Stop::page(event, 502, Reason::ConnectUnreachable);
        match route {
            Route::Original => return self.script_route(),
            Route::Address(address) | Route::Parent(address) => return Ok(Target::Address(address)),
            Route::Inband => {}
        }
        let known = resolved.as_ref().filter(|(name, _)| name == url.host()).map(|(_, address)| *address);
        let listed = url.address().or_else(|| self.settings.hosts.get(url.host()).copied());
        let address = match listed.or(known) {
            Some(address) => address,
            None => {
                let resolver = self.settings.resolver.ok_or(Event::Unresolved).map_err(unresolved)?;
                let ipv6 = self.info.client.is_ipv6();
                let address = resolve(self.host, self.id, resolver, url.host(), ipv6).await.map_err(unresolved)?;
                *resolved = Some((url.host().to_owned(), address));
                address
            }
        };
        Ok(Target::Address(SocketAddr::new(address, url.port())))
    }
}
