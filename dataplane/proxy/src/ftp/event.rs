//! What the FTP proxy counts, each with a sentence for the operator: violations and refusals by name, transfers, data connections.

use crate::event::events;

events! {
    Sessions "ftp_sessions" "Sessions that the ftp module began to serve."
    Logins "ftp_logins" "Users that a server let in."
    LoginsFailed "ftp_logins_failed" "Names or passwords that a server, or the service's class, refused."
    CommandsDenied "ftp_commands_denied" "Commands that the service's policy refused."
    CommandsUnknown "ftp_commands_unknown" "Commands that neither the proxy nor the service knows, refused."
    CommandsOutOfOrder "ftp_commands_out_of_order" "Commands at a time when they are not allowed, refused."
    CommandsInvalid "ftp_commands_invalid" "Commands whose argument is not what it has to be, refused."
    PathsDenied "ftp_paths_denied" "Paths with `..` in them that the service refuses."
    RepliesDenied "ftp_replies_denied" "Replies with codes that do not belong to the command, replaced."
    RepliesUnasked "ftp_replies_unasked" "Replies that nobody had asked for; the session was ended."
    LinesInvalid "ftp_lines_invalid" "Lines that were too long or did not end in CR LF; the session was ended."
    TextBeforeTls "ftp_text_before_tls" "Bytes in clear behind AUTH TLS (an injection); the session was ended."
    BounceClient "ftp_bounce_client" "Clients that named another host, or a port of a service, for data; refused."
    BounceServer "ftp_bounce_server" "Servers that named or used another host, or a port of a service, for data; refused."
    Transfers "ftp_transfers" "Transfers that were done."
    TransfersFailed "ftp_transfers_failed" "Transfers that failed or were given up."
    DataSetupFailed "ftp_data_setup_failed" "Data connections that could not be had, at either side."
    DataWrongWay "ftp_data_wrong_way" "Transfers where the receiver sent data; they were ended."
    FeaturesDropped "ftp_features_dropped" "Lines of FEAT that were not passed on."
    TlsClient "ftp_tls_client" "TLS that was set up with a client, control and data connections each."
    TlsServer "ftp_tls_server" "TLS that was set up with a server, control and data connections each."
    TlsFailed "ftp_tls_failed" "TLS that could not be set up, at either side."
}
