//! The programs on the gateway and their other ends, with the least of a configuration that they take.

use crate::host::{Host, Namespace};
use crate::limits;
use crate::process::{Ended, Process};
use crate::wait;
use std::fs;
use std::path::{Path, PathBuf};

/// sshd in a namespace, and a key that may log in.
pub(super) struct Sshd {
    process: Process,
    key: String,
}

impl Sshd {
    #[track_caller]
    pub(super) fn start(on: &Namespace) -> Sshd {
        let directory = on.directory().join("ssh");
        fs::create_dir_all(&directory).expect("the world's directory takes another");
        // Where sshd gives its privileges up; on hosts that boot with systemd it is there.
        fs::create_dir_all("/run/sshd").expect("/run takes a directory");
        let path = |name: &str| directory.join(name).to_str().expect("plain ASCII").to_owned();
        for key in ["host", "user"] {
            on.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).successful();
        }
        let config = format!(
            "Port 22\nListenAddress 0.0.0.0\nListenAddress ::\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPidFile none\nUseDNS no\nPrintMotd no\n",
            path("host"),
            path("user.pub")
        );
        fs::write(path("config"), config).expect("a file");
        let mut process = on.start(&["/usr/sbin/sshd", "-D", "-e", "-f", &path("config")]);
        wait::until("sshd listens", limits::SETTLE, || {
            assert!(process.is_running(), "{}", process.stderr());
            process.stderr().contains("Server listening on :: port 22").then_some(())
        });
        Sshd { process, key: path("user") }
    }

    fn words<'a>(&'a self, from: &'a str, gateway: &'a str, command: &'a str) -> Vec<&'a str> {
        let options = ["ssh", "-F", "none", "-b", from, "-i", &self.key, "-o", "BatchMode=yes"];
        let more = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10"];
        [&options[..], &more, &["-l", "root", gateway, command]].concat()
    }

    /// Runs a command on the gateway.
    #[track_caller]
    pub(super) fn log_in(&mut self, on: &Namespace, from: &str, gateway: &str, command: &str) -> Ended {
        let ended = on.run(&self.words(from, gateway, command));
        assert!(self.process.is_running(), "{}", self.process.stderr());
        if ended.code() != 0 {
            eprintln!("sshd said:\n{}", self.process.stderr());
        }
        ended
    }

    /// Begins a session that stays open.
    pub(super) fn open(&self, on: &Namespace, from: &str, gateway: &str, command: &str) -> Process {
        on.start(&self.words(from, gateway, command))
    }
}

/// A configuration of BIRD: OSPF on a device, and BGP with a neighbour.
pub(super) fn bird(own: &str, device: &str, neighbour: &str, more: &str) -> String {
    let number = |address: &str| if address.ends_with(".1") { 64_512 } else { 64_513 };
    format!(
        "router id {own};
         protocol device {{ scan time 1; }}
         protocol kernel {{ ipv4 {{ export where source ~ [RTS_OSPF, RTS_OSPF_EXT1, RTS_OSPF_EXT2]; }}; }}
         {more}
         protocol ospf v2 ospf1 {{
           ipv4 {{ import all; export where source = RTS_STATIC; }};
           area 0 {{ interface \"{device}\" {{ type broadcast; hello 1; wait 2; dead 8; retransmit 2; }}; }};
         }}
         protocol bgp bgp1 {{
           local {own} as {};
           neighbor {neighbour} as {};
           connect retry time 2; connect delay time 1; error wait time 1, 2;
           ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }};
         }}\n",
        number(own),
        number(neighbour)
    )
}

/// A running BIRD.
pub(super) struct Bird<'a> {
    _process: Process,
    on: &'a Namespace,
    socket: String,
}

