//! A host whose TCP is smoltcp's, on a tap device that it makes: a server with a behaviour per port, or one call, as the other
//! hosts of these tests are.
//!
//! ```text
//!   peer-smoltcp DEVICE ADDRESS GATEWAY serve                the network is a /24
//!   peer-smoltcp DEVICE ADDRESS GATEWAY call HOST PORT FILE  goes on when a line comes on standard input
//! ```
//!
//! It says `{"ready":1}` when the device is there. `serve`: ports ending in 01 echo; ports ending in 04 speak first, finish, and
//! count what still comes; all others refuse. `call`: sends the file, finishes, and compares what comes back until the other
//! end has finished.
//!
//! smoltcp's TCP as it is set here: window scale, timestamps, CUBIC; it sends SACK blocks and does not look at ours. It
//! keeps a bounded number of holes, and drops what would make another. Left out: IPv6.

use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// Bytes of each buffer.
const BUFFER: usize = 256 << 10;
/// Sockets that listen at each port at once: smoltcp has no queue of connections.
const BACKLOG: usize = 2;
const PORTS: [u16; 4] = [8001, 8004, 8101, 8104];
const GREETING: &[u8] = b"that is all\n";

fn main() {
    if let Err(why) = run() {
        eprintln!("peer-smoltcp: {why}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [device, address, gateway, "serve"] => Station::new(device, address, gateway)?.serve(),
        [device, address, gateway, "call", host, port, file] => {
            let content = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            let remote: Ipv4Addr = parse(host)?;
            Station::new(device, address, gateway)?.call((remote, parse(port)?), &content)
        }
        _ => Err("DEVICE ADDRESS GATEWAY serve|call HOST PORT FILE".into()),
    }
}

fn parse<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word}: not understood"))
}

struct Station {
    device: TunTapInterface,
    interface: Interface,
    sockets: SocketSet<'static>,
}

/// One connection of the server.
struct Served {
    handle: SocketHandle,
    port: u16,
    greeted: bool,
    received: u64,
}

impl Station {
    fn new(device: &str, address: &str, gateway: &str) -> Result<Station, String> {
        let mut device =
            TunTapInterface::new(device, Medium::Ethernet).map_err(|error| format!("{device}: {error}"))?;
        let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 0x57]).into());
        // No two runs are alike in ports and sequence numbers.
        config.random_seed = u64::from(std::process::id());
        let mut interface = Interface::new(config, &mut device, Instant::now());
        let address = IpCidr::new(IpAddress::Ipv4(parse(address)?), 24);
        interface.update_ip_addrs(|addresses| addresses.push(address).expect("room for one"));
        interface.routes_mut().add_default_ipv4_route(parse(gateway)?).expect("room for one");
        Ok(Station { device, interface, sockets: SocketSet::new(Vec::new()) })
    }

    fn serve(mut self) -> Result<(), String> {
        let mut served = Vec::new();
        for port in PORTS.into_iter().flat_map(|port| [port; BACKLOG]) {
            let handle = self.sockets.add(socket());
            self.sockets.get_mut::<Socket<'_>>(handle).listen(port).map_err(|error| error.to_string())?;
            served.push(Served { handle, port, greeted: false, received: 0 });
        }
        say("{\"ready\":1}");
        loop {
            self.turn()?;
            for each in &mut served {
                each.drive(self.sockets.get_mut(each.handle))?;
            }
        }
    }

    fn call(mut self, remote: (Ipv4Addr, u16), content: &[u8]) -> Result<(), String> {
        say("{\"ready\":1}");
        std::io::stdin().lock().read_line(&mut String::new()).map_err(|error| error.to_string())?;
        let handle = self.sockets.add(socket());
        let port = 49_152 + (std::process::id() % 16_384) as u16;
        let context = self.interface.context();
        let opened = self.sockets.get_mut::<Socket<'_>>(handle).connect(context, remote, port);
        opened.map_err(|error| error.to_string())?;
        let (mut sent, mut received, mut established) = (0, 0, false);
        let result = loop {
            self.turn()?;
            let socket = self.sockets.get_mut::<Socket<'_>>(handle);
            established |= socket.may_send();
            if socket.can_send() && sent < content.len() {
                sent += socket.send_slice(&content[sent..]).map_err(|error| error.to_string())?;
                if sent == content.len() {
                    socket.close();
                }
            }
            let different = drain(socket, |bytes| {
                let same = content.get(received..received + bytes.len()) == Some(bytes);
                received += bytes.len();
                same
            })?;
            match socket.state() {
                _ if different => break "different",
                State::TimeWait | State::Closed if received == content.len() && sent == content.len() => break "ok",
                State::Closed if !established => break "refused",
                State::Closed => break "reset",
                State::TimeWait => break "cut",
                _ => {}
            }
        };
        say(&format!("{{\"result\":\"{result}\",\"sent\":{sent},\"received\":{received}}}"));
        // The last acknowledgment, and again if it was lost.
        let end = Instant::now() + Duration::from_millis(250);
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Takes and sends frames, and waits for more or for a timer.
    fn turn(&mut self) -> Result<(), String> {
        self.interface.poll(Instant::now(), &mut self.device, &mut self.sockets);
        let delay = self.interface.poll_delay(Instant::now(), &self.sockets);
        let delay = delay.unwrap_or(Duration::from_millis(100)).min(Duration::from_millis(100));
        smoltcp::phy::wait(self.device.as_raw_fd(), Some(delay)).map_err(|error| error.to_string())
    }
}

