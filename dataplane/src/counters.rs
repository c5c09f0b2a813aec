//! Every end of a packet, flow and session has a name, a number and a sentence for the operator; here they are counted.
//!
//! Reasons that belong to a part (a malformed packet, TCP's discards, the policy's drops, how sessions end) are that
//! part's own types and have a range each; what only the worker knows is listed below. Counting is an addition at a
//! fixed place of an array: no lookup, no atomics, for a core counts for itself and reports when it is asked.

use std::sync::LazyLock;

use control::mailbox::CounterValue;
use control::policy::DropReason;

use crate::flow::table::Refused;
use crate::flow::tracking::Invalid;
use crate::icmp_error::Withheld;
use crate::local::Ending;
use crate::neighbour::Overflow;
use crate::packet::Malformed;

/// Declares the worker's own counters: one line each, so that variant, name and sentence cannot drift apart.
macro_rules! counters {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// What can be counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $(#[doc = $sentence] $variant,)*
            /// A packet that cannot be read.
            Malformed(Malformed),
            /// A segment that a terminated connection does not take.
            Tcp(tcp::Discard),
            /// A new flow that the policy drops.
            Policy(DropReason),
            /// A packet that does not belong to its forwarded flow.
            Tracking(Invalid),
            /// An ICMP error that is not sent.
            Withheld(Withheld),
            /// A frame that cannot wait for a neighbour.
            Neighbour(Overflow),
            /// A packet for the gateway itself that is not answered.
            Local(Ending),
            /// A session's end.
            Session(proxy::Reason),
            /// What happened within a session.
            Proxy(proxy::Event),
        }

        /// The worker's own, numbered.
        #[expect(clippy::enum_variant_names, reason = "names are the operator's")]
        enum Own { $($variant,)* }

        /// Names and sentences of the worker's own.
        const OWN: &[(&str, &str)] = &[$(($name, $sentence),)*];

        impl Counter {
            /// Place among all counters.
            #[must_use]
            pub fn index(self) -> usize {
                match self {
                    $(Counter::$variant => Own::$variant as usize,)*
                    Counter::Malformed(reason) => MALFORMED + reason.index(),
                    Counter::Tcp(reason) => TCP + reason.index(),
                    Counter::Policy(reason) => POLICY + reason.index(),
                    Counter::Tracking(reason) => TRACKING + reason.index(),
                    Counter::Withheld(reason) => WITHHELD + reason.index(),
                    Counter::Neighbour(reason) => NEIGHBOUR + reason.index(),
                    Counter::Local(reason) => LOCAL + reason.index(),
                    Counter::Session(reason) => SESSION + reason.index(),
                    Counter::Proxy(event) => PROXY + event.index(),
                }
            }

            /// Every counter, in the order of [`Counter::index`].
            pub fn all() -> impl Iterator<Item = Counter> {
                let own = [$(Counter::$variant,)*];
                own.into_iter()
                    .chain(Malformed::ALL.iter().copied().map(Counter::Malformed))
                    .chain(tcp::Discard::ALL.iter().copied().map(Counter::Tcp))
                    .chain(DropReason::ALL.iter().copied().map(Counter::Policy))
                    .chain(Invalid::ALL.iter().copied().map(Counter::Tracking))
                    .chain(Withheld::ALL.iter().copied().map(Counter::Withheld))
                    .chain(Overflow::ALL.iter().copied().map(Counter::Neighbour))
                    .chain(Ending::ALL.iter().copied().map(Counter::Local))
                    .chain(proxy::Reason::ALL.iter().copied().map(Counter::Session))
                    .chain(proxy::Event::all().map(Counter::Proxy))
            }
        }
    };
}

