//! The session as a script sees it: the first argument of every hook. Who, whom, zones, service; its times can be set at its start.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Error, Result, UserData, UserDataFields};

use crate::session::{SessionId, SessionInfo};

/// A day is longer than any session that is still one.
const SECONDS_MAX: f64 = 604_800.0;

/// What scripts see of a session, and may set at its start.
#[derive(Debug)]
pub(super) struct View {
    pub(super) id: SessionId,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    service: Rc<str>,
    client_zone: Option<Rc<str>>,
    server_zone: Option<Rc<str>>,
    interface: Rc<str>,
    pub(super) idle: Cell<Duration>,
    pub(super) total: Cell<Option<Duration>>,
    /// Is the hook `session` running, which may set times?
    pub(super) starting: Cell<bool>,
}

impl View {
    pub(super) fn of(id: SessionId, info: &SessionInfo) -> View {
        View {
            id,
            client: info.client,
            server: info.original_destination,
            service: Rc::clone(&info.service),
            client_zone: info.client_zone.clone(),
            server_zone: info.server_zone.clone(),
            interface: Rc::clone(&info.interface),
            idle: Cell::new(info.idle),
            total: Cell::new(info.total),
            starting: Cell::new(true),
        }
    }

    fn time(&self, seconds: f64) -> Result<Duration> {
        if !self.starting.get() {
            return Err(Error::runtime("times of a session are set in the hook `session`"));
        }
        if !(0.001..=SECONDS_MAX).contains(&seconds) {
            return Err(Error::runtime(format!("a session's time is 0.001 to {SECONDS_MAX} seconds")));
        }
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// The view in a script's hands.
pub(super) struct Handle(pub(super) Rc<View>);

impl UserData for Handle {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("id", |_, this| Ok(this.0.id.0));
        fields.add_field_method_get("client", |_, this| Ok(this.0.client.ip().to_string()));
        fields.add_field_method_get("client_port", |_, this| Ok(this.0.client.port()));
        fields.add_field_method_get("server", |_, this| Ok(this.0.server.ip().to_string()));
        fields.add_field_method_get("server_port", |_, this| Ok(this.0.server.port()));
        fields.add_field_method_get("service", |_, this| Ok(this.0.service.to_string()));
        fields.add_field_method_get("client_zone", |_, this| Ok(this.0.client_zone.as_deref().map(str::to_owned)));
        fields.add_field_method_get("server_zone", |_, this| Ok(this.0.server_zone.as_deref().map(str::to_owned)));
        fields.add_field_method_get("interface", |_, this| Ok(this.0.interface.to_string()));
        fields.add_field_method_get("idle_s", |_, this| Ok(this.0.idle.get().as_secs_f64()));
        fields.add_field_method_set("idle_s", |_, this, seconds: f64| {
            this.0.idle.set(this.0.time(seconds)?);
            Ok(())
        });
        fields.add_field_method_get("total_s", |_, this| Ok(this.0.total.get().map(|total| total.as_secs_f64())));
        fields.add_field_method_set("total_s", |_, this, seconds: f64| {
            this.0.total.set(Some(this.0.time(seconds)?));
            Ok(())
        });
    }
}
