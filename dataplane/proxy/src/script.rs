//! Scripted decisions: functions in Lua 5.4 that a service has called at the start of a session, for its server, and for
//! what is said in it.
//!
//! A proxy calls [`start`] first, and then the methods of [`Script`] at the places where it decides; each fills a [`view`],
//! runs the function of that name if the script has it, and says what came of it. `SCRIPT.md` is the manual.
//!
//! What must hold:
//! - a script has no part in anything but its own session's decisions: no files, no network, no clock but the host's;
//! - a call is bounded in instructions and memory (`limits`), and so is what a script remembers (`shared`);
//! - whatever goes wrong in a script denies the session it goes wrong in, and is counted and logged;
//! - what a script sets cannot change where a message ends.
//!
//! Left out: waiting. A script cannot ask anybody anything; its answer is there when the call returns.

mod answer;
mod budget;
mod engine;
pub mod event;
mod ftp;
mod held;
mod http;
pub mod limits;
mod pattern;
mod sandbox;
mod session;
mod shared;
mod strings;
mod tls;
pub mod view;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use mlua::{IntoLuaMulti, MultiValue};

pub use answer::{Answer, TlsAnswer};
pub(crate) use engine::Engines;
use engine::{Engine, Failure};
use event::Event;
use held::Held;
use shared::Shared;

use crate::host::{Host, Level, Target};
use crate::outcome::Reason;
use crate::session::Session;

/// A place at which scripts are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A session begins.
    Session,
    /// It needs a server.
    Route,
    /// An HTTP request is there.
    Request,
    /// An HTTP response is there.
    Response,
    /// An FTP command is there.
    Command,
    /// A TLS `ClientHello` is there.
    Hello,
}

impl Hook {
    /// All of them.
    pub const ALL: [Hook; 6] = [Hook::Session, Hook::Route, Hook::Request, Hook::Response, Hook::Command, Hook::Hello];

    /// The name of the function in the script.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Hook::Session => "session",
            Hook::Route => "route",
            Hook::Request => "request",
            Hook::Response => "response",
            Hook::Command => "command",
            Hook::Hello => "hello",
        }
    }
}

/// A script that was found good.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    name: String,
    source: String,
    memory: usize,
    instructions: u64,
    hooks: [bool; Hook::ALL.len()],
}

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In Lua's words, without the place.
    pub message: String,
    /// Counted from one; none where it is the script as a whole.
    pub line: Option<u32>,
}

impl Settings {
    /// Compiles a script and runs its outermost chunk once.
    ///
    /// `name` is for messages; `memory` in bytes and `instructions` bound each state and each call.
    ///
    /// # Errors
    /// The script is no Lua, its chunk failed, or it defines none of the hooks.
    pub fn new(name: &str, source: &str, memory: usize, instructions: u64) -> Result<Settings, Fault> {
        let whole = |message: String| Fault { message, line: None };
        if source.len() > limits::SOURCE_BYTES_MAX {
            return Err(whole(format!("the script is larger than {} KiB", limits::SOURCE_BYTES_MAX >> 10)));
        }
        let (name, source) = (name.to_owned(), source.to_owned());
        let mut settings = Settings { name, source, memory, instructions, hooks: [false; Hook::ALL.len()] };
        let engine = Engine::new(&settings, &Rc::new(RefCell::new(Shared::default())));
        let engine = engine.map_err(|failure| settings.fault(&failure))?;
        settings.hooks = Hook::ALL.map(|hook| engine.has(hook));
        if !settings.hooks.contains(&true) {
            let names = Hook::ALL.map(Hook::name).join(", ");
            return Err(whole(format!("the script defines none of the functions {names}")));
        }
        Ok(settings)
    }

