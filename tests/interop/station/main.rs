//! A host whose TCP is the crate `tcp` and nothing of the gateway, on a tap device that it makes: the simulator's host
//! ([`sim::Host`]) in real time. A server with a behaviour per port, or one call, as the other hosts of these tests are.
//!
//! ```text
//!   station DEVICE ADDRESS GATEWAY serve [WORD...]                the network is a /24
//!   station DEVICE ADDRESS GATEWAY call HOST PORT FILE [WORD...]  goes on when a line comes on standard input
//! ```
//!
//! It says `{"ready":1}` when the device is there. `serve`: ports ending in 01 echo; ports ending in 04 speak first, finish, and
//! read on; all others refuse. `call`: sends as many bytes as the file has, compares what comes back, and half-closes before
//! the end of that. Words: `no-sack`, `no-timestamps`, `no-scale`, `reno`, `bbr`.
//!
//! What must hold: every frame is checked to the last sum; one that is wrong is said on standard error and ends the program.
//! Left out: a queue between TCP and the device. A frame that the device has no room for is lost, as on any wire.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use sim::{Host, Pattern, Progress, Random, Step};
use tappers::Interface;
use tappers::linux::Tap;
use tcp::{Algorithm, Instant};

/// Frames read and not yet looked at, at most: more wait in the device.
const QUEUE: usize = 1_024;
/// Frames looked at before what they caused is sent.
const BATCH: usize = 64;
/// A call's bytes that are sent after all others came back: the half-close then comes while the echo still goes on.
const LAST: u64 = 64 << 10;
/// How long a call's host stays after the end, to acknowledge a FIN that is sent again.
const LINGER: Duration = Duration::from_millis(250);

