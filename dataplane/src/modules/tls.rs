//! `tls: {…}` of a service: rules, certificates, whom to trust. The manual is `dataplane/proxy/TLS.md`.
//!
//! Files are read here, once; what is wrong with their contents is told at the key that names them.

mod files;
mod rules;
mod schema;

use std::time::Duration;

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::{Faults, Place};
use control::modules::{ModuleSettings, Reading};
use proxy::script::Hook;
use proxy::tls::certificates::Own;
use proxy::tls::clock::Clock;
use proxy::tls::ends::{Oldest, ToClient, ToServer};
use proxy::tls::mint::Authority;
use proxy::tls::pins::Learning;
use proxy::tls::policy::Action;
use proxy::tls::stream::Truncation;
use proxy::tls::verify::Trust;
use proxy::tls::{Certificates, Encryption, NotTls, ServerName, Settings, Stack, Untrusted};

use self::files::Files;
pub(super) use schema::schema;

/// A TLS handshake that has not come to its end after that is none.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// The longest that may be set for it.
const HANDSHAKE_MAX: Duration = Duration::from_secs(600);
/// The longest that something is taken for pinned.
const KEEP_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

const TRUNCATIONS: &[(&str, Truncation)] =
    &[("mirror", Truncation::Mirror), ("deny", Truncation::Deny), ("permit", Truncation::Permit)];

/// Reads the section; without one, clients are passed on when they speak TLS.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    let empty = Node { place: reading.place.clone(), value: Value::Map(Vec::new()) };
    let node = section.unwrap_or(&empty);
    let before = reading.faults.len();
    let mut hands_on_to = Vec::new();
    let settings = settings(node, reading, &mut hands_on_to);
    // With a fault nothing is loaded; what is handed on to is checked all the same.
    let value = settings.filter(|_| reading.faults.len() == before).map(std::sync::Arc::new);
    let mut module = match value {
        Some(settings) => ModuleSettings::new(proxy::Settings::Tls(settings)),
        None => ModuleSettings::new(()),
    };
    module.hands_on_to = hands_on_to;
    Some(module)
}

fn settings(node: &Node, reading: &mut Reading<'_>, hands_on_to: &mut Vec<(String, Place)>) -> Option<Settings> {
    let files = Files { read: reading.read_file };
    let faults = &mut *reading.faults;
    let mut section = Mapping::new(node, "`tls`", faults)?;
    let encryption = encryption(&mut section, faults);
    let clock = Clock::default();
    let rules = rules::rules(&mut section, encryption, faults);
    let (to_client, to_server_oldest) = oldest(&mut section, &clock, faults);
    let before = faults.len();
    let (trust, untrusted) = trust(&mut section, encryption, &files, faults);
    let trust_is_as_said = faults.len() == before;
    let certificates = certificates(&mut section, encryption, &files, faults);
    let bumps = encryption != Encryption::TwoSided || rules.as_ref().is_some_and(rules::bumps);
    let said = section.place("keybridge").or(section.place("certificates"));
    if bumps && encryption != Encryption::ServerOnly && said.is_none() {
        let wanted =
            if encryption == Encryption::TwoSided { "`keybridge` or `certificates`" } else { "`certificates`" };
        faults.add(node.place.clone(), format!("`tls` decrypts, and has no {wanted} for its clients"));
    }
    if bumps && encryption != Encryption::ClientOnly && trust_is_as_said && trust.authorities() == 0 {
        let message = "`tls` speaks with servers, and trusts none: name `authorities` under `verify`";
        faults.add(node.place.clone(), message);
    }
    let script = section.get("script");
    let mut settings = Settings {
        encryption,
        rules: rules?,
        not_tls: choice(&mut section, "not_tls", &[("deny", NotTls::Deny), ("pass", NotTls::Pass)], faults),
        to_client,
        certificates: certificates.unwrap_or(Certificates::Own(Vec::new())),
        to_server: ToServer::new(trust, to_server_oldest, &clock),
        untrusted,
        server_name: server_name(&mut section, encryption, faults),
        handshake: section
            .get("handshake_timeout")
            .and_then(|node| decode::duration(node, "`handshake_timeout`", HANDSHAKE_MAX, faults))
            .unwrap_or(HANDSHAKE),
        truncation: choice(&mut section, "truncation", TRUNCATIONS, faults),
        learning: learning(&mut section, encryption, faults),
        stack: stack(&mut section, faults, hands_on_to),
        script: None,
        clock,
    };
    section.finish(faults);
    if let Some(node) = script {
        let hooks = [Hook::Session, Hook::Route, Hook::Hello];
        settings.script = super::script::read(node, "`script`", &hooks, reading);
    }
    Some(settings)
}

