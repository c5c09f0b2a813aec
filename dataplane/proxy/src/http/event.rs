//! What the http module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "http_sessions" "Sessions that the http module began to serve."
}
