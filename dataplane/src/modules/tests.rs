//! Services with proxies, good and broken, with the exact words an operator reads: `tests/golden/proxies/*.yaml`, each with an
//! `.out` beside it. To take over new words after reading them: `LIMPID_BLESS=1 cargo test -p dataplane golden`.

use std::path::{Path, PathBuf};

use super::*;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/proxies")
}

fn said(path: &Path) -> String {
    match control::config::load(path, MODULES) {
        Ok(config) if config.warnings.is_empty() => "ok\n".to_owned(),
        Ok(config) => format!("ok, with warnings\n{}\n", config.warnings),
        Err(faults) => format!("refused\n{faults}\n"),
    }
    .replace(&format!("{}/", golden().display()), "")
}

#[test]
fn golden_files_are_said_to_be_what_they_are() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "golden files are missing from {}", golden().display());
    let mut differ = Vec::new();
    for file in files {
        let (said, kept) = (said(&file), file.with_extension("out"));
        if std::env::var_os("LIMPID_BLESS").is_some() {
            std::fs::write(&kept, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&kept).unwrap_or_default();
        if said != expected {
            differ.push(format!("{}: expected\n{expected}--- said\n{said}", file.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
