//! Whole sessions on streams in memory, in virtual time: what is asked, what the server sees, what the client gets.
//!
//! `requests.txt` and `responses.txt` are tables of what a client or a server may say; each case runs with its bytes
//! in one piece, byte by byte, and split at every boundary, and must come to the same. The files beside this one are for what
//! takes time, policy, or two streams at once.

mod cases;
mod requests;
mod responses;
mod scan;
mod scene;
mod scripted;
mod sessions;
mod slow;

/// What the cases of a table say, for who wants examples.
pub(super) fn said_in(table: &str) -> Vec<Vec<u8>> {
    cases::cases(table).into_iter().map(|case| case.says).collect()
}
