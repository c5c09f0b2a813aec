//! The socket, the thread and the client together, over the real control thread, with a made-up core behind them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::switch::{Command, Switch};
use super::*;
use crate::engine::{Engine, Setup};
use crate::limits::{
    FLOW_PIECES, HANDOFF_FLOWS_MAX, PROGRAM_FLOWS_MAX, PROGRAM_MESSAGES_MAX, PROGRAM_SOCKETS_MAX, PROGRAMS_MAX,
};
use crate::mailbox::{CoreLink, FromCore, ToCore};
use crate::policy::TCP;
use crate::thread::{ThreadOptions, own_uid, run};
use crate::tproxy::Table;
use crate::{Policy, config, tproxy};

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    folder: TempDir,
    core: CoreEnd,
    table: Arc<Table>,
    _tell: Sender<FromCore>,
    _mail: Receiver<ToCore>,
}

const YAML: &str = r#"
interfaces:
  intra: { port: "net_null0", addresses: [10.0.0.1/24] }
services:
  programs: { proxy: handoff }
"#;

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder for the sockets");
    let file = folder.path().join("limpid.yaml");
    let at = folder.path().display();
    let control = format!("control: {{ socket: {at}/control.sock, handoff: {at}/handoff.sock }}\n");
    std::fs::write(&file, format!("{YAML}{control}")).expect("the file can be written");
    let config = config::load(&file, &crate::modules::NONE).unwrap_or_else(|faults| panic!("{faults}"));
    let policy = Arc::new(Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}")));
    let (table, writer) = tproxy::table(8192, 1);
    let (to, mail) = bounded(64);
    let (tell, from_cores) = bounded(64);
    let cores = vec![CoreLink { core: 0, to }];
    let (opened, open) = bounded(1);
    let options = ThreadOptions {
        config_path: file,
        modules: &crate::modules::NONE,
        from_cores,
        ready: Box::new(move || opened.send(()).expect("awaited")),
    };
    let own_uid = own_uid().expect("there is /proc");
    std::thread::spawn(move || {
        run(Engine::new(0, Setup { config, policy, writer, cores, own_uid, version: "0" }), options)
    });
    open.recv().expect("the sockets open");
    let core = loop {
        if let ToCore::Handoff(core) = mail.recv_timeout(PATIENCE).expect("the core's end comes") {
            break core;
        }
    };
    World { folder, core, table, _tell: tell, _mail: mail }
}

impl World {
    fn path(&self) -> PathBuf {
        self.folder.path().join("handoff.sock")
    }

    fn client(&self) -> Client {
        Client::connect_to(&self.path()).expect("it answers")
    }

    fn hear(&self) -> ToFlow {
        self.core.from_programs.recv_timeout(PATIENCE).expect("the thread says something")
    }

    fn say(&self, message: FromFlow) {
        self.core.to_programs.send(message).expect("the thread is there");
    }

