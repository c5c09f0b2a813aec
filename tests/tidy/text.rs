//! Rules about any text file: words, hosts, paths, spaces, size; and what ARCHITECTURE.md may name.
//!
//! The words that are looked for are put together from halves, so that these files do not find themselves.

use std::path::Path;

use crate::tree::File;

/// No file is larger: a test's large inputs are generated.
const BYTES_MAX: u64 = 1 << 20;

/// Marks of unfinished work; an issue is the place for them.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Beginnings of paths that exist on one machine only.
const MACHINE: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Use", "rs/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Parts of the host names of package registries; only Cargo.lock says where packages come from.
const REGISTRY: [&str; 8] = [
    concat!("regis", "try"),
    concat!("crates", ".io"),
    concat!("arti", "factory"),
    concat!("nex", "us"),
    concat!("py", "pi"),
    concat!("npm", "js"),
    concat!("proxy.go", "lang"),
    concat!("mir", "ror."),
];

/// Words that say work is left.
pub(crate) fn unfinished_words(file: &File) -> Vec<String> {
    each_line(file, |line| {
        UNFINISHED.iter().find(|word| is_word_in(word, line)).map(|word| format!("{word}: make it an issue"))
    })
}

/// Paths of somebody's machine.
pub(crate) fn machine_path(file: &File) -> Vec<String> {
    each_line(file, |line| {
        let path = MACHINE.iter().find(|path| {
            line.match_indices(**path).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'))
        });
        path.map(|path| format!("a path of one machine: {path}"))
    })
}

/// Addresses of package registries anywhere but in Cargo.lock.
pub(crate) fn registry_host(file: &File) -> Vec<String> {
    if file.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    each_line(file, |line| {
        let hosts = line.split("://").skip(1).map(|rest| rest.split(['/', '"', '\'', ' ', ')']).next().unwrap_or(rest));
        let named = hosts.into_iter().find(|host| REGISTRY.iter().any(|part| host.contains(part)));
        named.map(|host| format!("a package registry's host: {host}"))
    })
}

/// Spaces at the end of a line, tabs where spaces are meant, and a missing last newline.
pub(crate) fn trailing_space(file: &File) -> Vec<String> {
    // What tests read may be wrong on purpose.
    if file.path.starts_with("tests/golden/") {
        return Vec::new();
    }
    let mut faults =
        each_line(file, |line| line.ends_with([' ', '\t', '\r']).then(|| "space at the end of the line".to_owned()));
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        faults.push(format!("{}: the last line does not end", file.path));
    }
    if file.text.ends_with("\n\n") {
        faults.push(format!("{}: empty lines at the end", file.path));
    }
    faults
}

/// Files that should have been generated.
pub(crate) fn too_big(file: &File) -> Vec<String> {
    let big = file.bytes >= BYTES_MAX;
    big.then(|| format!("{}: {} bytes, at most {BYTES_MAX}", file.path, file.bytes)).into_iter().collect()
}

/// The paths in backticks in the rows of tables: they have a slash or an ending.
pub(crate) fn table_paths(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    quoted.filter(|path| is_path(path)).map(str::to_owned).collect()
}

/// Is there such a file or folder? A trailing `*` stands for any ending.
pub(crate) fn exists(root: &Path, path: &str) -> bool {
    let Some(start) = path.strip_suffix('*') else { return root.join(path).exists() };
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(start))
}

fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-*".contains(c));
    plain && !text.starts_with('/') && (text.contains('/') || text.ends_with(".rs") || text.ends_with(".md"))
}

fn is_word_in(word: &str, line: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].ends_with(|c: char| c.is_alphanumeric());
        let after = line[at + word.len()..].starts_with(|c: char| c.is_alphanumeric());
        !before && !after
    })
}

fn each_line(file: &File, fault: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let numbered = file.text.split('\n').enumerate();
    numbered.filter_map(|(i, line)| fault(line).map(|fault| format!("{}:{}: {fault}", file.path, i + 1))).collect()
}