/// One of a few words; the first of them if none is said.
fn choice<T: Copy>(section: &mut Mapping<'_>, key: &'static str, choices: &[(&str, T)], faults: &mut Faults) -> T {
    let chosen = section.get(key).and_then(|node| decode::choice(node, &format!("`{key}`"), choices, faults));
    chosen.unwrap_or(choices[0].1)
}

fn encryption(section: &mut Mapping<'_>, faults: &mut Faults) -> Encryption {
    let choices =
        [("two_sided", Encryption::TwoSided), ("client", Encryption::ClientOnly), ("server", Encryption::ServerOnly)];
    choice(section, "encryption", &choices, faults)
}

/// The oldest version, for both sides or for each.
fn oldest(section: &mut Mapping<'_>, clock: &Clock, faults: &mut Faults) -> (ToClient, Oldest) {
    let choices = [("tls1.2", Oldest::Tls12), ("tls1.3", Oldest::Tls13)];
    let mut both = (Oldest::Tls12, Oldest::Tls12);
    if let Some(node) = section.get("min_version") {
        if let Value::Map(_) = node.value {
            if let Some(mut sides) = Mapping::new(node, "`min_version`", faults) {
                both = (choice(&mut sides, "client", &choices, faults), choice(&mut sides, "server", &choices, faults));
                sides.finish(faults);
            }
        } else if let Some(oldest) = decode::choice(node, "`min_version`", &choices, faults) {
            both = (oldest, oldest);
        }
    }
    (ToClient::new(both.0, clock), both.1)
}

/// `verify: {…}`: whom to trust, and what becomes of others.
fn trust(
    section: &mut Mapping<'_>,
    encryption: Encryption,
    files: &Files<'_>,
    faults: &mut Faults,
) -> (Trust, Untrusted) {
    let mut trust = Trust::default();
    let node = section.get("verify");
    if let Some(node) = node.filter(|_| encryption == Encryption::ClientOnly) {
        faults.add(node.place.clone(), "`verify` is about servers that speak TLS: with `encryption: client` none does");
    }
    let Some(node) = node else {
        // Passing on trusts nobody; a bump without authorities is told below, when there are none.
        if encryption != Encryption::ClientOnly {
            let _ = trust.add_system_authorities();
        }
        return (trust, Untrusted::Deny);
    };
    let Some(mut verify) = Mapping::new(node, "`verify`", faults) else { return (trust, Untrusted::Deny) };
    let authorities = verify.get("authorities");
    for node in authorities.map(decode::some).unwrap_or_default() {
        files.add(node, "authorities", |pem| trust.add_authorities(pem), faults);
    }
    let system = verify.get("system_roots").and_then(|node| decode::boolean(node, "`system_roots`", faults));
    if system.unwrap_or(authorities.is_none())
        && let Err(error) = trust.add_system_authorities()
    {
        faults.add(node.place.clone(), format!("the system's authorities cannot be read: {error}"));
    }
    for node in verify.get("revocation_lists").map(decode::some).unwrap_or_default() {
        files.add(node, "revocation lists", |pem| trust.add_lists(pem), faults);
    }
    trust.missing_list_permitted = choice(&mut verify, "missing_list", &[("deny", false), ("permit", true)], faults);
    if let Some(node) = verify.get("depth") {
        trust.depth_max = decode::number(node, "`depth`", 0..=6, faults).unwrap_or(trust.depth_max);
    }
    if let Some(node) = verify.get("check_name") {
        trust.check_name = decode::boolean(node, "`check_name`", faults).unwrap_or(true);
    }
    let untrusted =
        choice(&mut verify, "untrusted", &[("deny", Untrusted::Deny), ("permit", Untrusted::Permit)], faults);
    verify.finish(faults);
    (trust, untrusted)
}

/// `keybridge: {…}` or `certificates: [...]`.
fn certificates(
    section: &mut Mapping<'_>,
    encryption: Encryption,
    files: &Files<'_>,
    faults: &mut Faults,
) -> Option<Certificates> {
    let (keybridge, own) = (section.get("keybridge"), section.get("certificates"));
    match (keybridge, own) {
        (Some(_), Some(node)) => {
            faults.add(node.place.clone(), "`tls` has both `keybridge` and `certificates`, one was expected");
            None
        }
        (Some(node), None) | (None, Some(node)) if encryption == Encryption::ServerOnly => {
            faults.add(node.place.clone(), "with `encryption: server` clients speak clear text and see no certificate");
            None
        }
        (Some(node), None) if encryption == Encryption::ClientOnly => {
            let message = "`keybridge` copies servers' certificates: with `encryption: client` there are none";
            faults.add(node.place.clone(), message);
            None
        }
        (Some(node), None) => files_of_keybridge(node, files, faults),
        (None, Some(node)) => Some(Certificates::Own(own_certificates(node, files, faults))),
        (None, None) => None,
    }
}

