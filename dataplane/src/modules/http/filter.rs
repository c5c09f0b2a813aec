//! `url_filter:`, and the patterns of URLs that rules for servers have as well; lists are read from files, with places of faults in them.

use std::path::Path;
use std::sync::Arc;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::{Faults, Place};
use control::modules::Reading;
use proxy::http::filter::{Filter, FilterRule, List, Pattern, Sentence};
use proxy::http::limits::RULES_MAX;
use proxy::http::{Url, UrlFault, UrlRules, canonical_host};

use super::rules;

/// Reads the rules; each pattern of one becomes a rule of its own, in the order of the file.
pub(super) fn filter(node: &Node, reading: &mut Reading<'_>) -> Filter {
    let items = decode::list(node, "`url_filter`", reading.faults);
    decode::at_most(items.len(), RULES_MAX, node, "rules in `url_filter`", reading.faults);
    let mut rules = Vec::new();
    for node in items {
        let Some(mut mapping) = Mapping::new(node, "a rule of `url_filter`", reading.faults) else { continue };
        let patterns = patterns(&mut mapping, Some(reading.read_file), reading.faults);
        let sentence = sentence(&mut mapping, node, reading.faults);
        let named = ["host", "exact", "prefix", "regex", "list"].iter().any(|key| mapping.place(key).is_some());
        mapping.finish(reading.faults);
        if !named {
            let message = "a rule of `url_filter` is for no URL: one of `host`, `exact`, `prefix`, `regex` and `list` was expected";
            reading.faults.add(node.place.clone(), message);
        }
        let Some(sentence) = sentence else { continue };
        rules.extend(patterns.into_iter().map(|pattern| FilterRule { pattern, sentence: sentence.clone() }));
    }
    Filter(rules)
}

fn sentence(mapping: &mut Mapping<'_>, node: &Node, faults: &mut Faults) -> Option<Sentence> {
    let (action, elsewhere) = (mapping.get("action"), mapping.get("redirect"));
    match (action, elsewhere) {
        (Some(action), None) => rules::action(action, "`action`", faults).map(Sentence::Action),
        (None, Some(node)) => {
            let text = decode::text(node, "`redirect`", faults)?;
            match Url::parse(text.as_bytes(), &UrlRules::default()) {
                Ok(url) => Some(Sentence::Elsewhere(url.to_string())),
                Err(_) => {
                    faults.add(node.place.clone(), format!("`redirect` is `{text}`, an absolute URL was expected"));
                    None
                }
            }
        }
        _ => {
            faults.add(node.place.clone(), "a rule of `url_filter` has one of `action` and `redirect`");
            None
        }
    }
}

/// Reads files that rules name.
type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// `host`, `exact`, `prefix`, `regex`, each one or several, and `list` where files can be read.
pub(super) fn patterns(mapping: &mut Mapping<'_>, read: Option<ReadFile<'_>>, faults: &mut Faults) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (key, make) in [
        ("host", host as fn(&str) -> Result<Pattern, String>),
        ("exact", |text| place(text).map(Pattern::Exact)),
        ("prefix", |text| place(text).map(Pattern::Prefix)),
        ("regex", Pattern::regex),
    ] {
        for node in mapping.get(key).map(decode::some).unwrap_or_default() {
            let Some(text) = decode::text(node, &format!("`{key}`"), faults) else { continue };
            match make(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => faults.add(node.place.clone(), format!("`{key}` is `{text}`: {error}")),
            }
        }
    }
    let Some(read) = read else { return patterns };
    for node in mapping.get("list").map(decode::some).unwrap_or_default() {
        let Some(file) = decode::text(node, "`list`", faults) else { continue };
        match read(Path::new(file)) {
            Ok(text) => patterns.extend(list(file, &text, faults).map(|list| Pattern::List(Arc::new(list)))),
            Err(error) => faults.add(node.place.clone(), format!("{file}: cannot be read: {error}")),
        }
    }
    patterns
}

fn host(text: &str) -> Result<Pattern, String> {
    let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
    let host = canonical_host(name.as_bytes(), UrlRules::default().host_max);
    host.map(Pattern::Host)
        .map_err(|_: UrlFault| "a host was expected, which stands for all below it as well".to_owned())
}

fn place(text: &str) -> Result<String, String> {
    Pattern::place(text).ok_or_else(|| "HOST/PATH was expected".to_owned())
}

/// Faults in a list have places in it.
fn list(file: &str, text: &str, faults: &mut Faults) -> Option<List> {
    match List::parse(text) {
        Ok(list) => Some(list),
        Err(wrong) => {
            for fault in wrong {
                let place = Place { file: file.into(), line: fault.line as u32, column: 1 };
                faults.add(place, format!("`{}` is neither HOST nor HOST/PATH", fault.text));
            }
            None
        }
    }
}