    fn offer(&self, flow: u64, local: SocketAddr) {
        let (client, original) = (address("192.168.1.77:40000"), address(FOREIGN));
        self.say(FromFlow::Offer { flow, local, client, original, zones: (Some("intra".to_owned()), None) });
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a test's address is one")
}

const LOCAL: &str = "10.0.0.1:0";
const FOREIGN: &str = "203.0.113.9:21";

fn errno<T>(result: Result<T, ClientError>) -> String {
    match result {
        Ok(_) => "granted".to_owned(),
        Err(ClientError::Refused { errno, .. }) => errno,
        Err(ClientError::Io(error)) => error.to_string(),
    }
}

#[test]
fn a_foreign_listener_gets_its_connections_as_descriptors() {
    let world = world();
    let mut program = world.client();
    let (socket, local) = program.bind(address(LOCAL)).expect("bound");
    program.assign(socket, address(FOREIGN)).expect("assigned");
    assert_eq!(program.query(socket).expect("there"), address(FOREIGN));
    program.listen(socket, false).expect("listening");
    let entry = world.table.lookup_foreign(TCP, address(FOREIGN), address("192.168.1.77:40000")).expect("an entry");
    assert!(entry.is_programs() && entry.local == local);

    world.offer(0, local);
    assert!(matches!(world.hear(), ToFlow::Take { flow: 0 }));
    let Accepted { socket: at, client, original, mut stream, flow } = program.accept().expect("accepted");
    assert_eq!((at, flow, client, original), (socket, 0, address("192.168.1.77:40000"), address(FOREIGN)));

    // What the peer says, and its half-close.
    world.say(FromFlow::Data { flow, bytes: Bytes::from_static(b"hello") });
    world.say(FromFlow::Finished { flow });
    assert!(matches!(world.hear(), ToFlow::Credit { flow: 0, pieces: 1 }));
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("to the end");
    assert_eq!(heard, "hello");
    // What the program says, and its own.
    stream.write_all(b"good bye").expect("taken");
    let ToFlow::Data { flow: 0, bytes } = world.hear() else { panic!("data was expected") };
    assert_eq!(&bytes[..], b"good bye");
    stream.shutdown(Shutdown::Write).expect("half closed");
    assert!(matches!(world.hear(), ToFlow::Finish { flow: 0 }));
    world.say(FromFlow::Ended { flow, errno: None });
    assert!(matches!(program.event(), Ok(Event::Ended { flow: 0, errno: None })));
    assert_eq!(errno(program.abort(flow)), "ENOENT");
}

#[test]
fn a_reset_is_told_and_an_abort_is_passed_on() {
    let world = world();
    let mut program = world.client();
    let (socket, local) = program.bind(address(LOCAL)).expect("bound");
    program.listen(socket, false).expect("a mark is enough for what listeners of the policy take");
    world.offer(2, local);
    assert!(matches!(world.hear(), ToFlow::Take { flow: 2 }));
    let Accepted { mut stream, .. } = program.accept().expect("accepted");
    world.say(FromFlow::Ended { flow: 2, errno: Some("ECONNRESET") });
    assert_eq!(stream.read(&mut [0; 8]).expect("the end"), 0);
    let Ok(Event::Ended { flow: 2, errno: Some(why) }) = program.event() else { panic!("its end is told") };
    assert_eq!(why, "ECONNRESET");

    world.offer(4, local);
    assert!(matches!(world.hear(), ToFlow::Take { flow: 4 }));
    let accepted = program.accept().expect("accepted");
    program.abort(accepted.flow).expect("there");
    assert!(matches!(world.hear(), ToFlow::Abort { flow: 4 }));
    // A program that closes while there is something it has not read is no orderly end either.
    world.offer(6, local);
    assert!(matches!(world.hear(), ToFlow::Take { flow: 6 }));
    let accepted = program.accept().expect("accepted");
    world.say(FromFlow::Data { flow: 6, bytes: Bytes::from_static(b"unread") });
    assert!(matches!(world.hear(), ToFlow::Credit { flow: 6, .. }));
    drop(accepted);
    assert!(matches!(world.hear(), ToFlow::Abort { flow: 6 }));
}

#[test]
fn a_program_connects_from_a_foreign_address_or_is_told_why_not() {
    let world = world();
    let mut program = world.client();
    let (socket, local) = program.bind(address("10.0.0.1:4020")).expect("bound");
    program.assign(socket, address("203.0.113.9:20")).expect("assigned");
    let remote = address("192.168.1.77:50000");
    let core = world.core.clone();
    let core_side = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for errno in [None, Some("ECONNREFUSED")] {
            let Ok(ToFlow::Connect { flow, local, remote }) = core.from_programs.recv_timeout(PATIENCE) else {
                panic!("a connection was to be asked for")
            };
            asked.push((local, remote));
            let source = address("203.0.113.9:20");
            let answer = match errno {
                None => FromFlow::Connected { flow, source },
                Some(errno) => FromFlow::Failed { flow, errno },
            };
            core.to_programs.send(answer).expect("the thread is there");
        }
        asked
    });
    let (flow, source, mut stream) = program.connect(socket, remote, true).expect("connected");
    assert_eq!((flow % 2, source), (1, address("203.0.113.9:20")));
    let entry = world.table.lookup_local(TCP, local).expect("it stands until a core claims it");
    assert!(entry.flags.contains(tproxy::Flags::CONNECT | tproxy::Flags::ONCE));
    assert_eq!(errno(program.connect(socket, remote, true)), "ECONNREFUSED");
    assert_eq!(core_side.join().expect("no panic"), [(local, remote), (local, remote)]);
    stream.write_all(b"data").expect("taken");
    assert!(matches!(world.hear(), ToFlow::Data { .. }));
    assert_eq!(errno(program.connect(socket, address("[fd00::2]:1"), false)), "EINVAL");
}

