//! Which crate may import which: the house has four leaves, one trunk, and the tests and the bench on top of it.
//!
//! Read from the manifests line by line, because their shape is ours; a manifest that this cannot read is a fault.
//! A new edge is a decision: it is written in ARCHITECTURE.md and then here.

use std::path::Path;

/// Every workspace crate, and the workspace crates it may import (for its tests as well).
const EDGES: [(&str, &[&str]); 8] = [
    ("tcp", &[]),
    ("control", &[]),
    ("proxy", &[]),
    ("dpdk-sys", &[]),
    ("dpdk", &["dpdk-sys"]),
    ("dataplane", &["tcp", "control", "dpdk", "proxy"]),
    ("tests", &["dataplane", "tcp", "control"]),
    ("bench", &["dataplane", "tcp", "control"]),
];

/// The crates that bind C and so cannot forbid `unsafe`.
const UNSAFE: [&str; 2] = ["dpdk", "dpdk-sys"];

/// Checks the root manifest and each member's.
pub(crate) fn check_workspace(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let manifest = read(root, "Cargo.toml");
    if lines(&manifest, "workspace.lints.rust").all(|(key, value)| key != "unsafe_code" || value != "\"forbid\"") {
        faults.push("Cargo.toml: [workspace.lints.rust] does not forbid unsafe_code".to_owned());
    }
    let folders = members(&manifest);
    let manifests: Vec<(String, String)> = folders
        .iter()
        .map(|folder| format!("{folder}/Cargo.toml"))
        .map(|path| (path.clone(), read(root, &path)))
        .collect();
    let names: Vec<String> = manifests.iter().map(|(_, text)| name(text)).collect();
    for known in EDGES.iter().map(|(known, _)| *known).filter(|known| !names.iter().any(|name| name == known)) {
        faults.push(format!("Cargo.toml: the crate {known} is not a member"));
    }
    faults.extend(manifests.iter().flat_map(|(path, text)| check_manifest(path, text, &names)));
    faults
}

/// Checks one crate's manifest; `members` are the names of all workspace crates.
pub(crate) fn check_manifest(path: &str, text: &str, members: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let name = name(text);
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{path}: the crate {name:?} has no edges in tests/tidy/edges.rs")];
    };
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (key, _) in lines(text, section) {
            let import = key.split('.').next().unwrap_or_default();
            if members.iter().any(|member| member == import) && !allowed.contains(&import) {
                faults.push(format!("{path}: {name} must not import {import} ([{section}])"));
            }
        }
    }
    let inherits = lines(text, "lints").any(|(key, value)| key == "workspace" && value == "true");
    if !inherits && !UNSAFE.contains(&name.as_str()) {
        faults.push(format!("{path}: [lints] workspace = true is missing"));
    }
    faults
}

fn read(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn name(manifest: &str) -> String {
    let name = lines(manifest, "package").find(|(key, _)| *key == "name").map(|(_, value)| value);
    name.unwrap_or_default().trim_matches('"').to_owned()
}

fn members(manifest: &str) -> Vec<String> {
    let list = lines(manifest, "workspace").find(|(key, _)| *key == "members").map(|(_, value)| value);
    let list = list.unwrap_or_default().trim_matches(['[', ']']);
    list.split(',').map(|member| member.trim().trim_matches('"').to_owned()).collect()
}

/// The `key = value` lines of a section (and of the same section under `[target.*]`).
fn lines<'a>(manifest: &'a str, section: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'))
            && !line.contains('=')
        {
            inside = header == section || header.starts_with("target.") && header.ends_with(&format!(".{section}"));
            return None;
        }
        let (key, value) = line.split_once('=')?;
        inside.then(|| (key.trim(), value.trim()))
    })
}