    /// The hooks that it has.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> + '_ {
        Hook::ALL.into_iter().filter(|hook| self.has(*hook))
    }

    fn has(&self, hook: Hook) -> bool {
        self.hooks[hook as usize]
    }

    /// The place that Lua wrote before its words, and the words.
    fn fault(&self, failure: &Failure) -> Fault {
        let text = failure.to_string();
        let placed = text.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix(':'));
        let placed = placed.and_then(|rest| rest.split_once(": "));
        match placed.and_then(|(line, words)| Some((line.parse().ok()?, words))) {
            Some((line, words)) => Fault { message: words.to_owned(), line: Some(line) },
            None => Fault { message: text, line: None },
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("script::Settings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A session's script; or that it has none, which costs a branch at each hook.
#[derive(Clone, Debug, Default)]
pub struct Script(Option<Running>);

#[derive(Clone, Debug)]
struct Running {
    settings: Arc<Settings>,
    session: Rc<session::View>,
}

/// Begins: runs the hook `session`, which may deny it and sets its times.
///
/// # Errors
/// [`Reason::PolicyDenied`] or [`Reason::ScriptFailed`]; counted and logged already. The session ends with it.
pub fn start<H: Host>(session: &mut Session<H>, settings: Option<&Arc<Settings>>) -> Result<Script, Reason> {
    let Some(settings) = settings else { return Ok(Script(None)) };
    let view = Rc::new(session::View::of(session.id, &session.info));
    let script = Script(Some(Running { settings: Arc::clone(settings), session: Rc::clone(&view) }));
    let host = &session.host;
    if let Answer::Deny { .. } = script.decide(host, Hook::Session, (), answer::of_session)? {
        return Err(Reason::PolicyDenied);
    }
    view.starting.set(false);
    (session.info.idle, session.info.total) = (view.idle.get(), view.total.get());
    Ok(script)
}

impl Script {
    /// None.
    #[must_use]
    pub fn none() -> Script {
        Script(None)
    }

    fn wants(&self, hook: Hook) -> bool {
        self.0.as_ref().is_some_and(|running| running.settings.has(hook))
    }

    /// Does it choose servers?
    #[must_use]
    pub fn wants_route(&self) -> bool {
        self.wants(Hook::Route)
    }

    /// Does it look at HTTP requests?
    #[must_use]
    pub fn wants_request(&self) -> bool {
        self.wants(Hook::Request)
    }

    /// Does it look at HTTP responses?
    #[must_use]
    pub fn wants_response(&self) -> bool {
        self.wants(Hook::Response)
    }

    /// Does it look at FTP commands?
    #[must_use]
    pub fn wants_command(&self) -> bool {
        self.wants(Hook::Command)
    }

    /// Does it look at TLS hellos?
    #[must_use]
    pub fn wants_hello(&self) -> bool {
        self.wants(Hook::Hello)
    }

    /// The server: the service's own choice, or the script's.
    ///
    /// # Errors
    /// [`Reason::PolicyDenied`] or [`Reason::ScriptFailed`], as of all that follow.
    pub fn route<H: Host>(&self, host: &H) -> Result<Target, Reason> {
        let Some(running) = self.0.as_ref().filter(|_| self.wants_route()) else { return Ok(Target::Original) };
        let port = running.session.server.port();
        let route = self.decide(host, Hook::Route, (), |values| answer::of_route(values, port))?;
        route.ok_or(Reason::PolicyDenied)
    }

    /// What becomes of a request.
    ///
    /// # Errors
    /// See [`Script::route`]; denied requests are answers, not errors.
    pub fn request<H: Host>(&self, host: &H, request: &mut view::Request) -> Result<Answer, Reason> {
        self.look_at(host, Hook::Request, request, answer::of_message)
    }

    /// What becomes of a response.
    ///
    /// # Errors
    /// See [`Script::request`].
    pub fn response<H: Host>(
        &self,
        host: &H,
        request: &view::Request,
        response: &mut view::Response,
    ) -> Result<Answer, Reason> {
        if !self.wants_response() {
            return Ok(Answer::Accept);
        }
        let (asked, asked_back) = Held::lend(request.clone());
        let (script, back) = Held::lend(std::mem::take(response));
        let answer = self.decide(host, Hook::Response, (asked, script), answer::of_message);
        drop(asked_back.take());
        *response = back.take().unwrap_or_default();
        answer
    }

    /// What becomes of an FTP command.
    ///
    /// # Errors
    /// See [`Script::request`].
    pub fn command<H: Host>(&self, host: &H, command: &mut view::Command) -> Result<Answer, Reason> {
        self.look_at(host, Hook::Command, command, answer::of_message)
    }

    /// What becomes of a TLS handshake.
    ///
    /// # Errors
    /// See [`Script::request`].
    pub fn hello<H: Host>(&self, host: &H, hello: &view::Hello) -> Result<TlsAnswer, Reason> {
        if !self.wants_hello() {
            return Ok(TlsAnswer::AsConfigured);
        }
        let (script, back) = Held::lend(hello.clone());
        let answer = self.decide(host, Hook::Hello, script, answer::of_hello);
        drop(back.take());
        answer
    }

    /// Lends a view to a hook, and takes it back as the hook left it.
    fn look_at<H: Host, T: Default>(
        &self,
        host: &H,
        hook: Hook,
        view: &mut T,
        read: impl FnOnce(&MultiValue) -> Result<Answer, String>,
    ) -> Result<Answer, Reason>
    where
        Held<T>: mlua::UserData + 'static,
    {
        if !self.wants(hook) {
            return Ok(Answer::Accept);
        }
        let (script, back) = Held::lend(std::mem::take(view));
        let answer = self.decide(host, hook, script, read);
        *view = back.take().unwrap_or_default();
        answer
    }

    /// Runs a hook and reads its answer; whatever goes wrong is counted, logged, and the end of the session.
    fn decide<H: Host, T: answer::Deny + Default>(
        &self,
        host: &H,
        hook: Hook,
        args: impl Args,
        read: impl FnOnce(&MultiValue) -> Result<T, String>,
    ) -> Result<T, Reason> {
        let Some(running) = self.0.as_ref().filter(|_| self.wants(hook)) else { return Ok(T::default()) };
        let result = running.run(host, hook, args).and_then(|values| {
            read(&values).map_err(|wrong| Failure::Answer(format!("`{}` returned {wrong}", hook.name())))
        });
        let id = running.session.id;
        match result {
            Ok(answer) => {
                if let Some(why) = answer.denied() {
                    host.count(Event::Denied.into());
                    host.log(id, Level::Info, format_args!("denied by the script's `{}`: {why}", hook.name()));
                }
                Ok(answer)
            }
            Err(failure) => {
                host.count(failure.event().into());
                host.log(id, Level::Error, format_args!("the script's `{}` failed: {failure}", hook.name()));
                if failure == Failure::Memory {
                    host.core().scripts.give_up(&running.settings);
                }
                Err(Reason::ScriptFailed)
            }
        }
    }
}

impl Running {
    /// Calls the hook in this core's state of the script.
    fn run<H: Host>(&self, host: &H, hook: Hook, args: impl Args) -> Result<MultiValue, Failure> {
        let core = host.core();
        let (engine, made) = core.scripts.of(&self.settings)?;
        if made {
            host.count(Event::Started.into());
        }
        host.count(Event::Calls.into());
        let surroundings = &engine.surroundings;
        surroundings.now.set(host.now());
        surroundings.wall_clock.set(host.wall_clock().as_secs());
        let args = args.after(session::Handle(Rc::clone(&self.session)), engine.lua());
        let args = args.map_err(|error| {
            if engine::is_memory(&error) { Failure::Memory } else { Failure::Error(engine::words(&error)) }
        })?;
        let result = engine.call(hook, args);
        for (level, text) in surroundings.lines.take() {
            host.log(self.session.id, level, format_args!("{text}"));
        }
        for _ in 0..surroundings.lines_dropped.take() {
            host.count(Event::LinesDropped.into());
        }
        for _ in 0..core.scripts.take_evicted(&self.settings) {
            host.count(Event::SharedEvicted.into());
        }
        result
    }
}

/// What a hook is given after the session.
trait Args {
    fn after(self, session: session::Handle, lua: &mlua::Lua) -> mlua::Result<MultiValue>;
}

impl Args for () {
    fn after(self, session: session::Handle, lua: &mlua::Lua) -> mlua::Result<MultiValue> {
        session.into_lua_multi(lua)
    }
}

impl<T> Args for Held<T>
where
    Held<T>: mlua::UserData + 'static,
{
    fn after(self, session: session::Handle, lua: &mlua::Lua) -> mlua::Result<MultiValue> {
        (session, self).into_lua_multi(lua)
    }
}

impl<A, B> Args for (Held<A>, Held<B>)
where
    Held<A>: mlua::UserData + 'static,
    Held<B>: mlua::UserData + 'static,
{
    fn after(self, session: session::Handle, lua: &mlua::Lua) -> mlua::Result<MultiValue> {
        (session, self.0, self.1).into_lua_multi(lua)
    }
}

#[cfg(test)]
mod tests;
