//! Tables of the operator's decisions: what becomes of a method and of a status, and which server a request goes to.

use std::net::SocketAddr;

use crate::http::filter::Pattern;
use crate::http::message::Request;
use crate::http::method::Method;

/// What becomes of something: Zorp's ACCEPT, REJECT, DENY and ABORT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It passes.
    Accept,
    /// The client gets a page.
    Reject {
        /// The page's status.
        status: u16,
        /// What the page says; `None`: the event's sentence.
        info: Option<String>,
    },
    /// The connection is closed without a word.
    Deny,
    /// The connection is reset.
    Abort,
}

impl Action {
    /// A page with 403.
    #[must_use]
    pub const fn reject() -> Action {
        Action::Reject { status: 403, info: None }
    }
}

/// By method.
#[derive(Clone, Debug)]
pub struct MethodRules {
    rules: Vec<(Method, Action)>,
    other: Action,
}

impl MethodRules {
    /// These, and what becomes of all others.
    #[must_use]
    pub fn new(rules: Vec<(Method, Action)>, other: Action) -> MethodRules {
        MethodRules { rules, other }
    }

    pub(in crate::http) fn action(&self, method: &Method) -> &Action {
        self.rules.iter().find(|(named, _)| named == method).map_or(&self.other, |(_, action)| action)
    }
}

/// One row of [`StatusRules`].
#[derive(Clone, Debug)]
pub struct StatusRule {
    /// Of which requests; `None`: of all.
    pub method: Option<Method>,
    /// From this status,
    pub from: u16,
    /// to this one.
    pub to: u16,
    /// What becomes of it.
    pub action: Action,
}

/// By the request's method and the response's status; what no row is for passes.
#[derive(Clone, Debug, Default)]
pub struct StatusRules(pub Vec<StatusRule>);

impl StatusRules {
    pub(in crate::http) fn action(&self, method: &Method, status: u16) -> &Action {
        let fits = |rule: &&StatusRule| {
            (rule.from..=rule.to).contains(&status) && rule.method.as_ref().is_none_or(|named| named == method)
        };
        self.0.iter().find(fits).map_or(&Action::Accept, |rule| &rule.action)
    }
}

/// A server of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one that the client addressed.
    Original,
    /// This one.
    Address(SocketAddr),
    /// That of the URL.
    Inband,
    /// Another proxy.
    Parent(SocketAddr),
}

/// Requests that go to a certain server.
#[derive(Clone, Debug)]
pub struct RouteRule {
    /// Of these methods; none: of all.
    pub methods: Vec<Method>,
    /// For these URLs; none: for all.
    pub urls: Vec<Pattern>,
    /// Where to.
    pub server: Server,
}

impl RouteRule {
    pub(super) fn fits(&self, request: &Request) -> bool {
        let method = self.methods.is_empty() || self.methods.contains(&request.method);
        method && (self.urls.is_empty() || self.urls.iter().any(|pattern| pattern.fits(&request.url)))
    }
}
