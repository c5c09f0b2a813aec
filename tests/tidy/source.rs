//! Rules about Rust source: headers, names, sizes, `unsafe`, what is unfinished, limits without a reason.
//!
//! Sizes are counted as the style's table was: production code is a file up to its first test module; a function
//! lasts to the closing brace in its own column, which rustfmt guarantees.

use std::fmt;

use crate::tree::File;

/// Production lines of one file, at most. Half of well-liked Rust files are under 220, nine in ten under 500.
pub(crate) const LINES_MAX: usize = 700;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, usize, &str); 0] = [];

/// Letters a header must have to say what a file is, what must hold and what it leaves out. A test file's may be less,
/// and `foo/tests.rs` says by its place whose tests it has.
const HEADER_MIN: usize = 80;
const TEST_HEADER_MIN: usize = 30;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// `unsafe` belongs to the crate `dpdk`.
pub(crate) fn unsafe_outside_dpdk(file: &File) -> Vec<String> {
    if !file.is_rust() || file.path.starts_with("dpdk/") {
        return Vec::new();
    }
    let found = words(&file.text).into_iter().filter(|(_, word)| word == "unsafe");
    found.map(|(line, _)| format!("{}:{line}: unsafe outside dpdk", file.path)).collect()
}

/// Every file begins by saying what it is.
pub(crate) fn missing_header(file: &File) -> Vec<String> {
    if !file.is_rust() || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let lines = file.text.lines().take_while(|line| line.starts_with("//!"));
    let letters: usize = lines.map(|line| line.trim_start_matches("//!").trim().len()).sum();
    let wanted = if is_test(&file.path) { TEST_HEADER_MIN } else { HEADER_MIN };
    let short = letters < wanted;
    short.then(|| format!("{}:1: a header of {letters} letters, at least {wanted}", file.path)).into_iter().collect()
}

/// Macros and attributes of unfinished work.
pub(crate) fn unfinished(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let words = words(&file.text);
    let pairs = words.windows(2).filter(|pair| {
        let (a, b) = (pair[0].1.as_str(), pair[1].1.as_str());
        matches!(a, "todo" | "unimplemented" | "dbg") && b.starts_with('!') || a.ends_with("#[") && b == "ignore"
    });
    pairs.map(|pair| format!("{}:{}: {}{}", file.path, pair[0].0, pair[0].1, pair[1].1)).collect()
}

/// Names of folders and files tell the design.
pub(crate) fn bad_name(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let parts = file.path.split(['/', '.', '_', '-']);
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part));
    let mut faults: Vec<String> =
        empty.map(|part| format!("{}: what is in it? {part:?} does not say", file.path)).into_iter().collect();
    // What integration tests share: Cargo would take tests/foo.rs for a test of its own.
    let shared = file.path.contains("/tests/") && file.path.matches('/').count() == 3;
    if name == "mod.rs" && !shared {
        faults.push(format!("{}: foo.rs beside foo/, not foo/mod.rs", file.path));
    }
    faults
}

/// Every constant of a `limits.rs` says why it is so large.
pub(crate) fn undocumented_limit(file: &File) -> Vec<String> {
    if !file.path.ends_with("/limits.rs") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut documented = false;
    for (i, line) in file.text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches("(crate)").trim_start());
        if line.starts_with("const ") && !line.starts_with("const fn") && !line.starts_with("const _") && !documented {
            faults.push(format!("{}:{}: a limit without its reason", file.path, i + 1));
        }
        documented = line.starts_with("///") || documented && line.starts_with("#[");
    }
    faults
}

/// How long files and functions are.
pub(crate) struct Sizes {
    files: Vec<(usize, String)>,
    functions: Vec<(usize, String)>,
}

impl Sizes {
    /// Counts production code; tests, fuzz targets and this folder have their own measure.
    pub(crate) fn of(files: &[File]) -> Sizes {
        let mut sizes = Sizes { files: Vec::new(), functions: Vec::new() };
        for file in files.iter().filter(|file| file.is_rust() && !is_test(&file.path)) {
            let lines: Vec<&str> = production(&file.text).collect();
            sizes.functions.extend(functions(&lines).map(|(n, name)| (n, format!("{} {name}", file.path))));
            sizes.files.push((lines.len(), file.path.clone()));
        }
        sizes.files.sort();
        sizes.functions.sort();
        sizes
    }

    /// Files past the limit that have no reason, and reasons that are no longer needed.
    pub(crate) fn faults(&self) -> Vec<String> {
        let allowed = |path: &str| LONGER.iter().find(|(long, ..)| *long == path).map_or(LINES_MAX, |long| long.1);
        let long = self.files.iter().filter(|(lines, path)| *lines > allowed(path));
        let long = long
            .map(|(lines, path)| format!("{path}: {lines} lines, at most {}: which noun hides in it?", allowed(path)));
        let short = self.files.iter().filter(|(lines, path)| *lines <= LINES_MAX && allowed(path) > LINES_MAX);
        let short = short.map(|(lines, path)| format!("{path}: {lines} lines need no exception any more"));
        long.chain(short).collect()
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, sizes) in [("files", &self.files), ("functions", &self.functions)] {
            let at = |share: usize| sizes.get(sizes.len() * share / 100).map_or(0, |size| size.0);
            let max = sizes.last().map_or(0, |size| size.0);
            writeln!(f, "{}: {what}, lines p50 {} p90 {} p99 {} max {max}", sizes.len(), at(50), at(90), at(99))?;
            for (lines, name) in sizes.iter().rev().take(5) {
                writeln!(f, "  {lines:5} {name}")?;
            }
        }
        Ok(())
    }
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs")
}

/// The lines before the first test module that is written out in the file.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let test = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod "));
        (!test).then_some(line)
    })
}

fn functions<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    lines.iter().enumerate().filter_map(|(i, line)| {
        let start = line.trim_start();
        let name = start.split_once("fn ").filter(|(before, _)| before.split(' ').all(is_qualifier))?.1;
        // A trait's method without a body ends before one begins.
        let end = lines[i..].iter().find(|line| line.ends_with(['{', '}', ';']))?;
        if end.ends_with(';') {
            return None;
        }
        let close = format!("{}}}", &line[..line.len() - start.len()]);
        let length = lines[i..].iter().position(|line| *line == close)? + 1;
        Some((length, name.split(['(', '<']).next().unwrap_or(name)))
    })
}

fn is_qualifier(word: &str) -> bool {
    matches!(word, "" | "pub" | "const" | "async" | "unsafe" | "extern") || word.starts_with("pub(") || word == "\"C\""
}

/// The words and signs of the code, without comments and literals, with their lines.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => quoted(rest),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw(rest),
            '\'' => character(rest),
            _ if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                words.push((line, rest[..end].to_owned()));
                end
            }
            _ if c.is_whitespace() => c.len_utf8(),
            _ => {
                let end = rest.find(|c: char| !c.is_ascii_punctuation() || "_\"'/".contains(c)).unwrap_or(rest.len());
                let end = end.max(c.len_utf8());
                words.push((line, rest[..end].to_owned()));
                end
            }
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    words
}

/// Length of the string literal at the start.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Length of the raw string at the start, or of the `r` of a raw identifier.
fn raw(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|b| *b == b'#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 1;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let open = 2 + hashes;
    text[open..].find(&close).map_or(text.len(), |at| open + at + close.len())
}

/// Length of the character literal at the start; of the quote alone when it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}
