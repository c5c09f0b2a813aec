//! The order in which a file is read: what later sections name comes first, so that a name nobody defined is told from
//! one whose definition was faulty.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::{self, Mapping};
use super::tree::{self, Node, Value};
use super::{
    Config, Control, Dpdk, RulesFile, check, environment, listeners, nat_policies, network, policy_rules, services,
    sets, zones,
};
use crate::faults::{Faults, Place};
use crate::modules::{self, Modules};
use crate::policy::Listener;
use crate::rules::{self, Definition, Macros, Ruleset, Source};

/// How `rules_file` is read: a path as written in the file, to its contents.
pub(super) type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// Reads a configuration from a file.
pub fn load(path: &Path, modules: &dyn Modules) -> Result<Config, Faults> {
    load_with_rules(path, "", modules)
}

/// The same with rules from another file: the name that `rules_file` says, and this behind it.
pub fn load_with_rules(path: &Path, suffix: &str, modules: &dyn Modules) -> Result<Config, Faults> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let mut faults = Faults::new();
            faults.add(Place::file(&name), format!("cannot be read: {error}"));
            return Err(faults);
        }
    };
    let beside = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut config = read_with(&name, &text, suffix, &|file| std::fs::read_to_string(beside.join(file)), modules)?;
    if let Some(rules) = &mut config.rules_file {
        rules.path = beside.join(&rules.path);
    }
    Ok(config)
}

/// What a configuration says about the files around it, whatever else is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// `rules_file`, beside the configuration.
    pub rules_file: Option<PathBuf>,
    /// `control: { socket: … }`.
    pub socket: Option<PathBuf>,
}

/// Looks into a file that may have faults; none when it is no YAML mapping.
pub fn peek(path: &Path) -> Option<Peek> {
    let text = std::fs::read_to_string(path).ok()?;
    let root = tree::parse(&path.display().to_string().into(), &text, &mut Faults::new())?;
    let value = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|(name, _)| name.name == key).map(|(_, node)| node.clone()),
        _ => None,
    };
    let path_of = |node: Node| match node.value {
        Value::Text(text) => Some(PathBuf::from(&*text)),
        _ => None,
    };
    let beside = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Some(Peek {
        rules_file: value(&root, "rules_file").and_then(path_of).map(|file| beside.join(file)),
        socket: value(&root, "control").and_then(|node| value(&node, "socket")).and_then(path_of),
    })
}

/// Reads a configuration from a text; `name` stands for the file in faults. It has no `rules_file`, and no proxies but
/// those that need no module.
pub fn parse(name: &str, text: &str) -> Result<Config, Faults> {
    parse_with(name, text, &modules::NONE)
}

/// The same with proxies.
pub fn parse_with(name: &str, text: &str, modules: &dyn Modules) -> Result<Config, Faults> {
    let alone = |_: &Path| Err(std::io::Error::other("this configuration is no file, so none can be beside it"));
    read_with(name, text, "", &alone, modules)
}

#[cfg(test)]
pub(super) fn read(name: &str, text: &str, read_file: ReadFile<'_>) -> Result<Config, Faults> {
    read_with(name, text, "", read_file, &modules::NONE)
}

