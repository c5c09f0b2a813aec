//! What the ftp module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "ftp_sessions" "Sessions that the ftp module began to serve."
}
