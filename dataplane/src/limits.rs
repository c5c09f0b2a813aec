//! Every bound of this crate, each with its reason.
//!
//! Network input decides what is stored and how long is walked; these say how far it may. Times that a protocol's RFC
//! sets are here too, so that an operator's question "how long?" has one place for its answer.

use std::time::Duration;

mod rate;
pub use rate::{Rate, TokenBucket};

// ---- Packets, neighbours, answers --------------------------------------------------------------------------------

/// Extension headers of an IPv6 packet that are walked. RFC 8200 4.1 knows seven, each once (destination options
/// twice); who sends more wants to hide something.
pub const EXTENSION_HEADERS_MAX: usize = 8;

/// Options of a neighbour discovery message that are walked: the messages we read have one each.
pub const ND_OPTIONS_MAX: usize = 16;

/// Largest ICMPv4 error, IP header included. RFC 1812 4.3.2.3: "SHOULD contain as much of the original datagram as
/// possible without the length of the ICMP datagram exceeding 576 bytes".
pub const ICMPV4_ERROR_MAX: usize = 576;

/// Largest ICMPv6 error, IP header included. RFC 4443 2.4(c): "as much of the invoking packet as possible without the
/// error message packet exceeding the minimum IPv6 MTU".
pub const ICMPV6_ERROR_MAX: usize = 1280;

/// ICMP errors sent a second by one core, and at once: what Linux allows a host (`icmp_msgs_per_sec`, `icmp_msgs_burst`
/// scaled to a gateway that a whole network speaks through).
pub const ICMP_ERRORS_PER_SECOND: u32 = 1_000;
/// See [`ICMP_ERRORS_PER_SECOND`].
pub const ICMP_ERRORS_BURST: u32 = 100;

/// ICMP errors sent a second to one address (more exactly: to those that share its bucket), and at once. A traceroute
/// of three probes a hop and a page with a dozen dead links both pass; a scanner learns slowly.
pub const ICMP_ERRORS_PER_SECOND_EACH: u32 = 20;
/// See [`ICMP_ERRORS_PER_SECOND_EACH`].
pub const ICMP_ERRORS_BURST_EACH: u32 = 20;

/// Buckets of [`ICMP_ERRORS_PER_SECOND_EACH`]; a power of two, 16 bytes each.
pub const ICMP_ERROR_BUCKETS: usize = 1_024;

/// Echo requests answered a second by one core, and at once: `ping -f` works, a flood costs little.
pub const ECHO_REPLIES_PER_SECOND: u32 = 2_000;
/// See [`ECHO_REPLIES_PER_SECOND`].
pub const ECHO_REPLIES_BURST: u32 = 500;

/// Neighbours a core knows. Linux begins to forget at 128 and refuses at 1,024 (`gc_thresh3`), which a /16 of clients
/// outgrows; at about 100 bytes each this is half a megabyte.
pub const NEIGHBOURS: usize = 4_096;

/// Neighbours being looked for at a time. RFC 6583 5.1 and 6.1: who scans a subnet must not push out those who are
/// there, so the search has a budget of its own.
pub const NEIGHBOURS_INCOMPLETE: usize = 1_024;

/// Entries looked at to find one that can make room: the best of so many is as good as the least recently used of all.
pub const NEIGHBOUR_EVICTION_SCAN: usize = 32;

/// Frames that wait for one neighbour. RFC 1122 2.3.2.2: "SHOULD save (rather than discard) at least one (the latest)
/// packet"; a page's worth of SYNs, a TCP's initial window.
pub const NEIGHBOUR_QUEUE: usize = 16;

/// Frames that wait for all neighbours together: they are taken from the pool that receives.
pub const NEIGHBOUR_QUEUE_TOTAL: usize = 1_024;

/// RFC 4861 10: MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT.
pub const NEIGHBOUR_SOLICITATIONS: u8 = 3;
/// RFC 4861 10: RETRANS_TIMER.
pub const NEIGHBOUR_RETRANSMIT: Duration = Duration::from_secs(1);
/// RFC 4861 10: REACHABLE_TIME; each entry takes 0.5 to 1.5 times as long (MIN_RANDOM_FACTOR, MAX_RANDOM_FACTOR).
pub const NEIGHBOUR_REACHABLE: Duration = Duration::from_secs(30);
/// RFC 4861 10: DELAY_FIRST_PROBE_TIME.
pub const NEIGHBOUR_DELAY: Duration = Duration::from_secs(5);
/// How long a neighbour that did not answer counts as unreachable without being asked again: a flood to a dead host
/// costs three solicitations in four seconds, and a host that comes up is found within one.
pub const NEIGHBOUR_FAILED: Duration = Duration::from_secs(1);

