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

/// What an operator reads of an http service with this section.
fn said_of_http(section: &str) -> String {
    let yaml = format!("interfaces: {{ a: {{ port: x }} }}\nservices:\n  web:\n    proxy: http\n    http: {section}\n");
    let directory = tempfile::tempdir().expect("a place for files");
    let file = directory.path().join("http.yaml");
    std::fs::write(&file, yaml).expect("a file");
    match control::config::load(&file, MODULES) {
        Ok(_) => "ok".to_owned(),
        Err(faults) => faults.to_string(),
    }
}

/// So many of them, in a list or a mapping.
fn many(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect::<Vec<_>>().join(", ")
}

#[test]
fn as_much_as_http_takes_and_one_more() {
    use proxy::http::limits::{HOSTS_MAX, RULES_MAX};
    type Section = fn(usize) -> String;
    let sections: [(Section, usize, &str); 6] = [
        (
            |count| {
                format!(
                    "{{ url_filter: [{}] }}",
                    many(count, |n| format!("{{ exact: \"http://a/{n}\", action: reject }}"))
                )
            },
            RULES_MAX,
            "rules in `url_filter`",
        ),
        (|count| format!("{{ methods: {{ {} }} }}", many(count, |n| format!("M{n}: accept"))), RULES_MAX, "methods"),
        (
            |count| format!("{{ statuses: [{}] }}", many(count, |_| "{ statuses: 404, action: accept }".to_owned())),
            RULES_MAX,
            "rules in `statuses`",
        ),
        (
            |count| {
                format!(
                    "{{ servers: [{}] }}",
                    many(count, |n| format!("{{ host: h{n}.example, server: \"10.0.0.9:80\" }}"))
                )
            },
            RULES_MAX,
            "rules in `servers`",
        ),
        (
            |count| format!("{{ request_headers: {{ {} }} }}", many(count, |n| format!("X-{n}: drop"))),
            RULES_MAX,
            "rules in `request_headers`",
        ),
        (
            |count| format!("{{ hosts: {{ {} }} }}", many(count, |n| format!("h{n}.example: 10.0.0.1"))),
            HOSTS_MAX,
            "names in `hosts`",
        ),
    ];
    for (section, bound, what) in sections {
        let said = said_of_http(&section(bound));
        assert!(!said.contains("are possible"), "{what}: {said}");
        let said = said_of_http(&section(bound + 1));
        assert!(said.contains(&format!("there are {} {what}, {bound} are possible", bound + 1)), "{what}: {said}");
    }
}

#[test]
fn a_page_as_large_as_may_be_and_one_byte_more() {
    let directory = tempfile::tempdir().expect("a place for files");
    let page = directory.path().join("page.html");
    let section = format!("{{ pages: {{ default: {} }} }}", page.display());
    std::fs::write(&page, "x".repeat(proxy::http::limits::PAGE_BYTES_MAX)).expect("a file");
    assert_eq!(said_of_http(&section), "ok");
    std::fs::write(&page, "x".repeat(proxy::http::limits::PAGE_BYTES_MAX + 1)).expect("a file");
    assert!(said_of_http(&section).contains("a page has at most 64 KiB"));
}
