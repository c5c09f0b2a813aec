//! A file of domains and URLs, a million of them: found by hash, verified by their text.
//!
//! One entry a line: `example.com` is that host and all below it, `example.com/path` that directory of it. The text
//! stays as it was read; beside it is one table of 8 bytes a place, at most half full: a part of an entry's hash and where
//! its text begins. So a look-up of a host that is in no list touches one cache line for each of its domains.
//!
//! Left out: schemes, ports and queries (a list says what is bad, not how it is asked for), and wildcards within names.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::http::limits::{LABELS_MAX, LIST_BYTES_MAX, SEGMENTS_MAX};
use crate::http::url::{UrlRules, canonical_host, canonical_path};

/// See the module.
pub struct List {
    /// The entries, canonical, each with its line's end.
    text: String,
    places: Vec<Place>,
    entries: usize,
    seed: u64,
}

/// A place of the table, free where `begins` is 0.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The upper half of the hash, its lowest bits taken by the flags below.
    tag: u32,
    /// Where its text begins, plus one.
    begins: u32,
}

/// The domain itself is an entry, and so all that is below it.
const WHOLE: u32 = 1;
/// The domain has directories that are entries.
const PARTS: u32 = 2;
/// It is such a directory.
const DIRECTORY: u32 = 4;
const FLAGS: u32 = 7;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFault {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

impl List {
    /// Reads a file's text. Empty lines, and what follows `#`, are for people.
    ///
    /// # Errors
    /// The lines that are no entries, the first hundred of them.
    pub fn parse(file: &str) -> Result<List, Vec<ListFault>> {
        if file.len() > LIST_BYTES_MAX {
            return Err(vec![ListFault {
                line: 0,
                text: format!("{} bytes, {LIST_BYTES_MAX} are possible", file.len()),
            }]);
        }
        let mut faults = Vec::new();
        let mut text = String::with_capacity(file.len() + 1);
        for (number, raw) in file.lines().enumerate() {
            let line = raw.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            match canonical(line) {
                Some(entry) => {
                    text.push_str(&entry);
                    text.push('\n');
                }
                None if faults.len() < 100 => faults.push(ListFault { line: number + 1, text: line.to_owned() }),
                None => {}
            }
        }
        if faults.is_empty() { Ok(List::of(text)) } else { Err(faults) }
    }

    fn of(text: String) -> List {
        // A directory takes a place of its own and one of its domain.
        let (lines, parts) = (text.lines().count(), text.lines().filter(|line| line.contains('/')).count());
        let places = vec![Place::default(); ((lines + parts) * 2 + 1).next_power_of_two()];
        let mut list = List { text, places, entries: 0, seed: RandomState::new().hash_one(0) };
        let mut begins = 0;
        while let Some(line) = list.text[begins..].lines().next() {
            let (entry, domain) = (line.len(), line.find('/').unwrap_or(line.len()));
            let known = if domain == entry {
                list.add(begins, domain, WHOLE)
            } else {
                list.add(begins, domain, PARTS);
                list.add(begins, entry, DIRECTORY)
            };
            list.entries += usize::from(known & (WHOLE | DIRECTORY) == 0);
            begins += entry + 1;
        }
        list
    }

    /// Adds a flag to the place of a domain or directory, whose text begins there; which flags it had.
    fn add(&mut self, begins: usize, len: usize, flag: u32) -> u32 {
        let (domain, directory) = {
            let name = &self.text[begins..begins + len];
            name.split_at(name.find('/').unwrap_or(len))
        };
        let hash = self.hash(domain, directory);
        let at = self.find(hash, domain, directory);
        let place = &mut self.places[at];
        if place.begins == 0 {
            *place = Place { tag: tag(hash), begins: begins as u32 + 1 };
        }
        let had = place.tag & FLAGS;
        place.tag |= flag;
        had
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// None at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Is the host, one of the domains it is in, or a directory on the path listed?
    ///
    /// One pass over the host from its end, and over the path only where a domain has directories.
    #[must_use]
    pub fn has(&self, host: &str, path: &str) -> bool {
        let is_address = host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let mut hash = self.seed;
        let mut labels = 0;
        for (at, byte) in host.bytes().enumerate().rev() {
            hash = mixed(hash, byte);
            let begins = at == 0 || (!is_address && host.as_bytes()[at - 1] == b'.');
            if !begins {
                continue;
            }
            let domain = &host[at..];
            let flags = self.flags(hash, domain, "");
            if flags & WHOLE != 0 || (flags & PARTS != 0 && self.has_directory(hash, domain, path)) {
                return true;
            }
            labels += 1;
            if labels == LABELS_MAX {
                return false;
            }
        }
        false
    }

    fn has_directory(&self, mut hash: u64, domain: &str, path: &str) -> bool {
        let mut segments = 0;
        for (at, byte) in path.bytes().enumerate() {
            hash = mixed(hash, byte);
            if at + 1 != path.len() && path.as_bytes()[at + 1] != b'/' {
                continue;
            }
            if self.flags(hash, domain, &path[..=at]) & DIRECTORY != 0 {
                return true;
            }
            segments += 1;
            if segments == SEGMENTS_MAX {
                return false;
            }
        }
        false
    }

    fn flags(&self, hash: u64, domain: &str, directory: &str) -> u32 {
        self.places[self.find(hash, domain, directory)].tag & FLAGS
    }

    /// The place of a domain or directory, or the free one where it would be. There is one: half of all are free.
    fn find(&self, hash: u64, domain: &str, directory: &str) -> usize {
        let mask = self.places.len() - 1;
        // FNV's low bits know little of the last bytes: the upper ones are folded in.
        let mut at = (hash ^ (hash >> 29)) as usize & mask;
        loop {
            let place = self.places[at];
            if place.begins == 0 || (place.tag & !FLAGS == tag(hash) && self.is(place, domain, directory)) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    /// A domain's text may be the beginning of its first directory's.
    fn is(&self, place: Place, domain: &str, directory: &str) -> bool {
        let text = &self.text[place.begins as usize - 1..];
        let rest = text.strip_prefix(domain).and_then(|rest| rest.strip_prefix(directory));
        let ended = rest.is_some_and(|rest| rest.starts_with('\n'));
        let of_domain = directory.is_empty() && place.tag & DIRECTORY == 0;
        ended || (of_domain && rest.is_some_and(|rest| rest.starts_with('/')))
    }

    fn hash(&self, domain: &str, directory: &str) -> u64 {
        domain.bytes().rev().chain(directory.bytes()).fold(self.seed, mixed)
    }
}

/// FNV-1a from a seed of its own: a byte at a time, so that a domain's hash goes on from that of the one above it, and a
/// directory's from its domain's.
fn mixed(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !FLAGS
}

/// An entry as it is looked up.
fn canonical(line: &str) -> Option<String> {
    let bare = line.strip_prefix("http://").or_else(|| line.strip_prefix("https://")).unwrap_or(line);
    let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
    let rules = UrlRules::default();
    let host = canonical_host(host.strip_prefix('.').unwrap_or(host).as_bytes(), rules.host_max).ok()?;
    if path.len() <= 1 {
        return Some(host);
    }
    let path = canonical_path(path.as_bytes(), &rules).ok()?;
    let path = path.strip_suffix('/').unwrap_or(&path);
    (!path.contains('?')).then(|| format!("{host}{path}"))
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List of {}", self.entries)
    }
}