impl<'a> Bird<'a> {
    #[track_caller]
    pub(super) fn start(on: &'a Namespace, directory: &Path, name: &str, config: &str) -> Bird<'a> {
        let path = |end: &str| directory.join(format!("bird-{name}.{end}")).to_str().expect("plain ASCII").to_owned();
        fs::write(path("conf"), config).expect("a file");
        let mut process = on.start(&["bird", "-f", "-c", &path("conf"), "-s", &path("ctl"), "-P", &path("pid")]);
        wait::until("BIRD answers", limits::SETTLE, || {
            assert!(process.is_running(), "{}{}", process.stdout(), process.stderr());
            Path::new(&path("ctl")).exists().then_some(())
        });
        Bird { _process: process, on, socket: path("ctl") }
    }

    pub(super) fn says(&self, question: &str) -> String {
        self.on
            .run(&[&["birdc", "-r", "-s", &self.socket][..], &question.split(' ').collect::<Vec<_>>()].concat())
            .stdout
    }
}

/// A configuration of keepalived: one virtual router.
pub(super) fn keepalived(device: &str, priority: u8) -> String {
    format!(
        "global_defs {{ vrrp_version 3 }}
         vrrp_instance one {{
           state BACKUP
           interface {device}
           virtual_router_id 51
           priority {priority}
           advert_int 0.2
           virtual_ipaddress {{ 10.0.3.200/24 }}
         }}\n"
    )
}

/// A running keepalived.
pub(super) struct Keepalived {
    process: Process,
}

impl Keepalived {
    #[track_caller]
    pub(super) fn start(on: &Namespace, directory: &Path, name: &str, config: &str) -> Keepalived {
        let path = |end: &str| -> PathBuf { directory.join(format!("keepalived-{name}.{end}")) };
        let text = |end: &str| path(end).to_str().expect("plain ASCII").to_owned();
        fs::write(path("conf"), config).expect("a file");
        let words = ["keepalived", "-n", "-l", "-P", "-f", &text("conf"), "-p", &text("pid"), "-r", &text("vrrp")];
        Keepalived { process: on.start(&words) }
    }

    pub(super) fn said(&self) -> String {
        format!("{}{}", self.process.stdout(), self.process.stderr())
    }

    #[track_caller]
    pub(super) fn waits_for(&self, words: &str) {
        let found = wait::poll(limits::SETTLE, || self.said().contains(words).then_some(()));
        assert!(found.is_some(), "no {words:?} in:\n{}", self.said());
    }

    /// Five advertisements of a router of higher priority are on its wire.
    #[track_caller]
    pub(super) fn hears_advertisements(&self, host: &Host) {
        let words = ["timeout", "10", "tcpdump", "-n", "-i", "eth0", "-c", "5", "ip proto 112 and src 10.0.3.1"];
        host.namespace.run(&words).successful();
    }
}

/// Answers each datagram with itself.
pub(super) const UDP_ECHO: &str = r#"
import json, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", int(sys.argv[1])))
print(json.dumps({"listening": True}), flush=True)
while True:
    data, peer = s.recvfrom(65535)
    if len(data) > 8: s.sendto(data, peer)
"#;

/// Asks so, with so many bytes.
pub(super) const UDP_ASK: &str = r#"
import json, os, socket, sys
family, kind, protocol, _, peer = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), type=socket.SOCK_DGRAM)[0]
s = socket.socket(family, kind, protocol)
s.settimeout(3)
data = os.urandom(int(sys.argv[3]))
try:
    s.sendto(data, peer)
    result = "same" if s.recv(65535) == data else "other"
except OSError as failure:
    result = repr(failure)
print(json.dumps({"result": result}), flush=True)
"#;

/// Small datagrams as fast as they go, for three seconds.
pub(super) const UDP_FLOOD: &str = r#"
import json, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
print(json.dumps({"flooding": True}), flush=True)
start, sent = time.monotonic(), 0
while time.monotonic() - start < 3:
    for _ in range(100):
        try: s.send(b"flood")
        except OSError: pass
        sent += 1
print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - start, 3)}), flush=True)
"#;
