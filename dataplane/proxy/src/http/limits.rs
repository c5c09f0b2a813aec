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
