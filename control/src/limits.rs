//! Every bound of this crate, with its reason.
//!
//! What an operator writes is trusted to be meant, not to be small: a generated file or a macro that multiplies must
//! end in a fault that names the bound, never in a machine without memory. First the bounds of the configuration,
//! then those of the control thread.

// --- configuration -------------------------------------------------------------------------------------------------

/// Bytes of one configuration or rules file. 65,536 rules of 200 bytes are 13 MB; nobody writes more by hand.
pub const FILE_BYTES_MAX: usize = 32 << 20;

/// YAML nodes in one file: 65,536 zone networks and as many macro words, and room.
pub const YAML_NODES_MAX: usize = 1 << 20;

/// Nesting of YAML collections. The deepest key of ours is at five.
pub const YAML_DEPTH_MAX: usize = 32;

/// Interfaces: an [`InterfaceId`](crate::InterfaceId) is a `u16`, and one 802.1Q trunk has 4,094 VLANs.
pub const INTERFACES_MAX: usize = 4096;

/// Characters of an interface name: Linux' `IFNAMSIZ` less its zero, which iptables holds rules to.
pub const INTERFACE_NAME_MAX: usize = 15;

/// Addresses of one interface.
pub const INTERFACE_ADDRESSES_MAX: usize = 256;

/// Routes, connected ones not counted: a default and an enterprise's inner nets, not the Internet's full table.
pub const ROUTES_MAX: usize = 65_536;

/// Zones. Permissions are searched per zone, so this bounds memory, not time.
pub const ZONES_MAX: usize = 65_536;

/// Zones in one line of parents, the zone itself included: a deciding core walks them.
pub const ZONE_DEPTH_MAX: usize = 32;

/// Networks of all zones together.
pub const ZONE_NETWORKS_MAX: usize = 262_144;

/// Services and listeners, each: one listener per port is all that a rule can name.
pub const SERVICES_MAX: usize = 65_536;

/// Characters of a zone's, service's or macro's name: it stands in log lines and metric labels.
pub const NAME_MAX: usize = 64;

/// Servers of one `router` list: a session's search remembers those it has asked in a word, a bit each.
pub const ROUTER_TARGETS_MAX: usize = 64;

/// Policy rules. Their index keeps a bit per rule for each port range and network that they name: 8 KiB for each of
/// 8,192 such, in the worst case.
pub const POLICY_RULES_MAX: usize = 4_096;

/// Networks, zones, ports and interfaces of one policy rule: what fits is looked through one by one.
pub const POLICY_RULE_CONDITIONS_MAX: usize = 256;

/// NAT policies.
pub const NAT_POLICIES_MAX: usize = 4_096;

/// Rows, pairs or addresses of one NAT policy: they are looked through one by one.
pub const NAT_POLICY_ROWS_MAX: usize = 256;

/// Faults kept of one file; a thousandth fault of a wrong file helps nobody.
pub const FAULTS_MAX: usize = 200;

// --- rules (iptables' own bounds where it has one) -------------------------------------------------------------------

/// Characters of one rule line (iptables-restore).
pub const RULE_LINE_MAX: usize = 10_239;

/// Characters of one argument (iptables-restore).
pub const RULE_ARGUMENT_MAX: usize = 1_023;

/// Arguments of one rule (iptables-restore).
pub const RULE_ARGUMENTS_MAX: usize = 255;

/// Characters of a chain name (iptables).
pub const CHAIN_NAME_MAX: usize = 28;

/// Characters of a comment (xt_comment: 256 with the zero).
pub const COMMENT_MAX: usize = 255;

/// Port slots of one multiport match; a range takes two (xt_multiport).
pub const MULTIPORT_SLOTS_MAX: usize = 15;

/// Rules after expansion of macros and comma lists, all tables together: products explode.
pub const RULES_MAX: usize = 65_536;

/// Chains of one table. Rule sets that programs generate have some thousands; a chain's index is a `u16` over all
/// tables.
pub const CHAINS_MAX: usize = 16_384;

