//! `http: {…}` of a service: `proxy/HTTP.md` says what each key does.
//!
//! Everything that can be wrong is found here: expressions are compiled, lists and pages read, names of headers and
//! methods looked at, so that a session never meets a setting it cannot use.

mod filter;
mod headers;
mod icap;
mod rules;
mod schema;
mod two;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::{Faults, Place};
use control::modules::{ModuleSettings, Reading};
use proxy::http::pages::Pages;
use proxy::http::policy::{Strict, StrictAction};
use proxy::http::{Connect, HeadLimits, Otherwise, Scheme, Settings, Trailers, UrlRules, canonical_host, limits};
use proxy::script::Hook;

pub(super) use schema::schema;

/// Reads the section.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    let mut settings = Settings::default();
    let mut hands_on_to = Vec::new();
    if let Some(node) = section {
        let mut mapping = Mapping::new(node, "`http`", reading.faults)?;
        forms(&mut settings, &mut mapping, reading.faults);
        policy(&mut settings, &mut mapping, reading);
        servers(&mut settings, &mut mapping, reading.faults);
        hands_on_to.extend(connect(&mut settings, &mut mapping, reading.faults));
        wire(&mut settings, &mut mapping, reading.faults);
        if let Some(node) = mapping.get("icap") {
            settings.icap = icap::icap(node, reading.faults);
        }
        if let Some(node) = mapping.get("http2") {
            settings.http2 = two::two(node, reading.faults);
            two::alone(&settings, node, reading.faults);
        }
        if let Some(node) = mapping.get("limits") {
            bounds(&mut settings, node, reading.faults);
        }
        if let Some(node) = mapping.get("times") {
            times(&mut settings, node, reading.faults);
        }
        if let Some(node) = mapping.get("pages") {
            settings.pages = pages(node, reading);
        }
        mapping.finish(reading.faults);
    }
    Some(ModuleSettings { value: Arc::new(proxy::Settings::Http(Arc::new(settings))), hands_on_to })
}

/// What requests may look like.
fn forms(settings: &mut Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    let modes = [("transparent", (true, false)), ("proxy", (false, true)), ("both", (true, true))];
    if let Some(mode) = mapping.get("mode").and_then(|node| decode::choice(node, "`mode`", &modes, faults)) {
        (settings.permit_server_requests, settings.permit_proxy_requests) = mode;
    }
    let schemes = [("http", Scheme::Http), ("https", Scheme::Https)];
    settings.scheme = mapping.get("scheme").and_then(|node| decode::choice(node, "`scheme`", &schemes, faults));
    for (key, flag) in [
        ("require_host", &mut settings.require_host),
        ("rewrite_host", &mut settings.rewrite_host),
        ("permit_get_body", &mut settings.permit_get_body),
        ("permit_unicode_url", &mut settings.url.permit_unicode),
        ("permit_invalid_escape", &mut settings.url.permit_invalid_escape),
        ("x_forwarded_for", &mut settings.forwarded_for),
    ] {
        if let Some(value) = mapping.get(key).and_then(|node| decode::boolean(node, &format!("`{key}`"), faults)) {
            *flag = value;
        }
    }
}

/// What passes.
fn policy(settings: &mut Settings, mapping: &mut Mapping<'_>, reading: &mut Reading<'_>) {
    if let Some(methods) = mapping.get("methods").and_then(|node| rules::methods(node, reading.faults)) {
        settings.methods = methods;
    }
    if let Some(node) = mapping.get("statuses") {
        settings.statuses = rules::statuses(node, reading.faults);
    }
    if let Some(node) = mapping.get("request_headers") {
        settings.request_headers = headers::rules(node, "`request_headers`", reading.faults);
    }
    if let Some(node) = mapping.get("response_headers") {
        settings.response_headers = headers::rules(node, "`response_headers`", reading.faults);
    }
    let strict = [("off", None), ("drop", Some(StrictAction::Drop)), ("reject", Some(StrictAction::Refuse))];
    let strict = mapping.get("strict").and_then(|node| decode::choice(node, "`strict`", &strict, reading.faults));
    settings.strict = strict.flatten().map(|action| Strict { action });
    if let Some(node) = mapping.get("script") {
        let hooks = [Hook::Session, Hook::Route, Hook::Request, Hook::Response];
        settings.script = super::script::read(node, "`script`", &hooks, reading);
    }
    if let Some(node) = mapping.get("url_filter") {
        settings.filter = filter::filter(node, reading);
    }
}

