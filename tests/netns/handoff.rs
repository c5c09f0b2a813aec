//! Programs at the handoff socket, on the wire: two channels at a foreign address, ends of every kind, a crowd.
//!
//! The programs run beside the gateway and the clients are the kernel's TCP in ns1; nothing stands at the foreign ports,
//! so whatever answers there came through the socket.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;

use control::handoff::{Accepted, Client, Event};

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::process::Process;
use crate::servers::port;
use crate::wait;
use crate::world::World;

on_every_device!(
    a_server_with_two_channels_stands_at_a_foreign_address,
    a_program_that_is_killed_takes_its_entry_along,
    half_closes_pass_in_both_directions,
    resets_pass_in_both_directions,
    a_rule_leads_to_a_program,
    two_hundred_flows_at_once,
    a_slow_reader_loses_nothing
);

fn handoff(world: &World) -> PathBuf {
    PathBuf::from(format!("{}.handoff", world.gateway().socket()))
}

/// A port of ns2 where nobody listens and no rule leads.
fn foreign(family: Family) -> SocketAddr {
    family.server_at(port::FOREIGN_LISTEN + 50)
}

fn local(family: Family) -> SocketAddr {
    (family.gateway(1), 0).into()
}

/// A program that listens at the foreign address.
fn listener(world: &World, family: Family) -> (Client, u32) {
    let mut program = Client::connect_to(&handoff(world)).expect("it answers");
    let (socket, _) = program.bind(local(family)).expect("bound");
    program.assign(socket, foreign(family)).expect("assigned");
    program.listen(socket, false).expect("listening");
    (program, socket)
}

/// Python in ns1; `HOST` and `PORT` are the foreign address.
fn client(world: &World, to: SocketAddr, code: &str) -> Process {
    let head = format!(
        "import socket, struct, sys, ftplib, threading\nHOST, PORT = '{}', {}\n\
         connect = lambda: socket.create_connection((HOST, PORT), 10)\n",
        to.ip(),
        to.port()
    );
    world.client.namespace.start(&["/usr/bin/python3", "-c", &(head + code)])
}

fn finish(process: Process) -> String {
    process.finish(limits::PROGRAM).successful().stdout
}

fn example(world: &World, family: Family) -> Process {
    let script = format!("{}/../control/examples/two_channel.py", env!("CARGO_MANIFEST_DIR"));
    let (socket, to) = (handoff(world), foreign(family));
    let words = [
        "/usr/bin/python3",
        &script,
        socket.to_str().expect("a plain path"),
        &family.gateway(1).to_string(),
        &to.ip().to_string(),
        &to.port().to_string(),
    ];
    let mut program = world.router.start(&words);
    program.wait_for("listening", limits::VISIBLE);
    program
}

fn a_server_with_two_channels_stands_at_a_foreign_address(world: &World, family: Family) {
    let program = example(world, family);
    // Python's own FTP client, in active mode: the server comes back from the port below.
    let code = "
ftp = ftplib.FTP()
ftp.connect(HOST, PORT, 20)
ftp.login('anonymous', 'x')
ftp.set_pasv(False)
for name in ('first', 'second'):
    data, _ = ftp.ntransfercmd('RETR ' + name)
    peer, got = data.getpeername()[:2], b''.join(iter(lambda: data.recv(65536), b''))
    data.close()
    assert peer == (HOST, PORT - 1), peer
    assert got == f'you asked for {name}\\n'.encode() * 10000, len(got)
    print(ftp.voidresp())
print(ftp.quit())
";
    let said = finish(client(world, foreign(family), code));
    assert_eq!(said.lines().count(), 3, "{said}");
    program.signal("KILL");
    no_entry_is_left(world);
}

fn a_program_that_is_killed_takes_its_entry_along(world: &World, family: Family) {
    let program = example(world, family);
    let code = "
talk = connect()
assert talk.recv(100).startswith(b'220'), 'no greeting'
print('\\x7b\"connected\": 1\\x7d', flush=True)
assert talk.recv(100) == b'', 'the flow ends with who held it'
";
    let mut caller = client(world, foreign(family), code);
    caller.wait_for("connected", limits::VISIBLE);
    program.signal("KILL");
    finish(caller);
    no_entry_is_left(world);
}

#[track_caller]
fn no_entry_is_left(world: &World) {
    wait::until("the entries are gone", limits::VISIBLE, || {
        (world.limpid(&["status"])["tproxy"]["entries"] == 0).then_some(())
    });
}

