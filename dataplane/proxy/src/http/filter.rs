//! URLs that pass or do not: exact ones, hosts with all below them, prefixes, expressions, and lists of a million.
//!
//! Rules are asked in order and the first that fits decides. All of them see the canonical URL, and paths with runs of
//! slashes as one, as servers do: another spelling is no way around. Expressions take time linear in the URL.

mod list;

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

pub use list::{List, ListFault};

use super::policy::Action;
use super::url::Url;

/// What a rule is for.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This URL, without its scheme: `host[:port]/path?query`.
    Exact(String),
    /// This host and all whose names end in it.
    Host(String),
    /// URLs that begin so, without their scheme: the host whole, the path by whole directories.
    Prefix(String),
    /// URLs with a place that the expression fits.
    Regex(Regex),
    /// Those of a file.
    List(Arc<List>),
}

impl Pattern {
    pub(super) fn fits(&self, url: &Url) -> bool {
        match self {
            Pattern::Exact(exact) => {
                let (authority, target) = exact.split_at(exact.find('/').unwrap_or(exact.len()));
                url.authority() == authority && slashes(url.target()) == target
            }
            Pattern::Host(host) => is_below(url.host(), host),
            Pattern::Prefix(prefix) => {
                let (authority, path) = prefix.split_at(prefix.find('/').unwrap_or(prefix.len()));
                url.authority() == authority && begins(&slashes(url.path()), path)
            }
            Pattern::Regex(regex) => regex.is_match(&url.to_string()),
            Pattern::List(list) => list.has(url.host(), &slashes(url.path())),
        }
    }
}

/// Is it this host, or one of its domain?
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// `/a` begins `/a`, `/a/b`, but not `/ab`.
fn begins(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Runs of slashes as one.
fn slashes(target: &str) -> Cow<'_, str> {
    let path_end = target.find('?').unwrap_or(target.len());
    if !target[..path_end].contains("//") {
        return Cow::Borrowed(target);
    }
    let mut out = String::with_capacity(target.len());
    for (at, character) in target.char_indices() {
        if at >= path_end || character != '/' || !out.ends_with('/') {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// What a rule says.
#[derive(Clone, Debug)]
pub enum Sentence {
    /// It passes, or not.
    Action(Action),
    /// The client is sent to another URL.
    Elsewhere(String),
}

/// One row of a [`Filter`].
#[derive(Clone, Debug)]
pub struct FilterRule {
    /// For which URLs.
    pub pattern: Pattern,
    /// What becomes of them.
    pub sentence: Sentence,
}

/// Rules in their order; what none is for passes.
#[derive(Clone, Debug, Default)]
pub struct Filter(pub Vec<FilterRule>);

impl Filter {
    /// What the first rule that fits says.
    #[must_use]
    pub fn judge(&self, url: &Url) -> Option<&Sentence> {
        self.0.iter().find(|rule| rule.pattern.fits(url)).map(|rule| &rule.sentence)
    }
}

#[cfg(test)]
mod tests;
