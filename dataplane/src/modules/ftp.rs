//! `ftp: {…}` of a service: classes, commands, replies, features, data connections, named servers.

mod schema;
mod tls;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use control::config::decode::{self, Mapping};
use control::config::tree::{Key, Node};
use control::faults::Faults;
use control::modules::{ModuleSettings, Reading};
use proxy::Settings;
use proxy::ftp::command::Command;
use proxy::ftp::known::NEVER;
use proxy::ftp::limits::{LINE_SETTABLE, REPLY_LINES_SETTABLE};
use proxy::ftp::policy::{Action, Class, Feature, Policy, Replies};
use proxy::ftp::settings::{ActivePort, Data, DataMode, NamedServer};
use proxy::script::Hook;

pub(super) use schema::schema;

/// Times beyond a day are none.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

const ACTIONS: &[(&str, Action)] = &[("accept", Action::Accept), ("reject", Action::Reject), ("abort", Action::Abort)];

const FEATURES: &[(&str, Feature)] =
    &[("accept", Feature::Accept), ("drop", Feature::Drop), ("insert", Feature::Insert)];

const CLASSES: &[(&str, Class)] = &[
    ("full", Class::Full),
    ("read_only", Class::ReadOnly),
    ("read_write", Class::ReadWrite),
    ("anonymous_read_only", Class::AnonymousReadOnly),
    ("anonymous_read_write", Class::AnonymousReadWrite),
];

/// Reads the section; without one a service has the defaults.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    let mut settings = proxy::ftp::Settings::default();
    if let Some(node) = section {
        let mut mapping = Mapping::new(node, "`ftp`", reading.faults)?;
        if let Some(node) = mapping.get("tls") {
            settings.tls = tls::read(node, reading);
        }
        if let Some(node) = mapping.get("script") {
            let hooks = [Hook::Session, Hook::Route, Hook::Command];
            settings.script = super::script::read(node, "`script`", &hooks, reading);
        }
        let faults = &mut *reading.faults;
        policy(&mut settings.policy, &mut mapping, faults);
        bounds(&mut settings, &mut mapping, faults);
        flags(&mut settings, &mut mapping, faults);
        if let Some(node) = mapping.get("login") {
            settings.login = named_server(node, faults);
        }
        if let Some(node) = mapping.get("data") {
            data(&mut settings.data, node, faults);
        }
        mapping.finish(faults);
    }
    Some(ModuleSettings::new(Settings::Ftp(Arc::new(settings))))
}

fn policy(policy: &mut Policy, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    if let Some(class) = mapping.get("class").and_then(|node| decode::choice(node, "`class`", CLASSES, faults)) {
        policy.class = class;
    }
    if let Some(node) = mapping.get("commands") {
        commands(policy, node, faults);
    }
    let unknown = &ACTIONS[..2];
    if let Some(node) = mapping.get("unknown_commands") {
        let action = decode::choice(node, "`unknown_commands`", unknown, faults);
        policy.unknown_commands = action == Some(Action::Accept);
    }
    if let Some(node) = mapping.get("replies") {
        policy.replies = replies(node, faults);
    }
    if let Some(node) = mapping.get("features") {
        for (key, node) in decode::entries(node, "`features`", faults).unwrap_or_default() {
            let feature = decode::choice(node, "what becomes of the feature", FEATURES, faults);
            if key.name == "*" && feature == Some(Feature::Insert) {
                faults.add(node.place.clone(), "`*` names no feature that could be inserted");
            }
            policy.features.extend(feature.map(|feature| (key.name.to_ascii_uppercase(), feature)));
        }
    }
}

/// What becomes of each command; `*` is for those that are not named.
fn commands(policy: &mut Policy, node: &Node, faults: &mut Faults) {
    for (key, node) in decode::entries(node, "`commands`", faults).unwrap_or_default() {
        let Some(action) = decode::choice(node, "what becomes of the command", ACTIONS, faults) else { continue };
        if key.name == "*" {
            policy.other_commands = Some(action);
            continue;
        }
        let Some(name) = command_name(key, faults) else { continue };
        if NEVER.contains(&&*name) && action == Action::Accept {
            let message = format!(
                "`{name}` would name addresses or change bytes that the proxy does not read: it is always refused"
            );
            faults.add(key.place.clone(), message);
        }
        policy.commands.insert(name, action);
    }
}

