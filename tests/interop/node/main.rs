//! A node that loses, reorders, doubles, delays and damages frames, and has a rate and a queue: what `netem` and `tbf` do, for
//! kernels without them, and from a seed. It joins two tap devices that it makes; each may be moved to a namespace.
//!
//! ```text
//!   # cargo run --profile gateway -p tests --bin lossy-node -- a0 b0 delay=10ms loss=1% reorder=5% seed=7
//!   {"ready":["a0","b0"]}
//!   # ip link set a0 netns here && ip link set b0 netns there          (in another shell; then addresses, and "up")
//! ```
//!
//! Words, each `KEY=VALUE`, all zero at first; `ab.` or `ba.` before one means frames from the first to the second device
//! only, or back:
//!
//! | word | what |
//! | - | - |
//! | `delay=10ms`, `jitter=200us` | time under way, one way; and evenly up to so much more |
//! | `loss=1%`, `duplication=1%`, `corruption=0.1%` | shares of frames lost, doubled, damaged by one bit |
//! | `reorder=5%`, `held=3ms` | share of frames held back, and for how long (else four times delay and jitter) |
//! | `rate=100mbit`, `queue=250kB` | bits per second, and bytes that may wait for them |
//! | `seed=7` | of all that chance decides; only at the start |
//!
//! A line of such words on standard input replaces all conditions (frames under way stay so) and is answered by
//! `{"set-1":true}`, `{"set-2":true}`, … The line `fates` asks what became of the frames.
//!
//! For figures: offloads off at both ends (`ethtool -K DEV tx off tso off gso off gro off`), and a device queue that
//! holds what a sender has in flight (`ip link set DEV txqueuelen 10000`): what the kernel drops before the node reads it is
//! not in its fates. It moves about 100,000 frames a second on a core of its own.
//!
//! What decides is [`sim::link::Wire`], the simulator's cable; here are only its devices and its clock. Left out: different
//! seeds by direction (one seed makes both).

mod words;

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use sim::Random;
use sim::link::{Conditions, Fates, Wire};
use tappers::Interface;
use tappers::linux::Tap;
use tcp::Instant;
use words::Words;

/// Frames read and not yet looked at, at most: more wait in the device, which has its own bound.
const QUEUE: usize = 4_096;
/// The longest frame: jumbo, for who wants to.
const FRAME: usize = 9_216;

/// What a direction is told.
enum Message {
    Frame(Bytes),
    Set(Conditions),
    Fates(Sender<Fates>),
}

fn main() {
    if let Err(why) = run() {
        eprintln!("lossy-node: {why}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [a, b, words @ ..] = arguments.as_slice() else { return Err("DEVICE DEVICE WORD...".into()) };
    let words = Words::parse(words.iter().map(String::as_str))?;
    let (tap_a, tap_b) = (open(a)?, open(b)?);
    let mut random = Random::new(words.seed);
    let ab = direction(&tap_a, &tap_b, Wire::new(words.ab, random.branch()));
    let ba = direction(&tap_b, &tap_a, Wire::new(words.ba, random.branch()));
    say(&format!("{{\"ready\":[{a:?},{b:?}]}}"));
    let mut set = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim() == "fates" {
            say(&format!("{{\"ab\":{},\"ba\":{}}}", fates(&ab), fates(&ba)));
            continue;
        }
        match Words::parse(line.split_whitespace()) {
            Ok(words) => {
                set += 1;
                tell(&ab, Message::Set(words.ab));
                tell(&ba, Message::Set(words.ba));
                say(&format!("{{\"set-{set}\":true}}"));
            }
            Err(why) => eprintln!("lossy-node: {why}"),
        }
    }
    // Standard input has ended, the node has not: it ends when it is killed.
    loop {
        std::thread::park();
    }
}

fn open(name: &str) -> Result<Arc<Tap>, String> {
    let tap = Interface::new(name).and_then(Tap::create_named);
    tap.map(Arc::new).map_err(|error| format!("tap device {name}: {error}"))
}

/// Two threads: one reads a device, the other is the cable to the other device.
fn direction(from: &Arc<Tap>, to: &Arc<Tap>, wire: Wire) -> SyncSender<Message> {
    let (messages, cable) = sync_channel(QUEUE);
    let (from, to, frames) = (Arc::clone(from), Arc::clone(to), messages.clone());
    std::thread::spawn(move || read(&from, &frames));
    std::thread::spawn(move || carry(&to, wire, &cable));
    messages
}

fn read(tap: &Tap, frames: &SyncSender<Message>) {
    let mut buffer = vec![0; FRAME];
    while let Ok(length) = tap.recv(&mut buffer) {
        if frames.send(Message::Frame(Bytes::copy_from_slice(&buffer[..length]))).is_err() {
            return;
        }
    }
}

fn carry(tap: &Tap, mut wire: Wire, messages: &Receiver<Message>) {
    let clock = clock();
    loop {
        let wait = wire.next().map_or(Duration::from_secs(3_600), |next| next - clock());
        let first = match messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = clock();
        for message in first.into_iter().chain(messages.try_iter().take(QUEUE)) {
            match message {
                Message::Frame(frame) => wire.send(now, frame),
                Message::Set(conditions) => wire.set(conditions),
                // Who asked may have gone.
                Message::Fates(asker) => drop(asker.send(wire.fates())),
            }
        }
        while let Some(frame) = wire.take(clock()) {
            // A device that is down loses frames, as a cable does.
            let _ = tap.send(&frame);
        }
    }
}

/// Microseconds since the first call.
#[expect(clippy::disallowed_methods, reason = "a program must read a clock somewhere: here, for its own cables")]
fn clock() -> impl Fn() -> Instant {
    let start = std::time::Instant::now();
    move || Instant::ZERO + start.elapsed()
}

fn tell(direction: &SyncSender<Message>, message: Message) {
    direction.send(message).expect("a cable lasts as long as the node");
}

fn fates(direction: &SyncSender<Message>) -> String {
    let (answer, fates) = channel();
    tell(direction, Message::Fates(answer));
    let Fates { sent, delivered, lost, overflowed, duplicated, corrupted } = fates.recv().expect("a cable answers");
    format!(
        "{{\"sent\":{sent},\"delivered\":{delivered},\"lost\":{lost},\"overflowed\":{overflowed},\
         \"duplicated\":{duplicated},\"corrupted\":{corrupted}}}"
    )
}

/// Whoever started it may have closed its end: that is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
