//! What may be set per connection, with defaults that suit a proxy; where one differs from Linux's, its line says why.

use std::time::Duration;

use crate::congestion::Algorithm;
use crate::limits;

/// Settings of a connection; the default is sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Unread bytes to hold at most: the receive window never offers more. Also capped by what the window scale of the
    /// [`Opening`](crate::Opening) can say, and never less than four times its unit.
    pub receive_buffer: u32,
    /// Unacknowledged and unsent bytes to hold at most, give or take one chunk.
    pub send_buffer: u32,
    /// What both buffers begin with, at least 64 KiB: the receive buffer then grows with what the application reads in a round
    /// trip, the send buffer with twice the congestion window, both up to the sizes above, the former also up to what
    /// [`set_memory_share`](crate::Connection::set_memory_share) allows. `None`: they have these sizes from the beginning.
    pub initial_buffer: Option<u32>,
    /// Largest segment the way out can carry, without options: the egress MTU less the IP and TCP headers.
    pub mss_max: u16,
    /// RFC 9293, 3.4.2 asks for two maximum segment lifetimes; Linux's 60 s is the default.
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 may last after [`close`](crate::Connection::close): nobody reads any more, so nothing is
    /// lost by forgetting. After [`shutdown`](crate::Connection::shutdown) it may last for ever: a half-closed
    /// connection is in use.
    pub fin_wait_2: Duration,
    /// How often a SYN is sent again before the peer counts as silent: 6 is 127 s.
    pub syn_retries: u8,
    /// How often a SYN-ACK is sent again: 5 is 63 s.
    pub syn_ack_retries: u8,
    /// How often a segment or an unanswered probe is sent again: 15 is about a quarter of an hour (RFC 9293, 3.8.3,
    /// R2 "SHOULD correspond to at least 100 seconds").
    pub retries: u8,
    /// Probe a connection that says nothing. RFC 9293, 3.8.4 (MUST-25): "keep-alives MUST default to off".
    pub keepalive: Option<KeepAlive>,
    /// RFC 5482, as a local setting: give up when data stays unacknowledged for so long.
    pub user_timeout: Option<Duration>,
    /// Congestion control.
    pub congestion: Algorithm,
    /// Spread what the window allows over the round trip, by deadlines, in bursts of a millisecond.
    pub pacing: bool,
    /// RFC 4821 and RFC 8899: when full segments vanish without a word from any router, fall to small ones and search the way
    /// up again with larger segments of data; and look ten minutes after a router's word whether more passes by now. What
    /// routers say is followed in any case. On, unlike Linux: who sits in the middle hears complaints of hanging
    /// transfers, and until something vanishes there is no difference.
    pub path_mtu_probing: bool,
    /// RFC 3168: answer and ask for explicit congestion notification; used if the peer does too. Off: middles that clear or
    /// drop it exist. A mirror sets it to what the other end's SYN or SYN-ACK says, [`PeerSyn::does_ecn`].
    ///
    /// [`PeerSyn::does_ecn`]: crate::PeerSyn::does_ecn
    pub ecn: bool,
    /// How long an acknowledgment may wait for company (RFC 9293, 3.8.6.3: less than half a second). Zero: not at all.
    pub delayed_ack: Duration,
    /// Nagle's algorithm. Off: a proxy sends what it was given, when it was given (RFC 9293, 3.7.4 MUST-17).
    pub nagle: bool,
}

/// RFC 9293, 3.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the peer counts as gone.
    pub probes: u8,
}

impl Default for KeepAlive {
    /// RFC 9293, 3.8.4 (MUST-26): the interval "MUST default to no less than two hours".
    fn default() -> KeepAlive {
        KeepAlive { idle: Duration::from_secs(7_200), interval: Duration::from_secs(75), probes: 9 }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            receive_buffer: 1 << 20,
            send_buffer: 1 << 20,
            initial_buffer: None,
            mss_max: 1_460,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            syn_retries: 6,
            syn_ack_retries: 5,
            retries: 15,
            keepalive: None,
            user_timeout: None,
            congestion: Algorithm::Cubic,
            pacing: false,
            path_mtu_probing: true,
            ecn: false,
            delayed_ack: Duration::from_millis(40),
            nagle: false,
        }
    }
}

/// A configuration as a connection keeps it: times in milliseconds, 36 bytes instead of 128. What the two halves need they are
/// told when they are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) receive_buffer: u32,
    time_wait_ms: u32,
    fin_wait_2_ms: u32,
    /// Zero: for ever.
    user_timeout_ms: u32,
    /// Zero: keep-alives are off.
    keepalive_idle_ms: u32,
    keepalive_interval_ms: u32,
    pub(crate) mss_max: u16,
    keepalive_probes: u8,
    pub(crate) syn_retries: u8,
    pub(crate) syn_ack_retries: u8,
    pub(crate) retries: u8,
    pub(crate) congestion: Algorithm,
    pub(crate) ecn: bool,
    pub(crate) path_mtu_probing: bool,
    /// In units of [`limits::SHARE_UNIT`], rounded up; the largest number: no limit.
    initial: u16,
}

const _: () = assert!(size_of::<Terms>() <= 36);

impl From<&Config> for Terms {
    fn from(config: &Config) -> Terms {
        let keepalive =
            config.keepalive.unwrap_or(KeepAlive { idle: Duration::ZERO, interval: Duration::ZERO, probes: 0 });
        Terms {
            receive_buffer: config.receive_buffer,
            time_wait_ms: millis(config.time_wait),
            fin_wait_2_ms: millis(config.fin_wait_2),
            user_timeout_ms: config.user_timeout.map_or(0, |timeout| millis(timeout).max(1)),
            keepalive_idle_ms: config.keepalive.map_or(0, |_| millis(keepalive.idle).max(1)),
            keepalive_interval_ms: millis(keepalive.interval),
            mss_max: config.mss_max,
            keepalive_probes: keepalive.probes,
            syn_retries: config.syn_retries,
            syn_ack_retries: config.syn_ack_retries,
            retries: config.retries,
            congestion: config.congestion,
            ecn: config.ecn,
            path_mtu_probing: config.path_mtu_probing,
            initial: config.initial_buffer.map_or(u16::MAX, |bytes| {
                u16::try_from(bytes.max(limits::BUFFER_INITIAL_MIN).div_ceil(limits::SHARE_UNIT)).unwrap_or(u16::MAX)
            }),
        }
    }
}

impl Terms {
    /// What buffers begin with.
    pub(crate) fn initial_buffer(&self) -> u32 {
        if self.initial == u16::MAX { u32::MAX } else { u32::from(self.initial) * limits::SHARE_UNIT }
    }

    pub(crate) fn time_wait(&self) -> Duration {
        Duration::from_millis(u64::from(self.time_wait_ms))
    }

    pub(crate) fn fin_wait_2(&self) -> Duration {
        Duration::from_millis(u64::from(self.fin_wait_2_ms))
    }

    pub(crate) fn user_timeout(&self) -> Option<Duration> {
        (self.user_timeout_ms > 0).then(|| Duration::from_millis(u64::from(self.user_timeout_ms)))
    }

    pub(crate) fn keepalive(&self) -> Option<KeepAlive> {
        (self.keepalive_idle_ms > 0).then(|| KeepAlive {
            idle: Duration::from_millis(u64::from(self.keepalive_idle_ms)),
            interval: Duration::from_millis(u64::from(self.keepalive_interval_ms)),
            probes: self.keepalive_probes,
        })
    }
}

/// At most 49 days.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
