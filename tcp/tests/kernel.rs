//! Every script of `tests/scripts` against the Linux kernel: the same lines, or a difference that `scripts/linux.txt` lists.
//!
//! The kernel is a host behind a tap device, in a network namespace of the thread that runs the script; the thread is its peer
//! and its application. `SCRIPT=3.5` runs those whose path contains it, `TRACE=1` prints what comes.
//!
//! A script counts as the same if one of its runs was, see [`ROUNDS`].
//! Needs root (namespaces, tap); says so and ends without. Left out: `info` lines and sizes of windows, see `kernel/run.rs`.
#![cfg(target_os = "linux")]

#[path = "kernel/differences.rs"]
mod differences;
#[path = "../examples/tap_echo/frame.rs"]
mod frame;
#[path = "segments/grammar.rs"]
mod grammar;
#[path = "kernel/host.rs"]
mod host;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "kernel/run.rs"]
mod run;
#[path = "segments/show.rs"]
mod show;
#[path = "kernel/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use differences::{Entry, List, Swap};
use grammar::Line;
use run::Outcome;

/// Scripts at the same time, and how often each of them: nearly all of their time is waiting. What failed is played again with
/// less company, because a busy machine lets us wait while the kernel's timers go on.
const ROUNDS: [(usize, usize); 3] = [(16, 2), (4, 3), (1, 4)];

fn scripts() -> BTreeMap<String, Vec<Line>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let wanted = std::env::var("SCRIPT").unwrap_or_default();
    let mut scripts = BTreeMap::new();
    for folder in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
            if path.extension().is_some_and(|is| is == "script") && name.contains(&wanted) {
                let lines = grammar::parse(&std::fs::read_to_string(&path).unwrap());
                scripts.insert(name.clone(), lines.unwrap_or_else(|what| panic!("{name}: {what}")));
            }
        }
    }
    scripts
}

fn list() -> List {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/linux.txt");
    differences::parse(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|what| panic!("linux.txt: {what}"))
}

/// A script as the kernel is to play it.
#[derive(Clone)]
struct Job {
    name: String,
    lines: Vec<Line>,
    /// It must fail: without this entry of the list.
    without: Option<usize>,
}

/// With all entries of its script; and without each of them.
fn jobs(name: &str, lines: &[Line], entry: &Entry) -> Result<Vec<Job>, String> {
    let job = |without: Option<usize>| -> Result<Job, String> {
        let mut swaps = entry.swaps.clone();
        if let Some(line) = without {
            swaps.remove(&line);
            // What comes later in the list may only follow from this one.
            swaps.retain(|number, swap| *number < line || *swap != Swap::End);
        }
        Ok(Job { name: name.into(), lines: differences::apply(lines, &swaps)?, without })
    };
    std::iter::once(None).chain(entry.swaps.keys().copied().map(Some)).map(job).collect()
}

/// What is wrong with a job's outcome, if anything.
fn judge(job: &Job, listed: Option<&str>, outcome: &Outcome) -> Option<String> {
    match (job.without, outcome) {
        (None, Outcome::Same) if listed.is_none() => None,
        (None, Outcome::Same) => Some("is listed as not run, but can be".into()),
        (None, Outcome::Differs(line, what)) => Some(format!("line {line}: {what}")),
        (_, Outcome::NotRun(why)) if listed == Some(why) => None,
        (_, Outcome::NotRun(why)) => Some(format!("not run: {why}")),
        (Some(line), Outcome::Differs(at, _)) if *at >= line => None,
        (Some(line), Outcome::Differs(at, what)) => {
            Some(format!("line {at}, before line {line} that is left out: {what}"))
        }
        (Some(line), Outcome::Same) => Some(format!("line {line}: listed, but the kernel does what we do")),
    }
}

fn play(job: &Job, listed: Option<&str>, attempts: usize) -> Option<String> {
    let mut wrong = None;
    for _ in 0..attempts {
        // A thread of its own, because it does not come back from its namespace.
        let lines = job.lines.clone();
        let outcome = thread::spawn(move || run::run(&lines)).join().expect("a run does not panic");
        wrong = judge(job, listed, &outcome);
        // What is to differ and did not once needs no entry: that is not for chance to put right.
        if wrong.is_none() || (job.without.is_some() && matches!(outcome, Outcome::Same)) {
            break;
        }
    }
    wrong.map(|what| format!("{}: {what}", job.name))
}

/// Plays them, so many at once; the numbers of those that failed, and what was wrong.
fn play_all(jobs: &[(Job, Option<&str>)], at_once: usize, attempts: usize) -> Vec<(usize, String)> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let player = || {
            let mine = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < jobs.len()));
            mine.filter_map(|n| Some((n, play(&jobs[n].0, jobs[n].1, attempts)?))).collect::<Vec<_>>()
        };
        let players: Vec<_> = (0..at_once).map(|_| scope.spawn(player)).collect();
        players.into_iter().flat_map(|player| player.join().expect("a player does not panic")).collect()
    })
}

#[test]
fn linux_does_the_same_or_the_list_says_what() {
    if !Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0) {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let list = list();
    let none = Entry::default();
    let (mut waiting, mut wrong) = (Vec::new(), Vec::new());
    let scripts = scripts();
    for (name, lines) in &scripts {
        let entry = list.get(name).unwrap_or(&none);
        match jobs(name, lines, entry) {
            Ok(jobs) => waiting.extend(jobs.into_iter().map(|job| (job, entry.not_run.as_deref()))),
            Err(what) => wrong.push(format!("{name}: {what}")),
        }
    }
    if std::env::var("SCRIPT").is_err() {
        let gone = list.keys().filter(|name| !scripts.contains_key(*name));
        wrong.extend(gone.map(|name| format!("{name}: listed, but there is no such script")));
    }
    for (round, (at_once, attempts)) in ROUNDS.into_iter().enumerate() {
        let failed = play_all(&waiting, at_once, attempts);
        if round + 1 == ROUNDS.len() {
            wrong.extend(failed.into_iter().map(|(_, what)| what));
            break;
        }
        waiting = failed.into_iter().map(|(number, _)| waiting[number].clone()).collect();
    }
    wrong.sort();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    assert!(wrong.is_empty(), "\nLinux {kernel}{}\n", wrong.join("\n"));
}
