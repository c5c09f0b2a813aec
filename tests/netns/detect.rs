//! One port, three protocols, with curl and OpenSSH; servers that are told the client by the PROXY protocol, with nginx and
//! HAProxy; a plug's rate; and scripts that choose the servers. The services are put into the gateway by a reload.
//!
//! Ports 9100 to 9199 of ns2 are taken by these services: 9100 detects, and leads to 9150 (nginx), 9151 (nginx with TLS) and 9152 (sshd);
//! 9110 and 9111 are nginx and 9120 and 9121 HAProxy, told by v1 and v2; 9130 is nginx behind a rate.

use crate::address::Family;
use crate::limits;
use crate::process::Process;
use crate::servers::page;
use crate::wait;
use crate::world::{Middle, World};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes behind the rate: a few bursts.
const LARGE: usize = 400_000;

#[test]
fn detect_programs_ipv4() {
    programs(Family::V4);
}

#[test]
fn detect_programs_ipv6() {
    programs(Family::V6);
}

fn programs(family: Family) {
    let Some(world) = World::new(Middle::AfPacket) else { return };
    let servers = Servers::start(&world, family);
    one_port_three_protocols(&world, &servers, family);
    servers_are_told_the_client(&world, family);
    a_rate_loses_nothing(&world, family);
}

/// What runs in ns2.
struct Servers {
    nginx: Process,
    haproxy: Process,
    sshd: Process,
    directory: PathBuf,
}

impl Servers {
    fn start(world: &World, family: Family) -> Servers {
        reconfigure(world, family);
        let directory = world.server.namespace.directory().join("detect");
        fs::create_dir_all(directory.join("www")).expect("the world's directory takes another");
        fs::write(directory.join("www/index.html"), page("detect")).expect("a page");
        fs::write(directory.join("www/large"), vec![b'x'; LARGE]).expect("a large file");
        let made = |words: &[&str]| {
            world.server.namespace.run(words).successful();
        };
        let path = |name: &str| directory.join(name).display().to_string();
        let (key, certificate, host_key) = (path("tls.key"), path("tls.pem"), path("host_key"));
        made(&[
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=detect.example",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        made(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &host_key]);
        fs::create_dir_all("/run/sshd").expect("where sshd wants to be");
        let nginx = write(&directory, "nginx.conf", &nginx(&directory));
        let haproxy = write(&directory, "haproxy.conf", HAPROXY);
        let sshd = format!("Port 9152\nHostKey {host_key}\nPidFile none\nUsePAM no\n");
        let sshd = write(&directory, "sshd.conf", &sshd);
        let errors = path("nginx.err");
        let start = |words: &[&str]| world.server.namespace.start(words);
        let servers = Servers {
            nginx: start(&["nginx", "-e", &errors, "-c", &nginx]),
            haproxy: start(&["haproxy", "-db", "-f", &haproxy]),
            sshd: start(&["/usr/sbin/sshd", "-D", "-e", "-f", &sshd]),
            directory,
        };
        for port in [9150, 9151, 9152, 9110, 9120] {
            wait::until(&format!("port {port}\n{}", servers.said()), limits::SETTLE, || {
                let asked = world.server.namespace.run(&["nc", "-z", "127.0.0.1", &port.to_string()]);
                (asked.code() == 0).then_some(())
            });
        }
        servers
    }

    fn said(&self) -> String {
        let log = fs::read_to_string(self.directory.join("nginx.err")).unwrap_or_default();
        format!("{}{log}{}{}", self.nginx.stderr(), self.haproxy.stderr(), self.sshd.stderr())
    }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a configuration");
    path.display().to_string()
}

/// Answers say who the client is: by the connection, or by what was told.
fn nginx(directory: &Path) -> String {
    let directory = directory.display();
    let told =
        "location = /who { return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\\n\"; }";
    let seen = "location = /who { return 200 \"$remote_addr $scheme\\n\"; }";
    format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 1024; }}
         http {{
             access_log off; default_type text/plain;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             ssl_certificate {directory}/tls.pem; ssl_certificate_key {directory}/tls.key;
             server {{
                 listen 9150; listen [::]:9150; listen 9151 ssl; listen [::]:9151 ssl; listen 9130; listen [::]:9130;
                 root {directory}/www; {seen}
             }}
             server {{
                 listen 9110 proxy_protocol; listen [::]:9110 proxy_protocol;
                 listen 9111 proxy_protocol; listen [::]:9111 proxy_protocol;
                 {told}
             }}
         }}"
    )
}

const HAPROXY: &str = "
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend told
    bind :::9120 v4v6 accept-proxy
    bind :::9121 v4v6 accept-proxy
    http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst_port]\\n\"
";

