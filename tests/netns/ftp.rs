//! FTP with real servers (vsftpd, proftpd, pure-ftpd) and real clients (ftplib, curl, lftp): active and passive, both families,
//! with and without TLS, the client's address at the server.
//!
//! A server's own port is served as it is; other ports lead to it by `forced_port`, under another service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::address::Family;
use crate::host::{run, script};
use crate::limits;
use crate::process::Process;
use crate::transfers::write_words;
use crate::wait;
use crate::world::{Middle, World};

const VSFTPD: u16 = 21;
const PROFTPD: u16 = 2121;
const PURE_FTPD: u16 = 2221;
/// All on the way to vsftpd.
const PASSIVE: u16 = 3021;
const ACTIVE: u16 = 3022;
const READ_ONLY: u16 = 3023;
const TLS_CLIENT_ONLY: u16 = 4022;
/// To all three, with TLS at both sides.
const TLS: [(u16, u16); 3] = [(4021, VSFTPD), (4121, PROFTPD), (4221, PURE_FTPD)];
/// At the gateway's own address.
const BY_NAME: u16 = 2021;

const MINUTES: Duration = Duration::from_secs(180);

/// The three servers in ns2, and what they share.
struct Servers {
    directory: PathBuf,
    processes: Vec<(u16, Process)>,
}

fn user(port: u16) -> &'static str {
    if matches!(port, PROFTPD | 4121 | PURE_FTPD | 4221) { "joe" } else { "anonymous" }
}

#[track_caller]
fn world() -> Option<(World, Servers)> {
    let world = World::configured(Middle::AfPacket, |text, directory| configure(&text, directory))?;
    let servers = Servers::start(&world);
    Some((world, servers))
}

/// The usual configuration with the services of this file.
fn configure(text: &str, directory: &Path) -> String {
    certificate(directory);
    let tls = "data: { strict_server_port: false }, tls: { client: { certificate: cert.pem, key: key.pem }, server: { authorities: [cert.pem], name: ftp.example } }";
    let client_tls = "tls: { client: { certificate: cert.pem, key: key.pem, required: true, private_data: true } }";
    let mut services = vec![
        ("ftp".to_owned(), String::new(), String::new(), vec![VSFTPD]),
        // Servers that run as users take no port below 1,024 for their data connections.
        ("ftp_any_port".into(), String::new(), "data: { strict_server_port: false }".into(), vec![PROFTPD, PURE_FTPD]),
        ("ftp_passive".into(), forced(VSFTPD), "data: { mode: passive }".into(), vec![PASSIVE]),
        ("ftp_active".into(), forced(VSFTPD), "data: { mode: active }".into(), vec![ACTIVE]),
        ("ftp_read_only".into(), forced(VSFTPD), "class: read_only, deny_parent: true".into(), vec![READ_ONLY]),
        ("ftp_tls_client".into(), forced(VSFTPD), client_tls.into(), vec![TLS_CLIENT_ONLY]),
    ];
    services.extend(TLS.map(|(port, server)| (format!("ftp_tls_{server}"), forced(server), tls.into(), vec![port])));
    let login = "login: { hosts: { files: 10.0.2.99 } }";
    services.push(("ftp_by_name".into(), "accept: immediate, router: inband,".into(), login.into(), vec![BY_NAME]));
    let (mut lines, mut listeners, mut rules, mut names) = (String::new(), String::new(), String::new(), String::new());
    for (index, (name, more, section, ports)) in services.iter().enumerate() {
        let on_port = 51000 + index;
        lines += &format!("  {name}: {{ proxy: ftp, {more} ftp: {{ {section} }} }}\n");
        listeners += &format!("  - {{ port: {on_port}, service: {name} }}\n");
        names += &format!("{name}, ");
        for port in ports {
            rules += &format!("  -A PRns1 -p tcp --dport {port} -j TPROXY --on-port {on_port}\n");
        }
    }
    let first_rule = "  -A PRns1 -p tcp --dport 80 -j";
    text.replace("services:\n", &format!("services:\n{lines}"))
        .replace("listeners:\n", &format!("listeners:\n{listeners}"))
        .replace("inbound_services: [plug", &format!("inbound_services: [{names}plug"))
        .replace(first_rule, &format!("{rules}{first_rule}"))
}

