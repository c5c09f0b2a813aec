//! All bounds of a connection, each with its reason: what a peer may make us hold, repeat, wait for or look at.

use std::time::Duration;

/// RFC 7323, 2.3: a shift of 14 makes windows of 2^30 - 1, the most that modulo-2^32 comparison can tell apart.
pub(crate) const WINDOW_SCALE_MAX: u8 = 14;

/// RFC 9293, 3.7.1: assumed when the peer announced nothing.
pub(crate) const MSS_DEFAULT: u16 = 536;

/// Buffers that grow begin with at least what a window without scaling can say: less would throttle the first round trips of
/// everybody, for the sake of the few that stay idle and hold nothing anyway.
pub(crate) const BUFFER_INITIAL_MIN: u32 = 65_535;

/// Unit of a connection's share of the owner's memory: a page. 65,535 of them are 256 MB.
pub(crate) const SHARE_UNIT: u32 = 4_096;

/// Smallest segment size we let a peer or an ICMP message talk us into. Smaller ones only serve to make us send many
/// packets for few bytes (CVE-2019-11479); the smallest MTU on links in use is 256. FreeBSD has the same figure.
pub(crate) const MSS_MIN: u16 = 216;

/// Out-of-order pieces held per connection: a megabyte window of full segments has 720 of them; more pieces than this
/// come only from a peer that sends crumbs (CVE-2018-5390), and each pins a whole packet buffer.
pub(crate) const REASSEMBLY_PIECES_MAX: usize = 2_048;

/// Separate runs of out-of-order data: each is a hole that the peer has to fill. Even at 10 % loss a window of 2,048
/// segments has some 200.
pub(crate) const REASSEMBLY_RUNS_MAX: usize = 512;

/// Beyond those two bounds, which are for crumbs, pieces and runs may be as many as the window holds if they have so many
/// bytes on average: then packet buffers of 2 KiB take at most four times the window. A link of 10 Gbit/s and 1 ms whose
/// queue overflows in slow start loses every other segment of 2,000.
pub(crate) const REASSEMBLY_PIECE_MIN: u64 = 512;

/// Unread pieces held per connection, beside the limit in bytes: crumbs pin packet buffers (see above). Full segments
/// reach it at 6 MB.
pub(crate) const READY_PIECES_MAX: usize = 4_096;

/// Chunks to be sent, beside the limit in bytes, for the same reason: a relay passes on the crumbs it was sent.
pub(crate) const SEND_PIECES_MAX: usize = 4_096;

/// Entries in the map of sent segments: SACK blocks cut them at arbitrary bytes (CVE-2019-11478), and every cut costs an
/// entry. 16 MB in flight make 11,000 full segments.
pub(crate) const SENT_ENTRIES_MAX: usize = 16_384;

/// Challenge ACKs per window of time. RFC 5961, 7: "an example could be 10 [ACKs] in a 5 second window"; per connection,
/// so that no other connection can measure or exhaust it (CVE-2016-5696).
pub(crate) const CHALLENGE_ACKS_MAX: u8 = 10;
/// See [`CHALLENGE_ACKS_MAX`].
pub(crate) const CHALLENGE_WINDOW: Duration = Duration::from_secs(5);

/// RFC 6928: "min (10*MSS, max (2*MSS, 14600))".
pub(crate) const INITIAL_WINDOW_SEGMENTS: u64 = 10;
/// See [`INITIAL_WINDOW_SEGMENTS`].
pub(crate) const INITIAL_WINDOW_BYTES: u64 = 14_600;

/// Paced bursts are a millisecond's worth, as Linux's: often enough that a queue hardly sees them, seldom enough that
/// segmentation offload pays.
pub(crate) const PACING_BURSTS_PER_SECOND: u64 = 1_000;
/// The most that segmentation offload takes at once: an IP packet's length is 16 bits.
pub(crate) const PACING_BURST_MAX: u64 = 65_535;

/// RFC 7661, 4.4: "Non-Validated Period (NVP) ... five minutes": how long a window is kept that is not used.
pub(crate) const NON_VALIDATED_PERIOD: Duration = Duration::from_secs(300);