/// Words one macro expands to, macros in it included.
pub const MACRO_WORDS_MAX: usize = 65_536;

/// Words all macros together expand to: each of many may name the largest one.
pub const MACRO_WORDS_TOTAL_MAX: usize = 1 << 20;

/// Files included in each other by `rules gen`: deeper is a mistake, and circles are found first.
pub const INCLUDE_DEPTH_MAX: usize = 16;

/// Macros inside macros: deeper is a mistake, and cycles are found first.
pub const MACRO_DEPTH_MAX: usize = 16;

/// Chains that may be waiting for a return while a flow is decided; the walk keeps them in an array on the stack.
/// Linux' own bound grows with the rule set; 32 user chains inside each other is beyond any rule set we know.
pub const CHAIN_DEPTH_MAX: usize = 32;

/// Rule visits that deciding one flow may take: a chain called from many places is walked each time, and a hundred
/// calls of chains that call a hundred others would hold a core. Found when the rules are loaded, never on a core.
pub const RULE_VISITS_MAX: u64 = 1 << 20;

/// Steps an explanation shows; the rules that did not match beyond that are counted.
pub const EXPLANATION_STEPS_MAX: usize = 2_048;

/// Rules that a table must have for an index over them to be made: below, walking them is as quick as looking up.
pub const CLASSIFIER_RULES_MIN: usize = 32;

/// Bytes of the sets of one dimension of a table's index. Ten thousand rules of a firewall take less than one MiB; rules
/// that overlap each other in every interval would take the square of their number. A dimension that would take more is
/// cut into fewer intervals.
pub const DIMENSION_BYTES_MAX: usize = 32 << 20;

/// Bytes that the tables of connlimit, hashlimit and recent have together: each rule or name has its own, and shares
/// become small where there are very many.
pub const TABLES_BYTES_MAX: usize = 256 << 20;

/// Groups that a rule of connlimit counts at once; a place is a word. Linux has no bound but memory.
pub const CONNLIMIT_GROUPS: usize = 65_536;

/// Rules of connlimit that one flow is counted by. Linux has no bound; a flow that is counted by more ends.
pub const CONNLIMITS_PER_FLOW_MAX: usize = 8;

/// Groups of a table of hashlimit whose rule does not say how many (Linux: eight for each bucket of a hash table that
/// grows with the machine's memory).
pub const HASHLIMIT_GROUPS: usize = 65_536;

/// Groups of a table of hashlimit, whatever the rule says.
pub const HASHLIMIT_GROUPS_MAX: usize = 1 << 20;

/// Addresses of a list of recent. Linux keeps a hundred, which an attacker with a hundred addresses fills.
pub const RECENT_ADDRESSES: usize = 16_384;

/// Sets. Each may have a million members; so many of those nobody has.
pub const SETS_MAX: usize = 4_096;

/// Bytes of a file with members of a set: two million lines of 32 characters.
pub const SET_FILE_BYTES_MAX: usize = 64 << 20;

/// Members of a set: a million, twice over for what is added at run time. An IPv4 member takes 16 to 32 bytes.
pub const SET_MEMBERS_MAX: usize = 1 << 21;

/// LOG rules of one flow that a decision names; a decision is a few words on the stack, and whoever logs a flow more
/// than four times says the same four times over. Further ones are counted.
pub const LOGS_PER_FLOW_MAX: usize = 4;

// --- control thread ---------------------------------------------------------------------------------------------------
// // --- control thread
// ----------------------------------------------------------------------------------------------------

/// Programs connected to the handoff socket at a time; the next ones wait in the kernel's queue.
pub const PROGRAMS_MAX: usize = 64;

/// Sockets of one program. Each is an address of the gateway that nobody else can bind.
pub const PROGRAM_SOCKETS_MAX: usize = 4_096;

/// Flows of one program at a time, each a file descriptor of the gateway and one of the program: Linux gives a process
/// 1,024 unless it asks for more.
pub const PROGRAM_FLOWS_MAX: usize = 1_000;

