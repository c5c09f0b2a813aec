//! The scenarios there are. Each measures one thing and says what it was held against.

mod bulk;
mod classify;
mod connect;
mod ends;
mod http;
mod lookup;
mod rig;
mod sets;

use std::fmt::Write;
use std::time::Duration;

use crate::report::Report;
use crate::stopwatch::Stopwatch;

/// What is set on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long to measure.
    pub(crate) seconds: f64,
    /// How many of what the scenario has many of.
    pub(crate) flows: Option<usize>,
    /// Payload bytes.
    pub(crate) size: Option<usize>,
    /// Sessions of the plug stay terminated.
    pub(crate) terminated: bool,
    /// No line a second.
    pub(crate) quiet: bool,
}

/// A scenario.
pub(crate) struct Scenario {
    name: &'static str,
    what: &'static str,
    run: fn(&Settings) -> Result<Report, String>,
}

const SCENARIOS: [Scenario; 6] = [
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
