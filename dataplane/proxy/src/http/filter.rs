//! URLs that pass or do not: exact ones, hosts with all below them, prefixes, expressions, and lists of a million.
//!
//! Rules are asked in order and the first that fits decides. All of them see the canonical URL, and paths with runs of
//! slashes as one, as servers do: another spelling is no way around. Expressions take time linear in the URL.

mod list;

use std::borrow::Cow;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

pub use list::{List, ListFault};

use super::limits::REGEX_BYTES_MAX;
use super::policy::Action;
use super::url::{Url, UrlRules};

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
    /// URLs with a place that the expression fits, whatever the case of its letters.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn regex(text: &str) -> Result<Pattern, String> {
        let mut builder = RegexBuilder::new(text);
        let regex = builder.case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
        regex.map(Pattern::Regex).map_err(|error| one_line(&error.to_string()))
    }

    /// A URL without its scheme, with or without a path: [`Pattern::Exact`] or [`Pattern::Prefix`] text, canonical.
    #[must_use]
    pub fn place(text: &str) -> Option<String> {
        let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        let scheme = if text.starts_with("https://") { "https" } else { "http" };
        let url = Url::parse(format!("{scheme}://{bare}").as_bytes(), &UrlRules::default()).ok()?;
        Some(format!("{}{}", url.authority(), slashes(url.target())))
    }

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

/// The crate draws the expression with a mark below; the last line says what is wrong.
pub(super) fn one_line(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
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
