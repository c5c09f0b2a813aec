//! The string functions of a script: Lua's own where they are done in one pass, ours where they could go on without end.
//!
//! `find`, `match`, `gmatch`, `gsub` stand on [`Matcher`](super::pattern::Matcher), `rep` and `concat` know how long a string may become; all of them
//! and those of Lua that go through a whole string use the budget for what they go through.

use std::rc::Rc;

use mlua::{Error, Function, IntoLua, Lua, LuaString, MultiValue, Result, Table, Value};

use super::budget::Budget;
use super::limits::STRING_BYTES_MAX;
use super::pattern::{Capture, Fault, Found, Matcher, is_plain};

/// Puts them in the place of Lua's own, for method calls on strings, too.
pub(super) fn install(lua: &Lua, string: &Table, table: &Table, budget: &Rc<Budget>) -> Result<()> {
    for name in ["byte", "format", "lower", "reverse", "sub", "upper"] {
        string.set(name, charged(lua, string.get(name)?, budget)?)?;
    }
    for name in ["dump", "pack", "packsize", "unpack"] {
        string.set(name, Value::Nil)?;
    }
    let own = Rc::clone(budget);
    string.set("rep", lua.create_function(move |lua, args| rep(lua, &own, args))?)?;
    let own = Rc::clone(budget);
    string.set("find", lua.create_function(move |lua, args| search(lua, &own, args, true))?)?;
    let own = Rc::clone(budget);
    string.set("match", lua.create_function(move |lua, args| search(lua, &own, args, false))?)?;
    let own = Rc::clone(budget);
    string.set("gmatch", lua.create_function(move |lua, args| gmatch(lua, &own, args))?)?;
    let own = Rc::clone(budget);
    string.set("gsub", lua.create_function(move |lua, args| gsub(lua, &own, args))?)?;
    let own = Rc::clone(budget);
    table.set("concat", lua.create_function(move |lua, args| concat(lua, &own, args))?)?;
    Ok(())
}

/// A function of Lua's that goes through its strings once.
pub(super) fn charged(lua: &Lua, function: Function, budget: &Rc<Budget>) -> Result<Function> {
    let budget = Rc::clone(budget);
    lua.create_function(move |_, args: MultiValue| {
        let bytes = args.iter().filter_map(Value::as_string).map(|text| text.as_bytes().len()).sum();
        budget.charge_bytes(bytes)?;
        function.call::<MultiValue>(args)
    })
}

fn too_long() -> Error {
    Error::runtime(format!("a string would have more than {STRING_BYTES_MAX} bytes"))
}

fn rep(lua: &Lua, budget: &Budget, args: (LuaString, i64, Option<LuaString>)) -> Result<LuaString> {
    let (text, times, between) = args;
    let (text, between) = (text.as_bytes(), between.as_ref().map(LuaString::as_bytes));
    let between: &[u8] = between.as_deref().unwrap_or_default();
    let times = usize::try_from(times).unwrap_or(0);
    if times == 0 || text.is_empty() && between.is_empty() {
        return lua.create_string("");
    }
    let length = (text.len() + between.len()).checked_mul(times).filter(|length| *length <= STRING_BYTES_MAX);
    budget.charge_bytes(length.ok_or_else(too_long)?)?;
    let mut out = text.to_vec();
    for _ in 1..times {
        out.extend_from_slice(between);
        out.extend_from_slice(&text);
    }
    lua.create_string(out)
}

/// Tables without a look at their metatables: a list is as long as it is.
fn concat(lua: &Lua, budget: &Budget, args: (Table, Option<LuaString>, Option<i64>, Option<i64>)) -> Result<LuaString> {
    let (list, between, first, last) = args;
    let between = between.as_ref().map(LuaString::as_bytes);
    let (first, last) = (first.unwrap_or(1), last.unwrap_or(list.raw_len() as i64));
    let mut out = Vec::new();
    for at in first..=last {
        let value: Value = list.raw_get(at)?;
        let text = match &value {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Integer(_) | Value::Number(_) => value.to_string()?.into_bytes(),
            other => return Err(Error::runtime(format!("`concat` found {} at {at}", other.type_name()))),
        };
        if at > first {
            out.extend_from_slice(between.as_deref().unwrap_or_default());
        }
        out.extend_from_slice(&text);
        budget.charge_bytes(text.len())?;
        if out.len() > STRING_BYTES_MAX {
            return Err(too_long());
        }
    }
    lua.create_string(out)
}