counters! {
    // Packets in and out.
    RxPackets "rx_packets" "Packets received."
    TxPackets "tx_packets" "Packets handed to the ports for sending."
    TxRefused "tx_refused" "Packets that a port would not take because its queue was full."
    MemoryPressure "memory_pressure" "Segments of sessions that hold much packet memory, dropped because it was short."
    NoMemory "no_memory" "Packets not sent because no packet buffer was free."
    FrameFull "frame_full" "Packets not sent because they did not fit a packet buffer."

    // Not taken up.
    UnknownVlan "unknown_vlan" "Packets with a VLAN tag that no interface of their port has."
    NotForUsMac "not_for_us_mac" "Packets addressed to the Ethernet address of another station."
    UnknownEthertype "unknown_ethertype" "Packets that are neither ARP nor IP."
    OwnSource "own_source" "Packets that claim to come from one of the gateway's own addresses."
    Multicast "multicast" "Packets to groups or broadcast addresses, which are not routed."
    TtlExpired "ttl_expired" "Packets whose TTL or hop limit ended here; their senders were told."
    TooBig "too_big" "Packets larger than the MTU of where they were to go; their senders were told."

    // Fragments.
    Fragments "fragments" "IP fragments received."
    Reassembled "reassembled" "Datagrams put together from fragments."
    FragmentTiny "fragment_tiny" "Fragments that are empty, or first ones without the header of their protocol; their datagrams were dropped."
    FragmentOverlap "fragment_overlap" "Fragments that overlap others or their datagram's end (teardrop); their datagrams were dropped."
    FragmentDuplicate "fragment_duplicate" "Fragments that were there already."
    FragmentTooMany "fragment_too_many" "Datagrams dropped because they came in too many fragments."
    FragmentOfDropped "fragment_of_dropped" "Fragments of datagrams that had been dropped already."
    FragmentSourceLimit "fragment_source_limit" "Fragments dropped because their source has as many waiting as it may."
    FragmentEvicted "fragment_evicted" "Datagrams dropped incomplete to make room for younger fragments."
    FragmentTimedOut "fragment_timed_out" "Datagrams dropped because not all of their fragments came in time."
    FragmentEcn "fragment_ecn" "Datagrams dropped because their fragments contradict each other about congestion (RFC 3168 5.3)."
    FragmentNeighbour "fragment_neighbour" "Neighbour discovery messages in fragments, which RFC 6980 forbids."
    FragmentTooLong "fragment_too_long" "TCP segments and datagrams for the gateway itself dropped because they came in fragments and are longer than a packet buffer."
    Fragmented "fragmented" "Fragments sent of datagrams that were too long, or had come in fragments."

    // Where to.
    NoRoute "no_route" "Packets or connections to where no route leads."
    NoSourceAddress "no_source_address" "Packets or connections for which the gateway has no address of the family on that link."
    NeighbourFailed "neighbour_failed" "Packets whose next hop did not answer ARP or neighbour discovery."
    NeighbourTableFull "neighbour_table_full" "Packets whose next hop could not be looked for because too many others are."
    Forwarded "forwarded" "Packets routed on without a proxy, as the filter rules permit."

    // ICMP.
    IcmpUnmatched "icmp_unmatched" "ICMP messages about no flow that is known."
    IcmpDelivered "icmp_delivered" "ICMP errors handed to the connection or passed on to the host they are about."
    IcmpErrorSent "icmp_error_sent" "ICMP errors sent by the gateway."

    // New flows.
    TcpOutOfState "tcp_out_of_state" "TCP segments that belong to no connection and may not begin one."
    RstSent "rst_sent" "Resets sent for segments that belong to no connection."
    NatUnserved "nat_unserved" "New flows that table nat leads where they cannot go: from a program on the gateway back to it, to a group; and translated fragments of programs."
    Rejected "rejected" "First packets of flows that a REJECT rule answered."
    LocalClosedPort "local_closed_port" "Packets let in to a port of the gateway itself where nobody listens."
    LocalUnhandled "local_unhandled" "Packets let in to the gateway itself of a protocol it does not speak."
    LocalFlowCut "local_flow_cut" "Packets of flows of programs on the gateway that a later policy has cut; TCP's were answered by a reset."
    LocalFlowsFull "local_flows_full" "New flows of programs on the gateway refused because all there may be are in use."
    LocalFlowEvicted "local_flow_evicted" "Flows of programs on the gateway that nobody had answered, forgotten early because there were too many."
    ToKernel "to_kernel" "Packets handed to the host's kernel for programs on the gateway."
    FromKernel "from_kernel" "Packets that the host's kernel had to send."
    KernelRateLimited "kernel_rate_limited" "Packets for programs on the gateway dropped because more came than their interface's rate."
    KernelForeignSource "kernel_foreign_source" "Packets of the host's kernel from an address that is not the gateway's."
    KernelProxyUnserved "kernel_proxy_unserved" "Connections of programs on the gateway that table tproxy takes, which this version does not do."
    OnceClaimed "once_claimed" "One-shot tproxy entries that were used up by a connection."
    OnceLost "once_lost" "Connections that met a one-shot tproxy entry which another had used up."
    TupleBusy "tuple_busy" "New flows whose addresses and ports are in use by another flow on the server's side."
    NatExhausted "nat_exhausted" "New flows whose translation found no free port, or whose tuple is taken and has no port to change."
    NatFamily "nat_family" "New flows to be translated between IPv4 and IPv6, which is not done for them."
    Untracked "untracked" "Packets forwarded without tracking, as a NOTRACK rule says."
    DatagramSessions "datagram_sessions" "UDP flows that a service took."
    DatagramsUnidir "datagrams_unidir" "Datagrams rewritten one way by a UNIDIR entry, without a flow."
    DatagramsUnassigned "datagrams_unassigned" "UDP flows ended because the tproxy entry they came by was taken out or its flags were set."
    DatagramClientLimit "datagram_client_limit" "New UDP flows refused because their client has as many as one may have."
    PortsExhausted "ports_exhausted" "Connections to servers for which no source port was free."
    FlowTableFull "flow_table_full" "New flows refused because the flow table is full."
    SessionTableFull "session_table_full" "New connections refused because as many sessions as may run do."
    ListenerOver "listener_over" "Connections ended when their client was there, because their listener takes one and had it by then."
    ServiceFull "service_full" "New connections refused because their service runs as many sessions as it may."
    FloodBegan "flood_began" "Times that an interface's handshakes passed their budget and SYN cookies began."
    FloodEnded "flood_ended" "Times that a SYN flood was over and handshakes were kept again."
    SynCookieSent "syn_cookie_sent" "SYNs answered by a cookie, without keeping anything, because of a flood."
    SynCookieGood "syn_cookie_good" "Connections that a client opened by bringing its cookie back."
    SynCookieBad "syn_cookie_bad" "Segments of no connection that brought no cookie of ours back during a flood."
    SynCookieExpired "syn_cookie_expired" "Cookies of ours that came back too late; their senders were reset."
    Draining "draining" "New flows refused because the gateway is stopping."

    // Sessions.
    MirrorRefused "mirror_refused" "Connections refused by the server; the client got the refusal."
    MirrorUnreachable "mirror_unreachable" "Connections to servers that the network reported as unreachable; the client got the report."
    MirrorSilent "mirror_silent" "Connections that the server did not answer; the client got no answer either."
    MirrorSynRepeated "mirror_syn_repeated" "SYNs repeated by clients whose handshake was under way."
    MirrorSynCrossed "mirror_syn_crossed" "SYNs of servers that answer nothing: both opened at once, or a split handshake."
    MirrorWithdrawn "mirror_withdrawn" "Handshakes that clients ended by a reset; the servers got it."
    SessionsReleased "sessions_released" "Sessions whose two ends were left to each other."
    ReleaseMismatch "release_mismatch" "Sessions that could not be left to their two ends: what these have agreed on with the gateway differs."
    Released "released" "Packets of released sessions, passed on as they came."
    SessionsServed "sessions_served" "Sessions whose proxy was started, or not needed."
    TimeWaitEvicted "time_wait_evicted" "Connections in TIME-WAIT forgotten early because there were too many."
    SessionGone "session_gone" "Requests of proxies whose session had ended meanwhile."
    HandoffOffered "handoff_offered" "Connections offered to programs at the handoff socket, and UDP flows given to them."
    HandoffRefused "handoff_refused" "Connections for which there was no thread of programs, and UDP flows for which no program listened; their clients were told."
    HandoffConnects "handoff_connects" "Connections that programs asked for, and UDP flows that they began."
    HandoffDatagramsRefused "handoff_datagrams_refused" "Datagrams of programs that were not sent; the program was told why."
    HandoffDatagramsLost "handoff_datagrams_lost" "Datagrams for programs, and errors about theirs, for which their sockets had no room."
    HandoffConnectsRefused "handoff_connects_refused" "Connections that programs asked for and that were not begun: no way, no port, no room, or not permitted."
    RelatedConnects "related_connects" "Connections beside the server's that proxies asked for: data channels, scanners."
    RelatedAccepted "related_accepted" "Connections that proxies expected and that came: data channels."
    RelatedLimit "related_limit" "Connections beside the server's refused because a session, or the core, has as many as it may."
    TaskPanicked "task_panicked" "Proxies that broke; each ended its own session and nothing else."
    ProxyBroken "proxy_broken" "Sessions that ended because their proxy broke."
    RecordLost "record_lost" "Session records and other lines for the log lost because the control thread did not keep up."
    LogSuppressed "log_suppressed" "Decisions about flows that were not logged because there were too many."
    ProbationEnded "probation_ended" "Times that the core went back from rules on probation by its own clock."
    RedecidedSessions "redecided_sessions" "Sessions and handshakes cut because a policy that came after them forbids them."
    RedecidedForwards "redecided_forwards" "Forwarded flows cut because a policy that came after them forbids them."
    RedecidedLocals "redecided_locals" "Flows of programs on the gateway cut because a policy that came after them forbids them."
    ControlBusy "control_busy" "Requests of proxies refused because the control thread did not keep up."
}

