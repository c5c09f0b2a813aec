//! The talk of one session: commands one at a time, each with its replies, as RFC 959 section 5.4 orders them.
//!
//! A command is read when the last one was answered: what a client sends ahead waits in its stream. So no reply can be taken
//! for another command's, and a server that replies unasked is found out. During a transfer ABOR and STAT go on at once
//! (`super::transfer`); one other command is held, and nothing is read behind it.
//!
//! ```text
//! line ─→ command ─→ script ─→ policy ─→ syntax ─→ path ─→ state ─→ { data port | TLS | features | transfer | relay } ─→ reply
//! ```

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::command::{Command, CommandError};
use super::control::Control;
use super::event::Event;
use super::known::Known;
use super::limits::PRELIMINARY_REPLIES;
use super::policy::Verdict;
use super::prepare::Prepared;
use super::reply::{Reply, ReplyReader};
use super::security::Secured;
use super::settings::Settings;
use super::state::{State, Turn};
use super::syntax::{self, Refusal};
use super::watch::Watch;
use super::{feat, limits};
use crate::host::{Host, Level, Target};
use crate::outcome::{Reason, Side};
use crate::script::{Answer, view};
use crate::session::{SessionId, SessionInfo};
use crate::stream::{Ends, Stream};

/// One session.
pub(super) struct Talk<H: Host> {
    pub(super) id: SessionId,
    pub(super) host: H,
    pub(super) script: crate::script::Script,
    pub(super) info: SessionInfo,
    pub(super) settings: Arc<Settings>,
    pub(super) watch: std::rc::Rc<Watch>,
    pub(super) client: Control<H::Stream>,
    pub(super) server: Option<Control<H::Stream>>,
    /// The two ends of the connection to the server.
    pub(super) ends: Ends,
    pub(super) replies: ReplyReader,
    pub(super) state: State,
    /// A command that waits for the end of a transfer.
    pub(super) waiting: Option<Command>,
    /// Where the next transfer's data goes.
    pub(super) data: Option<Prepared<H>>,
    /// RFC 2428 section 4: after EPSV ALL "the server MUST reject all data connection setup commands other than EPSV".
    pub(super) epsv_all: bool,
    pub(super) secured: Secured,
    pub(super) user: String,
    /// Bytes of data that were passed on, to the server and to the client.
    pub(super) uploaded: u64,
    pub(super) downloaded: u64,
}

/// The end of a session: why, and what the client is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) reason: Reason,
    pub(super) words: Option<Reply>,
}

/// The script failed, or said no to the session.
fn script_failed(reason: Reason) -> Over {
    Over { reason, words: Some(Reply::new(421, "The session is not permitted by the gateway")) }
}

impl From<Reason> for Over {
    fn from(reason: Reason) -> Over {
        Over { reason, words: None }
    }
}

/// What happens while no command is under way.
enum Next {
    /// The client said something.
    Line(Vec<u8>),
    /// The client has finished.
    End,
    /// The server said something unasked.
    Reply(Reply),
}

/// A command that was looked at.
pub(super) enum Admitted {
    /// It has its turn.
    Now(Command),
    /// It has its turn after the transfer.
    Later(Command),
    /// It was answered.
    Answered,
}