/// Flows of all programs: two processes' descriptors have to be there.
pub const HANDOFF_FLOWS_MAX: usize = 8_192;

/// Messages that wait for one program to read them. A program that does not read gets no more connections.
pub const PROGRAM_MESSAGES_MAX: usize = 256;

/// Bytes of one message on the handoff socket: the longest is a few hundred.
pub const PROGRAM_MESSAGE_BYTES: usize = 8_192;

/// Pieces of a flow under way in one direction between core and program, before the other side says that it has taken
/// one. When all are, TCP's window closes, or the program's `write` blocks.
pub const FLOW_PIECES: u32 = 32;

/// Bytes of such a piece towards the wire; a received packet's payload makes one in the other direction. With
/// [`FLOW_PIECES`] half a megabyte for a flow.
pub const FLOW_PIECE_BYTES: usize = 16_384;

/// Datagrams, and errors about them, under way between a core and a program in one direction of a socket, by
/// [`cost`](crate::handoff::cost): what a socket of Linux holds (`rmem_default` and `wmem_default` are 208 KiB), and three of the
/// longest. Beyond, the program's `write` blocks, and what comes for it is lost and counted.
pub const SOCKET_ROOM: u32 = 256 << 10;

/// What a datagram counts beyond its bytes, so that empty ones are bounded, too: a thousand of them.
pub const DATAGRAM_OVERHEAD: u32 = 256;

/// Messages of cores that are handled before flows' tasks get their turn.
pub const HANDOFF_BATCH: usize = 1_024;

/// Changes of tproxy entries that are remembered for `GET /v1/tproxy/audit`: an hour of a busy FTP gateway, in half a
/// megabyte. The log keeps the rest.
pub const AUDIT_EVENTS_MAX: usize = 4_096;

/// Messages kept for one core whose box is full. Beyond it the core is not coming back, and what it would have been
/// told is counted instead.
pub const OUTBOX_MESSAGES_MAX: usize = 8_192;

/// Messages of cores handled before the control socket is looked at again.
pub const FROM_CORES_BATCH: usize = 1_024;

/// How long cores have to answer a status request. A core answers within a turn, that is within microseconds, unless
/// it sleeps on an idle network (adaptive polling) or its thread waits for a processor.
pub const GATHER_US: u64 = 500_000;

/// How long sessions have to end after SIGTERM before they are cut. Service managers kill after ten seconds or more.
pub const DRAIN_US: u64 = 5_000_000;

/// How often the cores are asked whether their sessions have ended while draining.
pub const DRAIN_ASK_US: u64 = 50_000;

/// The longest time that rules may be on probation: whoever is locked out for longer has a console.
pub const PROBATION_US_MAX: u64 = 3_600_000_000;

/// How long rules are tested unless a request says how long: iptables-apply has the same.
pub const PROBATION_S: u64 = 10;

/// How long rules wait to be confirmed unless a request says how long: time for a log-in.
pub const CONFIRM_S: u64 = 60;

/// Rules files kept by the name of the rules file and a number, the newest first.
pub const RULES_HISTORY: usize = 9;

/// Flows listed unless a request says how many.
pub const FLOWS_DEFAULT: usize = 1_000;

/// Most flows one listing holds: 100,000 of 400 bytes are 40 MB of JSON.
pub const FLOWS_MAX: usize = 100_000;

/// Bytes of a request's body: the longest request is a few hundred.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Connections to one control or metrics socket at a time; the next ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 64;

/// Requests that wait for the engine at a time; the next ones wait in their connections.
pub const REQUESTS_WAITING_MAX: usize = 256;

/// How long a connection may say nothing, or take for one request, before it is closed: it holds one of
/// [`CONNECTIONS_MAX`].
pub const CONNECTION_IDLE_MS: u64 = 60_000;

/// Bytes of a reply that the command line reads: a listing of [`FLOWS_MAX`] flows and room.
pub const REPLY_BYTES_MAX: usize = 256 << 20;