/// Who answers.
fn servers(settings: &mut Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    if let Some(node) = mapping.get("servers") {
        settings.routes = rules::routes(node, faults);
    }
    let server = mapping.get("server").and_then(|node| rules::server(node, "`server`", faults));
    match server {
        None | Some(proxy::http::policy::Server::Original) => {}
        Some(proxy::http::policy::Server::Inband) => settings.otherwise = Otherwise::Inband,
        Some(proxy::http::policy::Server::Parent(parent)) => settings.otherwise = Otherwise::Parent(parent),
        Some(proxy::http::policy::Server::Address(_)) => {
            let place = mapping.place("server").cloned().unwrap_or_else(|| Place::file(""));
            faults.add_hint(place, "`server` is an address", "the service's `router` says which server is meant");
        }
    }
    if let Some(ports) = mapping.get("ports").map(|node| rules::ports(node, "`ports`", faults)) {
        settings.ports = ports;
    }
    if let Some(node) = mapping.get("hosts") {
        settings.hosts = hosts(node, faults);
    }
    if let Some(node) = mapping.get("resolver") {
        let word = decode::text(node, "`resolver`", faults);
        settings.resolver = word.and_then(|word| {
            let found = address(word).or_else(|| Some(SocketAddr::new(word.parse().ok()?, 53)));
            if found.is_none() {
                faults.add(node.place.clone(), format!("`resolver` is `{word}`, ADDRESS or ADDRESS:PORT was expected"));
            }
            found
        });
    }
}

fn hosts(node: &Node, faults: &mut Faults) -> BTreeMap<String, std::net::IpAddr> {
    let entries = decode::entries(node, "`hosts`", faults).unwrap_or_default();
    decode::at_most(entries.len(), limits::HOSTS_MAX, node, "names in `hosts`", faults);
    let mut hosts = BTreeMap::new();
    for (key, node) in entries {
        let Ok(name) = canonical_host(key.name.as_bytes(), limits::HOST_MAX) else {
            faults.add(key.place.clone(), format!("`{}` is no name of a host", key.name));
            continue;
        };
        if let Some(address) = decode::parsed(node, &format!("`{name}`"), "an address", faults) {
            hosts.insert(name, address);
        }
    }
    hosts
}

/// `connect:`, and the service that it hands on to.
fn connect(settings: &mut Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) -> Option<(String, Place)> {
    let node = mapping.get("connect")?;
    let mut mapping = Mapping::new(node, "`connect`", faults)?;
    let ports = mapping.get("ports").map(|node| rules::ports(node, "`ports`", faults));
    let service = mapping.get("service");
    let named =
        service.and_then(|node| Some((decode::text(node, "`service`", faults)?.to_owned(), node.place.clone())));
    let service = named.as_ref().map(|(name, _)| name.clone());
    settings.connect = Some(Connect { ports: ports.unwrap_or_else(|| vec![443..=443]), service });
    mapping.finish(faults);
    named
}

/// What is said on each side.
fn wire(settings: &mut Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    if let Some(node) = mapping.get("upgrade") {
        let words = decode::some(node).iter().filter_map(|node| Some((node, decode::text(node, "`upgrade`", faults)?)));
        let words: Vec<(&Node, &str)> = words.collect();
        for (node, word) in words {
            if word.eq_ignore_ascii_case("h2c") {
                faults.add(
                    node.place.clone(),
                    "`h2c` in `upgrade`: HTTP/2 begins without it, and behind it nothing is seen",
                );
            } else if !proxy::http::headers::is_token(word.as_bytes()) {
                faults.add(node.place.clone(), format!("`{word}` is no protocol's name"));
            }
            settings.upgrade.push(word.to_ascii_lowercase());
        }
    }
    let trailers = [("drop", Trailers::Drop), ("pass", Trailers::Pass), ("reject", Trailers::Refuse)];
    if let Some(trailers) =
        mapping.get("trailers").and_then(|node| decode::choice(node, "`trailers`", &trailers, faults))
    {
        settings.trailers = trailers;
    }
    if let Some(node) = mapping.get("via") {
        settings.via = decode::text(node, "`via`", faults).map(str::to_owned);
        if settings.via.as_ref().is_some_and(|name| !proxy::http::headers::is_token(name.as_bytes())) {
            faults.add(node.place.clone(), "`via` is no name: a word without blanks was expected");
        }
    }
}

