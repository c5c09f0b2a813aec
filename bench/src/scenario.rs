//! The scenarios there are. Each measures one thing and says what it was held against.

mod bulk;
mod classify;
mod connect;
mod ends;
mod forward;
mod http;
mod idle;
mod lookup;
mod rig;
mod sets;

use std::fmt::Write;
use std::time::Duration;

use crate::report::Report;
use crate::stopwatch::Stopwatch;

/// What the gateway does with what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A plug leaves sessions to their two ends as soon as it may, which is what it does if nothing else is configured.
    Released,
    /// A plug stays in between to the end (`release: never`).
    Terminated,
    /// The HTTP proxy.
    Http,
    /// The rules let it through, and no proxy is asked.
    Forwarded,
}

impl Mode {
    /// The service of that kind.
    fn service(self) -> Result<&'static str, String> {
        match self {
            Mode::Released => Ok(rig::PLUG),
            Mode::Terminated => Ok(rig::TERMINATED),
            Mode::Http => Ok(rig::HTTP),
            Mode::Forwarded => Err("what is forwarded has no service: only `forward` has that mode".to_owned()),
        }
    }

    /// The plug of that kind.
    fn plug(self) -> Result<&'static str, String> {
        match self {
            Mode::Http => Err("that is measured with a plug: released or terminated".to_owned()),
            other => other.service(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Released => "released",
            Mode::Terminated => "terminated",
            Mode::Http => "http",
            Mode::Forwarded => "forwarded",
        }
    }
}

/// What is set on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long to measure.
    pub(crate) seconds: f64,
    /// How many of what the scenario has many of.
    pub(crate) flows: Option<usize>,
    /// Payload bytes.
    pub(crate) size: Option<usize>,
    /// Whether the gateway stays between the ends.
    pub(crate) mode: Mode,
    /// No line a second.
    pub(crate) quiet: bool,
}

/// A scenario.
pub(crate) struct Scenario {
    name: &'static str,
    what: &'static str,
    run: fn(&Settings) -> Result<Report, String>,
}

const SCENARIOS: [Scenario; 8] = [
    Scenario {
        name: "lookup",
        what: "look-ups in the tproxy table, half of them in vain; against hashbrown",
        run: lookup::run,
    },
    Scenario {
        name: "classify",
        what: "decisions about new flows by many rules; against a linear walk",
        run: classify::run,
    },
    Scenario { name: "sets", what: "addresses looked up in sets of a million; against hashbrown", run: sets::run },
    Scenario {
        name: "connect",
        what: "whole proxied connections: both handshakes, request, reply, both closes; mirrored plug",
        run: connect::run,
    },
    Scenario { name: "bulk", what: "payload one way; plug, released or terminated", run: bulk::run },
    Scenario {
        name: "http",
        what: "requests through the http proxy: kept connections, one each, in TLS; beside HAProxy",
        run: http::run,
    },
    Scenario { name: "forward", what: "64-byte packets that no proxy reads, in memory", run: forward::run },
    Scenario { name: "idle", what: "memory of sessions that have nothing to say", run: idle::run },
];

impl Scenario {
    /// The scenario of that name.
    pub(crate) fn named(name: &str) -> Result<&'static Scenario, String> {
        const ALL: &[Scenario] = &SCENARIOS;
        let found = ALL.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| format!("there is no scenario {name:?}; there are:\n{}", list()))
    }

    /// Measures.
    pub(crate) fn run(&self, settings: &Settings) -> Result<Report, String> {
        (self.run)(settings)
    }
}

/// All scenarios in words.
pub(crate) fn list() -> String {
    SCENARIOS.iter().fold(String::new(), |mut list, scenario| {
        let _ = writeln!(list, "  {:<10} {}", scenario.name, scenario.what);
        list
    })
}

/// Says a line a second while something is measured, and when it is over.
pub(crate) struct Progress {
    watch: Stopwatch,
    quiet: bool,
    said: u64,
    end: Duration,
}

impl Progress {
    pub(crate) fn start(settings: &Settings) -> Self {
        let end = Duration::from_secs_f64(settings.seconds);
        Self { watch: Stopwatch::start(), quiet: settings.quiet, said: 0, end }
    }

    /// Is there time left? `line` is said once a second.
    pub(crate) fn goes_on(&mut self, line: impl FnOnce() -> String) -> bool {
        let elapsed = self.watch.elapsed();
        if elapsed.as_secs() > self.said {
            self.said = elapsed.as_secs();
            if !self.quiet {
                eprintln!("{:3} s  {}", self.said, line());
            }
        }
        elapsed < self.end
    }
}
