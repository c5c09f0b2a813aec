//! Actions, and the tables that name them: methods, statuses, servers; ranges of ports, in Zorp's spelling, too.

use std::ops::RangeInclusive;

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::Faults;
use proxy::http::Method;
use proxy::http::limits::RULES_MAX;
use proxy::http::policy::{Action, MethodRules, RouteRule, Server, StatusRule, StatusRules};

use super::{address, filter};

/// The actions that are one word.
const ACTIONS: &[(&str, Word)] =
    &[("accept", Word::Accept), ("reject", Word::Reject), ("deny", Word::Deny), ("abort", Word::Abort)];

#[derive(Clone, Copy)]
enum Word {
    Accept,
    Reject,
    Deny,
    Abort,
}

/// A word, or `{ reject: STATUS, info: TEXT }`.
pub(super) fn action(node: &Node, what: &str, faults: &mut Faults) -> Option<Action> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(match decode::choice(node, what, ACTIONS, faults)? {
            Word::Accept => Action::Accept,
            Word::Reject => Action::reject(),
            Word::Deny => Action::Deny,
            Word::Abort => Action::Abort,
        });
    }
    let mut mapping = Mapping::new(node, what, faults)?;
    let status = mapping.require("reject", node, faults);
    let status = status.and_then(|node| decode::number(node, "`reject`", 400..=599, faults));
    let info = mapping.get("info").and_then(|node| decode::text(node, "`info`", faults)).map(str::to_owned);
    mapping.finish(faults);
    Some(Action::Reject { status: status?, info })
}

pub(super) fn method(word: &str, node: &Node, faults: &mut Faults) -> Option<Method> {
    let method = Method::parse(word.as_bytes());
    if method.is_none() {
        faults.add(node.place.clone(), format!("`{word}` is no method"));
    } else if word.bytes().any(|byte| byte.is_ascii_lowercase()) && Method::KNOWN.contains(&&*word.to_ascii_uppercase())
    {
        let hint = format!("methods are case-sensitive: was `{}` meant?", word.to_ascii_uppercase());
        faults.add_hint(node.place.clone(), format!("`{word}` is not the method that browsers say"), hint);
    }
    method
}

/// A list of those that pass, or a mapping from methods to actions with `"*"` for all others.
pub(super) fn methods(node: &Node, faults: &mut Faults) -> Option<MethodRules> {
    let mut other = Action::reject();
    let mut rules = Vec::new();
    if let Value::Map(_) = node.value {
        for (key, node) in decode::entries(node, "`methods`", faults)? {
            let Some(action) = action(node, &format!("`{}`", key.name), faults) else { continue };
            if &*key.name == "*" {
                other = action;
            } else if let Some(method) = method(&key.name, &Node { place: key.place.clone(), ..node.clone() }, faults) {
                rules.push((method, action));
            }
        }
    } else {
        for node in decode::list(node, "`methods`", faults) {
            let word = decode::text(node, "a method", faults);
            match word {
                Some("*") => other = Action::Accept,
                Some(word) => rules.extend(method(word, node, faults).map(|method| (method, Action::Accept))),
                None => {}
            }
        }
    }
    decode::at_most(rules.len(), RULES_MAX, node, "methods", faults);
    Some(MethodRules::new(rules, other))
}

/// `- { status: 500-599, method: GET, action: … }`.
pub(super) fn statuses(node: &Node, faults: &mut Faults) -> StatusRules {
    let items = decode::list(node, "`statuses`", faults);
    decode::at_most(items.len(), RULES_MAX, node, "rules in `statuses`", faults);
    StatusRules(items.iter().filter_map(|node| status(node, faults)).collect())
}

fn status(node: &Node, faults: &mut Faults) -> Option<StatusRule> {
    let mut mapping = Mapping::new(node, "a rule of `statuses`", faults)?;
    let range = mapping.require("status", node, faults).and_then(|node| {
        let word = decode::text(node, "`status`", faults)?;
        let range = range(word).filter(|range| *range.start() >= 200 && *range.end() < 600);
        if range.is_none() {
            faults.add(node.place.clone(), format!("`status` is `{word}`, such as `404` or `500-599` was expected"));
        }
        range
    });
    let named = mapping.get("method").and_then(|node| method(decode::text(node, "`method`", faults)?, node, faults));
    let action = mapping.require("action", node, faults).and_then(|node| action(node, "`action`", faults));
    mapping.finish(faults);
    let (from, to) = range?.into_inner();
    Some(StatusRule { method: named, from, to, action: action? })
}

/// `- { methods: […], hosts/urls…, server: … }`.
pub(super) fn routes(node: &Node, faults: &mut Faults) -> Vec<RouteRule> {
    let items = decode::list(node, "`servers`", faults);
    decode::at_most(items.len(), RULES_MAX, node, "rules in `servers`", faults);
    items.iter().filter_map(|node| route(node, faults)).collect()
}

fn route(node: &Node, faults: &mut Faults) -> Option<RouteRule> {
    let mut mapping = Mapping::new(node, "a rule of `servers`", faults)?;
    let nodes = mapping.get("methods").map(decode::some).unwrap_or_default();
    let mut methods = Vec::new();
    for node in nodes {
        if let Some(word) = decode::text(node, "a method", faults) {
            methods.extend(method(word, node, faults));
        }
    }
    let urls = filter::patterns(&mut mapping, None, faults);
    let server = mapping.require("server", node, faults).and_then(|node| server(node, "`server`", faults));
    mapping.finish(faults);
    Some(RouteRule { methods, urls, server: server? })
}

/// `original`, `inband`, `ADDRESS:PORT`, or `{ parent: ADDRESS:PORT }`.
pub(super) fn server(node: &Node, what: &str, faults: &mut Faults) -> Option<Server> {
    const EXPECTED: &str = "`original`, `inband`, ADDRESS:PORT or `{ parent: ADDRESS:PORT }` was expected";
    if let Value::Map(_) = node.value {
        let mut mapping = Mapping::new(node, what, faults)?;
        let parent = mapping.require("parent", node, faults);
        let parent = parent.and_then(|node| {
            let word = decode::text(node, "`parent`", faults)?;
            let parent = address(word);
            if parent.is_none() {
                faults.add(node.place.clone(), format!("`parent` is `{word}`, ADDRESS:PORT was expected"));
            }
            parent
        });
        mapping.finish(faults);
        return parent.map(Server::Parent);
    }
    match decode::text(node, what, faults)? {
        "original" => Some(Server::Original),
        "inband" => Some(Server::Inband),
        word => {
            let server = address(word).map(Server::Address);
            if server.is_none() {
                faults.add(node.place.clone(), format!("{what} is `{word}`, {EXPECTED}"));
            }
            server
        }
    }
}

/// `443`, `8000-8099`, a list of such, or Zorp's `"80,443"`.
pub(super) fn ports(node: &Node, what: &str, faults: &mut Faults) -> Vec<RangeInclusive<u16>> {
    let mut ports = Vec::new();
    for node in decode::some(node) {
        let Some(words) = decode::text(node, what, faults) else { continue };
        for word in words.split(',').map(str::trim) {
            match range(word).filter(|range| *range.start() > 0) {
                Some(range) => ports.push(range),
                None => {
                    let expected = "ports such as `443` or `8000-8099` were expected";
                    faults.add(node.place.clone(), format!("{what} has `{word}`, {expected}"));
                }
            }
        }
    }
    decode::at_most(ports.len(), RULES_MAX, node, format!("ranges in {what}"), faults);
    ports
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let range = from.trim().parse().ok()?..=to.trim().parse().ok()?;
    (!range.is_empty()).then_some(range)
}
