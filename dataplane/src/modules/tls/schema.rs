//! The shape of `tls: {…}` for editors; what cannot be said so is checked by the reader.

#![expect(dead_code, reason = "types of a schema describe, they hold nothing")]

use schemars::JsonSchema;
use serde_json::Value;

use super::super::script::ScriptSection;

/// The section's shape.
pub(crate) fn schema() -> Value {
    schemars::schema_for!(TlsSection).to_value()
}

/// The TLS proxy of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TlsSection {
    /// Lua that decides about sessions, their servers, and ClientHellos: see SCRIPT.md.
    script: Option<ScriptSection>,
    /// Which sides speak TLS; default two_sided.
    encryption: Option<EncryptionWord>,
    /// What becomes of connections; the first rule that matches decides.
    rules: Option<Vec<RuleSection>>,
    /// What becomes of those that no rule is for; default splice, with TLS on one side bump.
    otherwise: Option<FinalWord>,
    /// What becomes of clients that do not speak TLS; default deny.
    not_tls: Option<NotTlsWord>,
    /// Authorities that sign copies of servers' certificates.
    keybridge: Option<KeybridgeSection>,
    /// Certificates of your own, chosen by the name that clients want.
    certificates: Option<Vec<CertificateSection>>,
    /// Whom to trust; default the system's authorities.
    verify: Option<VerifySection>,
    /// Whom servers are taken for, with encryption: server; default the address.
    server_name: Option<String>,
    /// The oldest version, for both sides or each; default tls1.2.
    min_version: Option<OldestWord>,
    /// How long a ClientHello and each handshake may take; default 30s.
    handshake_timeout: Option<String>,
    /// What becomes of bytes that end without a close_notify; default mirror.
    truncation: Option<TruncationWord>,
    /// Clients that do not take our certificate are passed on for a while.
    learn_pinning: Option<LearnWord>,
    /// The service that gets the clear text.
    stack: Option<StackWord>,
    /// Names that show an encrypted ClientHello to be a real one.
    ech_names: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RuleSection {
    /// What the log calls it; default its number.
    name: Option<String>,
    /// Networks of the client.
    clients: Option<OneOrMany>,
    /// Zones of the client.
    client_zones: Option<OneOrMany>,
    /// Networks of the address that the client wants.
    servers: Option<OneOrMany>,
    /// Zones of it.
    server_zones: Option<OneOrMany>,
    /// Ports of it, such as 443 or 8000-8099.
    ports: Option<PortsWord>,
    /// Names that the client wants: a name, a .domain, or an /expression/.
    sni: Option<OneOrMany>,
    /// Whether the client says a name.
    has_sni: Option<bool>,
    /// Application protocols, one of which the client offers.
    alpn: Option<OneOrMany>,
    /// JA3 fingerprints.
    ja3: Option<OneOrMany>,
    /// JA4 fingerprints, or their parts from the left.
    ja4: Option<OneOrMany>,
    /// Encrypted ClientHello.
    ech: Option<EchWord>,
    /// The verdict about the server's certificate: trusted, untrusted, or what is wrong with it.
    certificate: Option<VerdictWord>,
    /// Names that the certificate is for.
    certificate_names: Option<OneOrMany>,
    /// What becomes of the connection.
    action: ActionWord,
    /// Which alert a rejected client hears; default access_denied.
    alert: Option<AlertWord>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct KeybridgeSection {
    /// Signs copies of certificates that are trusted.
    trusted: PairSection,
    /// Signs copies of others; without it, those end.
    untrusted: Option<PairSection>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PairSection {
    /// PEM file: the certificate, then those it is signed by.
    certificate: String,
    /// PEM file.
    key: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CertificateSection {
    /// For these names; without, for all that no other is for.
    names: Option<OneOrMany>,
    /// PEM file: the certificate, then those it is signed by.
    certificate: String,
    /// PEM file.
    key: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct VerifySection {
    /// PEM files of authorities.
    authorities: Option<OneOrMany>,
    /// Whether the system's are trusted too; default when no file is named.
    system_roots: Option<bool>,
    /// PEM files of revocation lists.
    revocation_lists: Option<OneOrMany>,
    /// What becomes of certificates that no list is for, once there are lists; default deny.
    missing_list: Option<PermitWord>,
    /// Authorities between a server's certificate and a trusted one; default 4.
    #[schemars(range(max = 6))]
    depth: Option<u32>,
    /// Whether the certificate has to be the server's that was asked for; default true.
    check_name: Option<bool>,
    /// What becomes of servers that are not trusted; default deny.
    untrusted: Option<PermitWord>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum EncryptionWord {
    TwoSided,
    Client,
    Server,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FinalWord {
    Splice,
    Bump,
    Terminate,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ActionWord {
    Peek,
    Splice,
    Bump,
    Terminate,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum NotTlsWord {
    Deny,
    Pass,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum PermitWord {
    Deny,
    Permit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TruncationWord {
    Mirror,
    Deny,
    Permit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum EchWord {
    Absent,
    Grease,
    Real,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum FaultWord {
    Trusted,
    Untrusted,
    UnknownIssuer,
    SelfSigned,
    Expired,
    NotYetValid,
    Revoked,
    NoRevocationList,
    TooDeep,
    WrongName,
    Unfit,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum AlertWord {
    AccessDenied,
    HandshakeFailure,
    BadCertificate,
    CertificateUnknown,
    CertificateExpired,
    CertificateRevoked,
    UnknownCa,
    ProtocolVersion,
    InternalError,
    UnrecognizedName,
    NoApplicationProtocol,
}

#[derive(JsonSchema)]
enum VersionWord {
    #[schemars(rename = "tls1.2")]
    Tls12,
    #[schemars(rename = "tls1.3")]
    Tls13,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OldestWord {
    Both(VersionWord),
    Each(SidesSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SidesSection {
    client: Option<VersionWord>,
    server: Option<VersionWord>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum LearnWord {
    Whether(bool),
    How(LearnSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LearnSection {
    /// Handshakes in a row that the client ended; default 3.
    #[schemars(range(min = 1, max = 1000))]
    after: Option<u32>,
    /// How long it is passed on; default 60m.
    keep: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum StackWord {
    Service(String),
    Protocols(StackSection),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StackSection {
    service: String,
    /// Application protocols that it speaks; default http/1.1.
    alpn: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum VerdictWord {
    One(FaultWord),
    Many(Vec<FaultWord>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PortWord {
    Port(u16),
    Range(String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum PortsWord {
    One(PortWord),
    Many(Vec<PortWord>),
}
