//! What detection comes to, each with a sentence for the operator: which protocol it was, or that nobody knew it in time.

use crate::event::events;

events! {
    Http "detect_http" "Sessions whose client spoke HTTP."
    Tls "detect_tls" "Sessions whose client spoke TLS."
    Ssh "detect_ssh" "Sessions in which either side spoke SSH."
    Ftp "detect_ftp" "Sessions whose server greeted as FTP servers do."
    Smtp "detect_smtp" "Sessions whose server greeted as SMTP servers do."
    Pop3 "detect_pop3" "Sessions whose server greeted as POP3 servers do."
    Imap "detect_imap" "Sessions whose server greeted as IMAP servers do."
    Unknown "detect_unknown" "Sessions whose first bytes no detector of the service knew."
    TimedOut "detect_timed_out" "Sessions in which neither side said enough in the service's time."
    ServerAnew "detect_server_anew" "Servers that were connected for their greeting and given up for another one."
}
