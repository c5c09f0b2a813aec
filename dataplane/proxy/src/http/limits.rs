//! All bounds of the HTTP proxy, with the reason of each. What a service may set is bounded here as well.

use std::time::Duration;

/// Bytes of a head, request or response, whatever the service permits.
///
/// Browsers' cookies and Kerberos tickets together stay below 64 KiB; so do the largest heads that nginx and Apache can be told
/// to take without a rebuild of both.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Header lines of a head, whatever the service permits: the parser's table of them is on the stack, 8 KiB.
pub const FIELDS_MAX: usize = 256;

/// Bytes of the longest host unless the service says otherwise: names in the DNS have at most 253.
pub const HOST_MAX: usize = 256;

/// Empty lines skipped before a request.
///
/// RFC 9112, 2.2 wants at least one to be ignored, for clients that end a body in CRLF; Zorp skips three.
pub const EMPTY_LINES_MAX: usize = 3;

/// Digits of a chunk's size: 16 make 64 bits; more are an overflow in somebody's parser.
pub const CHUNK_DIGITS_MAX: usize = 16;

/// Bytes of the extensions of one chunk. Nobody uses them; a signature per chunk (as object stores once had) has about 90.
pub const CHUNK_EXTENSION_MAX: usize = 256;

/// Bytes of a trailer section: a few digests and a status.
pub const TRAILER_BYTES_MAX: usize = 8 << 10;

/// Trailer fields: as many as the checks of a stream of messages have, and some.
pub const TRAILER_FIELDS_MAX: usize = 32;

/// Data of a chunk below which copying it costs less than a reference to its packet.
///
/// It is also what keeps chunks of one byte from becoming as many pieces in the other connection.
pub const COPY_BELOW: usize = 256;

/// Responses of the 1xx class passed for one request. 103 comes a few times, 102 every twenty seconds.
pub const INTERIM_MAX: u32 = 64;

/// How long a closed connection is read on, so that the client reads the last page before it hears of a reset.
///
/// RFC 9112, 9.6: the server "continues to read from the connection until it receives a corresponding close". A client's
/// round trip and its retransmission fit into three seconds.
pub const LINGER_MAX: Duration = Duration::from_secs(3);

/// And at most so many bytes: a window or two of what was on its way.
pub const LINGER_BYTES_MAX: u64 = 1 << 20;

/// The service's own: bytes of one header line. Zorp's default of 4,096 is below what today's cookies have.
pub const LINE_DEFAULT: usize = 16 << 10;

/// Bytes of a request line. RFC 9112, 3: "RECOMMENDED that all HTTP senders and recipients support, at a minimum,
/// request-line lengths of 8000 octets".
pub const URL_DEFAULT: usize = 8192;

/// Bytes of a head. Apache takes 100 lines of 8 KiB, nginx 32 KiB; what exceeds this breaks at one of them.
pub const HEAD_DEFAULT: usize = 32 << 10;

/// Header lines. Zorp had 50; Apache's default is 100, which is what servers are tested with.
pub const FIELDS_DEFAULT: usize = 100;

/// From the first byte of a request to the end of its head; for the first one from the connection's start. Zorp's.
pub const REQUEST_DEFAULT: Duration = Duration::from_secs(10);

/// Between two requests: nginx' default, above which browsers do not hope.
pub const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(75);

/// From the request's end to the response's head, Zorp's.
pub const RESPONSE_DEFAULT: Duration = Duration::from_secs(300);

/// No byte of a server's body for so long ends it. Event streams say something every minute or so.
pub const BODY_IDLE_DEFAULT: Duration = Duration::from_secs(300);

/// A body that is waited for has so long before its rate counts: a mobile client changes its cell. Apache's `mod_reqtimeout`.
pub const BODY_GRACE_DEFAULT: Duration = Duration::from_secs(20);

/// Bytes per second of waiting that a client must send of a body, or take of a response. Apache's `mod_reqtimeout`.
pub const RATE_MIN_DEFAULT: u64 = 500;

/// The longest time a service may set: a day.
pub const TIME_MAX: Duration = Duration::from_secs(86_400);

/// Rules of each kind in a service: a walk through a hundred takes a microsecond or so. Long lists are files.
pub const RULES_MAX: usize = 256;

/// Bytes of a file of URLs: a million entries of 60 bytes.
pub const LIST_BYTES_MAX: usize = 64 << 20;

/// Labels of a host that are looked up in a list, from its end; DNS permits 127, names in use have six.
pub const LABELS_MAX: usize = 16;

/// Directories of a path that are looked up in a list.
pub const SEGMENTS_MAX: usize = 16;

/// Bytes of one expression when compiled. The crate's own default is ten times that, per expression and core.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Bytes of an error page from a file; larger ones belong on a server.
pub const PAGE_BYTES_MAX: usize = 64 << 10;

/// What is said on a page of what the client said, in bytes.
pub const PAGE_INFO_MAX: usize = 512;