// ---- Flows, timers ----------------------------------------------------------------------------------------------

/// One tick of the timing wheel. TCP's shortest times (delayed ACK, minimum RTO) are tens of milliseconds.
pub const TIMER_TICK_MICROS: u64 = 1_000;

/// Nodes that the wheel may move to lower levels for each item it may ring in one call: most items move twice.
pub const TIMER_MOVES_PER_ITEM: usize = 8;

// Lifetimes of forwarded flows: the defaults of Linux (`nf_conntrack_*_timeout*`), which operators know and whose
// values long-lived sessions have been tuned to.

/// A SYN that nobody answered.
pub const TRACK_SYN_SENT: Duration = Duration::from_secs(120);
/// A SYN-ACK whose ACK has not come.
pub const TRACK_SYN_RECV: Duration = Duration::from_secs(60);
/// Silence on an established connection: five days, because keep-alives are two hours apart at best.
pub const TRACK_ESTABLISHED: Duration = Duration::from_secs(5 * 24 * 3_600);
/// The same while something sent is not acknowledged or a window is closed: one end is probably gone.
pub const TRACK_UNACKNOWLEDGED: Duration = Duration::from_secs(300);
/// A FIN that was not acknowledged.
pub const TRACK_FIN_WAIT: Duration = Duration::from_secs(120);
/// Half-closed.
pub const TRACK_CLOSE_WAIT: Duration = Duration::from_secs(60);
/// Both FINs, and the last ACK missing.
pub const TRACK_LAST_ACK: Duration = Duration::from_secs(30);
/// Everything over; late copies still pass.
pub const TRACK_TIME_WAIT: Duration = Duration::from_secs(120);
/// Reset; what was under way still passes.
pub const TRACK_CLOSE: Duration = Duration::from_secs(10);
/// UDP that nobody answered.
pub const TRACK_UDP: Duration = Duration::from_secs(30);
/// UDP in both directions.
pub const TRACK_UDP_REPLIED: Duration = Duration::from_secs(120);
/// An ICMP query.
pub const TRACK_ICMP: Duration = Duration::from_secs(30);
/// Any other protocol.
pub const TRACK_OTHER: Duration = Duration::from_secs(600);

/// How far behind the newest byte an acknowledgement may lie, whatever the windows seen: a window without scaling and
/// some more. Linux allows the same.
pub const TRACK_ACK_BEHIND_MIN: u32 = 66_000;

/// Largest shift of RFC 7323 2.3: "If a Window Scale option is received with a shift.cnt value larger than 14, TCP
/// MUST log the error but MUST use 14 instead of the specified value".
pub const TRACK_SCALE_MAX: u8 = 14;

// ---- The operator ---------------------------------------------------------------------------------------------------

/// Decisions about flows that a core hands to the log a second, and at once: as many as a person or a disk can take. A
/// core decides a million a second.
pub const LOGGED_FLOWS_PER_SECOND: u32 = 100;
/// See [`LOGGED_FLOWS_PER_SECOND`].
pub const LOGGED_FLOWS_BURST: u32 = 200;

/// Places of the flow table that a turn holds against a new policy: at about 100 ns each, 25 µs of a turn.
pub const REDECIDED_PER_TURN: usize = 256;

// ---- Programs on the gateway ----------------------------------------------------------------------------------------

/// Packets a second each way between an interface and the host's kernel, if the configuration says nothing: a TAP costs a
/// system call a packet, about two microseconds, so this is four percent of a core each way.
pub const KERNEL_PACKETS_PER_SECOND: u32 = 20_000;

/// Bytes a second for the same: what so many packets of full size would be is more than a login or a routing daemon has.
pub const KERNEL_BYTES_PER_SECOND: u64 = 50_000_000;

/// How long after the last word of either side the record of a flow of a program stays that a later policy has cut: what
/// Linux takes at most between two retransmissions.
pub const LOCAL_CUT: Duration = Duration::from_secs(120);

