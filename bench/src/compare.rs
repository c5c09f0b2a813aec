//! `compare A B`: two files of figures, scenario by scenario.
//!
//! Of several lines of one scenario in a file, the last counts: history files grow at their ends.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// Names of rates, of which each line has one.
const RATES: [&str; 4] = ["mpps", "conn_per_s", "gbit_per_s", "ops_per_s"];

/// The table of both.
pub(crate) fn compare(before: &Path, after: &Path) -> Result<String, String> {
    let (before, after) = (read(before)?, read(after)?);
    let mut table =
        format!("  {:<12} {:<12} {:>14} {:>14} {:>9} {:>9}\n", "scenario", "unit", "before", "after", "rate", "cycles");
    for (scenario, new) in &after {
        let Some(old) = before.get(scenario) else {
            let _ = writeln!(table, "  {scenario:<12} is new");
            continue;
        };
        let Some(unit) = RATES.into_iter().find(|unit| new.get(unit).is_some() && old.get(unit).is_some()) else {
            return Err(format!("{scenario}: the two files have no rate in common"));
        };
        let (was, is) = (number(old, unit), number(new, unit));
        let cycles = number(new, "cycles_per_unit") / number(old, "cycles_per_unit") - 1.0;
        let _ = writeln!(
            table,
            "  {scenario:<12} {unit:<12} {was:>14.3} {is:>14.3} {:>+8.1}% {:>+8.1}%",
            (is / was - 1.0) * 100.0,
            cycles * 100.0
        );
    }
    for scenario in before.keys().filter(|scenario| !after.contains_key(*scenario)) {
        let _ = writeln!(table, "  {scenario:<12} is gone");
    }
    Ok(table)
}

fn read(path: &Path) -> Result<BTreeMap<String, Value>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut lines = BTreeMap::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("{name}:{}: {error}", i + 1))?;
        let scenario = value["scenario"].as_str().ok_or_else(|| format!("{name}:{}: no scenario", i + 1))?;
        lines.insert(scenario.to_owned(), value);
    }
    Ok(lines)
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
