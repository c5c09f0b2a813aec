//! What a service sets for FTP: read once when the configuration is loaded, shared by all cores, and never changed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

pub use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::limits;
use super::policy::Policy;
use crate::tls::clock::Clock;
use crate::tls::ends::{ToClient, ToServer};

/// See the module. The defaults are Zorp's, or say in [`limits`] why not.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which commands, replies and features pass.
    pub policy: Policy,
    /// Decides about sessions, their servers, and commands.
    pub script: Option<Arc<crate::script::Settings>>,
    /// Where the client says which server it wants; `None`: by the address it connects to.
    pub login: Option<NamedServer>,
    /// Bytes of a line.
    pub line_max: usize,
    /// Lines of a reply.
    pub reply_lines_max: usize,
    /// Bytes of a user's name.
    pub user_max: usize,
    /// What a user's name may consist of; empty: of anything.
    pub user_characters: String,
    /// Bytes of a password.
    pub password_max: usize,
    /// Are lines with nothing in them left out? They are refused otherwise.
    pub empty_commands: bool,
    /// Do a server's words reach the client, or only its codes and what the client needs?
    pub server_text: bool,
    /// Are paths with `..` refused?
    pub deny_parent: bool,
    /// Data connections.
    pub data: Data,
    /// From the first byte to the end of the log-in.
    pub login_time: Duration,
    /// Silence that ends a session; the service's own idle time counts too.
    pub idle: Duration,
    /// TLS, on either side by itself.
    pub tls: Tls,
}

/// AUTH TLS (RFC 4217) with clients, with servers, or both.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// With clients.
    pub client: Option<ClientTls>,
    /// With servers.
    pub server: Option<ServerTls>,
    /// The time that certificates are held against.
    pub clock: Clock,
    /// Is a data connection that ends without `close_notify` a file that ends?
    pub truncation_permitted: bool,
}

/// TLS with clients: the gateway ends it.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Speaks it.
    pub ends: ToClient,
    /// Shows this.
    pub certificate: Arc<CertifiedKey>,
    /// Nobody logs in without it.
    pub required: bool,
    /// Nothing is transferred without PROT P.
    pub private_data: bool,
}

/// TLS with servers.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Speaks it.
    pub ends: ToServer,
    /// For whom the server is taken; none: for the name or address that it was connected to by.
    pub name: Option<ServerName<'static>>,
    /// When it begins.
    pub when: When,
    /// Is a server that cannot be trusted not spoken to?
    pub demand: bool,
    /// Are data connections within TLS too?
    pub private_data: bool,
}

/// When TLS with a server begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Before anybody logs in.
    #[default]
    Always,
    /// When the client asks for it at its side, and only if the server takes it (Zorp's `ForwardStartTLS`).
    Follow,
}

/// How data connections are made.
#[derive(Clone, Debug)]
pub struct Data {
    /// Who connects to whom at the server's side.
    pub mode: DataMode,
    /// Ports where the proxy waits.
    pub ports: RangeInclusive<u16>,
    /// From which port it connects to clients.
    pub active_port: ActivePort,
    /// Has a server's connection to come from port 20, or the one below its control port?
    pub strict_server_port: bool,
    /// May clients name other hosts?
    pub client_bounce: bool,
    /// May servers name, or connect from, other hosts?
    pub server_bounce: bool,
    /// The address that clients are told, where another one leads to the gateway (`masq_address_client`).
    pub announce_to_client: Option<IpAddr>,
    /// The address that servers are told (`masq_address_server`).
    pub announce_to_server: Option<IpAddr>,
    /// For both connections to be there.
    pub setup_time: Duration,
}

/// Who connects to whom for data, at the server's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataMode {
    /// As the client wants it at its side.
    #[default]
    Keep,
    /// The proxy connects to the server.
    Passive,
    /// The server connects to the proxy.
    Active,
}

/// The source port of a connection to a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivePort {
    /// The one below the server's control port: 20 for 21.
    #[default]
    MinusOne,
    /// 20.
    Twenty,
    /// Any.
    Random,
}

/// Servers by name: `USER user@host`.
#[derive(Clone, Debug)]
pub struct NamedServer {
    /// Addresses of names. Names are not looked up anywhere else: the gateway's cores ask no DNS.
    pub hosts: HashMap<String, IpAddr>,
    /// Are addresses taken where a name could stand?
    pub literal: bool,
    /// Ports that may be named.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Words of the greeting.
    pub greeting: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            policy: Policy::default(),
            script: None,
            login: None,
            line_max: limits::LINE,
            reply_lines_max: limits::REPLY_LINES,
            user_max: limits::USER,
            user_characters: String::new(),
            password_max: limits::PASSWORD,
            empty_commands: true,
            server_text: true,
            deny_parent: false,
            data: Data::default(),
            login_time: limits::LOGIN_TIME,
            idle: limits::IDLE,
            tls: Tls::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data {
            mode: DataMode::Keep,
            ports: limits::DATA_PORTS,
            active_port: ActivePort::MinusOne,
            strict_server_port: true,
            client_bounce: false,
            server_bounce: false,
            announce_to_client: None,
            announce_to_server: None,
            setup_time: limits::DATA_SETUP,
        }
    }
}

impl Default for NamedServer {
    fn default() -> Self {
        NamedServer {
            hosts: HashMap::new(),
            literal: true,
            ports: vec![21..=21],
            greeting: "Limpid FTP gateway: log in as user@server".to_owned(),
        }
    }
}