/// Flows of programs on the gateway that a core keeps, but no more than an eighth of the flow table's places. Beyond,
/// those that nobody has answered make room.
pub const LOCAL_FLOWS: usize = 4_096;

/// UDP that a service takes and nobody answered, or only a moment ago: Linux's `nf_conntrack_udp_timeout`. A service's
/// own `idle` holds where it is shorter.
pub const DATAGRAMS_IDLE: Duration = Duration::from_secs(30);
/// The same once both ends have spoken for [`DATAGRAMS_STREAM_AFTER`]: within Zorp's 60 s and the 180 s of older
/// kernels' streams, RFC 4787 4.3 REQ-5 wants two minutes at least.
pub const DATAGRAMS_IDLE_STREAM: Duration = Duration::from_secs(180);
/// Question and answer are no conversation yet: Linux waits as long (`nf_conntrack_udp_packet`).
pub const DATAGRAMS_STREAM_AFTER: Duration = Duration::from_secs(2);

/// UDP sessions of one client, as a share of the core's: a quarter, so that who sends from every port it has leaves room
/// for others.
pub const DATAGRAMS_PER_CLIENT_SHARE: usize = 4;

/// How long copies of the last segments pass after a released session is over: RFC 9293 3.4.2 gives a segment two minutes,
/// the hosts that keep such a connection (Linux, the BSDs) one.
pub const SPLICE_LINGER: Duration = Duration::from_secs(60);

/// How long a released session waits for the last acknowledgments once both FINs have passed: as the relay does.
pub const SPLICE_FINISH: Duration = proxy::limits::FINISH_MAX;

// ---- Fragments, translations --------------------------------------------------------------------------------------

/// How long fragments wait for the rest: half of the 60 seconds of RFC 8200 4.5, as Linux does for IPv4
/// (`ipfrag_time`): RFC 4963 2 counts how soon an identification comes round.
pub const FRAGMENT_WAIT: Duration = Duration::from_secs(30);

/// Bytes of fragments that a core holds: Linux's `ipfrag_high_thresh`.
pub const FRAGMENT_MEMORY: usize = 4 << 20;

/// Bytes of fragments held for one source: eight datagrams of the largest kind.
pub const FRAGMENT_MEMORY_PER_SOURCE: usize = 512 << 10;

/// Datagrams that wait for fragments at a time.
pub const FRAGMENTED_MAX: usize = 1_024;

/// The same of one source: Linux allows a source 64 others' fragments in between (`ipfrag_max_dist`).
pub const FRAGMENTED_PER_SOURCE: u32 = 64;

/// Fragments of one datagram: 64 KiB over a path of the smallest MTU that hosts must take (576) are 119.
pub const FRAGMENTS_PER_DATAGRAM: usize = 128;

/// No IPv6 link is smaller (RFC 8200 5): what came in smaller fragments need not leave so.
pub const IPV6_MTU_MIN: usize = 1_280;

/// Ports tried in a row before the search begins anew elsewhere; then half as many, and again (Linux's
/// `NF_NAT_MAX_ATTEMPTS`). A range of no more ports is searched whole.
pub const NAT_TRIES: u32 = 128;
/// Tries below which the search is given up.
pub const NAT_TRIES_LEAST: u32 = 16;

// ---- Turns, sessions, connections ---------------------------------------------------------------------------------

/// How much one core may hold; sized from the configured memory by [`Capacity::for_memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Entries of the flow table; a session has two.
    pub flows: usize,
    /// Sessions that are served, or wait to be.
    pub sessions: usize,
    /// Handshakes that get a record: beyond, SYN cookies answer (see [`half_open_share`]).
    pub half_open: usize,
}

impl Capacity {
    /// What goes with so much packet memory: a session of an active transfer holds some tens of KiB of packets, an
    /// idle one none, so one session for each 8 KiB is what can be served with dignity.
    pub fn for_memory(bytes: usize) -> Self {
        let sessions = (bytes / 8_192).clamp(1_024, 1 << 20);
        Self { flows: sessions * 3, sessions, half_open: (sessions / 4).max(512) }
    }

    /// Connections in TIME-WAIT; beyond, the oldest is forgotten (Linux's `tcp_max_tw_buckets` refuses the newest,
    /// which protects nobody). RFC 9293 3.6.1 wants them kept, memory does not: half as many as may be served.
    pub fn time_wait(&self) -> usize {
        (self.sessions / 2).max(1)
    }

