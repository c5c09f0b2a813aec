//! The shape of `http: {…}` for editors; what cannot be said so is checked by the reader.

#![expect(dead_code, reason = "types of a schema describe, they hold nothing")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::super::script::ScriptSection;

/// The section's shape.
pub(crate) fn schema() -> Value {
    schemars::schema_for!(HttpSection).to_value()
}

/// The HTTP proxy of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HttpSection {
    /// Lua that decides about sessions, servers, requests and responses: see SCRIPT.md.
    script: Option<ScriptSection>,
    /// Requests as to a server, as to a proxy, or both; default transparent.
    mode: Option<Mode>,
    /// The scheme of what servers are asked for; default https at port 443, else http.
    scheme: Option<Scheme>,
    /// HTTP/1.0 must have a Host, too; default false.
    require_host: Option<bool>,
    /// Host towards the server is that of the canonical URL; default true.
    rewrite_host: Option<bool>,
    /// GET and HEAD may have a body; default false.
    permit_get_body: Option<bool>,
    /// %uXXXX passes in URLs; default false.
    permit_unicode_url: Option<bool>,
    /// A % that begins no escape becomes %25; default false.
    permit_invalid_escape: Option<bool>,
    /// The client's address is told in X-Forwarded-For; default false.
    x_forwarded_for: Option<bool>,
    /// Methods that pass, or what becomes of each; default GET, HEAD, POST, OPTIONS.
    methods: Option<Methods>,
    /// What becomes of responses by their status; the first rule that fits.
    statuses: Option<Vec<StatusSection>>,
    /// What becomes of request headers, by name; `*` for all others.
    request_headers: Option<BTreeMap<String, HeaderWord>>,
    /// What becomes of response headers.
    response_headers: Option<BTreeMap<String, HeaderWord>>,
    /// Values of headers are held against the strict table; default off.
    strict: Option<StrictWord>,
    /// URLs that pass or not; the first rule that fits.
    url_filter: Option<Vec<FilterSection>>,
    /// Servers by method and URL; the first rule that fits.
    servers: Option<Vec<ServerSection>>,
    /// The server of requests without a rule; default original.
    server: Option<ServerWord>,
    /// Ports of URLs that choose the server; default 80 and 443.
    ports: Option<OneOrMany>,
    /// Addresses of names that URLs may have.
    hosts: Option<BTreeMap<String, String>>,
    /// Who is asked for addresses of names, over TCP; ADDRESS or ADDRESS:PORT.
    resolver: Option<String>,
    /// CONNECT is permitted.
    connect: Option<ConnectSection>,
    /// Protocols that a connection may become: websocket.
    upgrade: Option<OneOrMany>,
    /// HTTP/2, by ALPN and by prior knowledge; default not spoken.
    http2: Option<TwoWord>,
    /// What becomes of trailers; default drop.
    trailers: Option<TrailersWord>,
    /// Our name in Via; default none.
    via: Option<String>,
    /// The scanner that requests or responses are handed through.
    icap: Option<IcapSection>,
    /// How large things may be.
    limits: Option<LimitsSection>,
    /// How long things may take.
    times: Option<TimesSection>,
    /// Files with pages, by status or `default`; `silent: true` for none.
    pages: Option<BTreeMap<String, PageWord>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct IcapSection {
    /// ADDRESS:PORT of the scanner.
    server: String,
    /// Its path for requests; without one they are not scanned.
    reqmod: Option<String>,
    /// Its path for responses; without one they are not scanned.
    respmod: Option<String>,
    /// Bytes of a preview at most; default 4096.
    preview: Option<u32>,
    /// Bytes of a body that are held so that the scanner need not give them back; default 65536, at most 1048576.
    hold: Option<u32>,
    /// What becomes of a message without a verdict; default deny.
    on_failure: Option<IcapWord>,
    /// Seconds that the scanner may be silent; default 30.
    timeout_s: Option<u32>,
    /// Content types of responses that are not scanned.
    skip: Option<OneOrMany>,
    /// Bytes of a body that is scanned; default any number.
    max_scan: Option<u64>,
    /// What becomes of larger bodies; default deny.
    on_large: Option<IcapWord>,
    /// Clients may ask for parts of a body; default false.
    permit_ranges: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum IcapWord {
    Deny,
    Pass,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Mode {
    Transparent,
    Proxy,
    Both,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Scheme {
    Http,
    Https,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Methods {
    Permitted(Vec<String>),
    Each(BTreeMap<String, ActionWord>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ActionWord {
    Word(ActionName),
    Page(PageSection),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ActionName {
    Accept,
    Reject,
    Deny,
    Abort,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PageSection {
    /// The page's status, 400 to 599.
    reject: u16,
    /// What it says.
    info: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StatusSection {
    /// 404, or 500-599.
    status: NumberOrText,
    /// Of requests with this method; default all.
    method: Option<String>,
    /// What becomes of it.
    action: ActionWord,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum HeaderWord {
    Word(HeaderName),
    Change(ChangeSection),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum HeaderName {
    Accept,
    Drop,
    Reject,
    Deny,
    Abort,
}

/// One of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ChangeSection {
    /// Another name.
    name: Option<String>,
    /// Another value.
    value: Option<String>,
    /// What the expression finds is replaced by `with`.
    regexp: Option<String>,
    /// What for; $1 is the first group.
    with: Option<String>,
    /// One more.
    insert: Option<String>,
    /// One in place of all.
    replace: Option<String>,
    /// A page with this status.
    reject: Option<u16>,
    /// What the page says.
    info: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum StrictWord {
    Off,
    Drop,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct FilterSection {
    /// Hosts, with all below them.
    host: Option<OneOrMany>,
    /// HOST/PATH?QUERY, the whole of it.
    exact: Option<OneOrMany>,
    /// HOST/PATH, and all below it.
    prefix: Option<OneOrMany>,
    /// Expressions for the absolute URL.
    regex: Option<OneOrMany>,
    /// Files of hosts and directories.
    list: Option<OneOrMany>,
    /// What becomes of them.
    action: Option<ActionWord>,
    /// Where clients are sent instead.
    redirect: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ServerSection {
    /// Of these methods; default all.
    methods: Option<OneOrMany>,
    /// For these hosts, with all below them.
    host: Option<OneOrMany>,
    /// For these URLs.
    exact: Option<OneOrMany>,
    /// For these, and all below them.
    prefix: Option<OneOrMany>,
    /// For those that these expressions fit.
    regex: Option<OneOrMany>,
    /// Who answers.
    server: ServerWord,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ServerWord {
    /// original, inband or ADDRESS:PORT.
    Word(String),
    Parent(ParentSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ParentSection {
    /// Another proxy, ADDRESS:PORT.
    parent: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConnectSection {
    /// To these ports; default 443.
    ports: Option<OneOrMany>,
    /// The service that sees what is said through the tunnel; default none.
    service: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum TwoWord {
    Spoken(bool),
    How(TwoSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TwoSection {
    /// Streams that a client may have open at a time; default 100.
    #[schemars(range(min = 1, max = 1000))]
    streams: Option<u32>,
    /// Clear text that begins with the preface is HTTP/2, too; default true.
    prior_knowledge: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum TrailersWord {
    Drop,
    Pass,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LimitsSection {
    /// Bytes; default 8192.
    request_line: Option<u32>,
    /// Bytes; default 16384.
    header_line: Option<u32>,
    /// Bytes; default 32768.
    head: Option<u32>,
    /// Default 100.
    header_lines: Option<u32>,
    /// Bytes; default 256.
    host: Option<u32>,
    /// Bytes; default 0: any.
    request_body: Option<u64>,
    /// Bytes; default 0: any.
    response_body: Option<u64>,
    /// Of one connection; default 0: any.
    requests: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TimesSection {
    /// For a head; default 10s.
    request: Option<String>,
    /// Between requests; default 75s.
    keep_alive: Option<String>,
    /// For an answer; default 300s.
    response: Option<String>,
    /// Silence within a body; default 300s.
    body_idle: Option<String>,
    /// Before the rate counts; default 20s.
    body_grace: Option<String>,
    /// Bytes in a second; default 500, 0: any.
    body_rate: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PageWord {
    File(String),
    Silent(bool),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany {
    One(NumberOrText),
    Many(Vec<NumberOrText>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum NumberOrText {
    Number(u32),
    Text(String),
}
