//! `plug: {…}` of a service: nothing can be set there yet but what every service has.

use std::sync::Arc;

use control::config::decode::Mapping;
use control::config::tree::Node;
use control::modules::{ModuleSettings, Reading};
use proxy::{Settings, plug};
use serde_json::{Value, json};

/// Reads the section.
pub(super) fn read(section: Option<&Node>, reading: &mut Reading<'_>) -> Option<ModuleSettings> {
    if let Some(node) = section {
        Mapping::new(node, "`plug`", reading.faults)?.finish(reading.faults);
    }
    Some(ModuleSettings::new(Settings::Plug(Arc::new(plug::Settings::default()))))
}

/// The section's shape.
pub(super) fn schema() -> Value {
    json!({ "type": "object", "additionalProperties": false })
}