fn half_closes_pass_in_both_directions(world: &World, family: Family) {
    let (mut program, _) = listener(world, family);
    let code = "
talk = connect()
talk.sendall(b'question')
talk.shutdown(socket.SHUT_WR)
print(b''.join(iter(lambda: talk.recv(100), b'')).decode())
";
    let caller = client(world, foreign(family), code);
    let Accepted { mut stream, client: peer, original, flow, .. } = program.accept().expect("a connection");
    assert_eq!((peer.ip(), original), (family.client(), foreign(family)));
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("to its end");
    assert_eq!(heard, "question");
    stream.write_all(b"answer").expect("its other direction is open");
    stream.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!(finish(caller).trim(), "answer");
    let ended = program.event().expect("the end is told");
    assert!(matches!(ended, Event::Ended { flow: which, errno: None } if which == flow), "{ended:?}");
}

fn resets_pass_in_both_directions(world: &World, family: Family) {
    let (mut program, _) = listener(world, family);
    let reset = "
talk = connect()
talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
talk.close()
";
    finish(client(world, foreign(family), reset));
    let Accepted { flow, .. } = program.accept().expect("a connection");
    let ended = program.event().expect("the end is told");
    let Event::Ended { flow: which, errno: Some(errno) } = ended else { panic!("{ended:?}") };
    assert_eq!((which, errno.as_str()), (flow, "ECONNRESET"));

    let waits = "
talk = connect()
try:
    talk.recv(1)
except ConnectionResetError:
    print('reset')
";
    let caller = client(world, foreign(family), waits);
    let accepted = program.accept().expect("a connection");
    program.abort(accepted.flow).expect("it is there");
    assert_eq!(finish(caller).trim(), "reset");
}

fn a_rule_leads_to_a_program(world: &World, family: Family) {
    let mut program = Client::connect_to(&handoff(world)).expect("it answers");
    let (socket, _) = program.bind((family.gateway(1), 50800).into()).expect("bound");
    program.listen(socket, false).expect("listening");
    let to = family.server_at(8800);
    let caller = client(world, to, "print(connect().recv(100).decode())");
    let Accepted { mut stream, original, .. } = program.accept().expect("a connection");
    assert_eq!(original, to);
    stream.write_all(b"by a rule").expect("taken");
    drop(stream);
    assert_eq!(finish(caller).trim(), "by a rule");
    drop(program);
    no_entry_is_left(world);
    // Nobody takes it now.
    let refused = "
try:
    connect().recv(1)
except ConnectionResetError:
    print('reset')
";
    assert_eq!(finish(client(world, to, refused)).trim(), "reset");
}

const CROWD: usize = 200;

fn two_hundred_flows_at_once(world: &World, family: Family) {
    let (mut program, _) = listener(world, family);
    let code = format!(
        "
talks = [connect() for _ in range({CROWD})]
for n, talk in enumerate(talks):
    talk.sendall(f'number {{n}}\\n'.encode() * 2000)
    talk.shutdown(socket.SHUT_WR)
for n, talk in enumerate(talks):
    assert b''.join(iter(lambda: talk.recv(65536), b'')) == f'number {{n}}\\n'.encode() * 2000, n
print('all')
"
    );
    let caller = client(world, foreign(family), &code);
    let echoes: Vec<_> = (0..CROWD)
        .map(|_| {
            let Accepted { mut stream, .. } = program.accept().expect("a connection");
            std::thread::spawn(move || {
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).expect("to its end");
                stream.write_all(&heard).expect("it is read");
            })
        })
        .collect();
    for echo in echoes {
        echo.join().expect("an echo does not panic");
    }
    assert_eq!(finish(caller).trim(), "all");
}

fn a_slow_reader_loses_nothing(world: &World, family: Family) {
    let (mut program, _) = listener(world, family);
    const BYTES: usize = 8 << 20;
    let code = format!(
        "
talk = connect()
talk.settimeout(60)
talk.sendall(bytes(range(256)) * ({BYTES} // 256))
talk.shutdown(socket.SHUT_WR)
assert talk.recv(1) == b''
print('sent')
"
    );
    let caller = client(world, foreign(family), &code);
    let Accepted { mut stream, .. } = program.accept().expect("a connection");
    // Nobody reads: what fits between the two ends is far less than all, and the caller has to wait.
    let mut last = 0;
    let held = wait::until("what is held stands still", limits::VISIBLE, || {
        let bytes = world.flows_to(foreign(family)).first()?["bytes_to_server"].as_u64()?;
        let still = bytes > 0 && bytes == last;
        last = bytes;
        still.then_some(bytes)
    });
    assert!(held < BYTES as u64, "{held}: the caller has to wait");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("to its end");
    assert_eq!(heard.len(), BYTES);
    assert!(heard.chunks(256).all(|chunk| chunk.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at)));
    drop(stream);
    assert_eq!(finish(caller).trim(), "sent");
}