/// `limits:`; a body or a number of requests of 0 has none, as in Zorp.
fn bounds(settings: &mut Settings, node: &Node, faults: &mut Faults) {
    let Some(mut mapping) = Mapping::new(node, "`limits`", faults) else { return };
    let (head, fields) = (limits::HEAD_BYTES_MAX as u64, limits::FIELDS_MAX as u64);
    let Settings { heads, url, request_body_max, response_body_max, requests_max, .. } = settings;
    let HeadLimits { first_line, line, bytes, fields: lines } = heads;
    let UrlRules { host_max, .. } = url;
    for (key, low, high, value) in [
        ("request_line", 16, head, first_line),
        ("header_line", 16, head, line),
        ("head", 64, head, bytes),
        ("header_lines", 1, fields, lines),
        ("host", 1, 8192, host_max),
    ] {
        let node = mapping.get(key);
        if let Some(number) = node.and_then(|node| decode::number(node, &format!("`{key}`"), low..=high, faults)) {
            *value = number;
        }
    }
    for (key, value) in
        [("request_body", request_body_max), ("response_body", response_body_max), ("requests", requests_max)]
    {
        let node = mapping.get(key);
        let number = node.and_then(|node| decode::number::<u64>(node, &format!("`{key}`"), 0..=1 << 60, faults));
        *value = number.filter(|number| *number > 0);
    }
    mapping.finish(faults);
}

fn times(settings: &mut Settings, node: &Node, faults: &mut Faults) {
    let Some(mut mapping) = Mapping::new(node, "`times`", faults) else { return };
    let times = &mut settings.times;
    let mut time = |key: &'static str, value: &mut Duration, faults: &mut Faults| {
        let node = mapping.get(key);
        if let Some(time) = node.and_then(|node| decode::duration(node, &format!("`{key}`"), limits::TIME_MAX, faults))
        {
            *value = time;
        }
    };
    time("request", &mut times.request, faults);
    time("keep_alive", &mut times.keep_alive, faults);
    time("response", &mut times.response, faults);
    time("body_idle", &mut times.body_idle, faults);
    time("body_grace", &mut times.body_grace, faults);
    let rate = mapping.get("body_rate");
    if let Some(rate) = rate.and_then(|node| decode::number(node, "`body_rate`", 0..=1 << 30, faults)) {
        times.rate_min = rate;
    }
    mapping.finish(faults);
}

/// `pages:`: by status, `default`, or none at all.
fn pages(node: &Node, reading: &mut Reading<'_>) -> Pages {
    let mut pages = Pages::default();
    for (key, node) in decode::entries(node, "`pages`", reading.faults).unwrap_or_default() {
        if &*key.name == "silent" {
            pages.silent = decode::boolean(node, "`silent`", reading.faults).unwrap_or(false);
            continue;
        }
        let status = match &*key.name {
            "default" => Some(0),
            status => status.parse().ok().filter(|status| (300..600).contains(status)),
        };
        let Some(status) = status else {
            let message = format!("`{}` is no key of `pages`", key.name);
            reading.faults.add_hint(
                key.place.clone(),
                message,
                "known keys: a status from 300 to 599, default, silent",
            );
            continue;
        };
        let Some(file) = decode::text(node, "a page", reading.faults) else { continue };
        match (reading.read_file)(Path::new(file)) {
            Ok(page) if page.len() <= limits::PAGE_BYTES_MAX => drop(pages.templates.insert(status, page.into())),
            Ok(_) => {
                let message = format!("{file}: a page has at most {} KiB", limits::PAGE_BYTES_MAX >> 10);
                reading.faults.add(node.place.clone(), message);
            }
            Err(error) => reading.faults.add(node.place.clone(), format!("{file}: cannot be read: {error}")),
        }
    }
    pages
}

/// `ADDRESS:PORT`.
fn address(word: &str) -> Option<SocketAddr> {
    word.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}
