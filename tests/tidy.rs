//! Rules of this repository that can be tests are tests: edges between crates, headers, names, sizes, words.
//!
//! Every rule is a function from a file to its faults, so each has a test below that shows it a fault; `tree_*` run
//! the rules over the repository and list all faults at once. Needs nothing but `std`, and so runs before anything
//! else compiles. What a reader must judge (is the name good, is the header true) is in the review checklist instead.

#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;

use tree::{File, root, tree};

/// Runs one rule over every file and fails with all faults.
fn check(rule: impl Fn(&File) -> Vec<String>) {
    let faults: Vec<String> = tree().iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn tree_crate_edges_hold() {
    let faults = edges::check_workspace(&root());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn tree_unsafe_stays_in_dpdk() {
    check(source::unsafe_outside_dpdk);
}

#[test]
fn tree_has_module_headers() {
    check(source::missing_header);
}

#[test]
fn tree_has_nothing_unfinished() {
    check(source::unfinished);
    check(text::unfinished_words);
}

#[test]
fn tree_files_have_telling_names() {
    check(source::bad_name);
}

#[test]
fn tree_files_are_of_readable_size() {
    let sizes = source::Sizes::of(&tree());
    eprintln!("{sizes}");
    let faults = sizes.faults();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn tree_limits_give_their_reason() {
    check(source::undocumented_limit);
}

#[test]
fn tree_names_no_machine() {
    check(text::machine_path);
    check(text::registry_host);
}

#[test]
fn tree_text_is_clean() {
    check(text::trailing_space);
    check(text::too_big);
}

#[test]
fn tree_has_what_people_look_for_at_a_root() {
    let wanted = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci/run"];
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !root().join(name).is_file()).collect();
    assert!(missing.is_empty(), "missing at the root: {missing:?}");
}

#[test]
fn tree_architecture_names_what_exists() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let paths = text::table_paths(&text);
    assert!(!paths.is_empty(), "ARCHITECTURE.md has a code map: a table with paths in backticks");
    let gone: Vec<&String> = paths.iter().filter(|path| !text::exists(&root(), path)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names what is not there: {gone:?}");
}

/// Shows `rule` a file that must fail and one that must pass.
fn shows(rule: impl Fn(&File) -> Vec<String>, path: &str, bad: &str, good: &str) {
    assert!(!rule(&File::new(path, bad)).is_empty(), "{path}: not noticed: {bad}");
    let faults = rule(&File::new(path, good));
    assert!(faults.is_empty(), "{path}: wrongly noticed: {faults:?}");
}

#[test]
fn rule_unsafe() {
    let bad = "fn f() { unsafe { g() } }";
    shows(source::unsafe_outside_dpdk, "tcp/src/a.rs", bad, "// unsafe\nfn f() -> &'static str { \"unsafe\" }");
    assert!(source::unsafe_outside_dpdk(&File::new("dpdk/src/a.rs", bad)).is_empty());
}

#[test]
fn rule_header() {
    let good =
        "//! What arrives is parsed once, here, into views that cannot fail afterwards; nothing is copied.\nfn f() {}";
    shows(source::missing_header, "tcp/src/a.rs", "//! Parsing.\nfn f() {}", good);
    shows(source::missing_header, "tcp/src/a.rs", "fn f() {}\n//! late", good);
}

#[test]
fn rule_unfinished() {
    shows(source::unfinished, "a.rs", concat!("fn f() { to", "do!() }"), "fn f() { /* to do */ }");
    shows(source::unfinished, "a.rs", concat!("#[ig", "nore]\nfn f() {}"), "fn ignore() {}");
    shows(text::unfinished_words, "a.md", concat!("later: TO", "DO"), "a list of things to do");
}

#[test]
fn rule_names() {
    shows(|file| source::bad_name(&File::new(&file.text, "")), "", "tcp/src/utils.rs", "tcp/src/segment.rs");
    shows(|file| source::bad_name(&File::new(&file.text, "")), "", "tcp/src/open/mod.rs", "tcp/src/open.rs");
    shows(|file| source::bad_name(&File::new(&file.text, "")), "", "tcp/src/flow_manager.rs", "tcp/src/manage.rs");
}

#[test]
fn rule_sizes() {
    let long = "fn f() {}\n".repeat(source::LINES_MAX + 1);
    assert_eq!(source::Sizes::of(&[File::new("tcp/src/a.rs", &long)]).faults().len(), 1);
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(source::Sizes::of(&[File::new("tcp/src/a.rs", &tests)]).faults().is_empty());
}

#[test]
fn rule_limits() {
    let good = "/// Because a burst is 32.\npub const N: usize = 4;";
    shows(source::undocumented_limit, "tcp/src/limits.rs", "pub const N: usize = 4;", good);
}

#[test]
fn rule_machine() {
    shows(text::machine_path, "a.md", concat!("see /ho", "me/me/x"), "see docs/x");
    shows(text::registry_host, "a.toml", concat!("x = 'https://regis", "try.example.net/'"), "https://doc.dpdk.org/");
}

#[test]
fn rule_text() {
    shows(text::trailing_space, "a.md", "a \n", "a\n");
    shows(text::trailing_space, "a.md", "a", "a\n");
    let big = "a".repeat(1 << 20);
    shows(text::too_big, "a.txt", &big, "a");
}

#[test]
fn rule_edges() {
    let manifest = "[package]\nname = \"tcp\"\n[dependencies]\ncontrol.workspace = true\n[lints]\nworkspace = true\n";
    let members = ["tcp", "control"].map(str::to_owned);
    assert_eq!(edges::check_manifest("tcp/Cargo.toml", manifest, &members).len(), 1);
    let alone = "[package]\nname = \"tcp\"\n[dependencies]\nbytes.workspace = true\n[lints]\nworkspace = true\n";
    assert!(edges::check_manifest("tcp/Cargo.toml", alone, &members).is_empty());
    let lax = alone.replace("[lints]\nworkspace = true\n", "");
    assert_eq!(edges::check_manifest("tcp/Cargo.toml", &lax, &members).len(), 1);
}

#[test]
fn rule_code_map() {
    let text = "| path | what |\n| - | - |\n| `tests/tidy.rs`, `tests/nowhere` | rules |\n`not/in/table`\n";
    let paths = text::table_paths(text);
    assert_eq!(paths, ["tests/tidy.rs", "tests/nowhere"]);
    assert!(text::exists(&root(), "tests/tidy.rs"));
    assert!(!text::exists(&root(), "tests/nowhere"));
}
