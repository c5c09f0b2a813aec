//! What may be set per connection, with defaults that suit a proxy; where one differs from Linux's, its line says why.

use std::time::Duration;

use crate::congestion::Algorithm;

/// Settings of a connection; the default is sane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Unread bytes to hold at most: the receive window never offers more. Also capped by what the window scale of the
    /// [`Opening`](crate::Opening) can say, and never less than four times its unit.
    pub receive_buffer: u32,
    /// Unacknowledged and unsent bytes to hold at most, give or take one chunk.
    pub send_buffer: u32,
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