fn forced(port: u16) -> String {
    format!("router: {{ kind: transparent, forced_port: {port} }},")
}

/// One certificate for the gateway and the servers.
fn certificate(directory: &Path) {
    let names = "subjectAltName=DNS:ftp.example";
    run(Command::new("openssl")
        .current_dir(directory)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"])
        .args([
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-subj",
            "/CN=ftp.example",
            "-addext",
            names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]));
    let both = ["key.pem", "cert.pem"].map(|name| fs::read_to_string(directory.join(name)).expect("openssl wrote it"));
    fs::write(directory.join("both.pem"), both.concat()).expect("the directory takes a file");
}

impl Servers {
    #[track_caller]
    fn start(world: &World) -> Servers {
        let certificates = world.directory().display().to_string();
        let directory = world.directory().join("ftp");
        let d = directory.display().to_string();
        for (name, mode) in [("", 0o755), ("root", 0o755), ("root/upload", 0o777), ("state", 0o755)] {
            let path = directory.join(name);
            fs::create_dir_all(&path).expect("a directory");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        fs::set_permissions(world.directory(), fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::create_dir_all("/var/run/vsftpd/empty").expect("vsftpd's own directory");
        write_words(&directory.join("root/large"), limits::FILE_BYTES).expect("a large file");
        let fill = |text: &str| text.replace("@D@", &d).replace("@C@", &certificates);
        fs::write(directory.join("vsftpd.conf"), fill(VSFTPD_CONF)).expect("a file");
        fs::write(directory.join("proftpd.conf"), fill(PROFTPD_CONF)).expect("a file");
        let users = format!(
            "umask 077; echo \"joe:$(openssl passwd -6 secret):$(id -u ftp):$(id -g ftp)::{d}/root:/bin/false\" >{d}/passwd; \
             printf 'secret\\nsecret\\n' | /opt/limpid-tests/usr/bin/pure-pw useradd joe -f {d}/pure -F {d}/pure.db -u ftp -d {d}/root -m"
        );
        run(Command::new("bash").args(["-c", &users]).stderr(std::process::Stdio::null()));
        let namespace = &world.server.namespace;
        let processes = vec![
            (VSFTPD, namespace.start(&["vsftpd", &format!("{d}/vsftpd.conf")])),
            (
                PROFTPD,
                namespace.start(&["/opt/limpid-tests/usr/sbin/proftpd", "-n", "-c", &format!("{d}/proftpd.conf")]),
            ),
            (
                PURE_FTPD,
                namespace.start(&[
                    "/opt/limpid-tests/usr/sbin/pure-ftpd",
                    "-S",
                    "2221",
                    "-l",
                    &format!("puredb:{d}/pure.db"),
                    "-E",
                    "-H",
                    "-A",
                    "-u",
                    "1",
                    "-c",
                    "600",
                    "-C",
                    "600",
                    "-Y",
                    "1",
                    "-2",
                    &format!("{certificates}/both.pem"),
                    "-O",
                    &format!("clf:{d}/pure.log"),
                ]),
            ),
        ];
        let servers = Servers { directory, processes };
        for (port, process) in &servers.processes {
            let open = format!("ss -Hltn 'sport = :{port}' | grep -q .");
            wait::until(&format!("a server on port {port}: {}", process.stderr()), limits::SETTLE, || {
                (namespace.run(&["bash", "-c", &open]).code() == 0).then_some(())
            });
        }
        servers
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join(name)).unwrap_or_default()
    }
}

/// ftplib: up, listed, down again, compared, deleted.
#[track_caller]
fn session(world: &World, servers: &Servers, family: Family, port: u16, mode: &str, tls: &str) -> Value {
    let small = servers.directory.join("small");
    if !small.exists() {
        write_words(&small, 1 << 20).expect("a file");
    }
    file_session(world, &small, family, port, mode, tls, 1)
}

#[track_caller]
fn file_session(world: &World, file: &Path, family: Family, port: u16, mode: &str, tls: &str, count: usize) -> Value {
    let (server, number, times) = (family.server().to_string(), port.to_string(), count.to_string());
    let (script, file) = (script("ftp.py"), file.display().to_string());
    let words = ["/usr/bin/python3", &script, &server, &number, user(port), mode, tls, &file, &times];
    let result = world.client.namespace.run_within(MINUTES, &words).successful().json();
    assert_eq!(result["good"], count, "port {port}, {mode}, {tls}: {result}\n{}", world.gateway().said());
    result
}

#[test]
fn all_servers_active_and_passive() {
    let Some((world, servers)) = world() else { return };
    for family in Family::BOTH {
        for mode in ["passive", "active"] {
            for port in [VSFTPD, PROFTPD, PURE_FTPD] {
                session(&world, &servers, family, port, mode, "clear");
            }
        }
    }
    let client = Family::V4.client().to_string();
    for log in ["vsftpd.log", "state/seen", "pure.log"] {
        assert!(servers.log(log).contains(&client), "the client's address in {log}:\n{}", servers.log(log));
    }
}

#[test]
fn sides_of_their_own_kind() {
    let Some((world, servers)) = world() else { return };
    for family in Family::BOTH {
        for mode in ["passive", "active"] {
            for port in [PASSIVE, ACTIVE] {
                session(&world, &servers, family, port, mode, "clear");
            }
        }
    }
}

#[test]
fn tls_at_either_side() {
    let Some((world, servers)) = world() else { return };
    for (port, _) in TLS {
        for mode in ["passive", "active"] {
            for tls in ["tls", "clear"] {
                session(&world, &servers, Family::V4, port, mode, tls);
            }
        }
        session(&world, &servers, Family::V6, port, "passive", "tls");
    }
    session(&world, &servers, Family::V4, TLS_CLIENT_ONLY, "passive", "tls");
    assert!(world.counter("ftp_tls_client") > 0 && world.counter("ftp_tls_server") > 0);
    assert_eq!(world.counter("ftp_tls_failed"), 0);
}

#[test]
fn large_files_are_whole() {
    let Some((world, servers)) = world() else { return };
    let large = servers.directory.join("root/large");
    for (port, mode, tls) in [(VSFTPD, "passive", "clear"), (PROFTPD, "active", "clear"), (4221, "passive", "tls")] {
        let result = file_session(&world, &large, Family::V4, port, mode, tls, 1);
        assert_eq!(result["first"]["size"], limits::FILE_BYTES, "{result}");
    }
}

#[test]
fn many_sessions_at_once() {
    let Some((world, servers)) = world() else { return };
    file_session(&world, &servers.directory, Family::V4, VSFTPD, "passive", "clear", 500);
    assert!(world.counter("ftp_transfers") >= 1500);
}

#[test]
fn curl_and_lftp() {
    let Some((world, servers)) = world() else { return };
    let sum = Command::new("sha256sum").arg(servers.directory.join("root/large")).output().expect("coreutils");
    let sum = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().unwrap_or_default().to_owned();
    // Active: the data connection comes from the server's own address, and curl checks nothing of the kind, but we do.
    world.client.count("from_server", "input", &format!("ip saddr {} tcp sport 20 tcp flags syn", Family::V4.server()));
    let line = format!("curl -sS -m 60 -P - 'ftp://{}/large' | wc -c", Family::V4.server_at(VSFTPD));
    world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &line]).successful();
    assert!(world.client.counted("from_server") > 0, "no data connection came from port 20 of the server's address");
    for (family, port, more) in [
        (Family::V4, VSFTPD, ""),
        (Family::V4, PROFTPD, "--disable-epsv"),
        (Family::V4, PURE_FTPD, "-P -"),
        (Family::V6, PURE_FTPD, "-P -"),
        (Family::V4, 4021, "-k --ssl-reqd"),
        (Family::V6, 4121, "-k --ssl-reqd"),
    ] {
        let url = format!("ftp://{}/large", family.server_at(port));
        let line = format!("curl -sS -g -m 60 {more} -u {}:secret '{url}' | sha256sum", user(port));
        let fetched = world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &line]).successful();
        assert!(fetched.stdout.starts_with(&sum), "{line}: {}", fetched.stdout);
    }
    let here = servers.directory.display();
    let large = servers.directory.join("root").join("large");
    let large = large.display();
    for (port, settings) in [
        (VSFTPD, "set ftp:ssl-allow no; set ftp:passive-mode yes"),
        (PROFTPD, "set ftp:ssl-allow no; set ftp:passive-mode no"),
        (PURE_FTPD, "set ftp:ssl-allow no; set ftp:sync-mode off"),
        (4021, "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no"),
    ] {
        let server = Family::V4.server();
        let line = format!(
            "set net:max-retries 1; set net:timeout 20; {settings}; open -u {},secret -p {port} {server}; cls; \
             mkdir upload/l{port}; put -O upload/l{port} {large}; mirror upload/l{port} {here}/l{port}; rm -r upload/l{port}; exit",
            user(port)
        );
        let ended = world.client.namespace.run_within(MINUTES, &["lftp", "-c", &line]).successful();
        let same = fs::read(servers.directory.join(format!("l{port}/large"))).unwrap_or_default().len() as u64;
        assert_eq!(same, limits::FILE_BYTES, "{line}: {}{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn what_the_service_refuses() {
    let Some((world, servers)) = world() else { return };
    let talk = |port: u16, to: &str, lines: &str| {
        let line = format!("printf '{lines}' | nc -w 5 {to} {port}");
        world.client.namespace.run(&["bash", "-c", &line]).stdout
    };
    let server = Family::V4.server().to_string();
    let login = "USER anonymous\\r\\nPASS x\\r\\n";
    let said = talk(
        READ_ONLY,
        &server,
        &format!("{login}STOR upload/x\\r\\nCWD ..\\r\\nSITE CHMOD 7 x\\r\\nPWD\\r\\nQUIT\\r\\n"),
    );
    for line in ["500 Command is not permitted", "550 Paths with ..", "257 ", "221 "] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let said = talk(VSFTPD, &server, &format!("{login}PORT 10,0,3,99,200,1\\r\\nPORT 10,0,1,99,0,25\\r\\nQUIT\\r\\n"));
    assert_eq!(said.matches("500 Data goes to your own address").count(), 2, "{said}");
    let said = talk(VSFTPD, &server, &format!("{login}CWD a\\rDELE b\\r\\n"));
    assert!(said.contains("500 A line ends in CR LF"), "{said}");
    assert!(!servers.log("vsftpd.log").contains("DELE"), "{}", servers.log("vsftpd.log"));
    let gateway = Family::V4.gateway(1).to_string();
    let said = talk(BY_NAME, &gateway, "USER joe\\r\\nUSER anonymous@files\\r\\nPASS x\\r\\nPWD\\r\\nQUIT\\r\\n");
    for line in ["220 Limpid", "501 Say USER", "331 ", "230 ", "257 ", "221 "] {
        assert!(said.contains(line), "{line} in {said}\n{}", world.gateway().said());
    }
    assert_eq!(world.counter("ftp_bounce_client"), 2);
    assert!(!world.gateway().said().contains("secret"));
}

const VSFTPD_CONF: &str = "listen=NO
listen_ipv6=YES
listen_port=21
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
anon_root=@D@/root
connect_from_port_20=YES
xferlog_enable=YES
dual_log_enable=YES
log_ftp_protocol=YES
xferlog_file=@D@/xferlog
vsftpd_log_file=@D@/vsftpd.log
seccomp_sandbox=NO
ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
require_ssl_reuse=YES
rsa_cert_file=@C@/cert.pem
rsa_private_key_file=@C@/key.pem
max_per_ip=0
max_clients=0
";

const PROFTPD_CONF: &str = "ModulePath /opt/limpid-tests/usr/lib/proftpd
LoadModule mod_tls.c
ServerType standalone
ServerName files
Port 2121
UseIPv6 on
UseReverseDNS off
User nobody
Group nogroup
AuthOrder mod_auth_file.c
AuthUserFile @D@/passwd
RequireValidShell off
ScoreboardFile @D@/state/scoreboard
PidFile @D@/state/pid
SystemLog @D@/state/log
TransferLog @D@/state/xfer
LogFormat seen \"%a %m %f %s\"
ExtendedLog @D@/state/seen ALL seen
DefaultRoot @D@/root
AllowOverwrite on
AllowStoreRestart on
MaxInstances none
TLSEngine on
TLSRequired off
TLSRSACertificateFile @C@/cert.pem
TLSRSACertificateKeyFile @C@/key.pem
TLSLog @D@/state/tls
DelayEngine off
";