/// The URL in a record, in bytes; longer ones are cut.
pub const RECORD_URL_MAX: usize = 2048;

/// Other words of a peer in a record, in bytes.
pub const RECORD_WORDS_MAX: usize = 256;

/// Names in `hosts:` of a service; more are a name server's work.
pub const HOSTS_MAX: usize = 4096;

/// How long a resolver may take: a recursive one gives up after about as long.
pub const RESOLVE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a resolver's answer: a few dozen addresses with their aliases.
pub const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Records of an answer that are looked at: chains of aliases have eight or so.
pub const ANSWERS_MAX: usize = 64;

/// Streams of HTTP/2 that a client may have open at a time. RFC 9113, 6.5.2: "It is recommended that this value be no smaller
/// than 100, so as to not unnecessarily limit parallelism"; browsers open no more.
pub const STREAMS_DEFAULT: u32 = 100;

/// And as many as a service may permit: what each may hold ([`STREAM_SEND_MAX`], its future) times this stays below 32 MiB.
pub const STREAMS_MAX: u32 = 1000;

/// Bytes of a body that its sender may send ahead on one stream: 50 Mbit/s over 10 ms, and HTTP/2's own default.
pub const STREAM_WINDOW: u32 = 64 << 10;

/// And on all streams of a connection together: 32 whose readers have paused (videos) do not keep the others waiting. It is
/// also what a connection's streams can make us hold of what was received, because windows open again only as the other side
/// takes what was sent.
pub const CONNECTION_WINDOW: u32 = 2 << 20;

/// Bytes that wait in the library to be sent on one stream: one frame of the default size.
pub const STREAM_SEND_MAX: usize = 16 << 10;

/// A header list before the library stops keeping what it decodes: any head that a service may permit, counted as RFC 9113,
/// 6.5.2 has it (32 bytes more for each field). At four times that the library ends the connection.
pub const HEADER_LIST_MAX: u32 = (HEAD_BYTES_MAX + FIELDS_MAX * 32) as u32;

/// CONTINUATION frames of one head: with HEADERS before them, and 16 KiB in each, they hold [`HEADER_LIST_MAX`].
pub const CONTINUATIONS_MAX: u32 = 4;

/// Servers that a session's streams are at, at a time: the routes of a service lead to a few.
pub const SERVERS_MAX: usize = 8;

/// How often in one turn streams and connections are polled one after the other; then other sessions have theirs.
pub const ROUNDS_MAX: usize = 16;

/// Bytes of a connection that the library is given at a time, before the streams have what is in them: of frames with one byte
/// each these are 800, and the library lets four thousand wait.
pub const READ_ROUND_MAX: usize = 8 << 10;

/// Reset streams that are remembered, so that what was on its way to them is not taken for a fault: a full set of streams.
pub const RESET_STREAMS_MAX: usize = 100;

/// And for so long: what is on its way arrives within a few round trips.
pub const RESET_STREAMS_TIME: Duration = Duration::from_secs(30);

/// How often something may come: so many at once, and then so many in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// In a second.
    pub per_second: u32,
}

/// RST_STREAM from a peer: Rapid Reset (CVE-2023-44487) is some hundred thousand in a second. Who leaves a page gives up all
/// its streams, and the next page's again.
pub const RESETS: Rate = Rate { burst: 200, per_second: 20 };

/// RST_STREAM that a peer made us send by breaking rules, or by more streams than it may have (CVE-2025-8671, "made you
/// reset"): who speaks HTTP/2 does not, but a race at the bound of streams is nobody's fault.
pub const PROVOKED: Rate = Rate { burst: 50, per_second: 1 };

/// SETTINGS (CVE-2019-9515): each has to be acknowledged. One at the start, a few later.
pub const SETTINGS: Rate = Rate { burst: 20, per_second: 1 };

/// PING (CVE-2019-9512): each has to be answered. gRPC measures round trips by them while data flows.
pub const PINGS: Rate = Rate { burst: 1000, per_second: 100 };

/// DATA without a byte that does not end its stream (CVE-2019-9518): nobody needs them. The library has a bound of its own, 100
/// in a connection's life.
pub const EMPTY_DATA: Rate = Rate { burst: 50, per_second: 1 };

/// WINDOW_UPDATE of fewer than [`SMALL_UPDATE`] bytes (CVE-2019-9511): readers tell what they have read by the kilobyte.
pub const SMALL_UPDATES: Rate = Rate { burst: 1000, per_second: 100 };

/// What a WINDOW_UPDATE must open to be worth its frame: about what the frame and its wake-up cost in bytes of a body.
pub const SMALL_UPDATE: u32 = 256;

/// PRIORITY (CVE-2019-9513) and frames of unknown types: nothing becomes of them. Some browsers send a tree of priorities first.
pub const IDLE_FRAMES: Rate = Rate { burst: 1000, per_second: 100 };