#[test]
fn who_does_not_read_stops_the_sender_on_either_side() {
    let world = world();
    let mut program = world.client();
    let (socket, local) = program.bind(address(LOCAL)).expect("bound");
    program.listen(socket, false).expect("listening");
    world.offer(0, local);
    assert!(matches!(world.hear(), ToFlow::Take { .. }));
    let Accepted { mut stream, .. } = program.accept().expect("accepted");
    // The core takes none: after so many pieces no more come, and the program's write blocks.
    stream.set_nonblocking(true).expect("a socket");
    let piece = vec![7; 64 << 10];
    let mut data = 0;
    loop {
        match stream.write(&piece) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                match world.core.from_programs.recv_timeout(Duration::from_millis(300)) {
                    Ok(ToFlow::Data { .. }) => data += 1,
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => break,
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(data, FLOW_PIECES);
    world.say(FromFlow::Credit { flow: 0, pieces: 2 });
    assert!(matches!(world.hear(), ToFlow::Data { .. }));
    assert!(matches!(world.hear(), ToFlow::Data { .. }));
    // The program reads none: not all of what the core may say is credited.
    for _ in 0..FLOW_PIECES {
        world.say(FromFlow::Data { flow: 0, bytes: Bytes::from(vec![1; 16 << 10]) });
    }
    let mut credits = 0;
    while let Ok(said) = world.core.from_programs.recv_timeout(Duration::from_millis(300)) {
        credits += u32::from(matches!(said, ToFlow::Credit { .. }));
    }
    assert!(credits < FLOW_PIECES, "{credits}");
}

#[test]
fn a_program_that_ends_takes_its_entries_with_it() {
    let world = world();
    let mut program = world.client();
    let (socket, local) = program.bind(address("10.0.0.1:4021")).expect("bound");
    program.assign(socket, address(FOREIGN)).expect("assigned");
    program.listen(socket, false).expect("listening");
    let mut other = world.client();
    assert_eq!(errno(other.bind(local)), "EADDRINUSE");
    assert_eq!(world.table.len(), 1);
    drop(program);
    let gone = PATIENCE;
    let mut waited = Duration::ZERO;
    while !world.table.is_empty() && waited < gone {
        // Nothing tells when the gateway has noticed; a request of another program is done in the meantime.
        errno(other.query(1));
        waited += Duration::from_millis(1);
    }
    assert!(world.table.is_empty());
    loop {
        if let Ok((again, _)) = other.bind(local) {
            other.assign(again, address(FOREIGN)).expect("free again");
            break;
        }
    }
    world.offer(0, local);
    assert!(matches!(world.hear(), ToFlow::Refuse { flow: 0 }), "bound, and nobody listens");
}

#[test]
fn requests_are_refused_by_name() {
    let world = world();
    let mut program = world.client();
    assert_eq!(errno(program.listen(7, false)), "EBADF");
    assert_eq!(errno(program.bind(address("0.0.0.0:80"))), "EINVAL");
    let (elsewhere, _) = program.bind(address("10.9.9.9:80")).expect("nobody has it");
    assert_eq!(errno(program.listen(elsewhere, false)), "EINVAL", "it is no address of the gateway");
    let (socket, _) = program.bind(address(LOCAL)).expect("bound");
    assert_eq!(errno(program.query(socket)), "ENOENT");
    program.assign(socket, address("203.0.113.9:0")).expect("assigned");
    assert_eq!(errno(program.assign(socket, address(FOREIGN))), "EEXIST");
    assert_ne!(program.alloc(socket).expect("chosen").port(), 0);
    assert_eq!(errno(program.alloc(socket)), "EINVAL");
    program.close(socket).expect("closed");
    assert_eq!(errno(program.close(socket)), "EBADF");
    let read = |text: &str| wire::read(text.as_bytes()).1.map_err(|no| no.errno);
    for (text, errno) in [
        ("{", "EINVAL"),
        ("[]", "EINVAL"),
        (r#"{"op":"dance"}"#, "ENOPROTOOPT"),
        (r#"{"op":"query"}"#, "EINVAL"),
        (r#"{"op":"query","socket":1,"sokcet":2}"#, "EINVAL"),
    ] {
        assert_eq!(read(text), Err(errno.to_owned()), "{text}");
    }
    let udp = Ask::Bind { protocol: 17, local: address(LOCAL) };
    assert_eq!(read(r#"{"op":"bind","protocol":"udp","local":"10.0.0.1:0"}"#), Ok(udp));
}

#[test]
fn sockets_of_a_program_are_bounded() {
    let world = world();
    let mut program = world.client();
    for _ in 0..PROGRAM_SOCKETS_MAX {
        program.bind(address(LOCAL)).expect("there is room");
    }
    assert_eq!(errno(program.bind(address(LOCAL))), "EMFILE");
}

#[test]
fn one_program_too_many_waits_for_its_turn() {
    let world = world();
    let mut programs: Vec<Client> = (0..PROGRAMS_MAX).map(|_| world.client()).collect();
    for program in &mut programs {
        program.bind(address(LOCAL)).expect("served");
    }
    let mut waits = world.client();
    let (done, served) = bounded(1);
    std::thread::spawn(move || done.send(errno(waits.bind(address(LOCAL)))));
    assert!(served.recv_timeout(Duration::from_millis(300)).is_err(), "there is no place yet");
    drop(programs.pop());
    assert_eq!(served.recv_timeout(PATIENCE).as_deref(), Ok("granted"));
}

/// Flows that are being connected take places without descriptors, so that the bounds can be reached here.
#[tokio::test]
async fn flows_are_bounded_for_one_program_and_for_all() {
    let (core, thread) = link::link();
    let mut switch = Switch::new(thread);
    let mut outboxes = Vec::new();
    let mut join = |switch: &mut Switch, program| {
        let (outbox, inbox) = mpsc::channel(PROGRAM_MESSAGES_MAX);
        outboxes.push(inbox);
        switch.command(Command::Join { program, outbox });
    };
    let connect = |switch: &mut Switch, program| {
        let (reply, made) = oneshot::channel();
        let (local, remote) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
        switch.command(Command::Connect { program, local, remote, reply });
        made
    };
    let mut pending = Vec::new();
    join(&mut switch, 0);
    for _ in 0..PROGRAM_FLOWS_MAX {
        pending.push(connect(&mut switch, 0));
    }
    assert!(matches!(connect(&mut switch, 0).await, Ok(Err("EMFILE"))), "one program");
    let programs = HANDOFF_FLOWS_MAX / PROGRAM_FLOWS_MAX;
    for program in 1..=programs as u32 {
        join(&mut switch, program);
        for _ in 0..PROGRAM_FLOWS_MAX {
            pending.push(connect(&mut switch, program));
        }
    }
    let refused =
        pending.iter_mut().map(oneshot::Receiver::try_recv).filter(|made| matches!(made, Ok(Err("EMFILE")))).count();
    assert_eq!(refused, (programs + 1) * PROGRAM_FLOWS_MAX - HANDOFF_FLOWS_MAX, "all programs");
    // What has failed gives its place back, and so does what a program that goes had begun.
    let Ok(ToFlow::Connect { flow, .. }) = core.from_programs.recv() else { panic!("the first was asked for") };
    switch.heard(FromFlow::Failed { flow, errno: "ECONNREFUSED" });
    assert!(connect(&mut switch, 0).try_recv().is_err(), "it is being connected");
    switch.command(Command::Gone { program: 0 });
    assert!(
        core.from_programs.try_iter().filter(|said| matches!(said, ToFlow::Abort { .. })).count() >= PROGRAM_FLOWS_MAX
    );
}

#[tokio::test]
async fn a_program_that_does_not_read_gets_no_more_connections() {
    let (core, thread) = link::link();
    let mut switch = Switch::new(thread);
    let (outbox, mut inbox) = mpsc::channel(PROGRAM_MESSAGES_MAX);
    switch.command(Command::Join { program: 1, outbox });
    let local = address("10.0.0.1:1");
    switch.command(Command::Listen { program: 1, socket: 1, local });
    let offer = |flow| FromFlow::Offer { flow, local, client: local, original: local, zones: (None, None) };
    for flow in 0..=PROGRAM_MESSAGES_MAX as u64 {
        switch.heard(offer(2 * flow));
    }
    let answers: Vec<ToFlow> = core.from_programs.try_iter().collect();
    let taken = answers.iter().filter(|answer| matches!(answer, ToFlow::Take { .. })).count();
    assert_eq!((taken, answers.len()), (PROGRAM_MESSAGES_MAX, PROGRAM_MESSAGES_MAX + 1));
    assert!(matches!(answers.last(), Some(ToFlow::Refuse { .. })));
    assert!(inbox.try_recv().is_ok_and(|message| message.descriptor.is_some()));
    switch.heard(offer(10_000));
    assert!(matches!(core.from_programs.try_recv(), Ok(ToFlow::Take { .. })), "there is room again");
}
