//! What a script finds around it: the part of Lua's library that can do nothing but compute, and a few words of ours.
//!
//! Left out: files, processes, modules, debugging, loading of code (source or bytecode), coroutines (an error in one is
//! not an error of the hook), `collectgarbage`, random numbers (a session must go the same way each time), and
//! `__gc` and `__close`, which run where no budget is looked at.
//!
//! What stays possible: a hook's time is bounded in instructions, and some instructions are long. Comparing two strings
//! as long as the state's memory permits is the longest that is not charged for by length.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{Error, Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::budget::Budget;
use super::engine::is_memory;
use super::limits::{LINE_BYTES_MAX, LINES_PER_CALL_MAX, SHARED_KEY_BYTES_MAX, SHARED_TEXT_BYTES_MAX, SHARED_TIME_MAX};
use super::shared::{Kept, Shared};
use super::strings;
use crate::host::Level;

/// What passes between a script's words and the call that it runs in.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) budget: Rc<Budget>,
    /// The host's clock, for `shared`.
    pub(super) now: Cell<Duration>,
    /// Seconds since 1970.
    pub(super) wall_clock: Cell<u64>,
    /// Lines that the script has written.
    pub(super) lines: RefCell<Vec<(Level, String)>>,
    /// How many more it would have.
    pub(super) lines_dropped: Cell<u64>,
}

/// Of Lua's own globals.
const GLOBALS: [&str; 18] = [
    "_VERSION",
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "string",
    "table",
    "tostring",
    "type",
    "tonumber",
];

/// The globals of a script.
pub(super) fn environment(lua: &Lua, surroundings: &Rc<Surroundings>, shared: &Rc<RefCell<Shared>>) -> Result<Table> {
    let all = lua.globals();
    let budget = &surroundings.budget;
    let (string, table, math): (Table, Table, Table) = (all.get("string")?, all.get("table")?, all.get("math")?);
    strings::install(lua, &string, &table, budget)?;
    math.set("random", Value::Nil)?;
    math.set("randomseed", Value::Nil)?;
    lua.load(include_str!("prelude.lua")).set_name("=prelude").set_mode(ChunkMode::Text).exec()?;
    // Of all strings: what is added there would be in every value that a client sends.
    let strings: Table = lua.load("return getmetatable('')").eval()?;
    strings.raw_set("__metatable", false)?;
    all.set("tonumber", strings::charged(lua, all.get("tonumber")?, budget)?)?;

    let environment = lua.create_table()?;
    for name in GLOBALS {
        environment.set(name, all.get::<Value>(name)?)?;
    }
    environment.set("_G", &environment)?;
    environment.set("pcall", pcall(lua, budget)?)?;
    environment.set("setmetatable", lua.create_function(setmetatable)?)?;
    let own = Rc::clone(surroundings);
    environment.set("log", lua.create_function(move |_, args| log(&own, args))?)?;
    let own = Rc::clone(surroundings);
    environment.set("now", lua.create_function(move |_, ()| Ok(own.wall_clock.get()))?)?;
    environment.set("within", lua.create_function(|_, args| within(args))?)?;
    environment.set("shared", shared_table(lua, surroundings, shared)?)?;
    Ok(environment)
}

/// As Lua's, but a script that has used up its budget or memory does not go on.
fn pcall(lua: &Lua, budget: &Rc<Budget>) -> Result<Function> {
    let budget = Rc::clone(budget);
    lua.create_function(move |lua, (function, args): (Function, MultiValue)| match function.call::<MultiValue>(args) {
        Ok(mut values) => {
            values.push_front(Value::Boolean(true));
            Ok(values)
        }
        Err(error) if budget.is_spent() || is_memory(&error) => Err(error),
        Err(error) => {
            let text = lua.create_string(super::engine::words(&error))?;
            Ok(MultiValue::from_iter([Value::Boolean(false), Value::String(text)]))
        }
    })
}

/// The metamethods that scripts have.
const METAMETHODS: [&str; 26] = [
    "__add",
    "__band",
    "__bnot",
    "__bor",
    "__bxor",
    "__call",
    "__concat",
    "__div",
    "__eq",
    "__idiv",
    "__index",
    "__le",
    "__len",
    "__lt",
    "__mod",
    "__mode",
    "__mul",
    "__name",
    "__newindex",
    "__pairs",
    "__pow",
    "__shl",
    "__shr",
    "__sub",
    "__tostring",
    "__unm",
];

/// A table gets a copy of what counts in its metatable, so that `__gc` and `__close` cannot be added to it later.
///
/// Both run where no budget is looked at: finalizers by Lua's own rule, and closing when the budget's own error unwinds
/// a function that has something to close.
fn setmetatable(lua: &Lua, (table, meta): (Table, Option<Table>)) -> Result<Table> {
    let copy = meta.map(|meta| {
        let copy = lua.create_table()?;
        for name in ["__gc", "__close"] {
            if !meta.raw_get::<Value>(name)?.is_nil() {
                return Err(Error::runtime(format!("`{name}` is not for scripts")));
            }
        }
        for name in METAMETHODS {
            copy.raw_set(name, meta.raw_get::<Value>(name)?)?;
        }
        let shown: Value = meta.raw_get("__metatable")?;
        copy.raw_set("__metatable", if shown.is_nil() { Value::Table(meta) } else { shown })?;
        Ok(copy)
    });
    table.set_metatable(copy.transpose()?)?;
    Ok(table)
}

