//! One script's state on one core: made when its first session comes, called for every hook, thrown away when it has
//! used up its memory or when its generation of the configuration has no sessions left.
//!
//! What must hold:
//! - a call ends within its budget of instructions and within the state's memory, whatever the script does;
//! - a state that ran out of memory is not called again: what it holds may be what it ran out by;
//! - scripts have no part in one another: each has its own state.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use mlua::chunk::ChunkMode;
use mlua::{Error, Function, HookTriggers, IntoLuaMulti, Lua, LuaOptions, MultiValue, StdLib, VmState};

use super::event::Event;
use super::limits::{INSTRUCTIONS_PER_LOOK, INSTRUCTIONS_TO_LOAD};
use super::sandbox::{self, Surroundings};
use super::shared::Shared;
use super::{Hook, Settings};

/// Why a hook has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// An error of the script, in Lua's words, with the line.
    Error(String),
    /// It used up its instructions.
    Instructions,
    /// It used up its memory.
    Memory,
    /// It returned what is no answer.
    Answer(String),
}

impl Failure {
    pub(super) fn event(&self) -> Event {
        match self {
            Failure::Error(_) => Event::Error,
            Failure::Instructions => Event::OutOfInstructions,
            Failure::Memory => Event::OutOfMemory,
            Failure::Answer(_) => Event::BadAnswer,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(words) | Failure::Answer(words) => f.write_str(words),
            Failure::Instructions => f.write_str("it used up its instructions"),
            Failure::Memory => f.write_str("it used up its memory"),
        }
    }
}

/// A state with the script in it.
pub(super) struct Engine {
    lua: Lua,
    pub(super) surroundings: Rc<Surroundings>,
    hooks: [Option<Function>; Hook::ALL.len()],
    instructions: u64,
}

impl Engine {
    /// A state in which the script's outermost chunk has run.
    pub(super) fn new(settings: &Settings, shared: &Rc<RefCell<Shared>>) -> Result<Engine, Failure> {
        let surroundings = Rc::new(Surroundings::default());
        let lua = Lua::new_with(StdLib::STRING | StdLib::TABLE | StdLib::MATH, LuaOptions::new())
            .map_err(|error| failure(&error, false))?;
        let budget = &surroundings.budget;
        budget.renew(INSTRUCTIONS_TO_LOAD, lua.used_memory());
        let hooks = Self::load(&lua, settings, &surroundings, shared);
        let hooks = hooks.map_err(|error| failure(&error, budget.is_spent()))?;
        Ok(Engine { lua, surroundings, hooks, instructions: settings.instructions })
    }

    fn load(
        lua: &Lua,
        settings: &Settings,
        surroundings: &Rc<Surroundings>,
        shared: &Rc<RefCell<Shared>>,
    ) -> mlua::Result<[Option<Function>; Hook::ALL.len()]> {
        lua.set_memory_limit(settings.memory)?;
        let environment = sandbox::environment(lua, surroundings, shared)?;
        let budget = Rc::clone(&surroundings.budget);
        let triggers = HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_LOOK);
        lua.set_global_hook(triggers, move |lua, _| {
            budget.look(lua.used_memory())?;
            Ok(VmState::Continue)
        })?;
        let chunk = lua.load(&*settings.source).set_name(format!("={}", settings.name)).set_mode(ChunkMode::Text);
        chunk.set_environment(environment.clone()).exec()?;
        let mut hooks = [const { None }; Hook::ALL.len()];
        for hook in Hook::ALL {
            hooks[hook as usize] = environment.raw_get(hook.name())?;
        }
        Ok(hooks)
    }

    /// Is there such a hook?
    pub(super) fn has(&self, hook: Hook) -> bool {
        self.hooks[hook as usize].is_some()
    }

    /// Runs a hook.
    pub(super) fn call(&self, hook: Hook, args: impl IntoLuaMulti) -> Result<MultiValue, Failure> {
        let Some(function) = &self.hooks[hook as usize] else { return Ok(MultiValue::new()) };
        let budget = &self.surroundings.budget;
        budget.renew(self.instructions, self.lua.used_memory());
        let result = function.call::<MultiValue>(args);
        if budget.is_spent() {
            return Err(Failure::Instructions);
        }
        result.map_err(|error| failure(&error, false))
    }

    /// A value for scripts.
    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }
}

/// The scripts of a core.
#[derive(Default)]
pub(crate) struct Engines(RefCell<Vec<Slot>>);

struct Slot {
    settings: Weak<Settings>,
    shared: Rc<RefCell<Shared>>,
    engine: Option<Rc<Engine>>,
}

impl Engines {
    /// The state of a script; the flag says whether it had to be made.
    pub(super) fn of(&self, settings: &Arc<Settings>) -> Result<(Rc<Engine>, bool), Failure> {
        let mut slots = self.0.borrow_mut();
        if let Some(engine) = slots.iter().find(|slot| slot.is_of(settings)).and_then(|slot| slot.engine.clone()) {
            return Ok((engine, false));
        }
        // Generations whose last session is gone: their memory goes when another script begins.
        slots.retain(|slot| slot.settings.strong_count() > 0);
        let at = slots.iter().position(|slot| slot.is_of(settings)).unwrap_or_else(|| {
            slots.push(Slot { settings: Arc::downgrade(settings), shared: Rc::default(), engine: None });
            slots.len() - 1
        });
        let engine = Rc::new(Engine::new(settings, &slots[at].shared)?);
        slots[at].engine = Some(Rc::clone(&engine));
        Ok((engine, true))
    }

    /// The state is not to be called again; what the script put in `shared` stays.
    pub(super) fn give_up(&self, settings: &Arc<Settings>) {
        for slot in self.0.borrow_mut().iter_mut().filter(|slot| slot.is_of(settings)) {
            slot.engine = None;
        }
    }

    /// Values that had to go from `shared` since this was asked last.
    pub(super) fn take_evicted(&self, settings: &Arc<Settings>) -> u64 {
        let slots = self.0.borrow();
        slots.iter().filter(|slot| slot.is_of(settings)).map(|slot| slot.shared.borrow_mut().take_evicted()).sum()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Slot {
    fn is_of(&self, settings: &Arc<Settings>) -> bool {
        std::ptr::eq(self.settings.as_ptr(), Arc::as_ptr(settings))
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engines").field("len", &self.0.borrow().len()).finish()
    }
}

/// Did the state have no more memory?
pub(super) fn is_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_memory(cause),
        _ => false,
    }
}

fn failure(error: &Error, spent: bool) -> Failure {
    match error {
        _ if spent => Failure::Instructions,
        error if is_memory(error) => Failure::Memory,
        error => Failure::Error(words(error)),
    }
}

/// What an error says, without the stack that it came from.
pub(super) fn words(error: &Error) -> String {
    let text = match error {
        Error::CallbackError { cause, .. } => return words(cause),
        Error::RuntimeError(text) | Error::SyntaxError { message: text, .. } => text.clone(),
        other => other.to_string(),
    };
    let text = text.split("\nstack traceback:").next().unwrap_or_default();
    sandbox::line(text.as_bytes())
}
