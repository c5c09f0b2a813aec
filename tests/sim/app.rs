//! What the programs on the hosts do with a connection: a script of steps, one after the other.
//!
//! What is sent is a [`Pattern`], a sequence of bytes that a number names; whoever receives it compares every byte at
//! its place. A script that meets anything but what its step waits for has failed and says at which byte, and how.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tcp::{Connection, Instant, State};

/// Bytes that a program hands to its connection at once.
const CHUNK: u64 = 8 * 1024;

/// A sequence of bytes: which, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which.
    pub key: u64,
    /// How many bytes.
    pub len: u64,
}

impl Pattern {
    /// The bytes from `at` on, up to [`CHUNK`].
    fn chunk(self, at: u64) -> Bytes {
        let len = CHUNK.min(self.len - at);
        let first = at / 8;
        let words = (first..(at + len).div_ceil(8)).flat_map(|word| self.word(word));
        words.skip((at % 8) as usize).take(len as usize).collect::<Vec<u8>>().into()
    }

    /// Where `bytes`, that should be those at `at`, are not.
    fn differs(self, at: u64, bytes: &[u8]) -> Option<u64> {
        let mut word = (u64::MAX, [0; 8]);
        (at..).zip(bytes).find_map(|(at, byte)| {
            if word.0 != at / 8 {
                word = (at / 8, self.word(at / 8));
            }
            (word.1[(at % 8) as usize] != *byte).then_some(at)
        })
    }

    /// Eight bytes of it (the finaliser of SplitMix64).
    fn word(self, index: u64) -> [u8; 8] {
        let mut z = self.key.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }
}

/// One thing a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends one pattern and receives another, both at once.
    Exchange(Pattern, Pattern),
    /// Sends these words.
    Say(&'static str),
    /// Receives these very words.
    Hear(&'static str),
    /// Sends back what it receives, until the peer has finished.
    Echo,
    /// Reads whatever comes, until the peer has finished.
    Sink,
    /// Says that it will send no more.
    Finish,
    /// Waits for the peer to say so; bytes before that are a failure.
    AwaitFinish,
    /// Waits until everything sent is acknowledged.
    AwaitSent,
    /// Tears the connection down.
    Reset,
    /// Waits until the connection is torn down by others.
    AwaitReset,
    /// Neither reads nor writes for a while.
    Wait(Duration),
}

impl Step {
    /// Sends a pattern.
    #[must_use]
    pub const fn send(key: u64, len: u64) -> Step {
        Step::Exchange(Pattern { key, len }, Pattern { key: 0, len: 0 })
    }

    /// Receives a pattern.
    #[must_use]
    pub const fn receive(key: u64, len: u64) -> Step {
        Step::Exchange(Pattern { key: 0, len: 0 }, Pattern { key, len })
    }
}

/// How far a script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At some step.
    Running,
    /// All steps done.
    Done,
    /// Something else happened than a step waits for.
    Failed(String),
}

/// A running script.
pub(crate) struct App {
    steps: VecDeque<Step>,
    sent: u64,
    received: u64,
    /// Read from the connection by a step that did not want it: the next one's.
    left_over: VecDeque<Bytes>,
    until: Option<Instant>,
    progress: Progress,
    total: (u64, u64),
}

