//! What is counted of HTTP: how requests and responses go on, and by which sentence of the RFC one did not.
//!
//! A fault in a head or a body is an event of its own, so that the counter, the log line, the page and the test table
//! all speak of the same thing. [`Event::status`] is what a client is told of a fault in its request; a fault in a
//! response is told as 502.

use crate::event::events;

events! {
    Request "http_requests" "A request's head was read whole."
    Passed "http_requests_passed" "A request was passed to a server."
    Interim "http_interim_responses" "A response of the 1xx class was passed on."
    Response "http_responses" "A final response was passed on."
    Reused "http_server_reused" "A request went over a server's connection that was there already."
    Retried "http_requests_retried" "A request was sent again: the idle connection it was sent over was being closed by the server."
    Unsolicited "http_unsolicited_bytes" "A server said something that nobody had asked for; its connection was closed."
    Upgraded "http_upgrades" "A connection became one of another protocol (101), as the service permits."
    Tunnelled "http_tunnels" "A CONNECT was granted."
    NotUpgraded "http_upgrades_left_out" "A request asked for another protocol that the service does not permit; it was passed without that wish."
    TrailersDropped "http_trailers_dropped" "Trailer fields were left out, as the service says."
    SmugglerClosed "http_closed_after_odd_body" "The server's connection was closed after a GET or HEAD with a body: the server may not have read it."

    MethodDenied "http_method_denied" "The service does not permit the method."
    UrlDenied "http_url_denied" "The service's URL filter does not permit the URL."
    HeaderDenied "http_header_denied" "A header field is not permitted by the service."
    StatusDenied "http_status_denied" "The service does not permit the response's status."
    StrictDenied "http_strict_denied" "A header's value does not fit the service's strict table."
    StrictDropped "http_strict_dropped" "A header was left out because its value does not fit the service's strict table."
    FormDenied "http_form_denied" "The service does not permit this form of request (to a server, to a proxy)."
    ConnectDenied "http_connect_denied" "The service does not permit a tunnel to that port, or none at all."
    PortDenied "http_port_denied" "The URL's port is outside of what the service permits."
    ScriptDenied "http_script_denied" "The service's script denied the request or the response."
    ScannerDenied "http_scanner_denied" "The service's scanner denied the content."
    ScannerFailed "http_scanner_failed" "The service's scanner gave no verdict; the client was told 503, or reset where a response had begun."
    Unresolved "http_host_unresolved" "The URL's host is no address, and the service cannot look it up."

    NoServer "http_no_server" "The server could not be connected; the client was told 502, 503 or 504."
    ServerClosed "http_server_closed" "The server closed before it had answered; the client was told 502."
    ResponseTimeout "http_response_timeout" "The server did not answer in time; the client was told 504."
    RequestTimeout "http_request_timeout" "The first request's head did not come in time; the client was told 408."
    KeepAliveTimeout "http_keep_alive_timeout" "No further request came in time; the connection was closed."
    BodyTimeout "http_body_too_slow" "A request's body came more slowly than the service permits."
    ReaderTimeout "http_reader_too_slow" "A client took a response more slowly than the service permits."
    ServerBodyTimeout "http_server_body_timeout" "A server stopped in the middle of a body."
    ShortOfMemory "http_short_of_memory" "The gateway was short of memory; the client was told 503."
    RequestsMax "http_requests_of_session_max" "A client's connection was closed after as many requests as the service permits."
    ClientTruncated "http_request_truncated" "The client closed in the middle of a request."
    ServerTruncated "http_response_truncated" "The server closed in the middle of a response; the client was reset, so that it knows."

    TwoSession "http2_sessions" "A client spoke HTTP/2."
    TwoServer "http2_servers" "A server was connected in HTTP/2."
    TwoServerGone "http2_servers_gone" "A server's HTTP/2 connection took no more requests (GOAWAY, or it had failed); the next one got another."
    TwoReset "http2_streams_reset_by_client" "A client gave a stream up (RST_STREAM)."
    TwoServerReset "http2_streams_reset_by_server" "A server gave a stream up (RST_STREAM)."
    TwoMalformed "http2_streams_malformed" "A stream was reset because what a client sent in it is no message, or not in time (RFC 9113, 5.4.2, 8.1.1)."
    TwoStreamsMax "http2_streams_refused" "A stream was refused: its client had as many open as the service permits (RFC 9113, 5.1.2)."
    TwoProtocol "http2_protocol_errors" "A client broke the framing of HTTP/2; it was told GOAWAY (RFC 9113, 5.4.1)."
    TwoServerProtocol "http2_server_protocol_errors" "A server broke the rules of HTTP/2 in a stream or in all; the client was told 502."
    TwoResetFlood "http2_reset_flood" "A client reset streams faster than anybody who wants answers does (Rapid Reset); it was told GOAWAY."
    TwoProvokedFlood "http2_provoked_reset_flood" "A client made the gateway reset streams again and again (made you reset); it was told GOAWAY."
    TwoContinuationFlood "http2_continuation_flood" "A client continued a head further than any head is long; it was told GOAWAY."
    TwoSettingsFlood "http2_settings_flood" "A client sent SETTINGS again and again; it was told GOAWAY."
    TwoPingFlood "http2_ping_flood" "A client sent more PING than measure anything; it was told GOAWAY."
    TwoEmptyFlood "http2_empty_data_flood" "A client sent DATA without data again and again; it was told GOAWAY."
    TwoWindowFlood "http2_window_flood" "A client opened its windows by a few bytes at a time; it was told GOAWAY."
    TwoIdleFlood "http2_idle_frame_flood" "A client sent frames that nothing becomes of (PRIORITY, unknown types); it was told GOAWAY."
    TwoCalm "http2_library_bound" "A client passed a bound of the HTTP/2 library (a header list of four times the bound, small DATA frames, streams reset unseen); it was told GOAWAY."
    TwoServerFlood "http2_server_flood" "A server flooded; its connection was closed."

    BareLf "http_bare_lf" "A line ended in LF without CR (RFC 9112, 2.2)."
    BareCr "http_bare_cr" "A CR without LF (RFC 9112, 2.2)."
    EmptyLines "http_empty_lines" "More empty lines before a request than are skipped (RFC 9112, 2.2)."
    Fold "http_obs_fold" "A header field was continued on the next line (RFC 9112, 5.2)."
    SpaceBeforeColon "http_space_before_colon" "Blanks between a header's name and its colon (RFC 9112, 5.1)."
    NoColon "http_no_colon" "A header line without a colon, or without a name before it (RFC 9112, 5)."
    FieldName "http_bad_header_name" "A header's name is no token (RFC 9110, 5.1)."
    FieldValue "http_bad_header_value" "A header's value has NUL or another control character (RFC 9110, 5.5)."
    RequestLine "http_bad_request_line" "The request line is none: method, one space, target, one space, version (RFC 9112, 3)."
    StatusLine "http_bad_status_line" "The status line is none: version, space, three digits, space, reason (RFC 9112, 4)."
    Version "http_bad_version" "A version other than HTTP/1.0 and HTTP/1.1 (RFC 9110, 2.5)."
    LineLong "http_line_too_long" "A header line is longer than the service permits."
    UrlLong "http_url_too_long" "The request line or the URL is longer than the service permits."
    HeadLong "http_head_too_large" "A head is larger than the service permits."
    FieldsMany "http_too_many_headers" "A head has more header lines than the service permits."
    LengthAndCoding "http_length_and_coding" "Content-Length and Transfer-Encoding in one message (RFC 9112, 6.3)."
    LengthInvalid "http_bad_content_length" "A Content-Length that is no plain decimal number (RFC 9110, 8.6)."
    LengthTwice "http_two_content_lengths" "Several Content-Length values (RFC 9110, 8.6)."
    CodingInvalid "http_bad_transfer_encoding" "A Transfer-Encoding other than `chunked`, once (RFC 9112, 6.1)."
    CodingInOld "http_coding_in_1_0" "A Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)."
    Lookalike "http_lookalike_header" "A header that some servers read as Content-Length, Transfer-Encoding or Host (underscores)."
    HostMissing "http_host_missing" "An HTTP/1.1 request without Host (RFC 9112, 3.2)."
    HostTwice "http_two_hosts" "Several Host lines (RFC 9112, 3.2)."
    HostInvalid "http_bad_host" "A Host that is none (RFC 9112, 3.2)."
    HostDiffers "http_host_differs" "The absolute URL and Host do not agree (RFC 9112, 3.2.2)."
    SchemeDiffers "http_scheme_differs" "The `:scheme` is not that of the connection, or of the service (RFC 9113, 8.3.1)."
    SingletonTwice "http_singleton_twice" "A field that a head has once was there several times (RFC 9110, 5.3)."
    ConnectionNames "http_connection_names_needed" "Connection names a field that the message cannot do without (RFC 9110, 7.6.1)."
    TargetInvalid "http_bad_target" "The request-target has no form that its method may have (RFC 9112, 3.2)."
    UrlInvalid "http_bad_url" "The URL has no canonical form: a byte, an escape or dots that servers read in several ways."
    BodyUnexpected "http_unexpected_body" "A body where the method or the status gives it no meaning (RFC 9110, 9.3, 15.3.5)."
    BodyLong "http_body_too_large" "A body is larger than the service permits."
    Expectation "http_bad_expect" "An Expect other than 100-continue (RFC 9110, 10.1.1)."
    ChunkSize "http_bad_chunk_size" "A chunk's size is no hexadecimal number, or too large (RFC 9112, 7.1)."
    ChunkExtension "http_bad_chunk_extension" "A chunk extension that is too long or has bytes it must not have (RFC 9112, 7.1.1)."
    ChunkEnd "http_bad_chunk_end" "A chunk's data did not end in CRLF (RFC 9112, 7.1)."
    TrailerInvalid "http_bad_trailer" "A trailer section that is no list of fields, too large, or not permitted (RFC 9112, 7.1.2)."
    UpgradeUnasked "http_upgrade_unasked" "A server switched to a protocol that was not asked for (RFC 9110, 15.2.2)."
    InterimMany "http_too_many_interim" "More responses of the 1xx class to one request than are passed."
}

impl Event {
    /// The status that a client is told, where the fault is in its request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Event::MethodDenied
            | Event::UrlDenied
            | Event::HeaderDenied
            | Event::StatusDenied
            | Event::StrictDenied
            | Event::FormDenied
            | Event::ConnectDenied
            | Event::PortDenied
            | Event::ScriptDenied
            | Event::ScannerDenied => 403,
            Event::RequestTimeout | Event::BodyTimeout => 408,
            Event::BodyLong => 413,
            Event::UrlLong => 414,
            Event::Expectation => 417,
            Event::LineLong | Event::HeadLong | Event::FieldsMany => 431,
            // RFC 9112, 6.1: "A server that receives a request message with a transfer coding it does not understand
            // SHOULD respond with 501". What is refused here could be understood and is not; 400 says so to all alike.
            Event::Unresolved | Event::NoServer | Event::ServerClosed => 502,
            Event::ShortOfMemory | Event::ScannerFailed => 503,
            Event::ResponseTimeout => 504,
            Event::Version => 505,
            _ => 400,
        }
    }
}