    /// Released sessions that are over and let late copies pass; each has two entries in the flow table, so half as many as
    /// connections in TIME-WAIT, which share the table's last third with them.
    pub fn lingering(&self) -> usize {
        (self.time_wait() / 2).max(1)
    }

    /// Packet memory of the core, as [`Capacity::for_memory`] was told.
    pub fn memory(&self) -> usize {
        self.sessions.saturating_mul(8_192)
    }

    /// Sessions there may be, those included that have ended and wait for their connections' last words.
    pub fn held_sessions(&self) -> usize {
        self.sessions + self.time_wait()
    }

    /// Connections there may be: two for each session that is served, one for each in TIME-WAIT.
    pub fn sockets(&self) -> usize {
        2 * self.sessions + self.time_wait()
    }
}

/// Handshakes of one interface that begin its flood mode: three quarters of the core's budget, so that a flood from one
/// side leaves the others theirs.
pub const fn half_open_share(budget: usize) -> usize {
    budget - budget / 4
}

/// How long a SYN cookie may be brought back: two of its minutes, the present and the one before.
pub const COOKIE_LIFETIME: Duration = Duration::from_secs(120);

/// How long one secret makes cookies: who could find it by trying has an hour (RFC 4987 3.6 wants it changed).
pub const COOKIE_SECRET_LIFETIME: Duration = Duration::from_secs(3_600);

/// Timers handled in a turn; more wait for the next, so that packets are not lost meanwhile.
pub const TIMERS_PER_TURN: usize = 256;

/// Task polls in half a turn, for the same reason.
pub const TASKS_PER_TURN: usize = 256;

/// Letters of the control thread read in a turn; there are few, and a listing takes time.
pub const LETTERS_PER_TURN: usize = 8;

/// Segments a connection may send in a turn: two bursts, then the others have theirs.
pub const SEGMENTS_PER_TURN: usize = 64;

/// Requests of tasks in a turn beyond which their log lines are dropped: lines are the only requests that a peer could
/// cause without bound.
pub const REQUESTS_WITH_NOTICES: usize = 1_024;

/// Payload of one output when the port segments: the largest IPv4 packet less the largest headers, cut by the port.
pub const TSO_PAYLOAD: usize = 65_535 - 60 - 60;

/// Share of the packet memory (in 1/256) below which new flows are refused, so that those that are live.
pub const FREE_SHARE_FOR_NEW_FLOWS: u8 = 32;

/// Share of the packet memory (in 1/256) below which sessions that hold much of it get no more: above the share at
/// which new flows are refused, so that who hogs memory is met first.
pub const FREE_SHARE_FOR_ALL: u8 = 64;

/// Packet buffers a session may hold when memory is short: an initial window each way, twice. Crumbs of one byte pin a
/// buffer each, so bytes say nothing about it.
pub const PIECES_UNDER_PRESSURE: usize = 40;

/// What a connection may hold unread. Twice the largest bandwidth-delay product of a gigabit at a millisecond; larger
/// paths are bounded by it until windows tune themselves.
pub const RECEIVE_BUFFER: u32 = 512 << 10;

/// What a connection's buffers begin with: the window of a SYN. They grow with what is read in a round trip.
pub const INITIAL_BUFFER: u32 = 64 << 10;

/// What one connection may hold unread at most while so much of the packet memory is free: an eighth of what is free, so
/// that who hoards leaves ever more to others than it takes (dynamic thresholds, as switches share their buffers).
pub fn receive_share(memory: usize, free_share: u8) -> u32 {
    u32::try_from(memory / 256 * usize::from(free_share) / 8).unwrap_or(u32::MAX)
}

/// What a connection may hold unacknowledged.
pub const SEND_BUFFER: u32 = 512 << 10;

/// Window scale of the handshakes that are our own (not mirrored): enough for [`RECEIVE_BUFFER`] and Linux's usual one.
pub const WINDOW_SCALE: u8 = 7;

/// Window of a SYN-ACK of our own: it is never scaled (RFC 7323 2.2), and [`RECEIVE_BUFFER`] is larger.
pub const WINDOW_ON_SYN: u16 = u16::MAX;

