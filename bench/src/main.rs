//! `limpid-bench`: how fast the gateway is, measured in memory and said with what it was held against.
//!
//! `run SCENARIO` prints a line a second and a table at the end, or with `--json` one line of JSON; `compare A B` holds
//! two files of such lines against each other. Only what is really measured here has a name: a scenario that is not
//! in the list is an error. What each one does, and the figures so far, are in `bench/README.md` and
//! `bench/history.jsonl`.

mod compare;
mod machine;
mod report;
mod scenario;
mod stopwatch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::scenario::{Mode, Scenario, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Limpid.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a scenario.
    Run {
        /// Which; `list` says what there is.
        scenario: String,
        /// One line of JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// How long to measure.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Entries of the table (lookup), rules (classify), connections at a time (connect, bulk, http), flows (forward), sessions (idle).
        #[arg(long)]
        flows: Option<usize>,
        /// Payload bytes: of request and reply (connect), of a segment (bulk).
        #[arg(long)]
        size: Option<usize>,
        /// What the gateway does (connect, bulk, forward, idle).
        #[arg(long, value_enum, default_value_t = Mode::Released)]
        mode: Mode,
    },
    /// Says what scenarios there are.
    List,
    /// Holds the figures of one file against those of another.
    Compare {
        /// Lines of JSON.
        before: PathBuf,
        /// Lines of JSON.
        after: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { scenario, json, seconds, flows, size, mode } => {
            run(&scenario, json, &Settings { seconds, flows, size, mode, quiet: json })
        }
        Command::List => {
            print(&scenario::list());
            Ok(())
        }
        Command::Compare { before, after } => compare::compare(&before, &after).map(|table| print(&table)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("limpid-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, json: bool, settings: &Settings) -> Result<(), String> {
    let scenario = Scenario::named(name)?;
    let report = scenario.run(settings)?;
    if json {
        print(&report.to_json().to_string());
    } else {
        print(&report.to_string());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn print(text: &str) {
    println!("{}", text.trim_end());
}
