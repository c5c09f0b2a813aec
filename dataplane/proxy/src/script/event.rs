//! What the script module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "script_sessions" "Sessions that the script module began to serve."
}