const MALFORMED: usize = OWN.len();
const TCP: usize = MALFORMED + Malformed::ALL.len();
const POLICY: usize = TCP + tcp::Discard::ALL.len();
const TRACKING: usize = POLICY + DropReason::ALL.len();
const WITHHELD: usize = TRACKING + Invalid::ALL.len();
const NEIGHBOUR: usize = WITHHELD + Withheld::ALL.len();
const LOCAL: usize = NEIGHBOUR + Overflow::ALL.len();
const SESSION: usize = LOCAL + Ending::ALL.len();
const PROXY: usize = SESSION + proxy::Reason::ALL.len();

impl Counter {
    /// How many there are.
    pub const COUNT: usize = PROXY + proxy::Event::COUNT;

    /// Snake case, the same for ever: operators' alarms are built on it.
    #[must_use]
    pub fn name(self) -> &'static str {
        WORDS[self.index()].0
    }

    /// What it means, for the operator.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        WORDS[self.index()].1
    }

    /// The words of the part that the reason belongs to, and what tells its names from those of other parts.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Counter::Malformed(reason) => ("malformed_", reason.name(), reason.sentence()),
            Counter::Tcp(reason) => ("", reason.name(), reason.sentence()),
            Counter::Policy(reason) => ("drop_", reason.name(), reason.sentence()),
            Counter::Tracking(reason) => ("tracking_", reason.name(), reason.sentence()),
            Counter::Withheld(reason) => ("", reason.name(), reason.sentence()),
            Counter::Neighbour(reason) => ("", reason.name(), reason.sentence()),
            Counter::Local(reason) => ("local_", reason.name(), reason.sentence()),
            Counter::Session(reason) => ("session_", reason.name(), reason.sentence()),
            Counter::Proxy(event) => ("", event.name(), event.sentence()),
            own => ("", OWN[own.index()].0, OWN[own.index()].1),
        }
    }
}

