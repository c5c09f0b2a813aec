//! What the plug counts, each with a sentence for the operator: sessions that met a bound on their bytes or their rate.

use crate::event::events;

events! {
    Throttled "plug_throttled" "Sessions whose bytes had to wait for the service's rate."
    Announced "plug_announced" "Servers that were told the client by the PROXY protocol."
}
