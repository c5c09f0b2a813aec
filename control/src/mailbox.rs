//! What is said between the cores and the control thread, over bounded crossbeam channels.
//!
//! Neither side ever waits for the other: a core polls its box every so many turns and drops a notice rather than
//! block, and the control thread counts a core that does not take a message as one that does not answer. Everything a
//! core sends is already words and numbers; formatting for the operator happens on the control thread.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::Sender;
use serde::Serialize;

use crate::policy::{Decision, NewFlow, Policy};
use crate::requests::{Errno, Reply, Request};

/// To one core.
#[derive(Debug, Clone)]
pub enum ToCore {
    /// Decide new flows by this policy from now on, and for good: what was on probation stays if it is this one.
    Policy(Arc<Policy>),
    /// Decide new flows by this policy for so long, by the core's own clock, and then by what was before again, unless
    /// [`ToCore::Policy`] comes meanwhile. The core goes back on its own, whatever has become of the control thread.
    Probation {
        /// The policy on probation.
        policy: Arc<Policy>,
        /// For how long.
        for_us: u64,
    },
    /// Ask the policy again about flows that are there, and cut those that it forbids.
    Redecide {
        /// Only flows of that generation; none: all but those of the policy's own.
        only: Option<u64>,
    },
    /// Say how often rules have been met.
    RuleCounts(Sender<RuleCounts>),
    /// Say how you are.
    Report(Sender<CoreReport>),
    /// List flows, at most so many.
    Flows {
        /// How many at most.
        limit: usize,
        /// Where to.
        reply: Sender<Vec<FlowRecord>>,
    },
    /// What became of a proxy's request.
    TproxyReply {
        /// The number the core gave the request.
        ticket: u64,
        /// The outcome.
        result: Result<Reply, Errno>,
    },
    /// Flows of programs at the handoff socket go through here.
    Handoff(crate::handoff::CoreEnd),
    /// Take no new sessions; finish those there are.
    Drain,
    /// End at once.
    Stop,
}

/// From one core.
#[derive(Debug, Clone)]
pub enum FromCore {
    /// A proxy asks for an entry.
    Tproxy {
        /// Which core.
        core: usize,
        /// Comes back with the reply.
        ticket: u64,
        /// What it asks.
        request: Request,
    },
    /// A session has ended.
    Summary(SessionSummary),
    /// A proxy has done something within a session.
    Record(ProxyRecord),
    /// Something the operator should know; the core has limited their rate.
    Notice(String),
    /// A flow that was decided and is to be logged.
    Decided(DecidedFlow),
    /// A forwarded flow has ended.
    Forwarded(FlowRecord),
    /// So many flows that were to be logged were not, because there were too many.
    Suppressed {
        /// Which core.
        core: usize,
        /// How many.
        flows: u64,
    },
}

/// A flow as it was decided: what a line of the log is made of, by the control thread.
#[derive(Debug, Clone)]
pub struct DecidedFlow {
    /// Which core.
    pub core: usize,
    /// What decided.
    pub policy: Arc<Policy>,
    /// The flow, as its first packet says.
    pub flow: NewFlow,
    /// What was decided.
    pub decision: Decision,
    /// Why it ended all the same, where a limit or the network stood against it: a counter's name and sentence.
    pub refused: Option<(&'static str, &'static str)>,
}

/// How often one core has met each rule and each chain's policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Whose.
    pub core: usize,
    /// Of which policy.
    pub generation: u64,
    /// Packets and bytes, by [`crate::policy::RuleRef::id`].
    pub rules: Vec<(u64, u64)>,
    /// What the policies of chains have decided, by [`crate::policy::ChainId`].
    pub chains: Vec<(u64, u64)>,
}

/// The control thread's end of one core's box.
#[derive(Debug, Clone)]
pub struct CoreLink {
    /// The core's number.
    pub core: usize,
    /// Its box.
    pub to: Sender<ToCore>,
}

/// One counter of one core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CounterValue {
    /// Snake case, without prefix: `malformed_ip_checksum`.
    pub name: &'static str,
    /// A sentence for the operator.
    pub help: &'static str,
    /// Since the start.
    pub value: u64,
}

/// How one core is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CoreReport {
    /// Its number.
    pub core: usize,
    /// The policy it decides new flows by.
    pub generation: u64,
    /// That policy is on probation, and goes in so many milliseconds unless it is kept.
    pub probation_ms: Option<u64>,
    /// Entries in its flow table.
    pub flows: u64,
    /// Sessions there are, released ones included.
    pub sessions: u64,
    /// Sessions that are left to their two ends.
    pub released: u64,
    /// Handshakes not finished.
    pub half_open: u64,
    /// Connections of which only TIME-WAIT is left.
    pub time_wait: u64,
    /// Interfaces whose SYNs are answered by cookies, because of a flood.
    pub flooded: u64,
    /// TSC cycles in turns that had something to do.
    pub busy_cycles: u64,
    /// TSC cycles in turns that had not.
    pub idle_cycles: u64,
    /// Every way a packet, flow or session has ended, and other counts.
    pub counters: Vec<CounterValue>,
    /// Ports, as seen from this core; the first core's are shown.
    pub ports: Vec<PortReport>,
}

