//! What a fuzzer's bytes mean: a list of things that happen, each of a fixed shape, so that mutation changes one at a time.
//!
//! [`Arbitrary`] reads them, [`Tape`] writes them: the seeds of the corpus are written by code (`corpus.rs`), not kept as files.
//! What must hold: reading gives back what was written; a test says so.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Something that happens to a connection by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// A segment near what the connection expects.
    Segment(Near),
    /// Bytes that may be a header, as they are.
    Raw([u8; 24]),
    /// An ICMP error: kind, MTU, how far behind the last byte sent.
    Icmp(u8, u16, u16),
    Read,
    Write(u16),
    Shutdown,
    Close,
    Abort,
    Pressure(bool),
    /// So many microseconds, times two to the second number.
    Wait(u16, u8),
}

/// A segment by its distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Near {
    pub(crate) flags: u8,
    /// From RCV.NXT and from SND.NXT, as the tester sees them.
    pub(crate) seq: i16,
    pub(crate) ack: i16,
    pub(crate) window: u16,
    pub(crate) length: u16,
    /// Bits: timestamp old, timestamp new, SACK block, second SACK block, congestion marked.
    pub(crate) extras: u8,
    pub(crate) sack: i16,
}

/// Something that happens to two connections and the network between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// From now on this is what a wire does to the segments whose turn has a bit in the mask.
    Weather {
        wire: bool,
        fate: Fate,
        mask: u8,
    },
    Write {
        end: bool,
        bytes: u16,
    },
    Read {
        end: bool,
    },
    Shutdown {
        end: bool,
    },
    Pressure {
        end: bool,
        on: bool,
    },
    /// Milliseconds.
    Wait(u16),
    /// A segment seen before arrives again.
    Replay(u8),
    /// Somebody who sees nothing sends something: what, and two numbers of his choice.
    Forge {
        to: bool,
        kind: u8,
        far: u16,
    },
    /// A router's opinion: about a segment in flight, or any number.
    TooBig {
        to: bool,
        mtu: u16,
        known: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Twice,
    /// Late, by that power of two in milliseconds.
    Late(u8),
    /// One bit turned.
    Spoilt,
    Marked,
}

impl<'a> Arbitrary<'a> for Blow {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Blow> {
        Ok(match u8::arbitrary(u)? % 16 {
            0..=6 => Blow::Segment(u.arbitrary()?),
            7 => Blow::Raw(u.arbitrary()?),
            8 => Blow::Icmp(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?),
            9 => Blow::Read,
            10 => Blow::Write(u.arbitrary()?),
            11 => Blow::Shutdown,
            // Rare, because little can come after them.
            12 => match u8::arbitrary(u)? {
                0..=5 => Blow::Close,
                6..=9 => Blow::Abort,
                other => Blow::Pressure(other & 1 != 0),
            },
            _ => Blow::Wait(u.arbitrary()?, u8::arbitrary(u)? % 24),
        })
    }
}

impl<'a> Arbitrary<'a> for Near {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Near> {
        Ok(Near {
            flags: u.arbitrary()?,
            seq: u.arbitrary()?,
            ack: u.arbitrary()?,
            window: u.arbitrary()?,
            length: u.arbitrary()?,
            extras: u.arbitrary()?,
            sack: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Event {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Event> {
        let kind = u8::arbitrary(u)?;
        let end = kind & 0x80 != 0;
        Ok(match kind % 16 {
            0..=3 => Event::Weather { wire: end, fate: u.arbitrary()?, mask: u.arbitrary()? },
            4..=6 => Event::Write { end, bytes: u.arbitrary()? },
            7 | 8 => Event::Read { end },
            9 => Event::Shutdown { end },
            10 => Event::Pressure { end, on: u.arbitrary()? },
            11 => Event::Replay(u.arbitrary()?),
            12 => Event::Forge { to: end, kind: u.arbitrary()?, far: u.arbitrary()? },
            13 => Event::TooBig { to: end, mtu: u.arbitrary()?, known: u.arbitrary()? },
            _ => Event::Wait(u.arbitrary()?),
        })
    }
}

impl<'a> Arbitrary<'a> for Fate {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Fate> {
        let byte = u8::arbitrary(u)?;
        Ok(match byte % 5 {
            0 => Fate::Lost,
            1 => Fate::Twice,
            2 => Fate::Late(byte / 5 % 12),
            3 => Fate::Spoilt,
            _ => Fate::Marked,
        })
    }
}

/// The other direction: bytes that are read as these things.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(pub(crate) Vec<u8>);

impl Tape {
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Tape {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn blow(self, blow: Blow) -> Tape {
        match blow {
            Blow::Segment(near) => self.bytes(&[0]).near(near),
            Blow::Raw(bytes) => self.bytes(&[7]).bytes(&bytes),
            Blow::Icmp(kind, mtu, behind) => self.bytes(&[8, kind]).number(mtu).number(behind),
            Blow::Read => self.bytes(&[9]),
            Blow::Write(bytes) => self.bytes(&[10]).number(bytes),
            Blow::Shutdown => self.bytes(&[11]),
            Blow::Close => self.bytes(&[12, 0]),
            Blow::Abort => self.bytes(&[12, 6]),
            Blow::Pressure(on) => self.bytes(&[12, 10 + u8::from(on)]),
            Blow::Wait(micros, shift) => self.bytes(&[13]).number(micros).bytes(&[shift]),
        }
    }

    fn near(self, near: Near) -> Tape {
        let Near { flags, seq, ack, window, length, extras, sack } = near;
        let tape = self.bytes(&[flags]).bytes(&seq.to_le_bytes()).bytes(&ack.to_le_bytes());
        tape.number(window).number(length).bytes(&[extras]).bytes(&sack.to_le_bytes())
    }

    pub(crate) fn event(self, event: Event) -> Tape {
        let at = |end: bool, kind: u8| if end { 0x80 | kind } else { kind };
        match event {
            Event::Weather { wire, fate, mask } => self.bytes(&[at(wire, 0), fate_byte(fate), mask]),
            Event::Write { end, bytes } => self.bytes(&[at(end, 4)]).number(bytes),
            Event::Read { end } => self.bytes(&[at(end, 7)]),
            Event::Shutdown { end } => self.bytes(&[at(end, 9)]),
            Event::Pressure { end, on } => self.bytes(&[at(end, 10), u8::from(on)]),
            Event::Replay(which) => self.bytes(&[11, which]),
            Event::Forge { to, kind, far } => self.bytes(&[at(to, 12), kind]).number(far),
            Event::TooBig { to, mtu, known } => self.bytes(&[at(to, 13)]).number(mtu).bytes(&[u8::from(known)]),
            Event::Wait(millis) => self.bytes(&[14]).number(millis),
        }
    }

    fn number(self, number: u16) -> Tape {
        self.bytes(&number.to_le_bytes())
    }
}

fn fate_byte(fate: Fate) -> u8 {
    match fate {
        Fate::Lost => 0,
        Fate::Twice => 1,
        Fate::Late(power) => 2 + 5 * power,
        Fate::Spoilt => 3,
        Fate::Marked => 4,
    }
}
