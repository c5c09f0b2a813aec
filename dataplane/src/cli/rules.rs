//! `limpid rules`: from rules with macros to rules that run, and back again when they lock somebody out.
//!
//! Exit codes: 0 done; 1 the command line is wrong; 2 the rules or the configuration are; 3 they were not loaded, and
//! what ran before runs on; 4 they were loaded and taken back; 5 somebody else is at work on them.
//!
//! `gen` needs files only; the others ask the running gateway, which reads the files itself. What this program does
//! beyond asking is to wait and to hold the lock: it may be killed at any time, and the gateway goes back all the same.

mod session;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use control::client::{Client, ClientError};
use control::limits::{CONFIRM_S, PROBATION_S};
use control::reload::rules_files::{self, Lock, LockError, RulesFiles};
use control::rules::{Named, generate};
use serde_json::{Value, json};
use tracing::warn;

use super::{Cli, Done, Failure, ask, say};

/// Wrong rules or a wrong configuration.
const WRONG: u8 = 2;
/// Not loaded.
const NOT_LOADED: u8 = 3;
/// Loaded and taken back.
const REVERTED: u8 = 4;
/// Somebody else is at work.
const LOCKED: u8 = 5;

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Make RULES.new of RULES.in and the macros in RULES.var
    Gen {
        /// The rules file [default: what `rules_file` of the configuration, or of the running gateway, says]
        rules: Option<PathBuf>,
        /// What looks wrong is wrong
        #[arg(long)]
        strict: bool,
    },
    /// Load RULES.new for a while; then what ran before comes back, whatever happens meanwhile
    Test {
        /// For how long
        #[arg(short = 't', long, value_name = "N", default_value_t = PROBATION_S)]
        seconds: u64,
    },
    /// Load RULES.new and make it the rules file
    Commit,
    /// The same, but only if `limpid rules confirm` comes from a new log-in; else what ran before comes back
    CommitConfirm {
        /// How long to wait for it
        #[arg(short = 't', long, value_name = "N", default_value_t = CONFIRM_S)]
        seconds: u64,
    },
    /// Keep what `commit-confirm` has loaded
    Confirm {
        /// From this log-in, though it is older than the rules and proves nothing about them
        #[arg(long)]
        here: bool,
    },
    /// Take back at once what `test` or `commit-confirm` has loaded
    Revert,
    /// Show the rules that run, or those of the configuration if one is given, in canonical form
    Show {
        /// With the packets and bytes that each rule has met
        #[arg(long)]
        counters: bool,
    },
}

pub(super) fn run(cli: &Cli, command: &RulesCommand) -> Done {
    match command {
        RulesCommand::Gen { rules, strict } => generate_new(cli, rules.as_deref(), *strict),
        RulesCommand::Test { seconds } => test(cli, *seconds),
        RulesCommand::Commit => commit(cli),
        RulesCommand::CommitConfirm { seconds } => commit_confirm(cli, *seconds),
        RulesCommand::Confirm { here } => confirm(cli, *here),
        RulesCommand::Revert => revert(cli),
        RulesCommand::Show { counters } => show(cli, *counters),
    }
}

fn generate_new(cli: &Cli, rules: Option<&Path>, strict: bool) -> Done {
    let current = match (rules, cli.config_given()) {
        (Some(rules), _) => rules.to_owned(),
        (None, Some(config)) => named_by(config)?,
        (None, None) => file_of(&client(cli)?.get("/v1/rules/state").map_err(|error| refused(&error))?)?,
    };
    let files = RulesFiles::new(current);
    let _lock = lock(&files, "limpid rules gen")?;
    let read = |suffix: &str| {
        let path = files.beside(suffix);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| Failure::Code(WRONG, format!("{}: {error}", path.display())))?;
        // By the bare name, which stands in the comments of what is made: the same wherever the folder lies.
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok::<_, Failure>((name, text))
    };
    let (rules, macros) = (read(rules_files::IN)?, read(rules_files::VAR)?);
    let beside = files.current().parent().map(Path::to_owned).unwrap_or_default();
    let included = |name: &str| std::fs::read_to_string(beside.join(name));
    let wrong = |faults| Failure::Code(WRONG, format!("the rules are wrong, and nothing was written\n{faults}"));
    let [rules, macros] = [&rules, &macros].map(|(name, text)| Named { name, text });
    let generated = generate(rules, macros, strict, &included).map_err(wrong)?;
    generated.warnings.iter().for_each(|warning| warn!("{warning}"));
    files.write_new(&generated.text).map_err(|error| Failure::Code(NOT_LOADED, error.to_string()))?;
    let (new, rules) = (files.beside(rules_files::NEW), generated.rules.len());
    if cli.json {
        return say(json!({ "file": new, "rules": rules }));
    }
    say(format_args!("{}: {rules} rules", new.display()))
}