/// How one port is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PortReport {
    /// Its name in the rules.
    pub interface: String,
    /// The device string.
    pub device: String,
    /// The driver's name.
    pub driver: String,
    /// Its Ethernet address.
    pub mac: String,
    /// Largest IP packet.
    pub mtu: u16,
    /// `up 10000 Mbit/s` or `down`.
    pub link: String,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets the device had no room for.
    pub rx_missed: u64,
    /// Packets the device found faulty.
    pub rx_errors: u64,
    /// Packets the device could not send.
    pub tx_errors: u64,
    /// The driver's own counters.
    pub xstats: Vec<(String, u64)>,
}

/// One flow in a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlowRecord {
    /// Whose it is.
    pub core: usize,
    /// Its number on that core.
    pub id: u64,
    /// `tcp`, `udp`, ...
    pub protocol: String,
    /// Where its first packet came in.
    pub interface: String,
    /// Who began it.
    pub source: SocketAddr,
    /// Whom they addressed.
    pub destination: SocketAddr,
    /// What happens to its packets: `proxy`, `forward`, `local`, `drop`.
    pub step: String,
    /// The service that serves it.
    pub service: Option<String>,
    /// The state of the connection, or of its tracking.
    pub state: String,
    /// Zone of the client.
    pub client_zone: Option<String>,
    /// Zone of the original destination.
    pub server_zone: Option<String>,
    /// Payload relayed towards the server.
    pub bytes_to_server: u64,
    /// Payload relayed towards the client.
    pub bytes_to_client: u64,
    /// Since its first packet.
    pub age_ms: u64,
    /// Since its last packet.
    pub idle_ms: u64,
    /// The policy it was decided by.
    pub generation: u64,
    /// The source that the server sees, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated_source: Option<SocketAddr>,
    /// The server in place of the one that was addressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated_destination: Option<SocketAddr>,
    /// The mark of its packets, as table mangle left it.
    #[serde(skip_serializing_if = "is_zero")]
    pub mark: u32,
    /// The mark of the connection.
    #[serde(skip_serializing_if = "is_zero")]
    pub connmark: u32,
    /// TCP towards the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<serde_json::Value>,
    /// TCP towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<serde_json::Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One thing that a proxy has done within a session: a request, a transfer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProxyRecord {
    /// Whose session it was.
    pub core: usize,
    /// The session's number on that core.
    pub id: u64,
    /// What was done: `http.request`, `ftp.transfer`.
    pub kind: &'static str,
    /// The service.
    pub service: String,
    /// The client.
    pub client: SocketAddr,
    /// Zone of the client.
    pub client_zone: Option<String>,
    /// Whom the client addressed.
    pub destination: SocketAddr,
    /// The server, once there is one.
    pub server: Option<SocketAddr>,
    /// What the proxy says of it, by name.
    pub fields: Vec<(&'static str, serde_json::Value)>,
}

/// What is written down about a session when it has ended, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionSummary {
    /// Whose it was.
    pub core: usize,
    /// Its number on that core.
    pub id: u64,
    /// The service.
    pub service: String,
    /// `tcp`, `udp`.
    pub protocol: String,
    /// Where it came in.
    pub interface: String,
    /// The client.
    pub client: SocketAddr,
    /// Whom the client addressed.
    pub destination: SocketAddr,
    /// Whom the gateway connected to; None if it never did.
    pub server: Option<SocketAddr>,
    /// The address the client spoke to: the one it meant, which is what stands in place of a local one.
    pub client_local: SocketAddr,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// The source the server saw.
    pub server_local: Option<SocketAddr>,
    /// Zone of the client.
    pub client_zone: Option<String>,
    /// Zone of the original destination.
    pub server_zone: Option<String>,
    /// The rule that took the flow, as `file:line` or `table/chain/index`.
    pub rule: Option<String>,
    /// Zorp's word for how it ended: `ACCEPTED`, `DENIED_BY_POLICY`, ...
    pub verdict: String,
    /// Why, in a sentence.
    pub reason: String,
    /// Payload relayed towards the server.
    pub bytes_to_server: u64,
    /// Payload relayed towards the client.
    pub bytes_to_client: u64,
    /// How long it lasted.
    pub duration_ms: u64,
    /// The policy it was decided by.
    pub generation: u64,
}