impl<H: Host> Talk<H> {
    /// Serves to the end.
    pub(super) async fn serve(&mut self) -> Over {
        match self.converse().await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, Over> {
        match &self.settings.login {
            Some(login) => {
                let greeting = Reply::new(220, &login.greeting);
                self.say(&greeting).await?;
                self.state = State::Login;
            }
            None => {
                let target = self.script.route(&self.host).map_err(script_failed)?;
                self.connect(target).await?;
                self.relay_replies(Known::Greeting.name(), Some(Known::Greeting)).await?;
                if self.state == State::Greeting {
                    return Err(Reason::Finished.into());
                }
                self.secure_server().await?;
            }
        }
        loop {
            let admitted = match self.waiting.take() {
                Some(command) => self.in_turn(command).await?,
                None => match self.next().await? {
                    Next::Line(line) => self.admit(&line).await?,
                    Next::End => return Err(Reason::Finished.into()),
                    Next::Reply(reply) => return Err(self.unasked(&reply).await),
                },
            };
            if let Admitted::Now(command) = admitted {
                self.handle(command).await?;
            }
        }
    }

    /// The server's control connection; a client that goes away meanwhile ends it.
    pub(super) async fn connect(&mut self, target: Target) -> Result<(), Over> {
        let connected = {
            let mut connecting = pin!(self.host.connect(self.id, target));
            let client = self.client.wire();
            poll_fn(|cx| {
                if let Poll::Ready(result) = connecting.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(Reason::from));
                }
                client.poll_failed(cx).map(|error| Err(Reason::failed(Side::Client, error)))
            })
            .await
        };
        match connected {
            Ok(stream) => {
                if let Target::Address(peer) = target {
                    self.ends.peer = peer;
                }
                self.ends = stream.ends().unwrap_or(self.ends);
                self.server = Some(Control::new(stream, self.settings.line_max));
                Ok(())
            }
            Err(reason) => {
                self.log(Level::Info, format_args!("no server: {}", reason.sentence()));
                let words = Some(Reply::new(421, "The server cannot be reached"));
                Err(Over { reason, words })
            }
        }
    }

    /// What the server says first, where the client has been greeted already.
    pub(super) async fn greeting(&mut self) -> Result<Reply, Over> {
        let reply = self.last_reply(Known::Greeting.name()).await?;
        let greeting = self.judged(Known::Greeting.name(), reply)?;
        self.state = self.state.after(Some(Known::Greeting), greeting.code());
        Ok(greeting)
    }

    /// The next thing that is said. The server's words come first: what it said before a command is no reply to it.
    async fn next(&mut self) -> Result<Next, Over> {
        let next = poll_fn(|cx| {
            if let Poll::Ready(reply) = self.poll_reply(cx) {
                return Poll::Ready(reply.map(Next::Reply));
            }
            self.poll_client(cx).map_ok(|line| line.map_or(Next::End, Next::Line))
        });
        next.await
    }

    /// A reply that nobody asked for: 421 may come at any time (RFC 959 5.4), nothing else may.
    async fn unasked(&mut self, reply: &Reply) -> Over {
        if reply.code() == 421 {
            self.log(Level::Info, format_args!("the server ends the session: {reply:?}"));
            return Over { reason: Reason::Finished, words: Some(reply.clone()) };
        }
        self.host.count(Event::RepliesUnasked.into());
        self.log(Level::Warning, format_args!("a reply that nobody asked for: {reply:?}"));
        Over { reason: Reason::ServerViolation, words: Some(Reply::new(421, "The server broke the protocol")) }
    }

    /// Looks at a line: is it a command, is it permitted, is it well-formed, and has it its turn?
    pub(super) async fn admit(&mut self, line: &[u8]) -> Result<Admitted, Over> {
        let mut command = match Command::parse(line) {
            Ok(command) => command,
            Err(CommandError::Empty) if self.settings.empty_commands => return Ok(Admitted::Answered),
            Err(_) => {
                self.host.count(Event::CommandsInvalid.into());
                return self.refuse(500, "This is no command").await;
            }
        };
        self.log(Level::Debug, format_args!("command: {command}"));
        match self.settings.policy.command(&command) {
            Verdict::Accept => {}
            Verdict::Denied => {
                self.host.count(Event::CommandsDenied.into());
                self.log(Level::Warning, format_args!("command is not permitted: {command}"));
                return self.refuse(500, "Command is not permitted by the gateway").await;
            }
            Verdict::Unknown => {
                self.host.count(Event::CommandsUnknown.into());
                self.log(Level::Warning, format_args!("command is not known: {command}"));
                return self.refuse(500, "Command is not recognized").await;
            }
            Verdict::Abort => {
                self.host.count(Event::CommandsDenied.into());
                self.log(Level::Warning, format_args!("command ends the session: {command}"));
                let words = Some(Reply::new(421, "Command is not permitted by the gateway"));
                return Err(Over { reason: Reason::PolicyAborted, words });
            }
        }
        // What the script sets is checked below like what the client said.
        if let Some((code, text)) = self.script_command(&mut command)? {
            return self.refuse(code, &text).await;
        }
        if let Some(known) = command.known() {
            if let Err(Refusal { code, text }) = syntax::check(known, &mut command, &self.settings) {
                let anonymous_only = known == Known::User && code == 530;
                self.host.count(if anonymous_only { Event::LoginsFailed } else { Event::CommandsInvalid }.into());
                self.log(Level::Info, format_args!("{text}: {command}"));
                return self.refuse(code, text).await;
            }
            if self.settings.deny_parent && known.has_path() && syntax::has_parent(command.argument()) {
                self.host.count(Event::PathsDenied.into());
                self.log(Level::Warning, format_args!("path leads upwards: {command}"));
                return self.refuse(550, "Paths with .. are not permitted by the gateway").await;
            }
        }
        self.in_turn(command).await
    }

    /// What the script makes of a command: an answer in the server's place, if it wants one. Passwords are not shown to it.
    fn script_command(&mut self, command: &mut Command) -> Result<Option<(u16, String)>, Over> {
        if !self.script.wants_command() {
            return Ok(None);
        }
        let secret = command.is_secret();
        let mut view = view::Command {
            verb: command.name().to_owned(),
            argument: if secret { Bytes::new() } else { Bytes::copy_from_slice(command.argument()) },
            user: (!self.user.is_empty()).then(|| self.user.clone()),
            ..view::Command::default()
        };
        let (code, text) = match self.script.command(&self.host, &mut view).map_err(script_failed)? {
            Answer::Accept if !view.changed.argument => return Ok(None),
            Answer::Accept if !secret && command.set_argument(&view.argument).is_ok() => return Ok(None),
            Answer::Accept => return Err(script_failed(Reason::ScriptFailed)),
            Answer::Deny { .. } => (550, "Command is not permitted by the gateway".to_owned()),
            Answer::Reject { code, text } => (code, text),
        };
        self.host.count(Event::CommandsDenied.into());
        Ok(Some((code, text)))
    }

    /// Has a command its turn?
    async fn in_turn(&mut self, command: Command) -> Result<Admitted, Over> {
        match self.state.turn(command.known()) {
            Turn::Now => Ok(Admitted::Now(command)),
            Turn::Later => Ok(Admitted::Later(command)),
            Turn::Refused(Refusal { code, text }) => {
                self.host.count(Event::CommandsOutOfOrder.into());
                self.refuse(code, text).await
            }
        }
    }

    /// One command from its turn to its last reply.
    async fn handle(&mut self, command: Command) -> Result<(), Over> {
        let known = command.known();
        match known {
            Some(Known::Auth | Known::Pbsz | Known::Prot | Known::Ccc) => self.security(&command).await,
            Some(Known::Rein) if self.is_secure() => self.answer(502, "REIN is not possible within TLS").await,
            Some(Known::User) if self.lacks_tls() => {
                self.host.count(Event::CommandsOutOfOrder.into());
                self.answer(530, "Say AUTH TLS first").await
            }
            Some(Known::User) if self.server.is_none() => self.log_in_by_name(&command).await,
            _ if self.server.is_none() => self.without_server(known).await,
            Some(known @ (Known::Port | Known::Eprt | Known::Pasv | Known::Epsv)) => {
                self.prepare(known, &command).await
            }
            Some(Known::Feat) => self.features().await,
            Some(known) if known.direction().is_some() => self.transfer(known, &command).await,
            _ => self.relay(&command).await,
        }
    }

    /// A command with nothing but replies.
    pub(super) async fn relay(&mut self, command: &Command) -> Result<(), Over> {
        let known = command.known();
        if known == Some(Known::User) {
            self.user = String::from_utf8_lossy(command.argument()).into_owned();
        }
        self.send(command).await?;
        self.relay_replies(command.name(), known).await
    }

    /// The replies to a command that was sent, up to the last one.
    pub(super) async fn relay_replies(&mut self, name: &str, known: Option<Known>) -> Result<(), Over> {
        let mut rejected = false;
        for _ in 0..=PRELIMINARY_REPLIES {
            let reply = self.reply().await?;
            let code = reply.code();
            let passed = self.judged(name, reply)?;
            let is_last = code >= 200;
            rejected |= passed.code() != code;
            if code == 421 {
                return Err(Over { reason: Reason::Finished, words: Some(passed) });
            }
            if is_last {
                if !rejected {
                    self.moved_on(known, code);
                }
                let passed = if rejected { self.rejected() } else { passed };
                self.say(&passed).await?;
                return if self.state == State::Quit { Err(Reason::Finished.into()) } else { Ok(()) };
            }
            // One reply for another: of one that is not passed on, the last one tells.
            if !rejected {
                self.say(&passed).await?;
            }
        }
        Err(self.server_violation("too many preliminary replies"))
    }

    /// What the state is after a command's last reply, and what is counted of it.
    fn moved_on(&mut self, known: Option<Known>, code: u16) {
        let before = self.state;
        self.state = before.after(known, code);
        match known {
            Some(Known::User | Known::Pass | Known::Acct) if before != State::Conversation => {
                if self.state == State::Conversation {
                    self.watch.logged_in();
                    self.host.count(Event::Logins.into());
                    self.log(Level::Info, format_args!("logged in as {}", self.user.escape_debug()));
                } else if self.state == State::Login {
                    self.host.count(Event::LoginsFailed.into());
                    self.log(Level::Info, format_args!("log-in failed as {}", self.user.escape_debug()));
                }
            }
            Some(Known::Rein) if self.state == State::Login => {
                self.watch.logged_out(self.host.now());
                (self.data, self.epsv_all) = (None, false);
                self.user.clear();
            }
            _ => {}
        }
    }

    /// Asks the server for its features, and tells the client of what is left of them.
    async fn features(&mut self) -> Result<(), Over> {
        let reply = self.ask(&Command::of(Known::Feat, "")).await?;
        let policy = &self.settings.policy;
        let reply = if reply.is_done() {
            let (reply, dropped) = feat::filter(&reply, policy, self.offers_tls());
            for _ in 0..dropped {
                self.host.count(Event::FeaturesDropped.into());
            }
            reply
        } else if self.offers_tls() {
            feat::own(policy, true)
        } else {
            reply
        };
        self.say(&reply).await
    }

    pub(super) fn log(&self, level: Level, text: std::fmt::Arguments<'_>) {
        self.host.log(self.id, level, text);
    }

    /// For how long a data connection may be on its way.
    pub(super) fn setup_deadline(&self) -> Duration {
        self.host.now().saturating_add(self.settings.data.setup_time)
    }
}

/// What is shown of a path or a name.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(limits::LOGGED)]).into_owned()
}
