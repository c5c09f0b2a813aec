//! `sets:`: sets of addresses, networks and ports by name, with what they begin with. What they have later is asked for
//! at the control socket.

use std::collections::HashSet;
use std::path::Path;

use super::decode::{self, Mapping};
use super::load::ReadFile;
use super::tree::Node;
use crate::faults::{Faults, Place};
use crate::limits::{SET_FILE_BYTES_MAX, SET_MEMBERS_MAX, SETS_MAX};
use crate::policy::{Member, SetDefinition, SetKind};

/// Reads `sets:`.
pub(super) fn sets(node: &Node, read_file: ReadFile<'_>, faults: &mut Faults) -> Vec<SetDefinition> {
    let entries = decode::named(node, "`sets`", faults);
    decode::at_most(entries.len(), SETS_MAX, node, "sets", faults);
    let kinds = SetKind::ALL.map(|kind| (kind.name(), kind));
    let mut sets = Vec::new();
    for (key, node) in entries {
        let what = format!("set `{}`", key.name);
        let Some(mut mapping) = Mapping::new(node, &what, faults) else { continue };
        let kind = mapping.require("type", node, faults).and_then(|n| decode::choice(n, "`type`", &kinds, faults));
        let mut members = Members { kind: kind.unwrap_or(SetKind::Net), list: Vec::new(), seen: HashSet::new() };
        for item in mapping.get("entries").map_or(&[][..], |n| decode::list(n, "`entries`", faults)) {
            if let (Some(text), Some(_)) = (decode::text(item, "the entry", faults), kind) {
                members.add(text, &item.place, faults);
            }
        }
        if let (Some(node), Some(_)) = (mapping.get("file"), kind) {
            members.read(node, read_file, faults);
        }
        mapping.finish(faults);
        decode::at_most(members.list.len(), SET_MEMBERS_MAX, node, format_args!("entries of {what}"), faults);
        if let Some(kind) = kind {
            sets.push(SetDefinition { name: key.name.clone(), kind, members: members.list });
        }
    }
    sets
}

struct Members {
    kind: SetKind,
    list: Vec<Member>,
    seen: HashSet<Member>,
}

impl Members {
    /// One member; the same twice is one.
    fn add(&mut self, text: &str, place: &Place, faults: &mut Faults) {
        match self.kind.member(text) {
            Ok(member) => {
                if self.seen.insert(member) {
                    self.list.push(member);
                }
            }
            Err(error) => faults.add(place.clone(), error),
        }
    }

    /// A file beside the configuration: a member a line; what begins with `#` is a comment.
    fn read(&mut self, node: &Node, read_file: ReadFile<'_>, faults: &mut Faults) {
        let Some(name) = decode::text(node, "`file`", faults) else { return };
        let text = match read_file(Path::new(name)) {
            Ok(text) if text.len() <= SET_FILE_BYTES_MAX => text,
            Ok(text) => {
                let message = format!("`{name}` has {} bytes, {SET_FILE_BYTES_MAX} are possible", text.len());
                return faults.add(node.place.clone(), message);
            }
            Err(error) => return faults.add(node.place.clone(), format!("`{name}` cannot be read: {error}")),
        };
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.add(line, &Place { file: name.into(), line: at as u32 + 1, column: 0 }, faults);
            }
        }
    }
}

#[cfg(test)]
mod tests;
