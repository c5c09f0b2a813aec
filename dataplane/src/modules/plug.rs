//! `plug: {…}` of a service: what each direction may pass, what servers are told first, and a script.

use std::sync::Arc;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::Faults;
use control::modules::{ModuleSettings, Reading};
use proxy::plug::{Allowance, Settings};
use proxy::proxy_protocol::Version;
use proxy::relay::Rate;
use proxy::script::Hook;
use serde_json::{Value, json};

/// Hooks that the plug calls.
const HOOKS: &[Hook] = &[Hook::Session, Hook::Route];

/// The most that can be set for any of its numbers: an exabyte is no limit any more.
const NUMBER_MAX: u64 = 1 << 60;

/// The burst, where only a rate is said: a tenth of a second's bytes, and at least a large segment.
const BURST_MIN: u64 = 64 << 10;

/// Reads the section.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    let mut settings = Settings::default();
    if let Some(node) = section {
        let mut mapping = Mapping::new(node, "`plug`", reading.faults)?;
        settings.to_server = allowance(mapping.get("to_server"), "`to_server`", reading.faults);
        settings.to_client = allowance(mapping.get("to_client"), "`to_client`", reading.faults);
        if let Some(node) = mapping.get("send_proxy") {
            let versions = [("v1", Version::V1), ("v2", Version::V2)];
            settings.send_proxy = decode::choice(node, "`send_proxy`", &versions, reading.faults);
        }
        if let Some(node) = mapping.get("script") {
            settings.script = super::script::read(node, "`script`", HOOKS, reading);
        }
        mapping.finish(reading.faults);
    }
    Some(ModuleSettings::new(proxy::Settings::Plug(Arc::new(settings))))
}

/// What one direction may pass.
fn allowance(node: Option<&Node>, what: &str, faults: &mut Faults) -> Allowance {
    let mut allowance = Allowance::default();
    let Some(node) = node else { return allowance };
    let Some(mut mapping) = Mapping::new(node, what, faults) else { return allowance };
    let mut number = |key: &'static str, least: u64, faults: &mut Faults| {
        let node = mapping.get(key)?;
        decode::number::<u64>(node, &format!("`{key}`"), least..=NUMBER_MAX, faults)
    };
    allowance.bytes_max = number("bytes_max", 0, faults);
    let (rate, burst) = (number("bytes_per_s", 1, faults), number("burst", 1, faults));
    allowance.rate =
        rate.map(|bytes_per_s| Rate { bytes_per_s, burst: burst.unwrap_or_else(|| (bytes_per_s / 10).max(BURST_MIN)) });
    if let (None, Some(place)) = (mapping.place("bytes_per_s"), mapping.place("burst")) {
        faults.add(place.clone(), format!("{what} has a `burst` without `bytes_per_s`"));
    }
    mapping.finish(faults);
    allowance
}

/// The section's shape.
pub(super) fn schema() -> Value {
    let allowance = |direction: &str| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "description": format!("What may pass {direction} in one session."),
            "properties": {
                "bytes_max": { "type": "integer", "minimum": 0, "description": "Bytes in all; one more ends the session." },
                "bytes_per_s": { "type": "integer", "minimum": 1, "description": "Bytes a second." },
                "burst": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Bytes at once after a pause; default a tenth of a second's, at least 65536."
                }
            }
        })
    };
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "to_server": allowance("from the client to the server"),
            "to_client": allowance("from the server to the client"),
            "send_proxy": {
                "enum": ["v1", "v2"],
                "description": "Tells the server client and destination by the PROXY protocol first."
            },
            "script": super::script::schema()
        }
    })
}
