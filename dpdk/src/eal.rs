//! The environment: started once in a process from the operator's options, and kept alive by all that stands on it.
//!
//! What must hold: the thread that calls [`Eal::init`] is the main lcore, and an [`Eal`] never leaves it. EAL probes
//! no device by itself (devices are attached one by one, so that a failing one can be named). Several processes live
//! side by side: each has its own file prefix. Left out: secondary processes.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, process, ptr};

use crate::error::Error;
pub use crate::hugepages::HugePages;
use crate::hugepages::{self, Machine};
use crate::lcore::{self, Lcore};
use crate::log;

#[cfg(test)]
mod tests;

/// What the operator says of the environment.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// CPUs that run workers.
    pub cores: Vec<u32>,
    /// Which memory.
    pub hugepages: HugePages,
    /// How much of it, MiB.
    pub memory_mib: u32,
    /// Prefix of EAL's files, one of its own for each process; empty: made from the process number.
    pub file_prefix: String,
    /// Will a PCI device be attached? Without, EAL does not touch the bus.
    pub pci: bool,
    /// Open the telemetry socket of DPDK's own tools.
    pub telemetry: bool,
    /// More arguments for EAL, verbatim, after ours; one that contradicts ours replaces it.
    pub args: Vec<String>,
}

/// The running environment.
pub struct Eal {
    pub(crate) handle: Arc<Handle>,
    workers: Vec<Lcore>,
    choices: Vec<String>,
    /// `rte_eal_remote_launch` and device attachment belong to the main lcore: neither `Send` nor `Sync`.
    on_main_lcore: PhantomData<*const ()>,
}

