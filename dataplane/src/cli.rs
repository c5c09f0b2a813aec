//! The command line: one program that is the gateway, checks its file, and asks the one that runs.
//!
//! Answers go to stdout, as tables for people or with `--json` for programs; everything else goes to stderr. Exit
//! codes: 0 done; 1 it did not work (no device, nobody runs, the request was refused); 2 the configuration or the
//! command line is wrong.

mod ask;
mod columns;
mod file;
mod set;
mod show;
mod tproxy;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use control::requests::protocol;
use control::tproxy::Flags;
use tracing_subscriber::EnvFilter;

/// Limpid, a transparent-proxy gateway on DPDK.
#[derive(Debug, Parser)]
#[command(name = "limpid", version, disable_help_subcommand = true)]
struct Cli {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The running gateway's control socket [default: what FILE says, else /run/limpid/control.sock]
    #[arg(short, long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    /// What to log: a level, or a filter such as `info,control=debug` [default: $LIMPID_LOG, else info]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway in the foreground: prints `ready`, reloads on SIGHUP, drains and ends on SIGTERM
    Run,
    /// Check a configuration file and report every fault
    Check,
    /// Say what would become of a new flow, and why; of FILE if given, else of the running gateway
    Explain(Explain),
    /// Show how the gateway is
    Status {
        /// Counters that are zero, too, and the drivers' own
        #[arg(long)]
        all: bool,
    },
    /// List flows
    Flows {
        /// How many at most
        #[arg(long, default_value_t = control::limits::FLOWS_DEFAULT)]
        limit: usize,
    },
    /// List tproxy entries
    Entries,
    /// Let a foreign address stand for a local one
    Assign(Assign),
    /// Take an entry out again
    Unassign(Local),
    /// Show which foreign address stands for a local one
    Query(Local),
    /// Show or replace an entry's flags
    Flags {
        #[command(flatten)]
        local: Local,
        /// The new flags: LISTEN, CONNECT, ESTABLISHED, ONCE, UNIDIR with commas between, or `none`
        flags: Option<Flags>,
    },
    /// Choose the foreign port that assign has left open
    Alloc(Local),
    /// Name the only peer that an entry is for
    Connect {
        #[command(flatten)]
        local: Local,
        /// The peer's address and port
        remote: SocketAddr,
    },
    /// Sets of addresses that rules ask: list and change them without a reload
    #[command(subcommand)]
    Set(set::SetCommand),
    /// Read the configuration file again, all of it or nothing
    Reload,
    /// Drain and end the gateway; a second time, end at once
    Stop,
}

/// A new flow.
#[derive(Debug, Args)]
struct Explain {
    /// The interface its first packet comes in on
    interface: String,
    /// tcp, udp, icmp, ... or a number
    #[arg(value_parser = protocol::parse)]
    protocol: u8,
    /// Where it comes from: address:port, [address]:port
    #[arg(value_parser = end)]
    source: SocketAddr,
    /// Where it goes
    #[arg(value_parser = end)]
    destination: SocketAddr,
}

/// What identifies an entry.
#[derive(Debug, Args)]
struct Local {
    /// tcp or udp
    #[arg(value_parser = protocol::parse)]
    protocol: u8,
    /// The local address and port
    local: SocketAddr,
}

/// A new entry.
#[derive(Debug, Args)]
struct Assign {
    #[command(flatten)]
    local: Local,
    /// The foreign address and port; 0.0.0.0:0 only marks, port 0 leaves the port open
    foreign: SocketAddr,
    /// Flags to set at once, such as LISTEN,ONCE
    #[arg(long)]
    flags: Option<Flags>,
    /// The only peer the entry is for
    #[arg(long, value_name = "ADDR:PORT")]
    remote: Option<SocketAddr>,
    /// The foreign address may be taken already
    #[arg(long)]
    reuse: bool,
    /// Take the entry out again after so many seconds if nobody has used it up
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u64>,
}

/// How a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// Exit code 1.
    Failed(String),
    /// Exit code 2.
    Wrong(String),
    /// Whoever read our output has gone: nothing to complain about.
    NobodyReads,
}

type Done = Result<(), Failure>;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = cli.log.clone().or_else(|| std::env::var("LIMPID_LOG").ok()).unwrap_or_else(|| "info".to_owned());
    if let Err(wrong) = start_log(&log) {
        return report(&Failure::Wrong(format!("log filter {log:?}: {wrong}")));
    }
    if let Command::Run = cli.command {
        return match file::load(cli.config()) {
            Ok(config) => crate::run::run(cli.config(), &config),
            Err(failure) => report(&failure),
        };
    }
    match dispatch(&cli) {
        Ok(()) | Err(Failure::NobodyReads) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn dispatch(cli: &Cli) -> Done {
    match &cli.command {
        Command::Run => unreachable!("main has seen to it"),
        Command::Check => file::check(cli.config(), cli.json),
        Command::Explain(flow) => match &cli.config {
            Some(path) => file::explain(path, flow, cli.json),
            None => ask::explain(&ask::client(cli)?, flow, cli.json),
        },
        Command::Status { all } => ask::status(&ask::client(cli)?, *all, cli.json),
        Command::Flows { limit } => ask::flows(&ask::client(cli)?, *limit, cli.json),
        Command::Entries => ask::entries(&ask::client(cli)?, cli.json),
        Command::Assign(assign) => tproxy::assign(&ask::client(cli)?, assign, cli.json),
        Command::Unassign(local) => tproxy::unassign(&ask::client(cli)?, local, cli.json),
        Command::Query(local) => tproxy::query(&ask::client(cli)?, local, cli.json),
        Command::Flags { local, flags } => tproxy::flags(&ask::client(cli)?, local, *flags, cli.json),
        Command::Alloc(local) => tproxy::alloc(&ask::client(cli)?, local, cli.json),
        Command::Connect { local, remote } => tproxy::connect(&ask::client(cli)?, local, *remote, cli.json),
        Command::Set(command) => set::run(&ask::client(cli)?, command, cli.json),
        Command::Reload => ask::reload(&ask::client(cli)?, cli.json),
        Command::Stop => ask::stop(&ask::client(cli)?, cli.json),
    }
}

impl Cli {
    /// For commands that cannot do without: clap has no words for an option that only some commands need.
    fn config(&self) -> &std::path::Path {
        self.config.as_deref().unwrap_or_else(|| {
            let missing = "the configuration file is missing: -c FILE";
            Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
        })
    }
}

fn start_log(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|wrong| wrong.to_string())?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .try_init()
        .map_err(|wrong| wrong.to_string())
}

fn report(failure: &Failure) -> ExitCode {
    let (text, code) = match failure {
        Failure::Failed(text) => (text, 1),
        Failure::Wrong(text) => (text, 2),
        Failure::NobodyReads => return ExitCode::SUCCESS,
    };
    // If nobody takes the message either, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "limpid: {text}");
    ExitCode::from(code)
}

/// Writes an answer to stdout.
fn say(text: impl fmt::Display) -> Done {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::Failed(format!("stdout: {error}")),
    })
}

/// One end of a flow; the port may be left out where the protocol has none.
fn end(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let whole = text.parse().or_else(|_| bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0)));
    whole.map_err(|_| "address:port is wanted; an IPv6 address in brackets: [fd00::1]:80".to_owned())
}

#[cfg(test)]
mod tests;
