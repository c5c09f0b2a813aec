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

use super::queue::Owner;
use super::switch::{Command, Switch};
use super::*;
use crate::engine::{Engine, Setup};
use crate::limits::{
    DATAGRAM_OVERHEAD, FLOW_PIECES, HANDOFF_FLOWS_MAX, PROGRAM_FLOWS_MAX, PROGRAM_MESSAGES_MAX, PROGRAM_SOCKETS_MAX,
    PROGRAMS_MAX, SOCKET_ROOM,
};
use crate::mailbox::{CoreLink, FromCore, ToCore};
use crate::policy::{TCP, UDP};
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

impl World {
    /// What the thread says about the only socket of datagrams.
    fn hear_socket(&self) -> ToSocket {
        match self.hear() {
            ToFlow::Socket { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    fn say_socket(&self, message: FromSocket) {
        self.say(FromFlow::Socket { socket: 1, message });
    }

    /// Waits for an event of the program.
    fn fault(program: &mut Client) -> (String, SocketAddr) {
        match program.event().expect("it is told") {
            Event::Fault { errno, destination, .. } => (errno, destination),
            other => panic!("{other:?}"),
        }
    }
}

const PEER: &str = "192.168.1.77:5000";

#[test]
fn a_socket_of_datagrams_has_both_addresses_of_each() {
    let world = world();
    let mut program = world.client();
    let (socket, local, datagrams) = program.bind_datagrams(address(LOCAL)).expect("bound");
    assert!(matches!(world.hear_socket(), ToSocket::Open { local: at } if at == local));
    program.assign(socket, address(FOREIGN)).expect("assigned");
    program.listen(socket, false).expect("listening");
    assert!(matches!(world.hear_socket(), ToSocket::Listen(true)));
    let entry = world.table.lookup_foreign(UDP, address(FOREIGN), address(PEER)).expect("an entry");
    assert!(entry.is_programs() && entry.local == local && entry.protocol == UDP);

    let (source, destination) = (address(PEER), address(FOREIGN));
    for text in [&b"hello"[..], b"", &[7; 65_507]] {
        world.say_socket(FromSocket::Datagram { source, destination, bytes: Bytes::copy_from_slice(text) });
        let mut buffer = vec![0; 65_536];
        let (header, length) = datagrams.receive(&mut buffer).expect("it comes").expect("it is open");
        assert_eq!((header, &buffer[..length]), (Header { source, destination }, text));
        assert!(matches!(world.hear_socket(), ToSocket::Taken(room) if room == cost(text.len())));

        datagrams.send(&Header { source: destination, destination: source }, text).expect("taken");
        let ToSocket::Datagram { source: from, destination: to, bytes } = world.hear_socket() else { panic!("one") };
        assert_eq!((from, to, &bytes[..]), (destination, source, text));
        world.say_socket(FromSocket::Taken(cost(text.len())));
    }

    assert_eq!(program.connect_datagrams(socket, address(PEER), false).expect("it may"), address(FOREIGN));
    assert!(matches!(world.hear_socket(), ToSocket::Peer(peer) if peer == address(PEER)));
    let entry = world.table.lookup_local(UDP, local).expect("an entry");
    assert!(entry.flags.contains(tproxy::Flags::LISTEN | tproxy::Flags::CONNECT));
    program.unassign(socket).expect("there");
    assert!(matches!(world.hear_socket(), ToSocket::Listen(false)));
    assert!(world.table.is_empty());
}

#[test]
fn tcp_and_udp_have_their_ports_apart_and_numbers_together() {
    let world = world();
    let mut program = world.client();
    let at = address("10.0.0.1:4030");
    let (tcp, _) = program.bind(at).expect("bound");
    let (udp, _, _open) = program.bind_datagrams(at).expect("bound, too");
    assert_ne!(tcp, udp);
    assert_eq!(errno(program.bind_datagrams(at)), "EADDRINUSE");
    program.assign(tcp, address(FOREIGN)).expect("assigned");
    program.assign(udp, address(FOREIGN)).expect("assigned, too");
    assert_eq!(errno(program.connect_datagrams(udp, address("[fd00::2]:1"), false)), "EINVAL");
    assert_eq!(errno(program.connect_datagrams(udp, address("10.9.9.9:0"), false)), "EINVAL");
    assert_eq!(errno(program.connect_datagrams(99, address(PEER), false)), "EBADF");
    program.close(udp).expect("closed");
    assert_eq!(program.query(tcp).expect("its own"), address(FOREIGN));
    assert_eq!(errno(program.query(udp)), "EBADF");
}

#[test]
fn what_is_no_datagram_is_told_and_sent_to_nobody() {
    let world = world();
    let mut program = world.client();
    let (_, local, datagrams) = program.bind_datagrams(address(LOCAL)).expect("bound");
    assert!(matches!(world.hear_socket(), ToSocket::Open { .. }));
    let raw = |bytes: &[u8]| rustix::net::send(&datagrams, bytes, rustix::net::SendFlags::empty()).expect("taken");
    raw(&[4; Header::BYTES - 1]);
    assert_eq!(World::fault(&mut program), ("EINVAL".to_owned(), local));
    raw(&[5; Header::BYTES]);
    assert_eq!(World::fault(&mut program), ("EINVAL".to_owned(), local));
    let v6 = Header { source: address("[fd00::1]:1"), destination: address("[fd00::2]:2") };
    datagrams.send(&v6, b"").expect("taken");
    assert_eq!(World::fault(&mut program), ("EAFNOSUPPORT".to_owned(), v6.destination));
    let v4 = Header { source: local, destination: address(PEER) };
    datagrams.send(&v4, &[0; 65_536]).expect("taken");
    assert_eq!(World::fault(&mut program), ("EMSGSIZE".to_owned(), address(PEER)));
    datagrams.send(&v4, b"good").expect("taken");
    assert!(matches!(world.hear_socket(), ToSocket::Datagram { .. }), "and nothing before it");
    // The core's faults come the same way, and give their room back.
    world.say_socket(FromSocket::Fault { source: local, destination: address(PEER), errno: "ECONNREFUSED" });
    assert_eq!(World::fault(&mut program), ("ECONNREFUSED".to_owned(), address(PEER)));
    assert!(matches!(world.hear_socket(), ToSocket::Taken(DATAGRAM_OVERHEAD)));
}

#[test]
fn a_core_without_room_stops_a_programs_datagrams() {
    let world = world();
    let mut program = world.client();
    let (_, local, datagrams) = program.bind_datagrams(address(LOCAL)).expect("bound");
    assert!(matches!(world.hear_socket(), ToSocket::Open { .. }));
    rustix::io::ioctl_fionbio(&datagrams, true).expect("a socket");
    let header = Header { source: local, destination: address(PEER) };
    let mut heard = 0;
    loop {
        match datagrams.send(&header, &[1; 1_000]) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                match world.core.from_programs.recv_timeout(Duration::from_millis(300)) {
                    Ok(ToFlow::Socket { message: ToSocket::Datagram { .. }, .. }) => heard += 1,
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => break,
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(heard, SOCKET_ROOM / cost(1_000));
    world.say_socket(FromSocket::Taken(cost(1_000)));
    assert!(matches!(world.hear_socket(), ToSocket::Datagram { .. }));
}

#[test]
fn a_descriptor_that_is_closed_and_a_program_that_ends_close_their_sockets() {
    let world = world();
    let mut program = world.client();
    for end_the_program in [false, true] {
        let (socket, local, datagrams) = program.bind_datagrams(address("10.0.0.1:4031")).expect("free");
        assert!(matches!(world.hear_socket(), ToSocket::Open { .. }));
        program.assign(socket, address(FOREIGN)).expect("free");
        assert!(world.table.lookup_local(UDP, local).is_none(), "it connects nowhere");
        if end_the_program {
            program = world.client();
            assert_eq!(datagrams.receive(&mut [0; 8]).expect("the end"), None);
        } else {
            drop(datagrams);
        }
        assert!(matches!(world.hear_socket(), ToSocket::Close));
        // The entry went before the socket.
        let mut waited = 0;
        while !world.table.is_empty() {
            errno(program.query(99));
            waited += 1;
            assert!(waited < 100_000, "its entry goes with it");
        }
    }
}

#[tokio::test]
async fn sockets_of_datagrams_take_places_of_flows() {
    let (core, thread) = link::link();
    let mut switch = Switch::new(thread);
    let (outbox, _inbox) = mpsc::channel(PROGRAM_MESSAGES_MAX);
    let (closed, _gone) = mpsc::unbounded_channel();
    switch.command(Command::Join { program: 1, outbox: outbox.clone() });
    let mut pending = Vec::new();
    for _ in 1..PROGRAM_FLOWS_MAX {
        let (reply, made) = oneshot::channel();
        let (local, remote) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
        switch.command(Command::Connect { program: 1, local, remote, reply });
        pending.push(made);
    }
    let mut ask = |number| {
        let (reply, made) = oneshot::channel();
        let owner = Owner { number, outbox: outbox.clone(), closed: closed.clone() };
        switch.command(Command::Datagrams { program: 1, local: address("10.0.0.1:2"), owner, reply });
        made
    };
    let first = ask(1).await.expect("an answer").expect("the last place");
    assert_eq!(ask(2).await.expect("an answer").expect_err("none is left"), "EMFILE");
    switch.command(Command::Free { program: 1, number: 1, local: (UDP, address("10.0.0.1:2")) });
    drop(first);
    assert!(core.from_programs.try_iter().any(|said| matches!(said, ToFlow::Socket { message: ToSocket::Close, .. })));
}

#[test]
fn a_header_is_read_as_it_was_written() {
    for (source, destination) in [("192.0.2.1:53", "198.51.100.7:65535"), ("[2001:db8::1]:0", "[fd00::ff]:53")] {
        let header = Header { source: address(source), destination: address(destination) };
        assert_eq!(Header::read(&header.write()), Some(header));
        assert_eq!(Header::read(&header.write()[1..]), None);
    }
    let v4 = Header { source: address("1.2.3.4:258"), destination: address("5.6.7.8:772") }.write();
    assert_eq!(v4[..12], [4, 0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4]);
    assert_eq!(v4[12..28], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8]);
}
