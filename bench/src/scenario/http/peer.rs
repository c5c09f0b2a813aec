//! HAProxy and the gateway as processes, over veth between namespaces, in this run: `bench/peers/http` makes the place, starts
//! both one after the other, and says what a request cost the core that the gateway ran on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::scenario::Settings;

/// What a request costs one gateway.
pub(super) struct Cost {
    /// Microseconds of its core, on connections that are kept.
    pub(super) kept_us: f64,
    /// The same with a connection for each.
    one_us: f64,
    kept_per_s: f64,
    one_per_s: f64,
}

pub(super) struct Beside {
    pub(super) limpid: Cost,
    pub(super) haproxy: Cost,
}

/// Measures both; the reason why not, where the machine has not what that needs.
pub(super) fn measure(settings: &Settings) -> Result<Beside, String> {
    let limpid = limpid()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/http");
    let seconds = settings.seconds.ceil().clamp(2.0, 30.0);
    let done = Command::new(&script).arg(&limpid).arg(format!("{seconds}")).output();
    let done = done.map_err(|error| format!("{}: {error}", script.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("not measured: {}", said.lines().last().unwrap_or("peers/http failed")));
    }
    let said = String::from_utf8_lossy(&done.stdout);
    let cost = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("nothing about {name}"))?;
        let figures: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match figures[..] {
            [kept_us, one_us, kept_per_s, one_per_s] => Ok(Cost { kept_us, one_us, kept_per_s, one_per_s }),
            _ => Err(format!("peers/http said {line:?}")),
        }
    };
    Ok(Beside { limpid: cost("limpid")?, haproxy: cost("haproxy")? })
}

/// The gateway's binary: `LIMPID_BIN`, or the one built beside this one.
fn limpid() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("LIMPID_BIN") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("limpid");
    if beside.exists() {
        Ok(beside)
    } else {
        Err("not measured: no limpid beside limpid-bench, and no LIMPID_BIN".to_owned())
    }
}

impl Beside {
    pub(super) fn params(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("veth_us_a_request", json!(self.limpid.kept_us)),
            ("veth_us_a_request_one_each", json!(self.limpid.one_us)),
            ("veth_requests_per_s", json!(self.limpid.kept_per_s)),
            ("veth_requests_per_s_one_each", json!(self.limpid.one_per_s)),
            ("haproxy_us_a_request", json!(self.haproxy.kept_us)),
            ("haproxy_us_a_request_one_each", json!(self.haproxy.one_us)),
            ("haproxy_requests_per_s", json!(self.haproxy.kept_per_s)),
            ("haproxy_requests_per_s_one_each", json!(self.haproxy.one_per_s)),
        ]
    }
}
