//! What the icap module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "icap_sessions" "Sessions that the icap module began to serve."
}
