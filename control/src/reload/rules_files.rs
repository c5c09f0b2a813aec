//! The four files of the rules, and how one takes the place of another.
//!
//! ```text
//! iptables.conf.in  with macros ─┐
//! iptables.conf.var the macros ──┴ gen → iptables.conf.new ─ commit → iptables.conf      what a start loads
//!                                                                     iptables.conf.1 …  what it was before
//!                                                                     iptables.conf.lock who works on them
//! ```
//!
//! What must hold: at any instant the rules file is whole, the old one or the new one, also when the power fails
//! meanwhile; and two operators at once do not undo each other's work.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::limits::RULES_HISTORY;

/// Behind the name of the rules file: rules with macros in them.
pub const IN: &str = ".in";
/// What the macros stand for.
pub const VAR: &str = ".var";
/// What was made of the two.
pub const NEW: &str = ".new";
/// Who works on them.
const LOCK: &str = ".lock";
/// A file that is being written.
const PART: &str = ".part";

/// The files around one rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFiles {
    current: PathBuf,
}

impl RulesFiles {
    /// By the rules file's own path.
    pub fn new(current: PathBuf) -> RulesFiles {
        RulesFiles { current }
    }

    /// The rules file itself.
    pub fn current(&self) -> &Path {
        &self.current
    }

    /// One of the others.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.current.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    /// Says so when the new rules are older than what they are made of.
    pub fn stale(&self) -> Option<String> {
        let new = self.beside(NEW);
        let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let made = changed(&new)?;
        let newer = |suffix: &&str| changed(&self.beside(suffix)).is_some_and(|at| at > made);
        let suffix = [IN, VAR].into_iter().find(newer)?;
        let (new, source) = (new.display(), self.beside(suffix));
        Some(format!("{new} is older than {}: run `limpid rules gen` and look at what changes", source.display()))
    }

    /// Writes the new rules.
    pub fn write_new(&self, text: &str) -> io::Result<()> {
        self.replace(&self.beside(NEW), text)
    }

    /// Makes `text` the rules file; the one before it is kept, and those before that, up to a number.
    pub fn install(&self, text: &str) -> io::Result<()> {
        if fs::exists(&self.current)? {
            self.keep()?;
        }
        self.replace(&self.current, text)
    }

    /// The rules file under the name with `.1`, which was `.2`'s before, and so on.
    fn keep(&self) -> io::Result<()> {
        let kept = |number: usize| self.beside(&format!(".{number}"));
        for number in (1..RULES_HISTORY).rev() {
            match fs::rename(kept(number), kept(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(&kept(number), &error)),
                _ => {}
            }
        }
        // A second name and no move: the rules file must not be missing for an instant. A copy where there are no
        // second names.
        let newest = kept(1);
        fs::hard_link(&self.current, &newest)
            .or_else(|_| fs::copy(&self.current, &newest).map(drop))
            .map_err(|error| named(&newest, &error))
    }

    /// Writes a file beside its place and moves it there: whoever reads it sees the old one or the new one.
    fn replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let part = self.beside(PART);
        let write = || -> io::Result<()> {
            let mut file = File::create(&part)?;
            if let Ok(old) = fs::metadata(path) {
                file.set_permissions(old.permissions())?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)?;
            // The name is the folder's: without this it may be gone after a power failure though the file is there.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| {
            // What is left of a failed attempt helps nobody; the first error is the one to tell.
            let _ = fs::remove_file(&part);
            named(path, &error)
        })
    }

    /// Takes the lock for as long as the value lives; the kernel gives it back when the program dies.
    pub fn lock(&self, purpose: &str) -> Result<Lock, LockError> {
        let path = self.beside(LOCK);
        let failed = |error: io::Error| LockError::Failed(named(&path, &error));
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is helps, but is not what matters.
                let _ = file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
                return Err(LockError::Held { path, holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let holder = format!("process {}, {purpose}\n", std::process::id());
        let said = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        said.map_err(failed)?;
        Ok(Lock { _file: file })
    }
}

/// Bytes of a lock file that are shown.
const HOLDER_BYTES_MAX: u64 = 200;

/// The lock, held.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Somebody has it.
    Held {
        /// The lock file.
        path: PathBuf,
        /// What that one has written into it.
        holder: String,
    },
    /// The lock file cannot be had.
    Failed(io::Error),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LockError::Held { path, holder } if holder.is_empty() => {
                write!(f, "{}: somebody else is at work on these rules", path.display())
            }
            LockError::Held { path, holder } => {
                write!(f, "{}: {holder} is at work on these rules", path.display())
            }
            LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
