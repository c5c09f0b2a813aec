//! Several processes on one machine, and EAL with the PCI bus in sight.

use std::env;
use std::path::Path;
use std::process::{Command, Output};

use crate::{Case, INSIDE, WITH_ARGS, WITH_PCI, World};

pub(crate) const CASES: &[Case] = &[
    ("processes::two_live_side_by_side_and_leave_nothing", false, side_by_side),
    ("processes::pci_devices_are_left_alone_until_attached", false, pci),
    ("processes::eal_that_refuses_says_why", false, refused),
];

/// Runs the cases of this program whose names contain `word` in a process of their own.
fn other_process(word: &str, variable: Option<(&str, &str)>) -> (u32, Output) {
    let mut command = Command::new(env::current_exe().unwrap());
    // Not into yet another namespace.
    command.arg(word).env(INSIDE, "1");
    command.envs(variable);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    (child.id(), child.wait_with_output().unwrap())
}

fn side_by_side(_: &World) {
    let (id, output) = other_process("ring_brings_back", None);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("ring_brings_back_what_was_sent ... ok"), "{output:?}");
    let ours = std::process::id();
    for left in [id, ours].map(|id| Path::new("/var/run/dpdk").join(format!("limpid-{id}"))) {
        assert!(!left.exists(), "{} was left behind", left.display());
    }
}

fn pci(_: &World) {
    let (_, output) = other_process("what_is_not_there_is_named", Some((WITH_PCI, "1")));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("what_is_not_there_is_named ... ok"), "{output:?}");
}

fn refused(_: &World) {
    for (args, wanted) in [("--bogus-option", "bogus-option"), ("-d /nope/driver.so", "/nope/driver.so")] {
        let (_, output) = other_process("nothing", Some((WITH_ARGS, args)));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "EAL took {args}");
        assert!(text.contains("cannot start EAL") && text.contains("try: check dpdk.args"), "{text}");
        assert!(text.contains(wanted), "{text}");
    }
}
