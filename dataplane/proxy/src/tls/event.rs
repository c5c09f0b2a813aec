//! What the tls module counts, each with a sentence for the operator. How a whole session ends is a reason and not here; one
//! session can count several of these.

use crate::event::events;

events! {
    Sessions "tls_sessions" "Sessions that the tls module began to serve."
    Spliced "tls_spliced" "Connections passed on untouched."
    Bumped "tls_bumped" "Connections decrypted: both handshakes are done."
    Terminated "tls_terminated" "Connections ended by a reset because the policy said terminate."
    Rejected "tls_rejected" "Connections ended by an alert because the policy said reject."
    NotTls "tls_not_tls" "Clients whose first bytes are not TLS."
    MalformedHello "tls_malformed_hello" "ClientHellos that are malformed, too long, or could be read in two ways."
    HelloTimeout "tls_hello_timeout" "Clients that did not say a whole ClientHello in time."
    ServerHandshakeFailed "tls_server_handshake_failed" "TLS handshakes with servers that failed, other than by their certificate."
    ServerTimeout "tls_server_timeout" "TLS handshakes with servers that took too long."
    ClientHandshakeFailed "tls_client_handshake_failed" "TLS handshakes with clients that failed."
    ClientTimeout "tls_client_timeout" "TLS handshakes with clients that took too long."
    Untrusted "tls_untrusted" "Servers' certificates that are not trusted, whatever became of the connection."
    UntrustedDenied "tls_untrusted_denied" "Connections ended because the server's certificate is not trusted."
    Minted "tls_minted" "Certificates made as copies of servers' own."
    MintedKept "tls_minted_kept" "Connections served with a copy that had been made before."
    MintFailed "tls_mint_failed" "Servers' certificates of which no copy could be made."
    NoCertificate "tls_no_certificate" "Clients that want a name for which the service has no certificate."
    PinSuspected "tls_pin_suspected" "Handshakes ended by clients in a way that looks like a pinned certificate."
    PinLearned "tls_pin_learned" "Pairs of client and name that were taken for pinned."
    PinSpliced "tls_pin_spliced" "Connections passed on untouched because they had been learned as pinned."
    ClearBehindStarttls "tls_clear_behind_starttls" "Connections ended because clear text stood behind the command that starts TLS."
}