impl Served {
    fn drive(&mut self, socket: &mut Socket<'_>) -> Result<(), String> {
        if self.port % 100 == 4 {
            if !self.greeted && socket.can_send() {
                self.greeted = socket.send_slice(GREETING).map_err(|error| error.to_string())? == GREETING.len();
                socket.close();
            }
            drain(socket, |bytes| {
                self.received += bytes.len() as u64;
                true
            })?;
        } else {
            self.echo(socket)?;
        }
        // A connection in TIME-WAIT is over for us, and its socket may listen again.
        if matches!(socket.state(), State::TimeWait | State::Closed) {
            say(&format!("{{\"event\":\"ended\",\"how\":\"closed\",\"bytes\":{}}}", self.received));
            if socket.state() == State::TimeWait {
                return self.replace(socket);
            }
            return self.listen(socket);
        }
        Ok(())
    }

    fn echo(&mut self, socket: &mut Socket<'_>) -> Result<(), String> {
        while socket.can_recv() {
            let room = socket.send_capacity() - socket.send_queue();
            let bytes = socket.peek(room).map_err(|error| error.to_string())?.to_vec();
            if bytes.is_empty() {
                return Ok(());
            }
            let sent = socket.send_slice(&bytes).map_err(|error| error.to_string())?;
            socket.recv(|_| (sent, ())).map_err(|error| error.to_string())?;
            self.received += sent as u64;
        }
        if socket.state() == State::CloseWait {
            socket.close();
        }
        Ok(())
    }

    fn listen(&mut self, socket: &mut Socket<'_>) -> Result<(), String> {
        (self.greeted, self.received) = (false, 0);
        socket.listen(self.port).map_err(|error| error.to_string())
    }

    /// The old one would linger ten seconds; the last acknowledgment of its FIN has gone out with this turn.
    fn replace(&mut self, socket: &mut Socket<'_>) -> Result<(), String> {
        *socket = self::socket();
        self.listen(socket)
    }
}

/// Reads all there is; gives whether `check` refused any of it.
fn drain(socket: &mut Socket<'_>, mut check: impl FnMut(&[u8]) -> bool) -> Result<bool, String> {
    let mut refused = false;
    while socket.can_recv() {
        refused |= socket.recv(|bytes| (bytes.len(), !check(bytes))).map_err(|error| error.to_string())?;
    }
    Ok(refused)
}

fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_congestion_control(CongestionControl::Cubic);
    socket.set_tsval_generator(Some(|| Instant::now().total_millis() as u32));
    socket.set_nagle_enabled(false);
    socket
}

/// Whoever started it may have closed its end: that is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
