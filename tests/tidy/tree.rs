//! The files of the repository as the rules see them: a path from the root, and text.
//!
//! What is built or captured (and therefore not committed) is left out, by the folder names in `SKIPPED`.

use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

/// Endings whose content is not text; their size is still checked.
const BINARY: [&str; 4] = ["png", "pcap", "pcapng", "gz"];

/// One file.
pub(crate) struct File {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    /// Content; empty for binary files.
    pub(crate) text: String,
    /// Bytes on disk.
    pub(crate) bytes: u64,
}

impl File {
    /// A file that only a rule's own test sees.
    pub(crate) fn new(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned(), bytes: text.len() as u64 }
    }

    /// Is it Rust source?
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Every file of the repository, in order of its path.
pub(crate) fn tree() -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder can be listed") {
            let entry = entry.expect("a folder can be listed");
            let kind = entry.file_type().expect("a file has a type");
            let name = entry.file_name();
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(read(&entry.path()));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read(path: &Path) -> File {
    let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let content = std::fs::read(path).unwrap_or_else(|error| panic!("{relative}: {error}"));
    let bytes = content.len() as u64;
    let binary = path.extension().is_some_and(|end| BINARY.iter().any(|binary| end == *binary));
    let text = if binary {
        String::new()
    } else {
        String::from_utf8(content).unwrap_or_else(|_| panic!("{relative}: neither UTF-8 nor a known binary ending"))
    };
    File { path: relative, text, bytes }
}
