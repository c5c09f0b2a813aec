//! `rules:` and `otherwise:`: what becomes of which connection. What cannot match or be done with TLS on one side only is a
//! fault here, so that the proxy never meets it.

use std::ops::RangeInclusive;

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::Faults;
use ipnet::IpNet;
use proxy::tls::names::Names;
use proxy::tls::policy::{Action, EchKind, Match, Rule, Rules};
use proxy::tls::verify::Distrust;
use proxy::tls::{AlertDescription, Encryption};

/// Rules of one service: each is looked at for each connection.
const RULES_MAX: usize = 1_000;
/// Names of one list.
const NAMES_MAX: usize = 1_000_000;

/// Providers' names in the clear part of hellos whose true one is encrypted.
const ECH_NAMES: &[&str] = &["cloudflare-ech.com"];

const ALERTS: &[(&str, AlertDescription)] = &[
    ("access_denied", AlertDescription::AccessDenied),
    ("handshake_failure", AlertDescription::HandshakeFailure),
    ("bad_certificate", AlertDescription::BadCertificate),
    ("certificate_unknown", AlertDescription::CertificateUnknown),
    ("certificate_expired", AlertDescription::CertificateExpired),
    ("certificate_revoked", AlertDescription::CertificateRevoked),
    ("unknown_ca", AlertDescription::UnknownCA),
    ("protocol_version", AlertDescription::ProtocolVersion),
    ("internal_error", AlertDescription::InternalError),
    ("unrecognized_name", AlertDescription::UnrecognisedName),
    ("no_application_protocol", AlertDescription::NoApplicationProtocol),
];

/// Reads both keys, and `ech_names`.
pub(super) fn rules(section: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) -> Option<Rules> {
    let mut rules = Vec::new();
    if let Some(node) = section.get("rules") {
        let list = decode::list(node, "`rules`", faults);
        decode::at_most(list.len(), RULES_MAX, node, "rules", faults);
        rules = list.iter().enumerate().filter_map(|(at, node)| rule(at, node, encryption, faults)).collect();
    }
    let node = section.get("otherwise");
    let otherwise = node.and_then(|node| decode::choice(node, "`otherwise`", &actions(ACCESS_DENIED), faults));
    if let Some(node) = node.filter(|_| otherwise.is_some_and(|action| !fits(action, encryption))) {
        misfit(node, encryption, faults);
    }
    let ech_names = match section.get("ech_names") {
        Some(node) => names(node, "`ech_names`", faults)?,
        None => Names::new(ECH_NAMES.iter().copied()).ok()?,
    };
    Some(Rules { rules, otherwise: otherwise.unwrap_or(super::otherwise(encryption)), ech_names })
}

/// Does anything come to a bump?
pub(super) fn bumps(rules: &Rules) -> bool {
    let actions = rules.rules.iter().map(|rule| rule.action).chain([rules.otherwise]);
    // Whoever looks at certificates has to speak with servers, and what no rule is for then is bumped.
    actions.into_iter().any(|action| action == Action::Bump)
}

const ACCESS_DENIED: AlertDescription = AlertDescription::AccessDenied;