fn replies(node: &Node, faults: &mut Faults) -> HashMap<String, Replies> {
    let mut replies = HashMap::new();
    for (key, node) in decode::entries(node, "`replies`", faults).unwrap_or_default() {
        let name = if key.name == "*" { Some("*".to_owned()) } else { command_name(key, faults) };
        let mut codes = Replies::new();
        for (key, node) in decode::entries(node, "the command's replies", faults).unwrap_or_default() {
            let action = decode::choice(node, "what becomes of the reply", ACTIONS, faults);
            let digits = if key.name == "*" { "" } else { &*key.name };
            if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let expected = "a code, its first digits, or `*` was expected";
                faults.add(key.place.clone(), format!("`{}` is no reply, {expected}", key.name));
            }
            codes.extend(action.map(|action| (digits.to_owned(), action)));
        }
        replies.extend(name.map(|name| (name, codes)));
    }
    replies
}

/// A command's name in capitals; `greeting` stands for what a server says first.
fn command_name(key: &Key, faults: &mut Faults) -> Option<String> {
    let name = key.name.to_ascii_uppercase();
    let is_name = Command::parse(name.as_bytes()).is_ok_and(|command| command.argument().is_empty());
    if !is_name {
        faults
            .add(key.place.clone(), format!("`{}` is no command: up to 16 letters and digits were expected", key.name));
    }
    is_name.then_some(name)
}

fn bounds(settings: &mut proxy::ftp::Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    let range = |range: RangeInclusive<usize>| *range.start() as u64..=*range.end() as u64;
    let line = range(LINE_SETTABLE);
    for (key, what, range, place) in [
        ("line_bytes", "`line_bytes`", line.clone(), &mut settings.line_max),
        ("reply_lines", "`reply_lines`", range(REPLY_LINES_SETTABLE), &mut settings.reply_lines_max),
        ("user_bytes", "`user_bytes`", 1..=*line.end(), &mut settings.user_max),
        ("password_bytes", "`password_bytes`", 1..=*line.end(), &mut settings.password_max),
    ] {
        if let Some(number) = mapping.get(key).and_then(|node| decode::number(node, what, range, faults)) {
            *place = number;
        }
    }
    for (key, what, place) in
        [("login_time", "`login_time`", &mut settings.login_time), ("idle", "`idle`", &mut settings.idle)]
    {
        if let Some(time) = mapping.get(key).and_then(|node| decode::duration(node, what, TIME_MAX, faults)) {
            *place = time;
        }
    }
    if let Some(node) = mapping.get("user_characters")
        && let Some(text) = decode::text(node, "`user_characters`", faults)
    {
        match characters(text) {
            Some(characters) => settings.user_characters = characters,
            None => {
                let expected = "ASCII characters and ranges such as `a-zA-Z0-9._@` were expected";
                faults.add(node.place.clone(), format!("`user_characters` is `{text}`, {expected}"));
            }
        }
    }
}

/// `a-z` is a range; a `-` at either end is itself.
fn characters(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut all = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let (first, last) = match bytes.get(at + 1..at + 3) {
            Some([b'-', last]) => (bytes[at], *last),
            _ => (bytes[at], bytes[at]),
        };
        at += if bytes.get(at + 1) == Some(&b'-') && at + 2 < bytes.len() { 3 } else { 1 };
        if !first.is_ascii_graphic() || !last.is_ascii_graphic() || first > last {
            return None;
        }
        all.extend((first..=last).map(char::from));
    }
    (!all.is_empty()).then_some(all)
}

