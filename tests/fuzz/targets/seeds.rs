//! Puts a fuzzer's first inputs, which code makes, into the folders it was told to read, before it reads them.

use std::path::PathBuf;

pub(crate) fn write(seeds: &[Vec<u8>]) {
    for folder in std::env::args_os().skip(1).map(PathBuf::from).filter(|path| path.is_dir()) {
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a corpus can be written to");
        }
    }
}
