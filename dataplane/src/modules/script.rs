//! `script: {…}` within a proxy's section: the script's file or text, and what it may use. The manual is `dataplane/proxy/SCRIPT.md`.
//!
//! A script is compiled and its outermost chunk run once, here: what is wrong with it is a fault of the configuration, with
//! the line in its file. `script: FILE` is short for `script: { file: FILE }`.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::{Faults, Place};
use control::modules::Reading;
use proxy::script::{Hook, Settings, limits};
use schemars::{Schema, SchemaGenerator};
use serde_json::json;

/// Reads it, for a proxy that calls these hooks.
pub(super) fn read(node: &Node, what: &str, hooks: &[Hook], reading: &mut Reading<'_>) -> Option<Arc<Settings>> {
    let faults = &mut *reading.faults;
    let (mut memory, mut instructions) = (limits::MEMORY_DEFAULT, limits::INSTRUCTIONS_DEFAULT);
    let (file, text) = match &node.value {
        Value::Text(_) => (Some(node), None),
        _ => {
            let mut mapping = Mapping::new(node, what, faults)?;
            let (file, text) = (mapping.get("file"), mapping.get("lua"));
            if let Some(node) = mapping.get("memory_kib") {
                let range = limits::MEMORY_MIN as u64 >> 10..=limits::MEMORY_MAX as u64 >> 10;
                memory = decode::number::<usize>(node, "`memory_kib`", range, faults).map_or(memory, |kib| kib << 10);
            }
            if let Some(node) = mapping.get("instructions") {
                let range = limits::INSTRUCTIONS_MIN..=limits::INSTRUCTIONS_MAX;
                instructions = decode::number(node, "`instructions`", range, faults).unwrap_or(instructions);
            }
            mapping.finish(faults);
            (file, text)
        }
    };
    let script = match (file, text) {
        (Some(node), None) => Written::in_file(node, reading)?,
        (None, Some(node)) => Written::inline(node, reading)?,
        _ => {
            reading.faults.add(node.place.clone(), format!("{what} has one of `file` and `lua`"));
            return None;
        }
    };
    script.compile(memory, instructions, hooks, reading.faults)
}

/// A script as it was found.
struct Written<'a> {
    name: String,
    source: String,
    place: &'a Place,
    /// The file and the line before the script's first one, where lines can be told.
    lines: Option<(Arc<str>, u32)>,
}

impl<'a> Written<'a> {
    fn in_file(node: &'a Node, reading: &mut Reading<'_>) -> Option<Written<'a>> {
        let path = decode::text(node, "the script's file", reading.faults)?;
        match (reading.read_file)(Path::new(path)) {
            Ok(source) => {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                Some(Written { name, source, place: &node.place, lines: Some((path.into(), 0)) })
            }
            Err(error) => {
                reading.faults.add(node.place.clone(), format!("the script `{path}` cannot be read: {error}"));
                None
            }
        }
    }

    /// A text is where its first line with anything in it is, that of a block (`lua: |`) too.
    fn inline(node: &'a Node, reading: &mut Reading<'_>) -> Option<Written<'a>> {
        let source = decode::text(node, "`lua`", reading.faults)?;
        let name = format!("script of {}", reading.service);
        let empty = source.len() - source.trim_start_matches('\n').len();
        let before = node.place.line.saturating_sub(1 + empty as u32);
        let lines = Some((Arc::clone(&node.place.file), before));
        Some(Written { name, source: source.to_owned(), place: &node.place, lines })
    }

    fn compile(self, memory: usize, instructions: u64, hooks: &[Hook], faults: &mut Faults) -> Option<Arc<Settings>> {
        let settings = match Settings::new(&self.name, &self.source, memory, instructions) {
            Ok(settings) => settings,
            Err(fault) => {
                let place = match (fault.line, self.lines) {
                    (Some(line), Some((file, before))) => Place { file, line: before + line, column: 0 },
                    _ => self.place.clone(),
                };
                faults.add(place, format!("the script: {}", fault.message));
                return None;
            }
        };
        let mut good = true;
        for hook in settings.hooks().filter(|hook| !hooks.contains(hook)) {
            let message = format!("the script has a function `{}`, which this proxy never calls", hook.name());
            let called = hooks.iter().map(|hook| format!("`{}`", hook.name())).collect::<Vec<_>>().join(", ");
            faults.add_hint(self.place.clone(), message, format!("it calls {called}"));
            good = false;
        }
        good.then(|| Arc::new(settings))
    }
}

/// The shape of the value.
pub(super) fn schema() -> serde_json::Value {
    json!({
        "description": "Lua functions that decide: see SCRIPT.md.",
        "oneOf": [
            { "type": "string", "description": "The script's file, beside the configuration." },
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "file": { "type": "string", "description": "The script's file, beside the configuration." },
                    "lua": { "type": "string", "description": "The script itself." },
                    "memory_kib": {
                        "type": "integer",
                        "minimum": limits::MEMORY_MIN >> 10,
                        "maximum": limits::MEMORY_MAX >> 10,
                        "description": "Memory of the script on each core; default 1024."
                    },
                    "instructions": {
                        "type": "integer",
                        "minimum": limits::INSTRUCTIONS_MIN,
                        "maximum": limits::INSTRUCTIONS_MAX,
                        "description": "Instructions of each call; default 100000."
                    }
                }
            }
        ]
    })
}

/// The value's shape within a schema that is made of types.
pub(super) struct ScriptSection;

impl schemars::JsonSchema for ScriptSection {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Script".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::try_from(schema()).unwrap_or_default()
    }
}