/// Names and sentences of all counters, put together at the first report and kept.
static WORDS: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    Counter::all()
        .map(|counter| {
            let (prefix, name, sentence) = counter.words();
            let name = if prefix.is_empty() { name } else { String::leak(format!("{prefix}{name}")) };
            (name, whole(sentence))
        })
        .collect()
});

/// A sentence begins with a capital and ends with a period.
fn whole(sentence: &'static str) -> &'static str {
    if sentence.ends_with('.') && sentence.starts_with(char::is_uppercase) {
        return sentence;
    }
    let mut letters = sentence.trim_end_matches('.').chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    String::leak(format!("{first}{}.", letters.as_str()))
}

impl From<Refused> for Counter {
    fn from(reason: Refused) -> Self {
        match reason {
            Refused::Full => Counter::FlowTableFull,
            Refused::Exists(_) => Counter::TupleBusy,
        }
    }
}

impl From<Malformed> for Counter {
    fn from(reason: Malformed) -> Self {
        Counter::Malformed(reason)
    }
}

impl From<tcp::Discard> for Counter {
    fn from(reason: tcp::Discard) -> Self {
        Counter::Tcp(reason)
    }
}

impl From<DropReason> for Counter {
    fn from(reason: DropReason) -> Self {
        Counter::Policy(reason)
    }
}

impl From<Invalid> for Counter {
    fn from(reason: Invalid) -> Self {
        Counter::Tracking(reason)
    }
}

impl From<Withheld> for Counter {
    fn from(reason: Withheld) -> Self {
        Counter::Withheld(reason)
    }
}

impl From<Overflow> for Counter {
    fn from(reason: Overflow) -> Self {
        Counter::Neighbour(reason)
    }
}

impl From<Ending> for Counter {
    fn from(reason: Ending) -> Self {
        Counter::Local(reason)
    }
}

impl From<proxy::Event> for Counter {
    fn from(event: proxy::Event) -> Self {
        Counter::Proxy(event)
    }
}

impl From<proxy::Reason> for Counter {
    fn from(reason: proxy::Reason) -> Self {
        Counter::Session(reason)
    }
}

/// One core's counters.
#[derive(Clone, Debug)]
pub struct Counters(Box<[u64; Counter::COUNT]>);

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Counters(Box::new([0; Counter::COUNT]))
    }

    /// One more.
    pub fn count(&mut self, counter: impl Into<Counter>) {
        self.add(counter, 1);
    }

    /// So many more.
    pub fn add(&mut self, counter: impl Into<Counter>, n: u64) {
        self.0[counter.into().index()] += n;
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self, counter: impl Into<Counter>) -> u64 {
        self.0[counter.into().index()]
    }

    /// All of them for a report, those at zero included: an operator's alarm is set before it is needed.
    pub fn iter(&self) -> impl Iterator<Item = CounterValue> {
        WORDS.iter().zip(self.0.iter()).map(|(&(name, help), &value)| CounterValue { name, help, value })
    }
}

#[cfg(test)]
mod tests;
