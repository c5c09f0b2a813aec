//! iptables-restore in a namespace of its own: files in, what it said and what iptables-save prints out. One shell
//! plays all files of a list, for a program start costs more than a load.

use crate::host::Namespace;
use control::rules::Family;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// All files of a list: some milliseconds each.
const LIST: Duration = Duration::from_secs(300);

/// A rule and its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) table: &'static str,
    pub(crate) rule: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.rule)
    }
}

/// A chain of the user's in each file, for rules to lead to.
const CHAIN: &str = ":U -\n";

impl Line {
    /// A file with this rule alone.
    pub(crate) fn file(&self) -> String {
        format!("*{}\n{CHAIN}{}\nCOMMIT\n", self.table, self.rule)
    }
}

/// A file with all these rules of one table.
pub(crate) fn batch(table: &str, lines: &[Line], places: &[usize]) -> String {
    let rules: String = places.iter().map(|at| format!("{}\n", lines[*at].rule)).collect();
    format!("*{table}\n{CHAIN}{rules}COMMIT\n")
}

/// The rules of a saved text, in one line.
pub(crate) fn rules_of(text: &str) -> String {
    text.lines().filter(|line| line.starts_with("-A ")).collect::<Vec<_>>().join("; ")
}

/// Places of lines, by table.
pub(crate) fn by_table(lines: &[Line], places: &[usize]) -> BTreeMap<&'static str, Vec<usize>> {
    let mut by_table = BTreeMap::<_, Vec<usize>>::new();
    for at in places {
        by_table.entry(lines[*at].table).or_default().push(*at);
    }
    by_table
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    Legacy,
    Nft,
}

/// The namespace and the files.
pub(crate) struct Oracle {
    namespace: Namespace,
    directory: TempDir,
}

impl Oracle {
    /// None without root, after saying so.
    pub(crate) fn new(name: &str) -> Option<Oracle> {
        if !Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0) {
            eprintln!("skipped: network namespaces need root");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let name = format!("limpid-rules-{name}-{}", std::process::id());
        Some(Oracle { namespace: Namespace::new(name, directory.path()), directory })
    }

    /// Loads each file; what is saved then, or why it was refused.
    pub(crate) fn load(
        &self,
        family: Family,
        backend: Backend,
        table: &str,
        files: &[String],
    ) -> Vec<Result<String, String>> {
        let work = tempfile::tempdir_in(&self.directory).expect("a directory");
        let at = |name: &str, ending: &str| work.path().join(format!("{name}.{ending}"));
        for (number, file) in files.iter().enumerate() {
            fs::write(at(&number.to_string(), "rules"), file).expect("a file");
        }
        let tool = match (family, backend) {
            (Family::V4, Backend::Legacy) => "iptables-legacy",
            (Family::V6, Backend::Legacy) => "ip6tables-legacy",
            (Family::V4, Backend::Nft) => "iptables-nft",
            (Family::V6, Backend::Nft) => "ip6tables-nft",
        };
        let mut script = String::new();
        let _ = writeln!(script, "cd {} || exit 1", work.path().display());
        // What one file left must not be in the way of the next, nor what the other back-end has loaded.
        let wait = if matches!(backend, Backend::Legacy) { "-w 20" } else { "" };
        let _ = write!(
            script,
            "for n in $(seq 0 {}); do\n  if {tool}-restore {wait} <$n.rules >/dev/null 2>$n.err; then {tool}-save -t {table} >$n.saved 2>/dev/null; fi\ndone\nprintf '*{table}\\nCOMMIT\\n' | {tool}-restore {wait}\n",
            files.len().saturating_sub(1)
        );
        let path = at("play", "sh");
        fs::write(&path, script).expect("a file");
        if !files.is_empty() {
            self.namespace.run_within(LIST, &["sh", &path.display().to_string()]).successful();
        }
        let read = |number: usize| {
            let saved = fs::read_to_string(at(&number.to_string(), "saved"));
            let said = || fs::read_to_string(at(&number.to_string(), "err")).unwrap_or_default();
            saved.map(|text| rules_of(&text)).map_err(|_| one_line(&said()))
        };
        (0..files.len()).map(read).collect()
    }
}

/// The line that says why.
fn one_line(said: &str) -> String {
    let telling = |line: &&str| !line.is_empty() && !line.starts_with("Try ") && !line.starts_with("Error occurred");
    said.lines().find(telling).unwrap_or_default().trim_end().to_owned()
}

fn table_of(name: &str) -> &'static str {
    let tables = ["filter", "nat", "mangle", "raw"];
    tables.into_iter().find(|table| *table == name).unwrap_or_else(|| panic!("`{name}` is no table of iptables"))
}

/// Cases: `[4|6] TABLE RULE`, one a line, and `#` before comments.
pub(crate) fn lines(text: &str) -> Vec<(Option<Family>, Line)> {
    let told = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    told.map(|line| {
        let (family, rest) = match (line.strip_prefix("4 "), line.strip_prefix("6 ")) {
            (Some(rest), _) => (Some(Family::V4), rest),
            (_, Some(rest)) => (Some(Family::V6), rest),
            _ => (None, line),
        };
        let (table, rule) = rest.split_once(' ').unwrap_or_else(|| panic!("`{line}` has no rule"));
        (family, Line { table: table_of(table), rule: rule.to_owned() })
    })
    .collect()
}

/// A rule that is taken differently on purpose, and how.
pub(crate) struct Exception {
    pub(crate) family: Family,
    pub(crate) line: Line,
    /// The difference, as `differences` says it.
    pub(crate) text: String,
}

/// Exceptions: a case, then in indented lines what each says of it; `#` before the reason.
pub(crate) fn exceptions(text: &str) -> Vec<Exception> {
    let mut exceptions: Vec<Exception> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("  "), exceptions.last_mut()) {
            (Some(_), Some(last)) => {
                last.text.push('\n');
                last.text.push_str(line);
            }
            _ => {
                let (family, line) = lines(line).remove(0);
                let text = line.to_string();
                exceptions.push(Exception { family: family.unwrap_or(Family::V4), line, text });
            }
        }
    }
    exceptions
}