fn test(cli: &Cli, seconds: u64) -> Done {
    let client = client(cli)?;
    let _lock = lock_running(&client, "limpid rules test")?;
    let begun = client.post("/v1/rules/test", &json!({ "seconds": seconds })).map_err(|error| refused(&error))?;
    warnings(&begun);
    let probation = &begun["probation"];
    if !cli.json {
        let (tested, before) = (&probation["generation"], &probation["before"]);
        say(format_args!("policy {tested} for {seconds} s, then {before} again, whatever happens"))?;
    }
    let state = wait(&client, probation)?;
    let last = last_of(&state, probation)?;
    if cli.json {
        return say(json!({ "tested": probation["generation"], "generation": state["generation"], "ended": last }));
    }
    say(format_args!("policy {} again", state["generation"]))
}

fn commit(cli: &Cli) -> Done {
    let client = client(cli)?;
    let _lock = lock_running(&client, "limpid rules commit")?;
    let loaded = client.post("/v1/rules/commit", &json!({})).map_err(|error| refused(&error))?;
    loaded_for_good(cli, &loaded)
}

fn commit_confirm(cli: &Cli, seconds: u64) -> Done {
    let client = client(cli)?;
    let _lock = lock_running(&client, "limpid rules commit-confirm")?;
    let asked = json!({ "confirm": true, "seconds": seconds });
    let begun = client.post("/v1/rules/commit", &asked).map_err(|error| refused(&error))?;
    warnings(&begun);
    let probation = &begun["probation"];
    if !cli.json {
        let (tested, before) = (&probation["generation"], &probation["before"]);
        say(format_args!(
            "policy {tested} for {seconds} s; log in anew and say `limpid rules confirm`, else {before} again"
        ))?;
    }
    let state = wait(&client, probation)?;
    match last_of(&state, probation)?.as_str() {
        "kept" => loaded_for_good(cli, &state),
        _ => {
            let said = format!("nobody has confirmed the rules: policy {} again", state["generation"]);
            Err(Failure::Code(REVERTED, said))
        }
    }
}

fn confirm(cli: &Cli, here: bool) -> Done {
    let client = client(cli)?;
    let state = client.get("/v1/rules/state").map_err(|error| refused(&error))?;
    let since = state["probation"]["age_ms"].as_u64();
    // A log-in that was there before the rules says nothing about whether one can still log in.
    if let Some(since) = since.filter(|_| !here)
        && session::age_ms().is_none_or(|age| age >= since)
    {
        let said = "this log-in is older than the rules, so it does not show that one can still log in: \
                    confirm from a new one, or say --here";
        return Err(Failure::Code(NOT_LOADED, said.to_owned()));
    }
    let kept = client.post("/v1/rules/confirm", &json!({})).map_err(|error| refused(&error))?;
    loaded_for_good(cli, &kept)
}

fn revert(cli: &Cli) -> Done {
    let back = client(cli)?.post("/v1/rules/revert", &json!({})).map_err(|error| refused(&error))?;
    if cli.json { say(back) } else { say(format_args!("policy {} again", back["generation"])) }
}

fn show(cli: &Cli, counters: bool) -> Done {
    match cli.config_given() {
        Some(config) if !counters => {
            let config = control::config::load(config, crate::modules::MODULES)
                .map_err(|faults| Failure::Code(WRONG, faults.to_string()))?;
            let text = config.rules.to_string();
            if cli.json { say(json!({ "file": config.file, "text": text })) } else { say(text.trim_end()) }
        }
        _ => {
            let path = format!("/v1/rules?counters={counters}&format={}", if cli.json { "json" } else { "text" });
            say(client(cli)?.get_text(&path).map_err(|error| refused(&error))?.trim_end())
        }
    }
}