fn actions(alert: AlertDescription) -> [(&'static str, Action); 4] {
    [
        ("splice", Action::Splice),
        ("bump", Action::Bump),
        ("terminate", Action::Terminate),
        ("reject", Action::Reject(alert)),
    ]
}

/// With TLS on one side only there is nothing that could be passed on.
fn fits(action: Action, encryption: Encryption) -> bool {
    encryption == Encryption::TwoSided || !matches!(action, Action::Splice | Action::Peek)
}

fn misfit(node: &Node, encryption: Encryption, faults: &mut Faults) {
    let word = if encryption == Encryption::ClientOnly { "client" } else { "server" };
    let message = format!("{} needs TLS on both sides, and this is `encryption: {word}`", node.value.kind());
    faults.add(node.place.clone(), message);
}

fn rule(at: usize, node: &Node, encryption: Encryption, faults: &mut Faults) -> Option<Rule> {
    let mut mapping = Mapping::new(node, "the rule", faults)?;
    let name = mapping.get("name").and_then(|node| decode::text(node, "`name`", faults)).map(str::to_owned);
    let matches = matcher(&mut mapping, encryption, faults);
    let alert = mapping.get("alert");
    let described = alert.and_then(|node| decode::choice(node, "`alert`", ALERTS, faults));
    let choices = actions(described.unwrap_or(ACCESS_DENIED));
    let choices: Vec<(&str, Action)> = choices.into_iter().chain([("peek", Action::Peek)]).collect();
    let action = mapping.require("action", node, faults);
    let chosen = action.and_then(|node| decode::choice(node, "`action`", &choices, faults));
    if let Some(node) = action.filter(|_| chosen.is_some_and(|action| !fits(action, encryption))) {
        misfit(node, encryption, faults);
    }
    if let Some(node) = alert.filter(|_| chosen.is_some_and(|action| !matches!(action, Action::Reject(_)))) {
        faults.add(node.place.clone(), "`alert` is for `action: reject`");
    }
    mapping.finish(faults);
    Some(Rule { name: name.unwrap_or_else(|| (at + 1).to_string()), matches, action: chosen? })
}

fn matcher(mapping: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) -> Match {
    let mut matches = Match::default();
    if let Some(node) = mapping.get("clients") {
        matches.clients = networks(node, faults);
    }
    if let Some(node) = mapping.get("servers") {
        matches.servers = networks(node, faults);
    }
    if let Some(node) = mapping.get("client_zones") {
        matches.client_zones = words(node, "the zone", faults);
    }
    if let Some(node) = mapping.get("server_zones") {
        matches.server_zones = words(node, "the zone", faults);
    }
    if let Some(node) = mapping.get("ports") {
        matches.ports = decode::some(node).iter().filter_map(|node| ports(node, faults)).collect();
    }
    hello_matcher(&mut matches, mapping, encryption, faults);
    certificate_matcher(&mut matches, mapping, encryption, faults);
    matches
}

fn hello_matcher(matches: &mut Match, mapping: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) {
    let asked = ["sni", "has_sni", "alpn", "ja3", "ja4", "ech"];
    let nodes: Vec<&Node> = asked.iter().filter_map(|key| mapping.get(key)).collect();
    if let Some(node) = nodes.first().filter(|_| encryption == Encryption::ServerOnly) {
        faults.add(node.place.clone(), "with `encryption: server` clients speak clear text, and say no ClientHello");
    }
    matches.sni = mapping.get("sni").and_then(|node| names(node, "`sni`", faults));
    matches.has_sni = mapping.get("has_sni").and_then(|node| decode::boolean(node, "`has_sni`", faults));
    if let Some(node) = mapping.get("alpn") {
        matches.alpn = words(node, "the protocol", faults);
    }
    if let Some(node) = mapping.get("ja3") {
        matches.ja3 = words(node, "the fingerprint", faults);
        if matches.ja3.iter().any(|ja3| ja3.len() != 32 || !ja3.bytes().all(|b| b.is_ascii_hexdigit())) {
            faults.add(node.place.clone(), "a JA3 fingerprint is 32 hexadecimal digits");
        }
        matches.ja3.iter_mut().for_each(|ja3| ja3.make_ascii_lowercase());
    }
    if let Some(node) = mapping.get("ja4") {
        matches.ja4 = words(node, "the fingerprint", faults);
        if matches.ja4.iter().any(|ja4| !ja4.starts_with('t') || !matches!(ja4.find('_').unwrap_or(ja4.len()), 10)) {
            let message =
                "a JA4 fingerprint over TCP begins with `t` and nine more characters: `t13d1516h2_8daaf6152771`";
            faults.add(node.place.clone(), message);
        }
    }
    let kinds = [("absent", EchKind::Absent), ("grease", EchKind::Grease), ("real", EchKind::Real)];
    matches.ech = mapping.get("ech").and_then(|node| decode::choice(node, "`ech`", &kinds, faults));
}

fn certificate_matcher(matches: &mut Match, mapping: &mut Mapping<'_>, encryption: Encryption, faults: &mut Faults) {
    let (verdicts, named) = (mapping.get("certificate"), mapping.get("certificate_names"));
    if let Some(node) = verdicts.or(named).filter(|_| encryption == Encryption::ClientOnly) {
        faults.add(node.place.clone(), "with `encryption: client` servers speak clear text, and show no certificate");
    }
    let choices: Vec<(&str, Result<bool, Distrust>)> = [("trusted", Ok(true)), ("untrusted", Ok(false))]
        .into_iter()
        .chain(Distrust::ALL.iter().map(|fault| (fault.name(), Err(*fault))))
        .collect();
    for node in verdicts.map(decode::some).unwrap_or_default() {
        match decode::choice(node, "`certificate`", &choices, faults) {
            Some(Ok(_)) if matches.trusted.is_some() || !matches.faults.is_empty() => {
                faults.add(node.place.clone(), "`trusted` and `untrusted` stand alone");
            }
            Some(Err(_)) if matches.trusted.is_some() => {
                faults.add(node.place.clone(), "`trusted` and `untrusted` stand alone");
            }
            Some(Ok(trusted)) => matches.trusted = Some(trusted),
            Some(Err(fault)) => matches.faults.push(fault),
            None => {}
        }
    }
    matches.certificate_names = named.and_then(|node| names(node, "`certificate_names`", faults));
}

/// A set of names, or one name.
pub(super) fn names(node: &Node, what: &str, faults: &mut Faults) -> Option<Names> {
    let items = decode::some(node);
    decode::at_most(items.len(), NAMES_MAX, node, "names", faults);
    let words: Vec<&str> = items.iter().map(|item| decode::text(item, what, faults)).collect::<Option<_>>()?;
    if let Ok(names) = Names::new(words.iter().copied()) {
        return Some(names);
    }
    // All that are wrong, each in its place; if none is by itself, they are too large together.
    let before = faults.len();
    for (word, item) in words.iter().zip(items) {
        if let Err((_, error)) = Names::new([*word]) {
            faults.add(item.place.clone(), format!("`{word}`: {error}"));
        }
    }
    if faults.len() == before {
        faults.add(node.place.clone(), format!("{what}: its expressions are too large together"));
    }
    None
}

/// Words, or one word.
pub(super) fn words(node: &Node, what: &str, faults: &mut Faults) -> Vec<String> {
    let words = decode::some(node).iter().filter_map(|node| decode::text(node, what, faults));
    words.map(str::to_owned).collect()
}

fn networks(node: &Node, faults: &mut Faults) -> Vec<IpNet> {
    let network = |node: &Node| {
        let word = decode::text(node, "the network", faults)?;
        let parsed =
            word.parse::<IpNet>().ok().or_else(|| word.parse().ok().map(|address: std::net::IpAddr| address.into()));
        if parsed.is_none() {
            faults.add(node.place.clone(), format!("`{word}` is no network, one such as 10.0.0.0/8 was expected"));
        }
        parsed
    };
    decode::some(node).iter().filter_map(network).collect()
}

/// A port, or a range of them.
fn ports(node: &Node, faults: &mut Faults) -> Option<RangeInclusive<u16>> {
    let (Value::Number(word) | Value::Text(word)) = &node.value else {
        faults.add(node.place.clone(), format!("the port is {}, a port was expected", node.value.kind()));
        return None;
    };
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    let range = low.trim().parse().ok().zip(high.trim().parse().ok()).filter(|(low, high): &(u16, u16)| low <= high);
    if range.is_none() {
        faults.add(node.place.clone(), format!("`{word}` is no port, and no range such as 8000-8099"));
    }
    range.map(|(low, high)| low..=high)
}
