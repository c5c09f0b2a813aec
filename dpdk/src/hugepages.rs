//! Which memory EAL takes: hugepages when enough are free, ordinary pages when not or when told so.
//!
//! What must hold: `--no-huge` and `--in-memory` never go together (EAL fails), and nothing is left in hugetlbfs when
//! the process dies (in-memory maps no files; otherwise `--huge-unlink`).

use std::fs;

use crate::error::Error;

#[cfg(test)]
mod tests;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Hugepages when enough are free, else ordinary pages.
    #[default]
    Auto,
    /// Pages of 2 MiB or an error.
    Size2M,
    /// Pages of 1 GiB or an error.
    Size1G,
    /// Ordinary pages.
    Off,
}

/// Bytes in free hugepages, and where hugetlbfs is mounted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) free_2m_mib: u64,
    pub(crate) free_1g_mib: u64,
    pub(crate) mount_2m: Option<String>,
    pub(crate) mount_1g: Option<String>,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        Machine {
            free_2m_mib: free_pages(2048) * 2,
            free_1g_mib: free_pages(1_048_576) * 1024,
            mount_2m: mount(&mounts, &["pagesize=2M"]),
            mount_1g: mount(&mounts, &["pagesize=1G", "pagesize=1024M"]),
        }
    }
}

/// EAL's arguments for `memory_mib` of packet memory, and a sentence that says which it is.
pub(crate) fn choose(wish: HugePages, memory_mib: u32, machine: &Machine) -> Result<(Vec<String>, String), Error> {
    let needed = u64::from(memory_mib);
    match wish {
        HugePages::Off => Ok((ordinary(memory_mib), format!("memory: {memory_mib} MiB of ordinary pages"))),
        HugePages::Auto if machine.free_1g_mib >= needed || machine.free_2m_mib >= needed => {
            Ok((in_memory(memory_mib), format!("memory: {memory_mib} MiB of hugepages")))
        }
        HugePages::Auto => Ok((
            ordinary(memory_mib),
            format!("memory: {memory_mib} MiB of ordinary pages, because too few hugepages are free"),
        )),
        HugePages::Size2M => {
            let other = machine.free_1g_mib > 0;
            sized("2M", 2, memory_mib, machine.free_2m_mib, other, machine.mount_2m.as_deref())
        }
        HugePages::Size1G => {
            let other = machine.free_2m_mib > 0;
            sized("1G", 1024, memory_mib, machine.free_1g_mib, other, machine.mount_1g.as_deref())
        }
    }
}

fn sized(
    size: &str,
    page_mib: u32,
    memory_mib: u32,
    free_mib: u64,
    other_size_free: bool,
    mount: Option<&str>,
) -> Result<(Vec<String>, String), Error> {
    let doing = format!("cannot take {memory_mib} MiB of {size} hugepages");
    if free_mib < u64::from(memory_mib) {
        let pages = memory_mib.div_ceil(page_mib);
        let file = format!("/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages", page_mib * 1024);
        return Err(Error::new(doing, format!("{free_mib} MiB are free"))
            .advise(format!("echo {pages} > {file}, or dpdk.hugepages: auto, or off")));
    }
    let sentence = format!("memory: {memory_mib} MiB of {size} hugepages");
    if !other_size_free {
        return Ok((in_memory(memory_mib), sentence));
    }
    // In memory, EAL takes pages of every size; only a mount pins it to one.
    let Some(mount) = mount else {
        return Err(Error::new(
            doing,
            "pages of the other size are free too, and EAL can tell them apart only by mount",
        )
        .advise(format!("mount -t hugetlbfs -o pagesize={size} none /mnt/huge-{size}")));
    };
    let mut args: Vec<String> = vec!["--huge-dir".into(), mount.into(), "--huge-unlink".into()];
    args.extend(["-m".into(), memory_mib.to_string()]);
    Ok((args, sentence))
}

fn ordinary(memory_mib: u32) -> Vec<String> {
    // No shared files: they would be for secondary processes, and a killed process would leave them behind.
    vec!["--no-huge".into(), "--no-shconf".into(), "-m".into(), memory_mib.to_string()]
}

/// Needs no hugetlbfs mount and leaves no files.
fn in_memory(memory_mib: u32) -> Vec<String> {
    vec!["--in-memory".into(), "-m".into(), memory_mib.to_string()]
}

fn free_pages(size_kib: u32) -> u64 {
    fs::read_to_string(format!("/sys/kernel/mm/hugepages/hugepages-{size_kib}kB/free_hugepages"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn mount(mounts: &str, sizes: &[&str]) -> Option<String> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, folder, "hugetlbfs", options, ..] = fields[..] else { return None };
        options.split(',').any(|option| sizes.contains(&option)).then(|| folder.to_owned())
    })
}
