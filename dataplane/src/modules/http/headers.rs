//! `request_headers:` and `response_headers:`: from names to what becomes of the field.

use control::config::decode::{self, Mapping};
use control::config::tree::{Key, Node, Value};
use control::faults::Faults;
use proxy::http::headers::{is_token, is_value};
use proxy::http::limits::RULES_MAX;
use proxy::http::policy::{Change, HeaderRule, HeaderRules};

use super::rules;

/// Fields that frame the message or are said for one hop: they are written by the proxy, and rules for them would do
/// nothing.
const OURS: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "host",
];

/// Reads one side's rules.
pub(super) fn rules(node: &Node, what: &str, faults: &mut Faults) -> HeaderRules {
    let entries = decode::entries(node, what, faults).unwrap_or_default();
    decode::at_most(entries.len(), RULES_MAX, node, format!("rules in {what}"), faults);
    let rules = entries.iter().filter_map(|(key, node)| {
        name(key, faults);
        let change = change(key, node, faults)?;
        Some(HeaderRule { name: key.name.clone(), change })
    });
    HeaderRules(rules.collect())
}

fn name(key: &Key, faults: &mut Faults) {
    let word = &*key.name;
    if word != "*" && !is_token(word.as_bytes()) {
        faults.add(key.place.clone(), format!("`{word}` is no header's name"));
    }
    if OURS.contains(&&*word.to_ascii_lowercase()) {
        let hint = "it says where the message ends or whom it is for; the proxy writes it";
        faults.add_hint(key.place.clone(), format!("`{word}` is no header that rules can change"), hint);
    }
}

/// A word (`accept`, `drop`, an action that refuses), or a mapping with one of `name`, `value`, `regexp`, `insert`,
/// `replace`, `reject`.
fn change(key: &Key, node: &Node, faults: &mut Faults) -> Option<Change> {
    let what = format!("`{}`", key.name);
    let Value::Map(entries) = &node.value else {
        let words = [("accept", Some(Change::Accept)), ("drop", Some(Change::Drop))];
        let word = decode::text(node, &what, faults)?;
        if let Some((_, change)) = words.into_iter().find(|(known, _)| *known == word) {
            return change;
        }
        if !["reject", "deny", "abort"].contains(&word) {
            let expected = "`accept`, `drop`, `reject`, `deny`, `abort` or a mapping was expected";
            faults.add(node.place.clone(), format!("{what} is `{word}`, {expected}"));
            return None;
        }
        return rules::action(node, &what, faults).map(Change::Refuse);
    };
    if entries.iter().any(|(key, _)| &*key.name == "reject") {
        return rules::action(node, &what, faults).map(Change::Refuse);
    }
    let mut mapping = Mapping::new(node, &what, faults)?;
    let mut changes = Vec::new();
    if let Some(node) = mapping.get("name") {
        let name = decode::text(node, "`name`", faults)?;
        let at = Key { name: name.to_owned(), place: node.place.clone() };
        self::name(&at, faults);
        changes.push(Change::Name(name.to_owned()));
    }
    for (key, make) in
        [("value", Change::Value as fn(Vec<u8>) -> Change), ("insert", Change::Insert), ("replace", Change::Replace)]
    {
        if let Some(node) = mapping.get(key) {
            changes.extend(value(node, key, faults).map(make));
        }
    }
    if let Some(node) = mapping.get("regexp") {
        let by = mapping.get("with").and_then(|node| decode::text(node, "`with`", faults)).unwrap_or_default();
        match Change::regex(decode::text(node, "`regexp`", faults)?, by) {
            Ok(change) => changes.push(change),
            Err(error) => faults.add(node.place.clone(), format!("`regexp` is no expression: {error}")),
        }
    }
    mapping.finish(faults);
    if changes.len() > 1 || (changes.is_empty() && entries.is_empty()) {
        let expected = "one of `name`, `value`, `regexp`, `insert`, `replace` and `reject` was expected";
        faults.add(node.place.clone(), format!("{what} has {} changes, {expected}", changes.len()));
    }
    let change = changes.pop()?;
    if key.name == "*" && matches!(change, Change::Insert(_) | Change::Replace(_) | Change::Name(_)) {
        faults.add(
            node.place.clone(),
            "`*` stands for all other headers: it may be accepted, dropped, refused or get another value",
        );
    }
    Some(change)
}

fn value(node: &Node, key: &str, faults: &mut Faults) -> Option<Vec<u8>> {
    let text = decode::text(node, &format!("`{key}`"), faults)?;
    if !is_value(text.as_bytes()) {
        faults
            .add(node.place.clone(), format!("`{key}` is no value: one line without control characters was expected"));
        return None;
    }
    Some(text.as_bytes().to_vec())
}
