//! The record of who asked for an entry and who used it: a ring of the last changes, beside the lines in the log.
//!
//! It holds what the log would tell, for an operator who asks now: assigned, unassigned, used up (ONCE), expired. Writing
//! one down is a store of a few words, so that it costs nothing beside the request itself. The oldest makes room.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Caller, protocol};
use crate::limits::AUDIT_EVENTS_MAX;
use crate::tproxy::Entry;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Assigned,
    Unassigned,
    Used,
    Expired,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Assigned => "assigned",
            Change::Unassigned => "unassigned",
            Change::Used => "used",
            Change::Expired => "expired",
        }
    }
}

/// One change of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_us: u64,
    pub(crate) change: Change,
    pub(crate) protocol: u8,
    pub(crate) local: SocketAddr,
    pub(crate) foreign: SocketAddr,
    /// Who had asked for the entry.
    pub(crate) owner: Caller,
    /// Who made the change; none: a core's packet, or time.
    pub(crate) by: Option<Caller>,
    /// The source of the packet that used it.
    pub(crate) used_by: Option<SocketAddr>,
}

impl Event {
    pub(crate) fn new(at_us: u64, change: Change, entry: &Entry, owner: Caller) -> Event {
        let Entry { protocol, local, foreign, .. } = *entry;
        Event { at_us, change, protocol, local, foreign, owner, by: None, used_by: None }
    }
}

/// The last changes.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    events: VecDeque<Event>,
    /// Changes there were since the start.
    written: u64,
}

impl Trail {
    pub(crate) fn write(&mut self, event: Event) {
        if self.events.len() == AUDIT_EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.written += 1;
    }

    /// The newest first, `limit` at most.
    pub(crate) fn to_json(&self, now_us: u64, limit: usize) -> Value {
        let events = self.events.iter().rev().take(limit).map(|event| {
            json!({
                "change": event.change.name(),
                "age_ms": now_us.saturating_sub(event.at_us) / 1000,
                "protocol": protocol::name(event.protocol),
                "local": event.local,
                "foreign": event.foreign,
                "owner": event.owner,
                "by": event.by,
                "used_by": event.used_by,
            })
        });
        json!({ "events": events.collect::<Vec<_>>(), "total": self.written, "kept": self.events.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tproxy::{Flags, unplaced};

    #[test]
    fn the_oldest_makes_room_and_is_still_counted() {
        let mut trail = Trail::default();
        let local = |port| SocketAddr::from(([10, 0, 0, 1], port));
        for port in 0..=AUDIT_EVENTS_MAX as u16 {
            let entry = unplaced(6, local(port), local(port), Flags::empty());
            trail.write(Event::new(u64::from(port), Change::Assigned, &entry, Caller::Operator));
        }
        assert_eq!(trail.events.len(), AUDIT_EVENTS_MAX);
        let told = trail.to_json(AUDIT_EVENTS_MAX as u64, 2);
        assert_eq!(told["total"], AUDIT_EVENTS_MAX + 1);
        assert_eq!(told["events"][0]["local"], local(AUDIT_EVENTS_MAX as u16).to_string());
        assert_eq!(told["events"].as_array().map(Vec::len), Some(2));
        assert_eq!(trail.events[0].local, local(1), "the first is gone");
    }
}