fn main() {
    if let Err(why) = run() {
        eprintln!("station: {why}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (place, rest) = words.split_at_checked(3).ok_or("DEVICE ADDRESS GATEWAY serve|call ...")?;
    let [device, address, gateway] = place else { unreachable!("split at three") };
    // The time makes no two runs alike in ports and sequence numbers.
    let random = Random::new(u64::from(std::process::id()));
    let mut host = Host::new("station", &[&format!("{address}/24")], &[gateway], random);
    // The same at each start: neighbours keep it in mind.
    let octets = address.parse::<std::net::Ipv4Addr>().map_err(|_| format!("{address}: no address"))?.octets();
    host.mac = [2, 0, octets[0], octets[1], octets[2], octets[3]];
    let tap = Interface::new(device).and_then(Tap::create_named).map_err(|error| format!("{device}: {error}"))?;
    let station = |host| Station { host, tap: Arc::new(tap), clock: clock() };
    match rest {
        ["serve", words @ ..] => {
            configure(&mut host, words)?;
            for hundred in [8000, 8100] {
                host.tcp.listen(hundred + 1, &[Step::Echo, Step::Finish]);
                host.tcp.listen(hundred + 4, &[Step::send(1, 12), Step::Finish, Step::Sink]);
            }
            station(host).serve()
        }
        ["call", to, port, file, words @ ..] => {
            configure(&mut host, words)?;
            let remote = format!("{to}:{port}").parse().map_err(|_| format!("{to} {port}: no address"))?;
            let bytes = std::fs::metadata(file).map_err(|error| format!("{file}: {error}"))?.len();
            station(host).call(remote, bytes)
        }
        _ => Err("serve [WORD...], or call HOST PORT FILE [WORD...]".into()),
    }
}

fn configure(host: &mut Host, words: &[&str]) -> Result<(), String> {
    for word in words {
        match *word {
            "no-sack" => host.tcp.habits.sack = false,
            "no-timestamps" => host.tcp.habits.timestamps = false,
            "no-scale" => host.tcp.habits.window_scale = None,
            "reno" => host.tcp.config.congestion = Algorithm::NewReno,
            "bbr" => host.tcp.config.congestion = Algorithm::Bbr,
            _ => return Err(format!("{word}: no such word")),
        }
    }
    Ok(())
}

/// A host, the device it is on, and its time.
struct Station<C> {
    host: Host,
    tap: Arc<Tap>,
    clock: C,
}

impl<C: Fn() -> Instant> Station<C> {
    fn serve(mut self) -> Result<(), String> {
        let frames = self.frames();
        say("{\"ready\":1}");
        let mut said = 0;
        loop {
            self.turn(&frames)?;
            for report in self.host.tcp.reports().skip(said).take_while(|report| report.ended_at.is_some()) {
                let (how, bytes) = (how(&report.progress, report.error), report.bytes.1);
                say(&format!("{{\"event\":\"ended\",\"how\":\"{how}\",\"bytes\":{bytes}}}"));
                said += 1;
            }
        }
    }

    fn call(mut self, remote: SocketAddr, bytes: u64) -> Result<(), String> {
        let frames = self.frames();
        say("{\"ready\":1}");
        std::io::stdin().lock().read_line(&mut String::new()).map_err(|error| error.to_string())?;
        let (first, last) = (bytes.saturating_sub(LAST), LAST.min(bytes));
        let (first, last) = (Pattern { key: 1, len: first }, Pattern { key: 2, len: last });
        let steps = [
            Step::Exchange(first, first),
            Step::send(last.key, last.len),
            Step::Finish,
            Step::receive(last.key, last.len),
            Step::AwaitFinish,
        ];
        let number = self.host.connect((self.clock)(), remote, &steps);
        let mut ended: Option<Instant> = None;
        loop {
            self.turn(&frames)?;
            let now = (self.clock)();
            let report = self.host.tcp.report(number);
            if let Some(at) = ended.or(report.ended_at) {
                if ended.replace(at).is_none() {
                    let (how, (sent, received)) = (how(&report.progress, report.error), report.bytes);
                    say(&format!("{{\"result\":\"{how}\",\"sent\":{sent},\"received\":{received}}}"));
                }
                if report.closed || now - at > LINGER {
                    return Ok(());
                }
            }
        }
    }

    /// A thread reads the device.
    fn frames(&self) -> Receiver<Bytes> {
        let (to_us, frames) = sync_channel(QUEUE);
        let tap = Arc::clone(&self.tap);
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok(length) = tap.recv(&mut buffer) {
                if to_us.send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                    return;
                }
            }
        });
        frames
    }

    /// Takes what came, lets timers ring, sends what is due.
    fn turn(&mut self, frames: &Receiver<Bytes>) -> Result<(), String> {
        // Never longer than the linger of a call that is over.
        let wait = self.host.deadline().map_or(LINGER, |deadline| (deadline - (self.clock)()).min(LINGER));
        let first = match frames.recv_timeout(wait) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err("the device has gone".into()),
        };
        let now = (self.clock)();
        for frame in first.into_iter().chain(frames.try_iter().take(BATCH)) {
            self.host.handle(now, &frame);
        }
        if let Some(fault) = self.host.faults.first() {
            return Err(format!("a frame was wrong: {fault:?}"));
        }
        // Nobody here looks at packets that are not for us.
        self.host.inbox.clear();
        while let Some(frame) = self.host.poll(now) {
            // A device that is down loses frames, as a cable does.
            let _ = self.tap.send(&frame);
        }
        Ok(())
    }
}

fn how(progress: &Progress, error: Option<tcp::Error>) -> String {
    match (progress, error) {
        (_, Some(tcp::Error::Refused)) => "refused".into(),
        (_, Some(tcp::Error::Reset)) => "reset".into(),
        (_, Some(tcp::Error::TimedOut | tcp::Error::Unreachable)) => "timeout".into(),
        (Progress::Done, None) => "ok".into(),
        (progress, None) => format!("{progress:?}").replace('"', "'"),
    }
}

/// Microseconds since the first call; a second later than the start, so that no time is before the first.
#[expect(clippy::disallowed_methods, reason = "a program must read a clock somewhere: here, once per turn")]
fn clock() -> impl Fn() -> Instant {
    let start = std::time::Instant::now();
    move || Instant::ZERO + start.elapsed() + Duration::from_secs(1)
}

/// Whoever started it may have closed its end: that is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
