//! What the tls module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "tls_sessions" "Sessions that the tls module began to serve."
}