fn files_of_keybridge(node: &Node, files: &Files<'_>, faults: &mut Faults) -> Option<Certificates> {
    let mut keybridge = Mapping::new(node, "`keybridge`", faults)?;
    let mut authority = |node: Option<&Node>| {
        let node = node?;
        let mut mapping = Mapping::new(node, "the authority", faults)?;
        let made = files.pair(&mut mapping, node, Authority::new, faults);
        mapping.finish(faults);
        made.map(Box::new)
    };
    let trusted = authority(keybridge.get("trusted"));
    let untrusted = authority(keybridge.get("untrusted"));
    keybridge.require("trusted", node, faults);
    keybridge.finish(faults);
    Some(Certificates::Keybridge { trusted: trusted?, untrusted })
}

fn own_certificates(node: &Node, files: &Files<'_>, faults: &mut Faults) -> Vec<Own> {
    let mut all = Vec::new();
    let list = decode::list(node, "`certificates`", faults);
    if list.is_empty() {
        faults.add(node.place.clone(), "`certificates` has none in it");
    }
    for node in list {
        let Some(mut mapping) = Mapping::new(node, "the certificate", faults) else { continue };
        let named = mapping.get("names");
        let names = named.and_then(|node| rules::names(node, "`names`", faults));
        let certificate = files.pair(&mut mapping, node, proxy::tls::certificates::read, faults);
        mapping.finish(faults);
        if names.is_some() == named.is_some() {
            all.extend(certificate.map(|certificate| Own { names, certificate }));
        }
    }
    all
}

fn server_name(section: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) -> Option<ServerName<'static>> {
    let node = section.get("server_name")?;
    if encryption != Encryption::ServerOnly {
        let message = "`server_name` is for `encryption: server`: elsewhere clients say whom they want";
        faults.add(node.place.clone(), message);
    }
    let name = decode::text(node, "`server_name`", faults)?;
    let parsed = ServerName::try_from(name.to_owned()).ok();
    if parsed.is_none() {
        faults.add(node.place.clone(), format!("`{name}` is no server's name"));
    }
    parsed
}

/// `learn_pinning: { after: 3, keep: 60m }`, or `true` for that.
fn learning(section: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) -> Option<Learning> {
    let node = section.get("learn_pinning")?;
    if encryption != Encryption::TwoSided {
        let message = "`learn_pinning` passes connections on: that needs TLS on both sides";
        faults.add(node.place.clone(), message);
    }
    let mut learning = Learning { after: 3, keep: Duration::from_secs(3_600) };
    let Value::Map(_) = node.value else {
        return decode::boolean(node, "`learn_pinning`", faults)?.then_some(learning);
    };
    let mut mapping = Mapping::new(node, "`learn_pinning`", faults)?;
    if let Some(node) = mapping.get("after") {
        learning.after = decode::number(node, "`after`", 1..=1_000, faults).unwrap_or(learning.after);
    }
    if let Some(node) = mapping.get("keep") {
        learning.keep = decode::duration(node, "`keep`", KEEP_MAX, faults).unwrap_or(learning.keep);
    }
    mapping.finish(faults);
    Some(learning)
}

/// `stack: SERVICE`, or with the protocols that it speaks.
fn stack(section: &mut Mapping<'_>, faults: &mut Faults, hands_on_to: &mut Vec<(String, Place)>) -> Option<Stack> {
    let node = section.get("stack")?;
    let mut alpn = None;
    let mut named = node;
    if let Value::Map(_) = node.value {
        let mut mapping = Mapping::new(node, "`stack`", faults)?;
        let service = mapping.require("service", node, faults);
        if let Some(node) = mapping.get("alpn") {
            alpn = Some(rules::words(node, "the protocol", faults).into_iter().map(String::into_bytes).collect());
        }
        mapping.finish(faults);
        named = service?;
    }
    let service = decode::text(named, "`stack`", faults)?;
    hands_on_to.push((service.to_owned(), named.place.clone()));
    Some(Stack { service: service.into(), alpn })
}

/// What a section comes to where nothing is said.
fn otherwise(encryption: Encryption) -> Action {
    if encryption == Encryption::TwoSided { Action::Splice } else { Action::Bump }
}