fn loaded_for_good(cli: &Cli, loaded: &Value) -> Done {
    warnings(loaded);
    if cli.json { say(loaded) } else { say(format_args!("policy {} committed", loaded["generation"])) }
}

fn warnings(said: &Value) {
    said["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).for_each(|warning| warn!("{warning}"));
}

/// Waits until the probation is over. Gives the state after it.
fn wait(client: &Client, probation: &Value) -> Result<Value, Failure> {
    let mut patience = Duration::from_millis(probation["remaining_ms"].as_u64().unwrap_or_default()) + PATIENCE;
    loop {
        pause();
        let state = client.get("/v1/rules/state");
        if let Ok(state) = &state
            && state["probation"]["generation"] != probation["generation"]
        {
            return Ok(state.clone());
        }
        patience = patience.saturating_sub(PAUSE);
        if patience.is_zero() {
            let said = match state {
                Ok(_) => "the rules are still on probation".to_owned(),
                Err(error) => format!("{error}; the cores go back by themselves"),
            };
            return Err(Failure::Code(NOT_LOADED, said));
        }
    }
}

/// How the probation that we began has ended.
fn last_of(state: &Value, probation: &Value) -> Result<String, Failure> {
    let last = &state["last"];
    match last["ended"].as_str() {
        Some(ended) if last["generation"] == probation["generation"] => Ok(ended.to_owned()),
        // A gateway that was started anew knows nothing of it, and runs what its file says.
        _ => Err(Failure::Code(REVERTED, "the gateway does not know of these rules any more".to_owned())),
    }
}

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(100);
/// Beyond the time that a probation lasts.
const PATIENCE: Duration = Duration::from_secs(5);

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "the command line waits for the gateway")]
    std::thread::sleep(PAUSE);
}

fn client(cli: &Cli) -> Result<Client, Failure> {
    if let (None, Some(config)) = (&cli.socket, cli.config_given()) {
        // The configuration may be what is to be mended: only where its socket is matters here.
        let socket = control::config::peek(config).and_then(|peek| peek.socket);
        let path = socket.unwrap_or_else(|| PathBuf::from(control::config::SOCKET));
        return Client::new(path).map_err(|error| Failure::Code(NOT_LOADED, error.to_string()));
    }
    ask::client(cli)
}

fn named_by(config: &Path) -> Result<PathBuf, Failure> {
    control::config::peek(config).and_then(|peek| peek.rules_file).ok_or_else(|| {
        let config = config.display();
        Failure::Code(1, format!("{config} has no `rules_file`: name the rules file, `limpid rules gen FILE`"))
    })
}

fn file_of(state: &Value) -> Result<PathBuf, Failure> {
    state["file"].as_str().map(PathBuf::from).ok_or_else(|| {
        let said = "the running gateway's rules stand in its configuration: this is for a `rules_file`";
        Failure::Code(NOT_LOADED, said.to_owned())
    })
}

fn lock_running(client: &Client, purpose: &str) -> Result<Lock, Failure> {
    let state = client.get("/v1/rules/state").map_err(|error| refused(&error))?;
    lock(&RulesFiles::new(file_of(&state)?), purpose)
}

fn lock(files: &RulesFiles, purpose: &str) -> Result<Lock, Failure> {
    files.lock(purpose).map_err(|error| match error {
        LockError::Held { .. } => Failure::Code(LOCKED, error.to_string()),
        LockError::Failed(_) => Failure::Code(NOT_LOADED, error.to_string()),
    })
}

fn refused(error: &ClientError) -> Failure {
    let code = match error {
        ClientError::Refused { status: 422, .. } => WRONG,
        ClientError::Refused { status: 400, .. } => 1,
        ClientError::Refused { status: 423, .. } => LOCKED,
        _ => NOT_LOADED,
    };
    Failure::Code(code, error.to_string())
}

#[cfg(test)]
mod tests;
