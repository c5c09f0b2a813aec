//! What needs only the configuration file: check it, explain by it, load it to run.

use std::path::Path;

use control::{Config, Fault, Faults, NewFlow, PacketFacts, Policy};
use serde_json::{Value, json};
use tracing::warn;

use super::{Done, Explain, Failure, say};

/// The configuration to run by; its warnings go to the log.
pub(super) fn load(path: &Path) -> Result<Config, Failure> {
    let config = control::config::load(path, crate::modules::MODULES).map_err(|faults| wrong(&faults))?;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    Ok(config)
}

pub(super) fn check(path: &Path, as_json: bool) -> Done {
    match compile(path) {
        Ok((config, _)) if as_json => say(json!({ "ok": true, "warnings": faults_json(&config.warnings) })),
        Ok((config, policy)) => {
            config.warnings.iter().for_each(|warning| warn!("{warning}"));
            for (table, size) in policy.classifiers().filter(|(_, size)| size.coarse > 0) {
                let (table, rules, dimensions) = (table.name(), size.rules, size.coarse);
                warn!(
                    "table {table}: {rules} rules overlap too much for a full index; {dimensions} of its dimensions are coarse, and new flows take longer to decide"
                );
            }
            say("ok")
        }
        Err(faults) => {
            if as_json {
                say(json!({ "ok": false, "faults": faults_json(&faults) }))?;
            }
            Err(wrong(&faults))
        }
    }
}

pub(super) fn explain(path: &Path, flow: &Explain, as_json: bool) -> Done {
    let (_, policy) = compile(path).map_err(|faults| wrong(&faults))?;
    let Some(interface) = policy.interface_named(&flow.interface) else {
        let known: Vec<&str> = policy.interfaces().iter().map(|known| known.name.as_str()).collect();
        let text = format!("there is no interface {:?}; there are {}", flow.interface, known.join(", "));
        return Err(Failure::Wrong(text));
    };
    if flow.source.is_ipv4() != flow.destination.is_ipv4() {
        return Err(Failure::Wrong("source and destination are of different families".to_owned()));
    }
    let (protocol, source, destination) = (flow.protocol, flow.source, flow.destination);
    // Entries are the running gateway's: a file has none.
    let flow = NewFlow { interface, protocol, source, destination, packet: PacketFacts::default() };
    let explanation = policy.explain(&flow, None);
    if as_json { say(serde_json::to_value(&explanation).expect("our own types serialize")) } else { say(&explanation) }
}

/// What a file would have flows decided by.
pub(super) fn policy(path: &Path) -> Result<Policy, Failure> {
    compile(path).map(|(_, policy)| policy).map_err(|faults| wrong(&faults))
}

fn compile(path: &Path) -> Result<(Config, Policy), Faults> {
    let config = control::config::load(path, crate::modules::MODULES)?;
    let policy = Policy::compile(&config, 1)?;
    Ok((config, policy))
}

fn wrong(faults: &Faults) -> Failure {
    let number = match faults.len() {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    Failure::Wrong(format!("{number} in the configuration\n{faults}"))
}

fn faults_json(faults: &Faults) -> Vec<Value> {
    faults.iter().map(fault_json).collect()
}

fn fault_json(fault: &Fault) -> Value {
    json!({
        "file": fault.place.file,
        "line": fault.place.line,
        "column": fault.place.column,
        "message": fault.message,
        "hint": fault.hint,
    })
}
