//! `icap: {…}` of the HTTP proxy: `proxy/ICAP.md` says what each key does, and what is to happen when that fails.

use std::sync::Arc;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::Faults;
use proxy::icap::{Otherwise, Settings, limits};

use super::address;

/// Reads the section; with any fault in it there is no scanner, and the configuration is refused.
pub(super) fn icap(node: &Node, faults: &mut Faults) -> Option<Arc<Settings>> {
    let mut mapping = Mapping::new(node, "`icap`", faults)?;
    let server = mapping.require("server", node, faults).and_then(|node| {
        let word = decode::text(node, "`server`", faults)?;
        let found = address(word);
        if found.is_none() {
            faults.add(node.place.clone(), format!("`server` is `{word}`, ADDRESS:PORT was expected"));
        }
        found
    });
    let mut settings = Settings::new(server.unwrap_or(([0, 0, 0, 0], 0).into()));
    services(&mut settings, node, &mut mapping, faults);
    bounds(&mut settings, &mut mapping, faults);
    let words = [("deny", Otherwise::Deny), ("pass", Otherwise::Pass)];
    for (key, value) in [("on_failure", &mut settings.on_failure), ("on_large", &mut settings.on_large)] {
        let node = mapping.get(key);
        if let Some(word) = node.and_then(|node| decode::choice(node, &format!("`{key}`"), &words, faults)) {
            *value = word;
        }
    }
    if let Some(permit) = mapping.get("permit_ranges").and_then(|node| decode::boolean(node, "`permit_ranges`", faults))
    {
        settings.permit_ranges = permit;
    }
    mapping.finish(faults);
    server.map(|_| Arc::new(settings))
}

/// The scanner's paths, and what is not given to it.
fn services(settings: &mut Settings, node: &Node, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    for (key, value) in [("reqmod", &mut settings.reqmod), ("respmod", &mut settings.respmod)] {
        let Some(node) = mapping.get(key) else { continue };
        let Some(path) = decode::text(node, &format!("`{key}`"), faults) else { continue };
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            faults.add(node.place.clone(), format!("`{key}` is `{path}`, a path such as /virus_scan was expected"));
        }
        *value = Some(path.to_owned());
    }
    if mapping.get("reqmod").or_else(|| mapping.get("respmod")).is_none() {
        faults.add(node.place.clone(), "`icap` has neither `reqmod` nor `respmod`: nothing would be scanned");
    }
    let Some(node) = mapping.get("skip") else { return };
    let types = decode::some(node);
    decode::at_most(types.len(), limits::SKIP_MAX, node, "content types in `skip`", faults);
    for node in types {
        let Some(word) = decode::text(node, "`skip`", faults) else { continue };
        let plain = |name: &str| proxy::http::headers::is_token(name.as_bytes());
        let named = word.split_once('/').is_some_and(|(group, name)| group != "*" && plain(group) && plain(name));
        if !named {
            faults.add(node.place.clone(), format!("`{word}` is no content type such as video/mp4 or video/*"));
        }
        settings.skip.push(word.to_ascii_lowercase());
    }
}

fn bounds(settings: &mut Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    for (key, value) in [("preview", &mut settings.preview), ("hold", &mut settings.hold)] {
        let node = mapping.get(key);
        let range = 0..=limits::HOLD_MAX as u64;
        if let Some(number) = node.and_then(|node| decode::number(node, &format!("`{key}`"), range, faults)) {
            *value = number;
        }
    }
    if let Some(max) = mapping.get("max_scan").and_then(|node| decode::number(node, "`max_scan`", 1..=1 << 60, faults))
    {
        settings.max_scan = Some(max);
    }
    let seconds = 1..=limits::TIMEOUT_MAX.as_secs();
    if let Some(time) = mapping.get("timeout_s").and_then(|node| decode::number(node, "`timeout_s`", seconds, faults)) {
        settings.timeout = std::time::Duration::from_secs(time);
    }
}
