//! What the detect module counts, each with a sentence for the operator.

use crate::event::events;

events! {
    Sessions "detect_sessions" "Sessions that the detect module began to serve."
}
