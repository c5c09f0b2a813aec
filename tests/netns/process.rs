//! Programs that a test starts: always with their output in files (a full pipe would stop them), always with an end.
//! Only what was started here is ever killed, by its own process id.

use crate::wait;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running program. Dropping it kills it.
pub(crate) struct Process {
    what: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) what: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `command` with its output in `directory`, under a name of its own.
    #[track_caller]
    pub(crate) fn start(directory: &Path, command: &mut Command) -> Process {
        let what = describe(command);
        let name = format!("{}-{}", directory.read_dir().map_or(0, Iterator::count), program_name(command));
        let stdout = directory.join(format!("{name}.out"));
        let stderr = directory.join(format!("{name}.err"));
        let create = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        command.stdin(Stdio::piped()).stdout(create(&stdout)).stderr(create(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        Process { what, child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The first JSON line of the output that has `key`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, key: &str, limit: Duration) -> Value {
        let found = wait::poll(limit, || {
            let found = json_lines(&self.stdout()).find(|value| value.get(key).is_some());
            // One look after the end, too: it may have said it and gone.
            (found.is_some() || !self.is_running()).then_some(found)
        });
        match found {
            Some(Some(value)) => value,
            _ => panic!("{}: no \"{key}\" within {limit:?}\n{}{}", self.what, self.stdout(), self.stderr()),
        }
    }

    /// A line on its standard input: "go on".
    pub(crate) fn go_on(&mut self) {
        self.tell("");
    }

    /// This line on its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("standard input is a pipe");
        writeln!(input, "{line}").unwrap_or_else(|error| panic!("{}: {error}", self.what));
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {}: {}", self.id(), self.what);
    }

    /// Waits for its end; the test fails when it does not come in time.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> Ended {
        match wait::poll(limit, || self.child.try_wait().ok().flatten()) {
            Some(status) => Ended { what: self.what.clone(), status, stdout: self.stdout(), stderr: self.stderr() },
            None => panic!("{} did not end within {limit:?}\n{}{}", self.what, self.stdout(), self.stderr()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The exit code, or 128 + signal as shells have it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    #[track_caller]
    pub(crate) fn successful(self) -> Ended {
        assert_eq!(self.code(), 0, "{}\n{}{}", self.what, self.stdout, self.stderr);
        self
    }

    /// The last JSON line it said: its result.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let whole = serde_json::from_str(&self.stdout).ok();
        whole
            .or_else(|| json_lines(&self.stdout).last())
            .unwrap_or_else(|| panic!("{}: no JSON in its output\n{}{}", self.what, self.stdout, self.stderr))
    }
}

fn json_lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A name for the output files: the last path-like word tells more than `ip`.
fn program_name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let paths = words.filter(|word| word.to_string_lossy().starts_with('/')).map(Path::new);
    paths.filter_map(Path::file_stem).next().map_or("program".into(), |name| name.to_string_lossy().into_owned())
}
