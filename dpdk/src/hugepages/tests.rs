//! The choice of memory, for machines that we may not be on.

use super::*;

fn machine(free_2m_mib: u64, free_1g_mib: u64) -> Machine {
    Machine { free_2m_mib, free_1g_mib, mount_2m: None, mount_1g: None }
}

#[test]
fn auto_takes_hugepages_only_when_they_suffice() {
    assert_eq!(choose(HugePages::Auto, 512, &machine(512, 0)).unwrap().0, ["--in-memory", "-m", "512"]);
    assert_eq!(choose(HugePages::Auto, 512, &machine(0, 1024)).unwrap().0, ["--in-memory", "-m", "512"]);
    assert_eq!(choose(HugePages::Auto, 512, &machine(510, 0)).unwrap().0, ["--no-huge", "--no-shconf", "-m", "512"]);
}

#[test]
fn off_never_takes_them() {
    assert_eq!(choose(HugePages::Off, 64, &machine(4096, 4096)).unwrap().0, ["--no-huge", "--no-shconf", "-m", "64"]);
}

#[test]
fn a_size_that_is_short_says_how_many_pages_are_wanted() {
    let error = choose(HugePages::Size2M, 512, &machine(100, 0)).unwrap_err();
    assert!(error.advice().unwrap().contains("echo 256 > /sys/kernel/mm/hugepages/hugepages-2048kB"), "{error}");
    let error = choose(HugePages::Size1G, 1500, &machine(0, 1024)).unwrap_err();
    assert!(error.advice().unwrap().contains("echo 2 > "), "{error}");
}

#[test]
fn with_both_sizes_free_the_mount_decides() {
    let mut both = machine(1024, 1024);
    assert!(choose(HugePages::Size2M, 512, &both).unwrap_err().advice().unwrap().contains("pagesize=2M"));
    both.mount_2m = Some("/mnt/huge".into());
    let (args, _) = choose(HugePages::Size2M, 512, &both).unwrap();
    assert_eq!(args, ["--huge-dir", "/mnt/huge", "--huge-unlink", "-m", "512"]);
}

#[test]
fn mounts_are_found_by_page_size() {
    let mounts = "none /a hugetlbfs rw,pagesize=2M 0 0\nnone /b hugetlbfs rw,relatime,pagesize=1024M 0 0\n";
    assert_eq!(mount(mounts, &["pagesize=2M"]).as_deref(), Some("/a"));
    assert_eq!(mount(mounts, &["pagesize=1G", "pagesize=1024M"]).as_deref(), Some("/b"));
    assert_eq!(mount("proc /proc proc rw 0 0\n", &["pagesize=2M"]), None);
}
