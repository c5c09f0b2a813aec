//! Certificates, keys and lists in files that the configuration names. What is wrong with a file is told at the value that
//! names it, and one that holds nothing of what it should is a fault like one that cannot be read.

use std::fmt::Display;
use std::io;
use std::path::Path;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::Faults;

/// Who reads files beside the configuration.
pub(super) struct Files<'a> {
    pub(super) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Files<'_> {
    /// The contents of the file that a value names.
    fn contents(&self, node: &Node, what: &str, faults: &mut Faults) -> Option<(String, String)> {
        let name = decode::text(node, what, faults)?;
        match (self.read)(Path::new(name)) {
            Ok(contents) => Some((name.to_owned(), contents)),
            Err(error) => {
                faults.add(node.place.clone(), format!("{name}: cannot be read: {error}"));
                None
            }
        }
    }

    /// Adds what a file holds; a file that holds nothing is a fault.
    pub(super) fn add<E: Display>(
        &self,
        node: &Node,
        what: &str,
        add: impl FnOnce(&str) -> Result<usize, E>,
        faults: &mut Faults,
    ) {
        let Some((name, contents)) = self.contents(node, what, faults) else { return };
        match add(&contents) {
            Ok(0) => faults.add(node.place.clone(), format!("{name}: there are no {what} in it")),
            Ok(_) => {}
            Err(error) => faults.add(node.place.clone(), format!("{name}: {error}")),
        }
    }

    /// `certificate` and `key` of a mapping, made into one thing.
    pub(super) fn pair<T>(
        &self,
        mapping: &mut Mapping<'_>,
        node: &Node,
        make: impl FnOnce(&str, &str) -> Result<T, String>,
        faults: &mut Faults,
    ) -> Option<T> {
        let certificate = mapping.require("certificate", node, faults);
        let key = mapping.require("key", node, faults);
        let certificate =
            certificate.and_then(|node| self.contents(node, "`certificate`", faults).map(|read| (node, read)));
        let key = key.and_then(|node| self.contents(node, "`key`", faults));
        let ((place, (name, certificate)), (_, key)) = (certificate?, key?);
        match make(&certificate, &key) {
            Ok(made) => Some(made),
            Err(error) => {
                faults.add(place.place.clone(), format!("{name}: {error}"));
                None
            }
        }
    }
}
