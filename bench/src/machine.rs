//! Where and of what figures are: the processor, and the commit that was built. Figures of two machines do not compare.

use std::process::Command;

/// The processor's name and the number of its cores that we see.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{cores} x {}", model.unwrap_or("unknown processor"))
}

/// The commit of the folder we are run in, with a mark if files differ from it; none outside of the repository.
pub(crate) fn commit() -> Option<String> {
    let said = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    (said.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Cycles of the time-stamp counter in a second: as the kernel found it, else as the processor is marked.
pub(crate) fn cycles_per_second() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").map_err(|error| format!("/proc/cpuinfo: {error}"))?;
    let mhz = text.lines().find_map(|line| line.strip_prefix("cpu MHz")?.split(':').nth(1)?.trim().parse::<f64>().ok());
    mhz.map(|mhz| mhz * 1e6).ok_or_else(|| "/proc/cpuinfo does not say how fast the processor is".to_owned())
}