fn flags(settings: &mut proxy::ftp::Settings, mapping: &mut Mapping<'_>, faults: &mut Faults) {
    for (key, what, place) in [
        ("empty_commands", "`empty_commands`", &mut settings.empty_commands),
        ("server_text", "`server_text`", &mut settings.server_text),
        ("deny_parent", "`deny_parent`", &mut settings.deny_parent),
    ] {
        if let Some(flag) = mapping.get(key).and_then(|node| decode::boolean(node, what, faults)) {
            *place = flag;
        }
    }
}

fn named_server(node: &Node, faults: &mut Faults) -> Option<NamedServer> {
    let mut login = NamedServer::default();
    let mut mapping = Mapping::new(node, "`login`", faults)?;
    if let Some(node) = mapping.get("hosts") {
        for (key, node) in decode::entries(node, "`hosts`", faults).unwrap_or_default() {
            let address = decode::parsed::<IpAddr>(node, "the host's address", "an address", faults);
            login.hosts.extend(address.map(|address| (key.name.to_ascii_lowercase(), address)));
        }
    }
    if let Some(literal) = mapping.get("addresses").and_then(|node| decode::boolean(node, "`addresses`", faults)) {
        login.literal = literal;
    }
    if let Some(node) = mapping.get("ports") {
        login.ports = decode::some(node).iter().filter_map(|node| ports(node, "the port", faults)).collect();
    }
    if let Some(node) = mapping.get("greeting")
        && let Some(text) = decode::text(node, "`greeting`", faults)
    {
        login.greeting = text.to_owned();
    }
    mapping.finish(faults);
    Some(login)
}

fn data(data: &mut Data, node: &Node, faults: &mut Faults) {
    const MODES: &[(&str, DataMode)] =
        &[("keep", DataMode::Keep), ("passive", DataMode::Passive), ("active", DataMode::Active)];
    const ACTIVE_PORTS: &[(&str, ActivePort)] =
        &[("minus_one", ActivePort::MinusOne), ("twenty", ActivePort::Twenty), ("random", ActivePort::Random)];
    let Some(mut mapping) = Mapping::new(node, "`data`", faults) else { return };
    if let Some(mode) = mapping.get("mode").and_then(|node| decode::choice(node, "`mode`", MODES, faults)) {
        data.mode = mode;
    }
    if let Some(node) = mapping.get("active_port")
        && let Some(port) = decode::choice(node, "`active_port`", ACTIVE_PORTS, faults)
    {
        data.active_port = port;
    }
    if let Some(range) = mapping.get("ports").and_then(|node| ports(node, "`ports`", faults)) {
        data.ports = range;
    }
    for (key, what, place) in [
        ("strict_server_port", "`strict_server_port`", &mut data.strict_server_port),
        ("client_bounce", "`client_bounce`", &mut data.client_bounce),
        ("server_bounce", "`server_bounce`", &mut data.server_bounce),
    ] {
        if let Some(flag) = mapping.get(key).and_then(|node| decode::boolean(node, what, faults)) {
            *place = flag;
        }
    }
    for (key, what, place) in [
        ("announce_to_client", "`announce_to_client`", &mut data.announce_to_client),
        ("announce_to_server", "`announce_to_server`", &mut data.announce_to_server),
    ] {
        if let Some(node) = mapping.get(key) {
            *place = decode::parsed(node, what, "an address", faults);
        }
    }
    if let Some(node) = mapping.get("setup_time")
        && let Some(time) = decode::duration(node, "`setup_time`", TIME_MAX, faults)
    {
        data.setup_time = time;
    }
    mapping.finish(faults);
}

/// A port, or a range of them.
fn ports(node: &Node, what: &str, faults: &mut Faults) -> Option<RangeInclusive<u16>> {
    let word = decode::text(node, what, faults)?;
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let parse = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let range = parse(first).zip(parse(last)).filter(|(first, last)| first <= last);
    if range.is_none() {
        let expected = "a port or a range such as 40000-41000 was expected";
        faults.add(node.place.clone(), format!("{what} is `{word}`, {expected}"));
    }
    range.map(|(first, last)| first..=last)
}
