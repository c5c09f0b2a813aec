//! A script against the kernel, in real time.
//!
//! What is compared: which segments come, in which order, their flags, numbers, lengths and options, and what the application
//! sees. What is not: `!` reasons and `info`, which are about our insides; sizes of windows (only whether they are closed);
//! and times, beyond what comes before what and that it comes at all: the kernel's timers are its own, and the machine may be
//! busy with other things.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tcp::Flags;

use crate::grammar::{Event, Line, Spec};
use crate::host::{self, Host, SocketOptions};
use crate::namespace::{self, Settings};
use crate::show::{Eye, describe, difference};
use crate::wire::{Wire, now};

/// A segment may come so much later than a script says.
const PATIENCE: Duration = Duration::from_millis(1_200);
/// What must not come for an hour must not come for so long either.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A script that takes longer is not run.
const LENGTH_MAX: Duration = Duration::from_secs(15);
/// The round trip of `established`.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Same,
    /// The first line where the kernel does something else, and what.
    Differs(usize, String),
    /// It cannot be asked of the kernel.
    NotRun(String),
}

/// Runs it in a namespace of this thread's own, which must not be used for anything else afterwards.
pub(crate) fn run(lines: &[Line]) -> Outcome {
    let length: Duration = lines.iter().map(after).sum();
    if length > LENGTH_MAX {
        return Outcome::NotRun(format!("it takes {} s", length.as_secs()));
    }
    let mut plan = match Plan::of(lines) {
        Ok(plan) => plan,
        Err(why) => return Outcome::NotRun(why),
    };
    let tap = namespace::enter(&plan.settings()).unwrap_or_else(|error| panic!("a namespace: {error}"));
    let mut run = Run {
        wire: Wire::new(tap),
        host: Host::new(plan.socket),
        them: plan.them,
        at: now(),
        began: now(),
        trace: std::env::var_os("TRACE").is_some(),
    };
    for line in lines {
        if let Err(what) = run.step(line) {
            return Outcome::Differs(line.number, what);
        }
    }
    let last = lines.last().map_or(0, |line| line.number);
    match run.quiet(now()) {
        Ok(()) => Outcome::Same,
        Err(what) => Outcome::Differs(last, format!("after the end: {what}")),
    }
}

fn after(line: &Line) -> Duration {
    if line.event == Event::Silent { line.after.min(SILENCE_MAX) } else { line.after }
}

/// The settings of a script in the kernel's words.
struct Plan {
    us: tcp::Options,
    them: tcp::Options,
    socket: SocketOptions,
    receive_buffer: u32,
    mtu: u32,
    sysctls: BTreeMap<String, String>,
}

impl Plan {
    fn of(lines: &[Line]) -> Result<Plan, String> {
        let plain = tcp::Options { mss: Some(1_000), sack_permitted: true, ..tcp::Options::default() };
        let mut plan = Plan {
            us: plain,
            them: plain,
            socket: SocketOptions { send_buffer: 1 << 20, ..SocketOptions::default() },
            receive_buffer: 20_000,
            mtu: 1_500,
            sysctls: BTreeMap::new(),
        };
        for (name, value) in [("tcp_autocorking", "0"), ("tcp_no_metrics_save", "1"), ("tcp_ecn", "0")] {
            plan.sysctls.insert(name.into(), value.into());
        }
        for line in lines {
            match &line.event {
                Event::Set(name, value) => plan.set(name, *value)?,
                Event::Us(options) => plan.us = *options,
                Event::Them(options) => plan.them = *options,
                Event::Linux(name, value) => drop(plan.sysctls.insert(name.clone(), value.to_string())),
                Event::Pressure(_) => return Err("memory pressure is the whole machine's".into()),
                _ => {}
            }
        }
        Ok(plan)
    }

    fn set(&mut self, name: &str, value: u64) -> Result<(), String> {
        let small = u32::try_from(value).unwrap_or(u32::MAX);
        let mut sysctl = |name: &str, value: u64| drop(self.sysctls.insert(name.into(), value.to_string()));
        match name {
            "receive_buffer" => self.receive_buffer = small,
            // The kernel's is in memory, not in bytes sent: enough for all.
            "send_buffer" => {}
            "mss_max" => self.mtu = small + 40,
            "fin_wait_2_ms" => sysctl("tcp_fin_timeout", value / 1_000),
            "syn_retries" => sysctl("tcp_syn_retries", value),
            "syn_ack_retries" => sysctl("tcp_synack_retries", value),
            "retries" => sysctl("tcp_retries2", value),
            "ecn" => sysctl("tcp_ecn", value),
            "user_timeout_ms" => self.socket.user_timeout_ms = Some(small),
            "keepalive_s" => self.socket.keepalive = Some(Duration::from_secs(value)),
            // Sent to everybody, where we send them when the table is full.
            "half_open" if value == 0 => sysctl("tcp_syncookies", 2),
            "half_open" => {}
            "cookies" => sysctl("tcp_syncookies", value),
            "nagle" => self.socket.nagle = value != 0,
            "newreno" => self.socket.newreno = value != 0,
            // The kernel's constant.
            "time_wait_ms" if value == 60_000 => {}
            "limit" => return Err("the kernel cuts segments before they are seen".into()),
            "time_wait_ms" => return Err("the kernel's TIME-WAIT is a constant".into()),
            "delayed_ack_ms" => return Err("the kernel's delay is a constant".into()),
            _ => return Err(format!("the kernel has no {name:?}")),
        }
        Ok(())
    }

