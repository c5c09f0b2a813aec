//! Files in a folder of their own: what is there after each step, and what two at once are told.

use std::time::{Duration, SystemTime};

use super::*;

struct Folder {
    folder: tempfile::TempDir,
    files: RulesFiles,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().expect("a folder");
    let files = RulesFiles::new(folder.path().join("iptables.conf"));
    Folder { folder, files }
}

impl Folder {
    fn write(&self, suffix: &str, text: &str, age_s: u64) {
        let path = self.files.beside(suffix);
        fs::write(&path, text).expect("a file");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_s);
        File::options().write(true).open(path).and_then(|file| file.set_modified(at)).expect("its time can be set");
    }

    fn read(&self, suffix: &str) -> Option<String> {
        fs::read_to_string(self.files.beside(suffix)).ok()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect();
        names.sort();
        names
    }
}

#[test]
fn new_rules_must_be_newer_than_what_they_are_made_of() {
    let at = folder();
    assert_eq!(at.files.stale(), None, "without new rules reading them says enough");
    at.write(NEW, "new", 10);
    at.write(IN, "in", 20);
    at.write(VAR, "var", 10);
    assert_eq!(at.files.stale(), None);
    at.write(VAR, "var", 9);
    assert!(at.files.stale().expect("stale").contains("iptables.conf.var"));
    at.write(IN, "in", 0);
    assert!(at.files.stale().expect("stale").contains("iptables.conf.in"));
}

#[test]
fn the_rules_file_is_replaced_and_its_past_is_kept() {
    let at = folder();
    at.files.install("1").expect("the first");
    assert_eq!(at.names(), ["iptables.conf"], "no past yet, and nothing half-written");
    for number in 2..=RULES_HISTORY + 3 {
        at.files.install(&number.to_string()).expect("one more");
    }
    let newest = RULES_HISTORY + 3;
    assert_eq!(at.read("").as_deref(), Some(&*newest.to_string()));
    for back in 1..=RULES_HISTORY {
        assert_eq!(at.read(&format!(".{back}")), Some((newest - back).to_string()), "{back} back");
    }
    assert_eq!(at.read(&format!(".{}", RULES_HISTORY + 1)), None, "the oldest are forgotten");
}

#[test]
fn permissions_stay_as_they_were() {
    use std::os::unix::fs::PermissionsExt;
    let at = folder();
    at.write("", "old", 0);
    fs::set_permissions(at.files.current(), fs::Permissions::from_mode(0o600)).expect("they can be set");
    at.files.install("new").expect("written");
    assert_eq!(fs::metadata(at.files.current()).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_written_leaves_all_as_it_was() {
    let at = folder();
    at.write("", "old", 0);
    fs::create_dir(at.files.beside(PART)).expect("something is in the way");
    let error = at.files.install("new").expect_err("in the way");
    assert!(error.to_string().contains("iptables.conf"), "{error}");
    assert_eq!(at.read("").as_deref(), Some("old"));
}

#[test]
fn the_second_is_told_who_the_first_is() {
    let at = folder();
    let first = at.files.lock("limpid rules test").expect("free");
    let refused = at.files.lock("limpid rules commit").expect_err("taken");
    let said = refused.to_string();
    assert!(matches!(refused, LockError::Held { .. }), "{said}");
    assert!(said.contains(&format!("process {}, limpid rules test", std::process::id())), "{said}");
    drop(first);
    at.files.lock("limpid rules commit").expect("free again");
}