/// Puts the services into the gateway.
fn reconfigure(world: &World, family: Family) {
    let config = world.gateway().config();
    let text = fs::read_to_string(config).expect("the configuration");
    let to = |name: &str, port: u16| {
        let server = family.server_at(port);
        format!(
            "  {name}: {{ proxy: plug, plug: {{ script: {{ lua: \"function route(s) return '{server}' end\" }} }} }}\n"
        )
    };
    let services = format!(
        "services:
  any: {{ proxy: detect, accept: immediate, detect: {{ http: page, tls: sealed, ssh: shell }} }}
{}{}{}  told_1: {{ proxy: plug, plug: {{ send_proxy: v1 }} }}
  told_2: {{ proxy: plug, plug: {{ send_proxy: v2 }} }}
  slow: {{ proxy: plug, plug: {{ to_client: {{ bytes_per_s: 1000000, burst: 70000 }} }} }}
",
        to("page", 9150),
        to("sealed", 9151),
        to("shell", 9152),
    );
    let text = replaced(&text, "services:\n", &services);
    let text = replaced(&text, "inbound_services: [plug, ", "inbound_services: [any, told_1, told_2, slow, plug, ");
    let listeners = "listeners:
  - { port: 50910, service: any }
  - { port: 50911, service: told_1 }
  - { port: 50912, service: told_2 }
  - { port: 50913, service: slow }
";
    let text = replaced(&text, "listeners:\n", listeners);
    let first = "  -A PRns1 -p tcp --dport 80 -j TPROXY --on-port 50000\n";
    let rules = "  -A PRns1 -p tcp --dport 9100 -j TPROXY --on-port 50910
  -A PRns1 -p tcp -m multiport --dports 9110,9120 -j TPROXY --on-port 50911
  -A PRns1 -p tcp -m multiport --dports 9111,9121 -j TPROXY --on-port 50912
  -A PRns1 -p tcp --dport 9130 -j TPROXY --on-port 50913
";
    let text = replaced(&text, first, &format!("{rules}{first}"));
    fs::write(config, text).expect("another configuration");
    world.gateway().cli(&world.router, &["reload"]).successful();
}

#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the gateway's configuration has no {old:?}");
    text.replacen(old, new, 1)
}

#[track_caller]
fn curl(world: &World, words: &[&str]) -> String {
    let words = [&["curl", "-sS", "-m", "20", "-g", "--noproxy", "*"], words].concat();
    world.client.namespace.run(&words).successful().stdout
}

fn one_port_three_protocols(world: &World, servers: &Servers, family: Family) {
    let (server, client) = (family.server_at(9100), family.client());
    assert_eq!(curl(world, &[&format!("http://{server}/who")]), format!("{client} http\n"), "{}", servers.said());
    assert_eq!(
        curl(world, &["-k", &format!("https://{server}/who")]),
        format!("{client} https\n"),
        "{}",
        servers.said()
    );
    // Nobody may log in; whose key it was that the client got to know is what counts. (ssh-keyscan waits for the server's
    // words, and at this port there is no server.)
    let known = servers.directory.join("known_hosts");
    let file = format!("UserKnownHostsFile={}", known.display());
    let user = format!("root@{}", server.ip());
    let mut ssh = vec!["ssh", "-F", "none", "-p", "9100"];
    for option in ["BatchMode=yes", "StrictHostKeyChecking=no", "HostKeyAlgorithms=ssh-ed25519", &file] {
        ssh.extend(["-o", option]);
    }
    ssh.extend([&*user, "true"]);
    let said = world.client.namespace.run(&ssh).stderr;
    let seen = fs::read_to_string(&known).unwrap_or_default();
    let key = fs::read_to_string(servers.directory.join("host_key.pub")).expect("sshd's key");
    let key = key.split(' ').nth(1).expect("a key in its file");
    assert!(seen.contains(key), "{seen}{said}{}", servers.said());
    let counted = ["detect_http", "detect_tls", "detect_ssh"].map(|name| world.counter(name));
    assert_eq!(counted, [1, 1, 1]);
}

fn servers_are_told_the_client(world: &World, family: Family) {
    for port in [9110, 9111, 9120, 9121] {
        let own = ["-w", "%{local_ip} %{local_port}", &format!("http://{}/who", family.server_at(port))];
        let answer = curl(world, &own);
        let (told, own) = answer.split_once('\n').expect("two lines");
        assert_eq!(told, format!("{own} {port}"), "port {port}");
    }
    assert_eq!(world.counter("plug_announced"), 4);
}

fn a_rate_loses_nothing(world: &World, family: Family) {
    let large = curl(world, &[&format!("http://{}/large", family.server_at(9130))]);
    assert_eq!(large.len(), LARGE);
    assert_eq!(world.counter("plug_throttled"), 1);
}