    fn settings(&mut self) -> Settings {
        let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
        self.sysctls.insert("tcp_sack".into(), flag(self.us.sack_permitted));
        self.sysctls.insert("tcp_timestamps".into(), flag(self.us.timestamp.is_some()));
        self.sysctls.insert("tcp_window_scaling".into(), flag(self.us.window_scale.is_some()));
        Settings {
            sysctls: std::mem::take(&mut self.sysctls).into_iter().collect(),
            mss: self.us.mss.unwrap_or(1_000),
            window: Some(self.receive_buffer),
            mtu: self.mtu,
        }
    }
}

struct Run {
    wire: Wire,
    host: Host,
    them: tcp::Options,
    /// The script's time, moved to where the kernel is.
    at: Instant,
    began: Instant,
    /// Print what comes.
    trace: bool,
}

impl Run {
    fn step(&mut self, line: &Line) -> Result<(), String> {
        self.at += after(line);
        if let Event::Leaves(spec) = &line.event {
            self.expect(spec)?;
        } else {
            self.quiet(self.at)?;
            self.act(&line.event)?;
            self.host.turn();
        }
        self.at = self.at.max(now());
        Ok(())
    }

    fn act(&mut self, event: &Event) -> Result<(), String> {
        let said = |error: rustix::io::Errno| format!("the kernel says: {error}");
        let failed = |error: std::io::Error| format!("the tap device: {error}");
        match event {
            Event::Set(..) | Event::Linux(..) | Event::Us(_) | Event::Them(_) => {}
            Event::Info(..) | Event::Silent | Event::Leaves(_) => {}
            Event::Pressure(_) => unreachable!("not run"),
            Event::Connect => self.host.connect().map_err(said)?,
            Event::Listen => {
                self.wire.forget();
                self.host.listen(None).map_err(said)?;
            }
            Event::Serve(backlog) => self.host.listen(Some(*backlog)).map_err(said)?,
            Event::Accept => self.host.accept(),
            Event::Established => self.establish()?,
            Event::Arrives(spec, _) => {
                if spec.flags == Flags::SYN && host::state().map_err(failed)? == "CLOSED" {
                    self.wire.forget();
                }
                self.wire.send(spec).map_err(failed)?;
            }
            Event::Write(bytes) => self.host.write(*bytes),
            Event::Read(bytes) => return same("bytes read", &self.host.read().to_string(), &bytes.to_string()),
            Event::Shutdown => self.host.shutdown(),
            Event::Close => self.host.close(),
            Event::Abort => self.host.abort().map_err(said)?,
            Event::State(name) => return self.patiently("state", name, |_| host::state().map(String::from)),
            Event::Error(name) => return self.patiently("error", name, |host| Ok(host.error())),
            Event::Icmp(kind, seq) => self.wire.complain(*kind, *seq).map_err(failed)?,
        }
        Ok(())
    }

    /// The handshake, with a round trip of 10 ms.
    fn establish(&mut self) -> Result<(), String> {
        self.act(&Event::Connect)?;
        self.expect(&Spec { flags: Flags::SYN, ..Spec::default() })?;
        self.quiet(now() + ROUND_TRIP)?;
        let flags = Flags::SYN | Flags::ACK;
        let mut them = self.them;
        if let Some(timestamp) = &mut them.timestamp {
            timestamp.echo = 1_000;
        }
        self.act(&Event::Arrives(Spec { flags, ack: Some(1), options: Some(them), ..Spec::default() }, None))?;
        self.expect(&Spec { flags: Flags::ACK, seq: 1, ack: Some(1), ..Spec::default() })
    }

    fn expect(&mut self, spec: &Spec) -> Result<(), String> {
        self.wire.wait(self.at.max(now()) + PATIENCE, true).map_err(|error| error.to_string())?;
        let Some(out) = self.wire.next() else { return Err("nothing comes out".into()) };
        if self.trace {
            eprintln!("{:>9.3} ms {}", (now() - self.began).as_secs_f64() * 1e3, describe(&out));
        }
        match difference(&out, spec, Eye::Lenient) {
            Some(what) => Err(format!("another {what}: {}", describe(&out))),
            None => Ok(()),
        }
    }

    /// The kernel's timers may be late.
    fn patiently(
        &mut self,
        what: &str,
        expected: &str,
        mut ask: impl FnMut(&mut Host) -> std::io::Result<String>,
    ) -> Result<(), String> {
        let until = now() + PATIENCE;
        loop {
            let came = ask(&mut self.host).map_err(|error| error.to_string())?;
            if came == expected || now() >= until {
                return same(what, &came, expected);
            }
            self.wire.wait(now() + Duration::from_millis(10), false).map_err(|error| error.to_string())?;
        }
    }

    /// Nothing comes until then.
    fn quiet(&mut self, until: Instant) -> Result<(), String> {
        self.wire.wait(until, false).map_err(|error| error.to_string())?;
        self.host.turn();
        match self.wire.peek() {
            Some(out) => Err(format!("not expected: {}", describe(out))),
            None => Ok(()),
        }
    }
}

fn same(what: &str, came: &str, expected: &str) -> Result<(), String> {
    if came == expected { Ok(()) } else { Err(format!("{what} {came}, not {expected}")) }
}