/// What keeps EAL's memory mapped: pools, ports and queues hold one each.
pub(crate) struct Handle {
    /// EAL's folder for this process, which it leaves behind; ours to remove when the prefix was ours.
    runtime_dir: Option<PathBuf>,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts EAL; the calling thread becomes the main lcore.
    ///
    /// # Errors
    /// When it was started before, the options cannot be met, or EAL refuses; EAL cannot be tried twice in a process.
    pub fn init(options: &Options) -> Result<Eal, Error> {
        let (lcores, workers) = lcore::place(&options.cores, &lcore::allowed_cpus()?)?;
        let (args, choices) = arguments(options, &lcores, &Machine::look())?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(Error::new("cannot start EAL", "it was started before in this process"));
        }
        log::install()?;
        let (result, heard) = log::listen(|| init_with(&args));
        let runtime_dir = runtime_dir().filter(|folder| folder.ends_with(own_prefix()));
        if let Some(folder) = &runtime_dir {
            // Without shared files and telemetry nothing is in it, and a killed process cannot do this later.
            let _ = fs::remove_dir(folder);
        }
        result.map_err(|code| {
            let error = Error::number("cannot start EAL", code).with_log(heard);
            match code.saturating_abs() {
                EACCES | EPERM => error.advise("run as root, or dpdk.hugepages: off"),
                ENOMEM => error.advise("less dpdk.memory_mib, or more hugepages"),
                _ => error.advise("check dpdk.args"),
            }
        })?;
        tracing::debug!(target: "dpdk::eal", "started with {}", args.join(" "));
        Ok(Eal { handle: Arc::new(Handle { runtime_dir }), workers, choices, on_main_lcore: PhantomData })
    }

    /// The workers' lcores, in the order of [`Options::cores`].
    pub fn workers(&self) -> &[Lcore] {
        &self.workers
    }

    /// What was chosen where the options left a choice, one printable line each.
    pub fn choices(&self) -> &[String] {
        &self.choices
    }

    /// Runs `task` on a worker's lcore.
    ///
    /// # Errors
    /// When that lcore still runs something.
    pub fn launch(&self, lcore: &Lcore, task: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let task: Box<Task> = Box::new(Box::new(task));
        let task = Box::into_raw(task);
        // SAFETY: `run` takes the box that `task` points to exactly once, on the lcore's thread; what is in it is
        // Send and 'static. The lcore's id came from EAL's own list.
        let code = unsafe { dpdk_sys::rte_eal_remote_launch(Some(run), task.cast(), lcore.id) };
        if code != 0 {
            // SAFETY: EAL refused, so `run` was not and will not be called with the box: it is still ours.
            drop(unsafe { Box::from_raw(task) });
            return Err(Error::number(format!("cannot launch a worker on CPU {}", lcore.cpu()), code));
        }
        Ok(())
    }

    /// Waits until the lcore's task has returned; at once when it runs none.
    ///
    /// # Errors
    /// When the task panicked.
    pub fn wait(&self, lcore: &Lcore) -> Result<(), Error> {
        // SAFETY: called on the main lcore (Eal is not Send) with an id from EAL's own list.
        match unsafe { dpdk_sys::rte_eal_wait_lcore(lcore.id) } {
            0 => Ok(()),
            _ => Err(Error::new(format!("the worker on CPU {} ended", lcore.cpu()), "it panicked")),
        }
    }

    /// DPDK's version, as it names itself.
    pub fn version() -> String {
        // SAFETY: returns a pointer to a static, terminated string.
        unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_string_lossy().into_owned()
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// On the lcore: EAL is C, so a panic must not leave this function.
unsafe extern "C" fn run(task: *mut c_void) -> c_int {
    // SAFETY: `launch` made the pointer by Box::into_raw and hands it to one call only.
    let task = unsafe { Box::from_raw(task.cast::<Task>()) };
    match catch_unwind(AssertUnwindSafe(task)) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: plain reads of EAL's thread-local and global numbers.
        let on_main = unsafe { dpdk_sys::rte_lcore_id() == dpdk_sys::rte_get_main_lcore() };
        if !on_main {
            // Cleaning up is for the main lcore; the process is ending anyway, and the kernel takes the memory back.
            return;
        }
        // SAFETY: this is the last handle: no port, queue or pool is left, and a pool that has buffers out keeps its
        // handle for ever. So nothing points into EAL's memory.
        unsafe { dpdk_sys::rte_eal_cleanup() };
        if let Some(folder) = &self.runtime_dir {
            // Whatever stays behind is a few empty files in a run-time folder.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;

fn init_with(args: &[String]) -> Result<(), i32> {
    const EINVAL: i32 = 22;
    let mut pointers: Vec<*mut c_char> = Vec::with_capacity(args.len() + 1);
    for arg in args {
        pointers.push(CString::new(arg.as_str()).map_err(|_| EINVAL)?.into_raw());
    }
    pointers.push(ptr::null_mut());
    let count = c_int::try_from(args.len()).map_err(|_| EINVAL)?;
    // EAL keeps pointers into its arguments (the program's name, device strings): they live as long as the process.
    let argv = pointers.leak();
    // SAFETY: argv holds `count` terminated strings and a null pointer, all of which live for ever; STARTED sees to it
    // that this is called once.
    let code = unsafe { dpdk_sys::rte_eal_init(count, argv.as_mut_ptr()) };
    if code >= 0 {
        return Ok(());
    }
    // SAFETY: reads a thread-local number.
    let number = unsafe { dpdk_sys::limpid_errno() };
    Err(if number != 0 { number } else { code })
}

fn runtime_dir() -> Option<PathBuf> {
    // SAFETY: a static, terminated string, empty before EAL reads its options; it is copied here.
    let folder = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
    folder.to_str().ok().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// EAL's command line, and what was chosen on it.
fn arguments(options: &Options, lcores: &str, machine: &Machine) -> Result<(Vec<String>, Vec<String>), Error> {
    let given = |names: &[&str]| {
        options.args.iter().any(|arg| names.iter().any(|name| arg.split('=').next().is_some_and(|a| a == *name)))
    };
    let mut choices = Vec::new();
    let mut args: Vec<String> = vec!["limpid".into(), "--lcores".into(), lcores.into()];
    args.extend(["--main-lcore".into(), "0".into()]);
    if !given(MEMORY_ARGS) {
        let (memory, choice) = hugepages::choose(options.hugepages, options.memory_mib, machine)?;
        args.extend(memory);
        choices.push(choice);
    }
    if !given(&["--file-prefix"]) {
        let prefix = if options.file_prefix.is_empty() { own_prefix() } else { options.file_prefix.clone() };
        args.extend(["--file-prefix".into(), prefix]);
    }
    if !given(PCI_ARGS) {
        // An allow-list of a device that cannot be keeps EAL from reaching for all others when it starts.
        if options.pci { args.extend(["-a".into(), NO_DEVICE.into()]) } else { args.push("--no-pci".into()) }
    }
    if !options.telemetry && !given(&["--telemetry", "--no-telemetry"]) {
        args.push("--no-telemetry".into());
    }
    args.extend(options.args.iter().cloned());
    Ok((args, choices))
}

fn own_prefix() -> String {
    format!("limpid-{}", process::id())
}

/// The last function of the last device of the last bus.
const NO_DEVICE: &str = "ffff:ff:1f.7";

const MEMORY_ARGS: &[&str] =
    &["-m", "--no-huge", "--in-memory", "--huge-dir", "--huge-unlink", "--socket-mem", "--legacy-mem"];

const PCI_ARGS: &[&str] = &["--no-pci", "-a", "--allow", "-b", "--block"];