/// Uses the steps of a search, whatever came of it.
fn searched<T>(budget: &Budget, steps_left: u64, result: std::result::Result<T, Fault>) -> Result<T> {
    let used = budget.left().saturating_sub(steps_left);
    budget.charge(used)?;
    result.map_err(|fault| match fault {
        Fault::Malformed(what) => Error::runtime(what),
        // All that was left was given, and it was not enough.
        Fault::Steps => match budget.charge(1) {
            Ok(()) => Error::runtime("a pattern took too many steps"),
            Err(spent) => spent,
        },
    })
}

/// Where a search begins, from an index that may count from the end.
fn start(init: Option<i64>, length: usize) -> Option<usize> {
    let init = init.unwrap_or(1);
    let from_end = length as i64 + init;
    let start = match init {
        1.. => init - 1,
        0 => 0,
        _ => from_end.max(0),
    };
    usize::try_from(start).ok().filter(|start| *start <= length)
}

fn captures(lua: &Lua, text: &[u8], found: &Found, whole_if_none: bool) -> Result<Vec<Value>> {
    if found.captures.is_empty() && whole_if_none {
        return Ok(vec![lua.create_string(&text[found.whole.clone()])?.into_lua(lua)?]);
    }
    found.captures.iter().map(|one| capture(lua, text, one)).collect()
}

fn capture(lua: &Lua, text: &[u8], one: &Capture) -> Result<Value> {
    match one {
        Capture::Text(range) => lua.create_string(&text[range.clone()])?.into_lua(lua),
        Capture::Place(at) => Ok(Value::Integer(*at as i64 + 1)),
    }
}

type SearchArgs = (LuaString, LuaString, Option<i64>, Option<bool>);

/// `find` and `match`.
fn search(lua: &Lua, budget: &Budget, args: SearchArgs, find: bool) -> Result<MultiValue> {
    let (text, pattern, init, plain) = args;
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let nothing = || MultiValue::from_iter([Value::Nil]);
    let Some(from) = start(init, text.len()) else { return Ok(nothing()) };
    let place = |at: usize| Value::Integer(at as i64);
    if find && (plain == Some(true) || is_plain(&pattern)) {
        budget.charge_bytes(text.len() + pattern.len())?;
        let found = memchr::memmem::find(&text[from..], &pattern).map(|at| from + at);
        return Ok(found.map_or_else(nothing, |at| MultiValue::from_iter([place(at + 1), place(at + pattern.len())])));
    }
    let mut matcher = Matcher::new(&text, &pattern, budget.left());
    let found = matcher.search(from);
    let Some(found) = searched(budget, matcher.steps_left(), found)? else { return Ok(nothing()) };
    let mut values = Vec::new();
    if find {
        values.extend([place(found.whole.start + 1), place(found.whole.end)]);
    }
    values.extend(captures(lua, &text, &found, !find)?);
    Ok(MultiValue::from_iter(values))
}

