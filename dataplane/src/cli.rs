//! The command line: one program that is the gateway, checks its file, and asks the one that runs.
//!
//! Answers go to stdout, as tables for people or with `--json` for programs; everything else goes to stderr. Exit
//! codes: 0 done; 1 it did not work (no device, nobody runs, the request was refused); 2 the configuration or the
//! command line is wrong. `limpid rules` has codes of its own.

mod ask;
mod columns;
mod file;
mod replay;
mod rules;
mod set;
mod show;
mod top;
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

use crate::log::format::{Json, LogFormat, Zorp};

/// Limpid, a transparent-proxy gateway on DPDK.
#[derive(Debug, Parser)]
#[command(name = "limpid", version, disable_help_subcommand = true)]
struct Cli {
    /// The configuration file
    #[arg(short, long = "config", global = true, value_name = "FILE")]
    configs: Vec<PathBuf>,
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
    Run {
        /// How lines of the log look
        #[arg(long, value_enum, default_value_t)]
        log_format: LogFormat,
        /// Log forwarded flows at their end, too, as proxied ones are
        #[arg(long)]
        log_forwarded: bool,
    },
    /// Check a configuration file and report every fault
    Check,
    /// Print the JSON schema of configuration files, for editors
    Schema,
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
    /// Rules with macros: generate, test, commit, show
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// List the flows of a capture that NEW would treat differently than OLD: -c OLD -c NEW
    Replay(replay::Replay),
    /// Show what goes through, again and again
    Top(top::Top),
    /// Read the configuration file again, all of it or nothing
    Reload {
        /// Cut flows that the new policy forbids
        #[arg(long)]
        redecide: bool,
    },
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
    /// With an exit code of its own.
    Code(u8, String),
    /// Whoever read our output has gone: nothing to complain about.
    NobodyReads,
}

type Done = Result<(), Failure>;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `limpid rules` tells wrong rules (2) from a wrong command line.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "rules") => {
            // If nobody takes the message, the exit code is all that is left.
            let _ = error.print();
            return ExitCode::from(1);
        }
        Err(error) => error.exit(),
    };
    let log = cli.log.clone().or_else(|| std::env::var("LIMPID_LOG").ok()).unwrap_or_else(|| "info".to_owned());
    let format = match &cli.command {
        Command::Run { log_format, .. } => *log_format,
        _ => LogFormat::Text,
    };
    if let Err(wrong) = start_log(&log, format) {
        return report(&Failure::Wrong(format!("log filter {log:?}: {wrong}")));
    }
    if let Command::Run { log_forwarded, .. } = cli.command {
        return match file::load(cli.config()) {
            Ok(config) => crate::run::run(cli.config(), &config, log_forwarded),
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
        Command::Run { .. } => unreachable!("main has seen to it"),
        Command::Check => file::check(cli.config(), cli.json),
        Command::Schema => say(format_args!("{:#}", control::config::schema(crate::modules::MODULES))),
        Command::Explain(flow) => match cli.config_given() {
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
        Command::Rules(command) => rules::run(cli, command),
        Command::Replay(replay) => {
            let [old, new] = cli.configs.as_slice() else {
                let missing = "two configuration files are to be compared: -c OLD -c NEW";
                Cli::command().error(ErrorKind::WrongNumberOfValues, missing).exit()
            };
            replay::run(replay, old, new, cli.json)
        }
        Command::Top(top) => top::run(&ask::client(cli)?, top, cli.json),
        Command::Reload { redecide } => ask::reload(&ask::client(cli)?, *redecide, cli.json),
        Command::Stop => ask::stop(&ask::client(cli)?, cli.json),
    }
}

impl Cli {
    /// For commands that cannot do without: clap has no words for an option that only some commands need.
    fn config(&self) -> &std::path::Path {
        self.config_given().unwrap_or_else(|| {
            let missing = "the configuration file is missing: -c FILE";
            Cli::command().error(ErrorKind::MissingRequiredArgument, missing).exit()
        })
    }

    /// The configuration file, if one is named.
    fn config_given(&self) -> Option<&std::path::Path> {
        match self.configs.as_slice() {
            [] => None,
            [one] => Some(one),
            [..] => {
                let many = "one configuration file is enough here: -c FILE";
                Cli::command().error(ErrorKind::TooManyValues, many).exit()
            }
        }
    }
}

fn start_log(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|wrong| wrong.to_string())?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Zorp => log.event_format(Zorp).try_init(),
        LogFormat::Json => log.event_format(Json).try_init(),
    }
    .map_err(|wrong| wrong.to_string())
}

fn report(failure: &Failure) -> ExitCode {
    let (text, code) = match failure {
        Failure::Failed(text) => (text, 1),
        Failure::Wrong(text) => (text, 2),
        Failure::Code(code, text) => (text, *code),
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