fn read_with(
    name: &str,
    text: &str,
    suffix: &str,
    read_file: ReadFile<'_>,
    modules: &dyn Modules,
) -> Result<Config, Faults> {
    let (mut faults, mut warnings) = (Faults::new(), Faults::new());
    let file: Arc<str> = name.into();
    let Some(root) = tree::parse(&file, text, &mut faults) else { return Err(faults) };
    let root = match root.value {
        // An empty file is a configuration in which everything is missing.
        Value::Null => Node { value: Value::Map(Vec::new()), place: Place::file(name) },
        _ => root,
    };
    let Some(mut top) = Mapping::new(&root, "the configuration", &mut faults) else { return Err(faults) };

    let dpdk = top.get("dpdk").map(|node| environment::dpdk(node, &mut faults));
    let interfaces_node = top.require("interfaces", &root, &mut faults);
    let interfaces = interfaces_node.map(|node| network::interfaces(node, &mut faults)).unwrap_or_default();
    let routes = top.get("routes").map(|node| network::routes(node, &interfaces, &mut faults));
    // Zones and services name each other: the zones' names are known first, then services, then the zones.
    let zones_node = top.get("zones");
    let zone_names = decode::keys(zones_node);
    let nat_policies = top.get("nat_policies").map(|node| nat_policies::nat_policies(node, &mut faults));
    let nat_policies = nat_policies.unwrap_or_default();
    let known = services::Known { zones: &zone_names, nat_policies: &nat_policies, modules, read_file };
    let services = top.get("services").map(|node| services::services(node, &known, &mut faults)).unwrap_or_default();
    let zones = zones_node.map(|node| zones::zones(node, &zone_names, &services, &mut faults));
    let listeners = top.get("listeners");
    let listeners =
        listeners.map(|node| listeners::listeners(node, &services, &zone_names, &mut faults, &mut warnings));
    let known = policy_rules::Known { interfaces: &interfaces, zones: &zone_names, services: &services };
    let policy_rules = top.get("policy_rules");
    let policy_rules = policy_rules.map(|node| policy_rules::policy_rules(node, &known, &mut faults));
    let macros = top.get("macros").map(|node| macros(node, &mut faults)).unwrap_or_default();
    let (inline, beside) = (top.get("rules"), top.get("rules_file"));
    let mut from_file = None;
    let rules = match (inline, beside) {
        (Some(_), Some(node)) => {
            let message = "`rules` and `rules_file` are both there, one was expected";
            faults.add(node.place.clone(), message);
            None
        }
        (Some(node), None) => {
            let block = top.place("rules").and_then(|key| block(text, key));
            inline_rules(node, block, &macros, &mut faults, &mut warnings)
        }
        (None, Some(node)) => {
            let file = rules_file(node, suffix, read_file, &mut faults);
            file.map(|(path, file, text)| {
                let rules = rules::parse(&Source::file(&file, &text), &macros, &mut faults, &mut warnings);
                from_file = Some(RulesFile::new(path, &text));
                rules
            })
        }
        (None, None) => None,
    };
    let sets = top.get("sets").map(|node| sets::sets(node, read_file, &mut faults)).unwrap_or_default();
    let control = top.get("control").map(|node| environment::control(node, &services, &mut faults, &mut warnings));
    top.finish(&mut faults);

    let (listeners, listener_places): (Vec<Listener>, Vec<Place>) = listeners.unwrap_or_default().into_iter().unzip();
    let (policy_rules, policy_rule_places) = policy_rules.unwrap_or_default().into_iter().unzip();
    let places = check::Places { listeners: listener_places, policy_rules: policy_rule_places };
    let mut config = Config {
        file,
        dpdk: dpdk.unwrap_or_else(Dpdk::default),
        interfaces,
        routes: routes.unwrap_or_default(),
        zones: zones.unwrap_or_default(),
        services,
        listeners,
        policy_rules,
        nat_policies,
        rules: rules.unwrap_or_default(),
        rules_file: from_file,
        sets,
        control: control.unwrap_or_else(Control::default),
        warnings,
    };
    if faults.is_empty() {
        check::together(&mut config, &places);
    }
    config.warnings.sort();
    faults.or_ok(config)
}

fn macros(node: &Node, faults: &mut Faults) -> Macros {
    let mut definitions = Vec::new();
    for (key, node) in decode::entries(node, "`macros`", faults).unwrap_or_default() {
        if !rules::is_name(&key.name) {
            let message = format!("`{}` is no name of a macro: letters, digits and `_` were expected", key.name);
            faults.add(key.place.clone(), message);
            continue;
        }
        let what = format!("macro `{}`", key.name);
        let items = match &node.value {
            Value::List(items) => &items[..],
            Value::Null => &[],
            _ => std::slice::from_ref(node),
        };
        let mut word = |item| {
            let word = decode::text(item, &format!("a word of {what}"), faults)?;
            if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c == '"') {
                let message = format!("`{word}` is not one word; {what} is a list of words");
                faults.add(item.place.clone(), message);
                return None;
            }
            Some(word.to_owned())
        };
        let words = items.iter().filter_map(&mut word).collect();
        definitions.push(Definition { name: key.name.clone(), words, place: key.place.clone() });
    }
    Macros::new(&definitions, faults)
}

fn inline_rules(
    node: &Node,
    block: Option<(u32, u32)>,
    macros: &Macros,
    faults: &mut Faults,
    warnings: &mut Faults,
) -> Option<Ruleset> {
    let text = decode::text(node, "`rules`", faults)?;
    let source = match block {
        Some((line, columns)) => Source::block(node.place.file.clone(), text, line, columns),
        None => Source::escaped(&node.place, text),
    };
    Some(rules::parse(&source, macros, faults, warnings))
}

/// Where the first line of a literal block (`rules: |`) begins, and how far the block is indented. None when the
/// value of the key is something else, in which lines are not lines of the file.
fn block(file: &str, key: &Place) -> Option<(u32, u32)> {
    let mut below = file.lines().skip((key.line as usize).checked_sub(1)?);
    let line = below.next()?;
    let header = line.split(" #").next()?.split_whitespace().last()?.strip_prefix('|')?;
    let indent_of = |line: &str| line.chars().take_while(|c| *c == ' ').count();
    let columns = match header.chars().find_map(|c| c.to_digit(10)) {
        // `|2`: the indentation is said, relative to the mapping that holds the key.
        Some(digit) => digit as usize + indent_of(line),
        None => indent_of(below.find(|line| !line.trim().is_empty())?),
    };
    Some((key.line + 1, columns as u32))
}

/// The path as it is written, and of the file that is read the name and the text.
fn rules_file(
    node: &Node,
    suffix: &str,
    read_file: ReadFile<'_>,
    faults: &mut Faults,
) -> Option<(PathBuf, String, String)> {
    let path = decode::text(node, "`rules_file`", faults)?;
    let name = format!("{path}{suffix}");
    match read_file(Path::new(&name)) {
        Ok(text) => Some((path.into(), name, text)),
        Err(error) => {
            faults.add(node.place.clone(), format!("rules file `{name}` cannot be read: {error}"));
            None
        }
    }
}