fn gmatch(lua: &Lua, budget: &Rc<Budget>, args: (LuaString, LuaString, Option<i64>)) -> Result<Function> {
    let (text, pattern, init) = args;
    let mut next = start(init, text.as_bytes().len());
    let mut last_end = None;
    let budget = Rc::clone(budget);
    lua.create_function_mut(move |lua, ()| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        while let Some(from) = next.filter(|from| *from <= text.len()) {
            let mut matcher = Matcher::unanchored(&text, &pattern, budget.left());
            let found = matcher.search(from);
            let Some(found) = searched(&budget, matcher.steps_left(), found)? else { break };
            // An empty match right behind the last one is none.
            if last_end == Some(found.whole.end) && found.whole.is_empty() {
                next = Some(found.whole.end + 1);
                continue;
            }
            (next, last_end) = (Some(found.whole.end), Some(found.whole.end));
            return Ok(MultiValue::from_iter(captures(lua, &text, &found, true)?));
        }
        next = None;
        Ok(MultiValue::from_iter([Value::Nil]))
    })
}

type ReplaceArgs = (LuaString, LuaString, Value, Option<i64>);

fn gsub(lua: &Lua, budget: &Budget, args: ReplaceArgs) -> Result<(LuaString, i64)> {
    let (text, pattern, by, most) = args;
    let (text, pattern) = (text.as_bytes().to_vec(), pattern.as_bytes().to_vec());
    let most = most.unwrap_or(i64::MAX);
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    let mut last_end = None;
    while count < most {
        let mut matcher = Matcher::new(&text, &pattern, budget.left());
        let found = matcher.at(at);
        let anchored = matcher.is_anchored();
        let found = searched(budget, matcher.steps_left(), found)?;
        if let Some(found) = found.filter(|found| last_end != Some(found.whole.end)) {
            count += 1;
            replace(lua, &text, &found, &by, &mut out)?;
            (at, last_end) = (found.whole.end, Some(found.whole.end));
        } else if let Some(&byte) = text.get(at) {
            out.push(byte);
            at += 1;
        } else {
            break;
        }
        if out.len() > STRING_BYTES_MAX {
            return Err(too_long());
        }
        if anchored {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    budget.charge_bytes(out.len())?;
    Ok((lua.create_string(out)?, count))
}

/// What comes in the place of one match.
fn replace(lua: &Lua, text: &[u8], found: &Found, by: &Value, out: &mut Vec<u8>) -> Result<()> {
    let value = match by {
        Value::Function(function) => {
            function.call::<Value>(MultiValue::from_iter(captures(lua, text, found, true)?))?
        }
        Value::Table(table) => {
            let first = captures(lua, text, found, true)?.into_iter().next().unwrap_or(Value::Nil);
            table.get::<Value>(first)?
        }
        Value::String(template) => return fill(lua, text, found, &template.as_bytes(), out),
        Value::Integer(_) | Value::Number(_) => by.clone(),
        other => {
            let expected = "a string, a table or a function was expected as the replacement";
            return Err(Error::runtime(format!("{expected}, not {}", other.type_name())));
        }
    };
    match value {
        Value::Nil | Value::Boolean(false) => out.extend_from_slice(&text[found.whole.clone()]),
        Value::String(text) => out.extend_from_slice(&text.as_bytes()),
        Value::Integer(_) | Value::Number(_) => out.extend_from_slice(value.to_string()?.as_bytes()),
        other => return Err(Error::runtime(format!("invalid replacement value (a {})", other.type_name()))),
    }
    Ok(())
}

/// A template: `%0` to `%9` are what was matched, `%%` is `%`.
fn fill(lua: &Lua, text: &[u8], found: &Found, template: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut signs = template.iter();
    while let Some(&sign) = signs.next() {
        if sign != b'%' {
            out.push(sign);
            continue;
        }
        let invalid = || Error::runtime("invalid use of '%' in replacement string");
        match signs.next().ok_or_else(invalid)? {
            b'%' => out.push(b'%'),
            b'0' => out.extend_from_slice(&text[found.whole.clone()]),
            digit @ b'1'..=b'9' => {
                let values = captures(lua, text, found, true)?;
                let value = values.get(usize::from(digit - b'1'));
                let value = value.ok_or_else(|| Error::runtime("invalid capture index in replacement string"))?;
                out.extend_from_slice(value.to_string()?.as_bytes());
            }
            _ => return Err(invalid()),
        }
        if out.len() > STRING_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(())
}
