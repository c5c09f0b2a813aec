//! The shape of `ftp: {…}` for editors; what cannot be said so is checked by the reader.

#![expect(dead_code, reason = "types of a schema describe, they hold nothing")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde_json::Value;

use super::super::script::ScriptSection;

/// The section's shape.
pub(crate) fn schema() -> Value {
    schemars::schema_for!(FtpSection).to_value()
}

/// The FTP proxy of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct FtpSection {
    /// Lua that decides about sessions, their servers, and commands: see SCRIPT.md.
    script: Option<ScriptSection>,
    /// Which commands pass where they are not listed; default full.
    class: Option<ClassWord>,
    /// What becomes of single commands; `*` is for those that are not listed.
    commands: Option<BTreeMap<String, ActionWord>>,
    /// Whether commands pass that the proxy does not know; default reject.
    unknown_commands: Option<UnknownWord>,
    /// What becomes of replies: by command (or `greeting`, or `*`), then by code, its first digits, or `*`.
    replies: Option<BTreeMap<String, BTreeMap<String, ActionWord>>>,
    /// What becomes of lines of FEAT, by their first word; `*` is for those that are not listed.
    features: Option<BTreeMap<String, FeatureWord>>,
    /// Clients name their server: USER user@host.
    login: Option<LoginSection>,
    /// Bytes of a line; default 1024.
    #[schemars(range(min = 64, max = 8192))]
    line_bytes: Option<u32>,
    /// Lines of a reply; default 100.
    #[schemars(range(min = 1, max = 10000))]
    reply_lines: Option<u32>,
    /// Bytes of a user's name; default 64.
    #[schemars(range(min = 1, max = 8192))]
    user_bytes: Option<u32>,
    /// Characters of a user's name, with ranges such as `a-z`; default any.
    user_characters: Option<String>,
    /// Bytes of a password; default 128.
    #[schemars(range(min = 1, max = 8192))]
    password_bytes: Option<u32>,
    /// Whether empty lines are left out; refused otherwise; default true.
    empty_commands: Option<bool>,
    /// Whether a server's words reach clients; default true.
    server_text: Option<bool>,
    /// Whether paths with `..` are refused; default false.
    deny_parent: Option<bool>,
    /// From the first byte to the end of the log-in; default 60s.
    login_time: Option<String>,
    /// Silence that ends a session; default 300s.
    idle: Option<String>,
    /// Data connections.
    data: Option<DataSection>,
    /// AUTH TLS, at either side by itself.
    tls: Option<TlsSection>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TlsSection {
    /// With clients.
    client: Option<ClientTlsSection>,
    /// With servers.
    server: Option<ServerTlsSection>,
    /// Whether a data connection that ends without close_notify is a file that ends; default false.
    permit_truncation: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ClientTlsSection {
    /// The gateway's certificate with what it is signed by, in PEM, beside this file.
    certificate: String,
    /// Its key.
    key: String,
    /// Whether nobody logs in without TLS; default false.
    required: Option<bool>,
    /// Whether nothing is transferred without PROT P; default false.
    private_data: Option<bool>,
    /// 1.2 or 1.3; default 1.2.
    oldest: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ServerTlsSection {
    /// When it begins; default always.
    when: Option<WhenWord>,
    /// Files of authorities in PEM, or `system`; default system.
    authorities: Option<OneOrMore>,
    /// Files of revocation lists in PEM; with one, every authority needs a list.
    revocation_lists: Option<OneOrMore>,
    /// For whom the server is taken; default what it was connected to by.
    name: Option<String>,
    /// What becomes of servers that cannot be trusted; default deny.
    untrusted: Option<UntrustedWord>,
    /// Whether data connections are within TLS too; default true.
    private_data: Option<bool>,
    /// 1.2 or 1.3; default 1.2.
    oldest: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum WhenWord {
    Always,
    Follow,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum UntrustedWord {
    Deny,
    Permit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ClassWord {
    Full,
    ReadOnly,
    ReadWrite,
    AnonymousReadOnly,
    AnonymousReadWrite,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ActionWord {
    Accept,
    Reject,
    Abort,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum UnknownWord {
    Accept,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FeatureWord {
    Accept,
    Drop,
    Insert,
}

/// Servers that clients may name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LoginSection {
    /// Addresses of names.
    hosts: Option<BTreeMap<String, IpAddr>>,
    /// Whether addresses are taken where a name could stand; default true.
    addresses: Option<bool>,
    /// Ports that may be named; default 21.
    ports: Option<PortWords>,
    /// Words of the greeting.
    greeting: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PortWords {
    One(PortWord),
    Many(Vec<PortWord>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PortWord {
    Port(u16),
    Range(String),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DataSection {
    /// Who connects to whom at the server's side; default keep.
    mode: Option<ModeWord>,
    /// Ports where the gateway waits; default 40000-41000.
    ports: Option<PortWord>,
    /// The source port of connections to clients; default minus_one.
    active_port: Option<ActivePortWord>,
    /// Whether a server connects from port 20, or the one below its control port, only; default true.
    strict_server_port: Option<bool>,
    /// Whether clients may name other hosts; default false.
    client_bounce: Option<bool>,
    /// Whether servers may name other hosts; default false.
    server_bounce: Option<bool>,
    /// The address that clients are told instead of the server's.
    announce_to_client: Option<IpAddr>,
    /// The address that servers are told instead of the client's.
    announce_to_server: Option<IpAddr>,
    /// For both connections to be there; default 30s.
    setup_time: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ModeWord {
    Keep,
    Passive,
    Active,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ActivePortWord {
    MinusOne,
    Twenty,
    Random,
}
