//! What a service sets for its HTTP proxy: read and checked once, shared by all sessions.
//!
//! The defaults are what today's browsers and servers need and Zorp's spirit wants: GET, HEAD, POST and OPTIONS to the
//! server that was addressed, everything else named by the operator.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::body::Trailers;
use super::filter::Filter;
use super::head::HeadLimits;
use super::limits;
use super::method::Method;
use super::pages::Pages;
use super::policy::{Action, HeaderRules, MethodRules, RouteRule, StatusRules, Strict};
use super::url::{Scheme, UrlRules};
use crate::script;

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests as to a server (`GET /path`) are served.
    pub permit_server_requests: bool,
    /// Requests as to a proxy (`GET http://host/path`, CONNECT) are served.
    pub permit_proxy_requests: bool,
    /// The scheme of URLs of server requests; `None`: `https` where the client addressed port 443.
    pub scheme: Option<Scheme>,
    /// HTTP/1.0 requests must have a Host as well.
    pub require_host: bool,
    /// Host towards the server is that of the canonical URL.
    pub rewrite_host: bool,
    /// What URLs may look like.
    pub url: UrlRules,
    /// GET and HEAD may have a body.
    pub permit_get_body: bool,
    /// How large heads may be.
    pub heads: HeadLimits,
    /// How large bodies may be.
    pub request_body_max: Option<u64>,
    /// Of responses.
    pub response_body_max: Option<u64>,
    /// Requests of one client's connection; `None`: as many as come.
    pub requests_max: Option<u64>,
    /// How long things may take.
    pub times: Times,
    /// What becomes of each method.
    pub methods: MethodRules,
    /// What becomes of each status.
    pub statuses: StatusRules,
    /// What becomes of request headers.
    pub request_headers: HeaderRules,
    /// What becomes of response headers.
    pub response_headers: HeaderRules,
    /// Values of headers are held against a table.
    pub strict: Option<Strict>,
    /// URLs that pass or do not.
    pub filter: Filter,
    /// Which server, by method and URL; the first that fits.
    pub routes: Vec<RouteRule>,
    /// Who has no route: where to.
    pub otherwise: Otherwise,
    /// Ports that clients may name in URLs, where those choose the server.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Names of servers that are known here.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Who knows the others' addresses; `None`: nobody is asked.
    pub resolver: Option<SocketAddr>,
    /// What CONNECT may do.
    pub connect: Option<Connect>,
    /// Protocols that a connection may become, in small letters.
    pub upgrade: Vec<String>,
    /// HTTP/2, where it is spoken.
    pub http2: Option<Two>,
    /// What becomes of trailers.
    pub trailers: Trailers,
    /// Our name in `Via`; `None`: nothing is said.
    pub via: Option<String>,
    /// The client's address is told in `X-Forwarded-For`.
    pub forwarded_for: bool,
    /// The scanner that requests or responses are handed through.
    pub icap: Option<Arc<crate::icap::Settings>>,
    /// Pages for what did not work.
    pub pages: Pages,
    /// Decides about sessions, servers, requests and responses.
    pub script: Option<Arc<script::Settings>>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the first byte of a request to its head's end; for the first request from the start.
    pub request: Duration,
    /// Between two requests.
    pub keep_alive: Duration,
    /// From a request's end to the response's head.
    pub response: Duration,
    /// Silence of a server within a body.
    pub body_idle: Duration,
    /// A client's waiting time that has no price.
    pub body_grace: Duration,
    /// Bytes per second of waiting beyond; 0: no bound.
    pub rate_min: u64,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            request: limits::REQUEST_DEFAULT,
            keep_alive: limits::KEEP_ALIVE_DEFAULT,
            response: limits::RESPONSE_DEFAULT,
            body_idle: limits::BODY_IDLE_DEFAULT,
            body_grace: limits::BODY_GRACE_DEFAULT,
            rate_min: limits::RATE_MIN_DEFAULT,
        }
    }
}

/// The server of requests that no route is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// That which the client addressed, or the service's router chose.
    #[default]
    Original,
    /// That which the URL names.
    Inband,
    /// Another proxy, which is given absolute URLs.
    Parent(SocketAddr),
}

/// What CONNECT may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// To which ports.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The service whose proxy sees the tunnel's bytes; `None`: they are relayed.
    pub service: Option<String>,
}

/// HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Two {
    /// Streams that a client may have open at a time.
    pub streams: u32,
    /// It may begin in clear text, too, by its preface alone (RFC 9113, 3.3), and then does with the server.
    pub prior_knowledge: bool,
}

impl Default for Two {
    fn default() -> Self {
        Two { streams: limits::STREAMS_DEFAULT, prior_knowledge: true }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let accepted = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];
        Settings {
            permit_server_requests: true,
            permit_proxy_requests: false,
            scheme: None,
            require_host: false,
            rewrite_host: true,
            url: UrlRules::default(),
            permit_get_body: false,
            heads: HeadLimits::default(),
            request_body_max: None,
            response_body_max: None,
            requests_max: None,
            times: Times::default(),
            methods: MethodRules::new(accepted.map(|method| (method, Action::Accept)).to_vec(), Action::reject()),
            statuses: StatusRules::default(),
            request_headers: HeaderRules::default(),
            response_headers: HeaderRules::default(),
            strict: None,
            filter: Filter::default(),
            routes: Vec::new(),
            otherwise: Otherwise::Original,
            ports: vec![80..=80, 443..=443],
            hosts: BTreeMap::new(),
            resolver: None,
            connect: None,
            upgrade: Vec::new(),
            http2: None,
            trailers: Trailers::Drop,
            via: None,
            forwarded_for: false,
            icap: None,
            pages: Pages::default(),
            script: None,
        }
    }
}
