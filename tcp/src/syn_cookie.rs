//! SYN cookies: a handshake that costs the listener no memory, because the answer remembers for it.
//!
//! ```text
//!   cookie (our ISN) = H(flow) + SEG.SEQ + (minute << 24) + ((H(flow, minute) + index of MSS) mod 2^24)
//!   TSval of the SYN-ACK: its last six bits = window scale (15: none) · SACK · ECN, if the SYN had timestamps
//! ```
//!
//! The layout of Bernstein and of Linux. H is SipHash with a secret of ours; the minute in it makes yesterday's cookies
//! worthless, and [`SynCookies::rotate`] changes the secret itself while cookies under way stay good.
//!
//! What must hold: an ACK is believed only within [`limits::SYN_COOKIE_MINUTES_MAX`] of its SYN-ACK, and only for its flow.
//! Left out: the peer's window (its ACK brings one) and, without timestamps, every option but the MSS.

use std::hash::Hasher;
use std::net::SocketAddr;

use siphasher::sip::SipHasher24;

use crate::limits;
use crate::options::{Options, Timestamp};
use crate::segment::{Flags, Header};
use crate::seq::SeqNumber;
use crate::time::Instant;

/// The two ends of a connection that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// Segment sizes a cookie can say, the most usual ones; the largest that is not above the peer's is taken.
const SIZES_V4: [u16; 4] = [536, 1_300, 1_440, 1_460];
const SIZES_V6: [u16; 4] = [1_220, 1_400, 1_440, 8_940];

/// Bits of a timestamp that speak of options.
const BITS: u32 = 6;
const NO_SCALE: u32 = 15;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// Makes cookies and knows its own again.
#[derive(Clone)]
pub struct SynCookies {
    /// The secret, and the one before.
    secrets: [SipHasher24; 2],
    rotated: Option<Instant>,
}

impl std::fmt::Debug for SynCookies {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SynCookies")
    }
}

impl SynCookies {
    /// `secret` must come from a source nobody can guess.
    #[must_use]
    pub fn new(secret: [u8; 16]) -> SynCookies {
        let hasher = SipHasher24::new_with_key(&secret);
        SynCookies { secrets: [hasher, hasher], rotated: None }
    }

    /// From now on another secret; cookies of the one before are known as long as any cookie.
    pub fn rotate(&mut self, now: Instant, secret: [u8; 16]) {
        self.secrets = [SipHasher24::new_with_key(&secret), self.secrets[0]];
        self.rotated = Some(now);
    }

    /// The initial sequence number of the answer to `syn`.
    #[must_use]
    pub fn isn(&self, now: Instant, flow: &Flow, syn: &Header) -> SeqNumber {
        let mss = syn.options.mss.unwrap_or(limits::MSS_DEFAULT);
        let index = sizes(flow).iter().rposition(|size| *size <= mss).unwrap_or(0);
        let minute = minute_of(now);
        let secret = &self.secrets[0];
        let low = hash(secret, flow, Some(minute)).wrapping_add(u32::try_from(index).unwrap_or(0)) & 0x00ff_ffff;
        SeqNumber(hash(secret, flow, None).wrapping_add(syn.seq.0).wrapping_add(minute << 24).wrapping_add(low))
    }

    /// Makes `answer`, a SYN-ACK to `syn` as it would be with a record, one that needs none: its number becomes a cookie, and
    /// what was agreed on is written into its timestamp. Without timestamps nobody will remember it: it is taken out.
    pub fn mark(&self, now: Instant, flow: &Flow, syn: &Header, answer: &mut Header) {
        answer.seq = self.isn(now, flow, syn);
        let said = answer.options;
        match &mut answer.options.timestamp {
            Some(timestamp) => {
                let ecn = answer.flags.contains(Flags::ECE);
                timestamp.value = remember(timestamp.value, &syn.options, &said, ecn);
            }
            None => {
                (answer.options.window_scale, answer.options.sack_permitted) = (None, false);
                answer.flags.remove(Flags::ECE);
            }
        }
    }

    /// What the SYN said, if `ack` answers a cookie of ours in time.
    #[must_use]
    pub fn open(&self, now: Instant, flow: &Flow, ack: &Header) -> Option<Header> {
        match self.check(now, flow, ack) {
            Proof::Good(syn) => Some(syn),
            Proof::Late | Proof::Wrong => None,
        }
    }