/// RFC 4821, 7.2: "a value of 1024 bytes is probably safe enough": what to fall to when nothing larger arrives. Without
/// headers, so that it still passes wherever IPv6 does.
pub(crate) const PATH_MTU_BASE: u64 = 1_024;
/// Timeouts of the same full segment that mean a black hole: two may be bad luck. As Linux's `tcp_retries1`.
pub(crate) const BLACK_HOLE_TIMEOUTS: u8 = 3;
/// RFC 8899, 5.1.2: MAX_PROBES, "the default value of MAX_PROBES is 3": losses of a probe that make its size too large.
pub(crate) const PATH_MTU_PROBES: u8 = 3;
/// Sizes closer than this are the same: as Linux's `tcp_probe_threshold`.
pub(crate) const PATH_MTU_CLOSE: u64 = 8;
/// RFC 8899, 5.1.1: PMTU_RAISE_TIMER, 600 seconds; RFC 1191, 6.3 recommends the same ten minutes.
pub(crate) const PATH_MTU_RAISE: Duration = Duration::from_secs(600);
/// Segments that must wait behind a probe, so that their acknowledgments tell of its fate (RFC 4821, 7.4), and that the window
/// must hold, so that a smaller one does not stall for it. As Linux.
pub(crate) const PATH_MTU_BEHIND: u64 = 4;
/// See [`PATH_MTU_BEHIND`].
pub(crate) const PATH_MTU_WINDOW: u64 = 11;

/// RFC 6298, 2.1: before a measurement, "the sender SHOULD set RTO <- 1 second".
pub(crate) const RTO_INITIAL: Duration = Duration::from_secs(1);
/// RFC 6298, 5.7: after a lost SYN, "the RTO MUST be re-initialized to 3 seconds when data transmission begins".
pub(crate) const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);
/// Less than the "SHOULD" of one second in RFC 6298, 2.4: with RACK doing the work a timeout is rare, and every stack in
/// use has 200 ms, which outlasts their delayed ACKs. It is a floor for the variance term, so always above SRTT.
pub(crate) const RTO_VARIANCE_MIN: Duration = Duration::from_millis(200);
/// RFC 6298, 2.5: a maximum "MAY be placed on RTO provided it is at least 60 seconds". As Linux.
pub(crate) const RTO_MAX: Duration = Duration::from_secs(120);

/// Silence after which a connection gives back the memory of its empty queues: long enough that a conversation does not take
/// and return it with every question, short against how long most connections are idle.
pub(crate) const REST: Duration = Duration::from_secs(2);

/// Answered probes of a closed window for a connection that its application has closed, or while memory is short. RFC 6429, 4
/// leaves it to the system to end such connections; others are kept for ever. As many as Linux grants an orphan: with their
/// ever longer pauses some two minutes and more.
pub(crate) const UNWANTED_PROBES_MAX: u8 = 8;

/// RFC 6298, 2: the granularity G of our clock, a timestamp tick.
pub(crate) const CLOCK_GRANULARITY: Duration = Duration::from_millis(1);

/// Samples that the smallest RTT is remembered for: RFC 8985, 6.2 step 1 suggests a windowed minimum; routes change.
pub(crate) const MIN_RTT_WINDOW: Duration = Duration::from_secs(300);

/// RFC 8985, 7.2: "PTO = 2 * SRTT ... plus WCDelAckT (suggested value: 200 ms) when FlightSize is one segment".
pub(crate) const WORST_DELAYED_ACK: Duration = Duration::from_millis(200);

/// Duplicate ACKs that mean a loss to a connection without SACK (RFC 5681, 3.2).
pub(crate) const DUPACK_THRESHOLD: u32 = 3;

/// Acknowledgments sent at once at the start, while the peer is in slow start and counts them; as Linux.
pub(crate) const QUICK_ACKS: u8 = 16;

/// RFC 7323, 5.5: a timestamp may be compared for 24 days, half of what a millisecond clock takes to wrap.
pub(crate) const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 86_400);

/// SYN-ACKs for one SYN at most, the first included: the eighth comes after two minutes.
pub(crate) const SYN_ACK_TRIES_MAX: u8 = 8;

/// A SYN that comes again sooner than this is not answered again: who forges SYNs must not get two packets for one. As
/// Linux's limit on answers to what is out of window.
pub(crate) const SYN_ACK_INTERVAL: Duration = Duration::from_millis(500);

/// Handshakes in the table of one listener, whatever is configured: 2^20 take 96 MB.
pub(crate) const HALF_OPEN_MAX: usize = 1 << 20;

/// Minutes in which a SYN cookie is good: this one and the one before, so that every answer has a minute at least. As Linux.
pub(crate) const SYN_COOKIE_MINUTES_MAX: u64 = 2;

/// SYN-ACKs sent again for a handshake between two others (Linux's `tcp_synack_retries`): the last waits until 63 s after
/// the first.
pub(crate) const SYN_ACK_RETRIES: u8 = 5;

/// How long a handshake that the client took back waits for the server's SYN-ACK, to answer it by a RST: what is under way
/// arrives within seconds; netfilter's `CLOSE` has the same.
pub(crate) const WITHDRAWN_LINGER: Duration = Duration::from_secs(10);