impl App {
    pub(crate) fn new(steps: &[Step]) -> Self {
        let steps = steps.iter().copied().collect();
        let (left_over, progress) = (VecDeque::new(), Progress::Running);
        Self { steps, sent: 0, received: 0, left_over, until: None, progress, total: (0, 0) }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Bytes sent and received over all steps.
    pub(crate) fn total(&self) -> (u64, u64) {
        self.total
    }

    /// When [`App::drive`] is to be called although nothing happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Goes on as far as the connection lets it.
    pub(crate) fn drive(&mut self, now: Instant, connection: &mut Connection<Bytes>) {
        while self.progress == Progress::Running {
            let Some(step) = self.steps.front().copied() else {
                self.progress = Progress::Done;
                return;
            };
            if matches!(connection.state(), State::SynSent | State::SynReceived) && connection.error().is_none() {
                return;
            }
            match self.step(now, step, connection) {
                Ok(true) => {
                    self.steps.pop_front();
                    (self.sent, self.received, self.until) = (0, 0, None);
                }
                Ok(false) => return,
                Err(why) => self.progress = Progress::Failed(format!("{step:?}: {why}")),
            }
        }
    }

    /// Is the step done? Not yet: it goes on when something has happened.
    fn step(&mut self, now: Instant, step: Step, connection: &mut Connection<Bytes>) -> Result<bool, String> {
        if let (Some(error), false) = (connection.error(), step == Step::AwaitReset) {
            let (sent, received) = (self.sent, self.received);
            return Err(format!("connection ended by {error:?} after {sent} bytes sent, {received} received"));
        }
        match step {
            Step::Exchange(send, receive) => {
                self.send(send, connection);
                self.receive(receive, connection)?;
                Ok(self.sent == send.len && self.received == receive.len)
            }
            Step::Say(words) => Ok(self.say(words, connection)),
            Step::Hear(words) => self.hear(words, connection),
            Step::Echo => Ok(self.echo(connection)),
            Step::Sink => {
                while let Some(bytes) = self.read(connection) {
                    self.total.1 += bytes.len() as u64;
                }
                Ok(connection.peer_finished())
            }
            Step::Finish => {
                connection.shutdown(now);
                Ok(true)
            }
            Step::AwaitFinish => match self.read(connection) {
                Some(bytes) => Err(format!("{} bytes instead of the end", bytes.len())),
                None => Ok(connection.peer_finished()),
            },
            Step::AwaitSent => Ok(connection.unacked() == 0),
            Step::Reset => {
                connection.abort();
                Ok(true)
            }
            Step::AwaitReset => {
                // What arrives until then is nobody's concern, but must not fill the window.
                while self.read(connection).is_some() {}
                Ok(connection.error().is_some())
            }
            Step::Wait(time) => Ok(*self.until.get_or_insert(now + time) <= now),
        }
    }

    fn send(&mut self, pattern: Pattern, connection: &mut Connection<Bytes>) {
        while self.sent < pattern.len && connection.writable() > 0 {
            let chunk = pattern.chunk(self.sent);
            self.sent += chunk.len() as u64;
            self.total.0 += chunk.len() as u64;
            connection.write(chunk);
        }
    }

    fn receive(&mut self, pattern: Pattern, connection: &mut Connection<Bytes>) -> Result<(), String> {
        while self.received < pattern.len {
            let Some(mut bytes) = self.read(connection) else { break };
            let wanted = (pattern.len - self.received).min(bytes.len() as u64) as usize;
            let rest = bytes.split_off(wanted);
            if let Some(at) = pattern.differs(self.received, &bytes) {
                return Err(format!("another byte at {at} of {}", pattern.len));
            }
            self.received += bytes.len() as u64;
            self.total.1 += bytes.len() as u64;
            if !rest.is_empty() {
                self.left_over.push_front(rest);
            }
        }
        if self.received < pattern.len && connection.peer_finished() {
            return Err(format!("the peer has finished after {} of {} bytes", self.received, pattern.len));
        }
        Ok(())
    }

    fn say(&mut self, words: &'static str, connection: &mut Connection<Bytes>) -> bool {
        while self.sent < words.len() as u64 && connection.writable() > 0 {
            let chunk = Bytes::from_static(&words.as_bytes()[self.sent as usize..]);
            let chunk = chunk.slice(..chunk.len().min(CHUNK as usize));
            self.sent += chunk.len() as u64;
            self.total.0 += chunk.len() as u64;
            connection.write(chunk);
        }
        self.sent == words.len() as u64
    }

    fn hear(&mut self, words: &'static str, connection: &mut Connection<Bytes>) -> Result<bool, String> {
        while self.received < words.len() as u64 {
            let Some(mut bytes) = self.read(connection) else { break };
            let wanted = &words.as_bytes()[self.received as usize..];
            let rest = bytes.split_off(bytes.len().min(wanted.len()));
            if !wanted.starts_with(&bytes) {
                return Err(format!("after {} bytes: {:?}", self.received, String::from_utf8_lossy(&bytes)));
            }
            self.received += bytes.len() as u64;
            self.total.1 += bytes.len() as u64;
            if !rest.is_empty() {
                self.left_over.push_front(rest);
            }
        }
        if self.received < words.len() as u64 && connection.peer_finished() {
            return Err(format!("the peer has finished after {} of {} bytes", self.received, words.len()));
        }
        Ok(self.received == words.len() as u64)
    }

    fn echo(&mut self, connection: &mut Connection<Bytes>) -> bool {
        while connection.writable() > 0 {
            let Some(bytes) = self.read(connection) else { return connection.peer_finished() };
            self.total.0 += bytes.len() as u64;
            self.total.1 += bytes.len() as u64;
            connection.write(bytes);
        }
        false
    }

    fn read(&mut self, connection: &mut Connection<Bytes>) -> Option<Bytes> {
        self.left_over.pop_front().or_else(|| connection.read())
    }
}

#[cfg(test)]
mod tests;