/// Time to live of what we send in our own name.
pub const TTL: u8 = 64;

/// Free ports looked for before a connection is refused: at half of the ports taken, one in 2^64 tries all in vain.
pub const PORT_TRIES: u32 = 64;

/// The range of ports that one may be exchanged for: those of the same class, as tproxy's NAT and Zorp's GROUP do; for
/// unprivileged ones the ephemeral range of Linux (`ip_local_port_range`).
pub fn port_class(like: u16) -> (u16, u16) {
    match like {
        0..=512 => (1, 512),
        513..=1_023 => (600, 1_023),
        _ => (32_768, 60_999),
    }
}

/// Longest frame of a port in memory: an IP packet of 64 KiB, as segmentation offload takes it, with its headers.
pub const MEMORY_FRAME_MAX: usize = 65_536 + 64;

/// Frames that wait in one direction of a wire in memory: the ring of a real port.
pub const MEMORY_RING: usize = 4_096;

/// MTU of an interface that is told none: Ethernet's.
pub const MTU_USUAL: u16 = 1_500;

/// Letters that may wait for a core: the control thread writes few, and a core reads them every turn.
pub const MAILBOX: usize = 256;

/// Records that may wait for the control thread, which reads every millisecond: a hundred thousand sessions a second
/// leave that many summaries; what is beyond is counted as lost.
pub const FROM_CORE: usize = 4_096;

/// Turns without work that only pause: a burst that is on its way is met at once.
pub const IDLE_SPINS: u32 = 64;

/// How long after the last work the CPU is only given away by yielding; from then on the core sleeps. A server's answer is
/// on its way for some hundred microseconds: who sleeps meanwhile halves the rate of what asks and waits (measured with
/// the http proxy, 64 connections over veth: 24,000 requests a second instead of 48,000).
pub const IDLE_YIELD: Duration = Duration::from_micros(500);

/// A yield that took so long has let somebody else run.
pub const IDLE_YIELD_LONG: Duration = Duration::from_micros(100);

/// So many sleeps take the place of yields then, some tens of milliseconds.
pub const IDLE_SHARED: u32 = 256;

/// How much longer than asked a sleep may take (`PR_SET_TIMERSLACK`; the kernel's default is 50 microseconds).
pub const IDLE_SLACK: Duration = Duration::from_micros(10);

/// How long an idle core sleeps at most: what a packet may wait at the edge of idleness.
pub const IDLE_SLEEP: Duration = Duration::from_micros(50);

/// A core that had nothing to do for so long sleeps for [`IDLE_SLEEP_QUIET`] at a time.
pub const IDLE_QUIET: Duration = Duration::from_secs(1);

/// What the first packet after a second of silence may wait. Each sleep costs the CPU some 20 microseconds on a virtual machine
/// (arming the timer leaves the guest), so sleeps of 50 took a fifth of a core from a gateway that does nothing.
pub const IDLE_SLEEP_QUIET: Duration = Duration::from_millis(1);

/// How often the wall's clock is looked at: rules that ask for the time (`-m time`) count in seconds.
pub const WALL_CLOCK_EVERY: Duration = Duration::from_secs(1);

/// Flows whose entry or socket has changed that are looked at in a turn: a lookup in memory each.
pub const LINKED_PER_TURN: usize = 256;

/// Messages of programs that are handled in a turn: as many as a burst of packets for each of four ports.
pub const PROGRAM_MESSAGES_PER_TURN: usize = 128;

/// Bytes of a program's data in one packet buffer: a full segment's, so that none is cut in two.
pub const PROGRAM_CHUNK: usize = 1_448;

/// Turns after the order to stop, so that resets of cut sessions reach their neighbours.
pub const FAREWELL_TURNS: usize = 16;

#[cfg(test)]
mod tests;

/// Connections of one session beside its two, and as many more that it expects.
///
/// FTP has one data channel at a time and may open the next while the last one closes; an HTTP/2 session may ask a
/// scanner about each stream it has under way. More is a proxy that does not let go.
pub const RELATED_PER_SESSION: usize = 64;

/// Handshakes of an expected peer under way at once, for one expectation.
///
/// A peer that repeats its SYN does so under one port; a second port is another attempt. Who forges SYNs in the
/// peer's name takes these places for the time of a handshake and no more.
pub const EXPECTED_HANDSHAKES: usize = 4;
