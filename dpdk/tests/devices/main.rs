//! Real devices of a real DPDK, without hugepages unless LIMPID_TEST_HUGEPAGES is set: what the owners promise, and what each driver that the gateway
//! names can be trusted with.
//!
//! EAL starts once in a process and wants the main thread, so this is no libtest: cases run one after another, in a
//! network namespace of their own when we are root. Without root those that need one are skipped, and say so. A word
//! on the command line picks the cases whose names contain it.

#![allow(clippy::undocumented_unsafe_blocks, reason = "there is none here")]

mod kernel;
mod memory;
mod processes;
mod virtual_devices;
mod wire;
mod workers;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use dpdk::{Eal, HugePages, Options, Pool};

/// What a case needs.
pub(crate) struct World {
    pub(crate) eal: Eal,
    pub(crate) pool: Pool,
    pub(crate) folder: std::path::PathBuf,
}

/// A case: what it shows, whether it needs a namespace of its own, and the code.
type Case = (&'static str, bool, fn(&World));

const CASES: &[&[Case]] = &[memory::CASES, virtual_devices::CASES, workers::CASES, processes::CASES, kernel::CASES];

const INSIDE: &str = "LIMPID_TEST_NAMESPACE";

/// Lets EAL see the PCI bus: for a second process that a case starts.
const WITH_PCI: &str = "LIMPID_TEST_PCI";

/// More arguments for EAL.
const WITH_ARGS: &str = "LIMPID_TEST_ARGS";

/// Takes hugepages when enough are free: for a run by hand on a machine that has some.
const WITH_HUGEPAGES: &str = "LIMPID_TEST_HUGEPAGES";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let own_namespace = env::var_os(INSIDE).is_some();
    if !own_namespace
        && is_root()
        && let Some(code) = again_in_namespace(&arguments)
    {
        return code;
    }
    run(&arguments, own_namespace)
}

fn run(arguments: &[String], own_namespace: bool) -> ExitCode {
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let folder = env::temp_dir().join(format!("limpid-dpdk-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let world = start(folder.clone());
    let mut failed = 0;
    for (name, needs_namespace, case) in CASES.iter().copied().flatten() {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        if *needs_namespace && !own_namespace {
            println!("test {name} ... skipped: needs root, for a network namespace of its own");
            continue;
        }
        let before = world.pool.available();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            case(&world);
            assert_eq!(world.pool.available(), before, "buffers were lost");
        }));
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += usize::from(outcome.is_err());
    }
    drop(world);
    let _ = std::fs::remove_dir_all(folder);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start(folder: std::path::PathBuf) -> World {
    let huge = env::var_os(WITH_HUGEPAGES).is_some();
    let options = Options {
        cores: vec![first_cpu()],
        hugepages: if huge { HugePages::Auto } else { HugePages::Off },
        memory_mib: 96,
        pci: env::var_os(WITH_PCI).is_some(),
        args: env::var(WITH_ARGS).iter().flat_map(|args| args.split(' ')).map(str::to_owned).collect(),
        ..Options::default()
    };
    let eal = Eal::init(&options).unwrap_or_else(|error| panic!("{error}"));
    let pool = Pool::new(&eal, None, 8192, dpdk::limits::DATA_ROOM).expect("96 MiB hold 8,192 buffers");
    World { eal, pool, folder }
}

fn first_cpu() -> u32 {
    dpdk::allowed_cpus().expect("Linux")[0]
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    ids.split_whitespace().nth(1) == Some("0")
}

/// Runs this program once more in a fresh network namespace; `None` when there can be none.
fn again_in_namespace(arguments: &[String]) -> Option<ExitCode> {
    let works = Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        return None;
    }
    let program = env::current_exe().ok()?;
    let status = Command::new("unshare").arg("--net").arg(program).args(arguments).env(INSIDE, "1").status().ok()?;
    Some(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