    /// Whether `ack` answers a cookie of ours. What our timestamp clock said at the SYN-ACK comes back in its echo, as far as it
    /// matters.
    #[must_use]
    pub fn check(&self, now: Instant, flow: &Flow, ack: &Header) -> Proof {
        let cookie = ack.ack - 1;
        let seq = ack.seq - 1;
        let fresh = self.rotated.is_some_and(|at| (now - at).as_secs() < 60 * limits::SYN_COOKIE_MINUTES_MAX);
        let secrets = if fresh { &self.secrets[..] } else { &self.secrets[..1] };
        let Some((mss, age)) = secrets.iter().find_map(|secret| size_of(secret, now, flow, cookie, seq)) else {
            return Proof::Wrong;
        };
        if u64::from(age) >= limits::SYN_COOKIE_MINUTES_MAX {
            return Proof::Late;
        }
        let mut options = Options { mss: Some(mss), ..Options::default() };
        let mut flags = Flags::SYN;
        if let Some(Timestamp { value, echo }) = ack.options.timestamp {
            let scale = echo & NO_SCALE;
            options.window_scale = u8::try_from(scale).ok().filter(|_| scale != NO_SCALE);
            options.sack_permitted = echo & SACK != 0;
            options.timestamp = Some(Timestamp { value, echo: 0 });
            flags.set(Flags::ECE | Flags::CWR, echo & ECN != 0);
        }
        let Header { src_port, dst_port, window, .. } = *ack;
        Proof::Good(Header { src_port, dst_port, seq, ack: SeqNumber(0), flags, window, urgent: 0, options })
    }
}

/// What an ACK proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its sender got our SYN-ACK; this is what the SYN said.
    Good(Header),
    /// It did, but too long ago.
    Late,
    /// Nothing.
    Wrong,
}

/// `value` with what the SYN-ACK agrees to in its last bits, and never later than `value`: timestamps must not go back.
#[must_use]
pub(crate) fn remember(value: u32, syn: &Options, answer: &Options, ecn: bool) -> u32 {
    let scale = syn.window_shift().filter(|_| answer.window_scale.is_some()).map_or(NO_SCALE, u32::from);
    let mut bits = scale;
    bits |= if syn.sack_permitted && answer.sack_permitted { SACK } else { 0 };
    bits |= if ecn { ECN } else { 0 };
    let marked = (value >> BITS << BITS) | bits;
    // Later than now by less than 64 ticks: one round back.
    if marked.wrapping_sub(value).cast_signed() > 0 { marked.wrapping_sub(1 << BITS) } else { marked }
}

/// The segment size in a cookie of ours, and how many minutes old it is.
fn size_of(secret: &SipHasher24, now: Instant, flow: &Flow, cookie: SeqNumber, seq: SeqNumber) -> Option<(u16, u32)> {
    let rest = cookie.0.wrapping_sub(hash(secret, flow, None)).wrapping_sub(seq.0);
    let age = (minute_of(now).wrapping_sub(rest >> 24)) & 0xff;
    let index = rest.wrapping_sub(hash(secret, flow, Some(minute_of(now).wrapping_sub(age)))) & 0x00ff_ffff;
    sizes(flow).get(usize::try_from(index).ok()?).map(|size| (*size, age))
}

fn sizes(flow: &Flow) -> &'static [u16; 4] {
    if flow.local.is_ipv4() { &SIZES_V4 } else { &SIZES_V6 }
}

#[expect(clippy::cast_possible_truncation, reason = "minutes are modulo 256 in a cookie")]
fn minute_of(now: Instant) -> u32 {
    (now.as_millis() / 60_000) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a good hash is one")]
fn hash(secret: &SipHasher24, flow: &Flow, minute: Option<u32>) -> u32 {
    flow_hash(*secret, flow, minute) as u32
}

/// A keyed hash of a flow.
pub(crate) fn flow_hash(mut hasher: SipHasher24, flow: &Flow, minute: Option<u32>) -> u64 {
    for end in [flow.local, flow.remote] {
        match end {
            SocketAddr::V4(v4) => hasher.write(&v4.ip().octets()),
            SocketAddr::V6(v6) => hasher.write(&v6.ip().octets()),
        }
        hasher.write_u16(end.port());
    }
    if let Some(minute) = minute {
        hasher.write_u32(minute);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
