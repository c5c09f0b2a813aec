//! `detect: {…}` of a service: which service gets a session, by what its first bytes are. The manual is `dataplane/proxy/DETECT.md`.

use std::sync::Arc;
use std::time::Duration;

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::{Faults, Place};
use control::modules::{ModuleSettings, Reading};
use proxy::detect::limits::{TIMEOUT, TIMEOUT_MAX};
use proxy::detect::{Settings, SniRule};
use proxy::tls::names::Names;
use serde_json::json;

/// Services that are handed on to, and where they are named.
type HandsOn = Vec<(String, Place)>;

/// Reads the section.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    let Some(node) = section else {
        let message = "a `detect` section says which service gets what: `detect: { http: SERVICE, default: SERVICE }`";
        reading.faults.add(reading.place.clone(), message);
        return None;
    };
    let faults = &mut *reading.faults;
    let mut mapping = Mapping::new(node, "`detect`", faults)?;
    let mut hands_on_to = HandsOn::new();
    let mut service = |key: &'static str, mapping: &mut Mapping<'_>, faults: &mut Faults| {
        mapping.get(key).and_then(|node| name(node, key, &mut hands_on_to, faults))
    };
    let mut settings = Settings {
        http: service("http", &mut mapping, faults),
        tls: service("tls", &mut mapping, faults),
        sni: Vec::new(),
        ssh: service("ssh", &mut mapping, faults),
        ftp: service("ftp", &mut mapping, faults),
        smtp: service("smtp", &mut mapping, faults),
        pop3: service("pop3", &mut mapping, faults),
        imap: service("imap", &mut mapping, faults),
        default: service("default", &mut mapping, faults),
        timeout: TIMEOUT,
    };
    if let Some(node) = mapping.get("sni") {
        let rules = decode::list(node, "`sni`", faults).iter();
        settings.sni = rules.filter_map(|node| rule(node, &mut hands_on_to, faults)).collect();
    }
    if let Some(node) = mapping.get("timeout_s") {
        let seconds = decode::number(node, "`timeout_s`", 1..=TIMEOUT_MAX.as_secs(), faults);
        settings.timeout = seconds.map_or(TIMEOUT, Duration::from_secs);
    }
    mapping.finish(faults);
    if hands_on_to.is_empty() {
        faults.add(node.place.clone(), "`detect` names no service: every session would be refused");
    }
    let mut module = ModuleSettings::new(proxy::Settings::Detect(Arc::new(settings)));
    module.hands_on_to = hands_on_to;
    Some(module)
}

/// A service that is handed on to.
fn name(node: &Node, what: &str, hands_on_to: &mut HandsOn, faults: &mut Faults) -> Option<Arc<str>> {
    let name = decode::text(node, &format!("`{what}`"), faults)?;
    hands_on_to.push((name.to_owned(), node.place.clone()));
    Some(name.into())
}

/// One of the rules for names.
fn rule(node: &Node, hands_on_to: &mut HandsOn, faults: &mut Faults) -> Option<SniRule> {
    let mut mapping = Mapping::new(node, "a rule of `sni`", faults)?;
    let matched = mapping.require("match", node, faults).and_then(|node| names(node, "`match`", faults));
    let except = mapping.get("except").map(|node| names(node, "`except`", faults));
    let service = mapping.require("service", node, faults);
    let service = service.and_then(|node| name(node, "service", hands_on_to, faults));
    mapping.finish(faults);
    let except = match except {
        Some(except) => Some(except?),
        None => None,
    };
    Some(SniRule { names: matched?, except, service: service? })
}

/// A set of names.
fn names(node: &Node, what: &str, faults: &mut Faults) -> Option<Names> {
    let nodes = decode::some(node);
    let before = faults.len();
    let words: Vec<&str> = nodes.iter().filter_map(|node| decode::text(node, what, faults)).collect();
    if words.is_empty() && faults.len() == before {
        faults.add(node.place.clone(), format!("{what} is empty"));
    }
    if faults.len() > before {
        return None;
    }
    match Names::new(words) {
        Ok(names) => Some(names),
        Err((at, why)) => {
            let node = nodes.get(at).unwrap_or(node);
            let value = match &node.value {
                Value::Text(text) | Value::Number(text) => text.as_str(),
                _ => "",
            };
            faults.add(node.place.clone(), format!("`{value}` of {what}: {why}"));
            None
        }
    }
}

/// The section's shape.
pub(super) fn schema() -> serde_json::Value {
    let service = |description: &str| json!({ "type": "string", "description": description });
    let names = |description: &str| {
        json!({
            "description": description,
            "oneOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": { "type": "string" } }]
        })
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "http": service("Gets clients that speak HTTP."),
            "tls": service("Gets clients that speak TLS, and whose name no rule of `sni` has."),
            "sni": {
                "type": "array",
                "description": "Rules by the server's name in the ClientHello; the first that fits.",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["match", "service"],
                    "properties": {
                        "match": names("`www.example.com`, `.example.com` (with all below it), or `/expression/`."),
                        "except": names("But not these."),
                        "service": service("Gets them.")
                    }
                }
            },
            "ssh": service("Gets sessions in which either side speaks SSH."),
            "ftp": service("Gets sessions whose server greets as FTP servers do."),
            "smtp": service("Gets sessions whose server greets as SMTP servers do."),
            "pop3": service("Gets sessions whose server greets as POP3 servers do."),
            "imap": service("Gets sessions whose server greets as IMAP servers do."),
            "default": service("Gets everything else; without it, the client is reset."),
            "timeout_s": {
                "type": "integer",
                "minimum": 1,
                "maximum": TIMEOUT_MAX.as_secs(),
                "description": "How long either side has to say enough; default 5."
            }
        }
    })
}