fn log(surroundings: &Surroundings, (level, text): (LuaString, LuaString)) -> Result<()> {
    let level = match &*level.as_bytes() {
        b"error" => Level::Error,
        b"warning" => Level::Warning,
        b"info" => Level::Info,
        b"debug" => Level::Debug,
        _ => return Err(Error::runtime("the level of a line is `error`, `warning`, `info` or `debug`")),
    };
    let mut lines = surroundings.lines.borrow_mut();
    if lines.len() < LINES_PER_CALL_MAX {
        lines.push((level, line(&text.as_bytes())));
    } else {
        surroundings.lines_dropped.set(surroundings.lines_dropped.get() + 1);
    }
    Ok(())
}

/// One line of bounded length: what a client said may be part of it.
pub(super) fn line(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `within(address, "10.0.0.0/8")`: is the address in the network?
fn within((address, network): (String, String)) -> Result<bool> {
    let no = |what: &str| Error::runtime(format!("`{}` is no {what}", line(what_of(what, &address, &network))));
    let ip: IpAddr = address.parse().map_err(|_| no("address"))?;
    let (base, length) = network.split_once('/').ok_or_else(|| no("network"))?;
    let base: IpAddr = base.parse().map_err(|_| no("network"))?;
    let length: u32 = length.parse().map_err(|_| no("network"))?;
    let (ip, base, bits) = match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => (u128::from(ip.to_bits()), u128::from(base.to_bits()), 32),
        (IpAddr::V6(ip), IpAddr::V6(base)) => (ip.to_bits(), base.to_bits(), 128),
        _ => return Ok(false),
    };
    if length > bits {
        return Err(no("network"));
    }
    Ok(length == 0 || (ip ^ base) >> (bits - length) == 0)
}

fn what_of<'a>(what: &str, address: &'a str, network: &'a str) -> &'a [u8] {
    if what == "address" { address.as_bytes() } else { network.as_bytes() }
}

/// `shared.get`, `set`, `add`, `remove`.
fn shared_table(lua: &Lua, surroundings: &Rc<Surroundings>, shared: &Rc<RefCell<Shared>>) -> Result<Table> {
    let table = lua.create_table()?;
    let (own, kept) = (Rc::clone(surroundings), Rc::clone(shared));
    table.set(
        "get",
        lua.create_function(move |lua, name: LuaString| {
            Ok(match kept.borrow().get(key(&name.as_bytes())?, own.now.get()) {
                None => Value::Nil,
                Some(Kept::Flag(flag)) => Value::Boolean(*flag),
                Some(Kept::Integer(number)) => Value::Integer(*number),
                Some(Kept::Number(number)) => Value::Number(*number),
                Some(Kept::Text(text)) => Value::String(lua.create_string(text)?),
            })
        })?,
    )?;
    let (own, kept) = (Rc::clone(surroundings), Rc::clone(shared));
    table.set(
        "set",
        lua.create_function(move |_, (name, value, seconds): (LuaString, Value, Option<f64>)| {
            let (name, time) = (name.as_bytes(), time(seconds)?);
            let name = key(&name)?;
            match keep(&value)? {
                Some(value) => kept.borrow_mut().set(name, value, time, own.now.get()),
                None => kept.borrow_mut().remove(name),
            }
            Ok(())
        })?,
    )?;
    let (own, kept) = (Rc::clone(surroundings), Rc::clone(shared));
    table.set(
        "add",
        lua.create_function(move |_, (name, amount, seconds): (LuaString, i64, Option<f64>)| {
            Ok(kept.borrow_mut().add(key(&name.as_bytes())?, amount, time(seconds)?, own.now.get()))
        })?,
    )?;
    let kept = Rc::clone(shared);
    table.set(
        "remove",
        lua.create_function(move |_, name: LuaString| {
            kept.borrow_mut().remove(key(&name.as_bytes())?);
            Ok(())
        })?,
    )?;
    Ok(table)
}

fn key(name: &[u8]) -> Result<&[u8]> {
    if name.len() > SHARED_KEY_BYTES_MAX {
        return Err(Error::runtime(format!("a name in `shared` has at most {SHARED_KEY_BYTES_MAX} bytes")));
    }
    Ok(name)
}

fn keep(value: &Value) -> Result<Option<Kept>> {
    Ok(Some(match value {
        Value::Nil => return Ok(None),
        Value::Boolean(flag) => Kept::Flag(*flag),
        Value::Integer(number) => Kept::Integer(*number),
        Value::Number(number) => Kept::Number(*number),
        Value::String(text) if text.as_bytes().len() <= SHARED_TEXT_BYTES_MAX => Kept::Text(text.as_bytes().to_vec()),
        Value::String(_) => {
            return Err(Error::runtime(format!("a text in `shared` has at most {SHARED_TEXT_BYTES_MAX} bytes")));
        }
        other => return Err(Error::runtime(format!("`shared` keeps no {}", other.type_name()))),
    }))
}

fn time(seconds: Option<f64>) -> Result<Duration> {
    let seconds = seconds.unwrap_or(SHARED_TIME_MAX.as_secs_f64());
    if !(0.0..=SHARED_TIME_MAX.as_secs_f64()).contains(&seconds) {
        return Err(Error::runtime(format!("a time in `shared` is 0 to {} seconds", SHARED_TIME_MAX.as_secs())));
    }
    Ok(Duration::from_secs_f64(seconds))
}
