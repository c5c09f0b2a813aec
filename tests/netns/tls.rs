//! HTTPS through the gateway: decrypted with certificates of our own authorities, passed on, or ended; curl and openssl are the
//! clients, nginx the server, and its log has the client's own address.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::address::Family;
use crate::gateway::{Device, Gateway};
use crate::limits;
use crate::process::{Ended, Process};
use crate::servers::page;
use crate::transfers::write_words;
use crate::wait;
use crate::world::{Middle, World};

/// Ports of nginx, by the certificate that each shows. The gateway does not care.
mod port {
    pub(super) const GOOD: u16 = 443;
    pub(super) const SELF_SIGNED: u16 = 8441;
    pub(super) const EXPIRED: u16 = 8442;
    pub(super) const OTHER_NAME: u16 = 8443;
    pub(super) const REVOKED: u16 = 8444;
    /// Those of the service that denies what is not trusted.
    pub(super) const STRICT: u16 = 9000 - 8441;
    /// That of the service whose clear text goes to a plug.
    pub(super) const STACKED: u16 = 10_443;
}

/// A world whose gateway knows TLS.
struct Scene {
    world: World,
    gateway: Gateway,
    _nginx: Process,
    files: PathBuf,
}

impl Scene {
    fn new() -> Option<Scene> {
        let mut world = World::new(Middle::AfPacket)?;
        let stopped = world.take_gateway().stop();
        assert_eq!(stopped.code(), 0, "the first gateway gave its devices back");
        let files = world.directory().join("tls");
        fs::create_dir_all(&files).expect("the world's directory takes another");
        make_certificates(&files);
        let (config, socket) = (files.join("limpid.yaml"), world.directory().join("tls.sock"));
        fs::write(&config, configuration(&world, &socket)).expect("a file");
        let gateway = Gateway::start(&world.router, &config, &socket);
        let nginx = start_nginx(&world, &files);
        let scene = Scene { world, gateway, _nginx: nginx, files };
        for (n, host) in [(1, &scene.world.client), (2, &scene.world.server)] {
            wait::until("the gateway answers", limits::SETTLE, || host.ping(Family::V4.gateway(n)).then_some(()));
        }
        Some(scene)
    }

    fn file(&self, name: &str) -> String {
        self.files.join(name).display().to_string()
    }

    /// curl that trusts this authority alone.
    fn curl(&self, family: Family, name: &str, port: u16, authority: &str, more: &[&str]) -> Ended {
        let server = family.server();
        let server = if family == Family::V6 { format!("[{server}]") } else { server.to_string() };
        let (authority, resolve) = (self.file(authority), format!("{name}:{port}:{server}"));
        let url = format!("https://{name}:{port}/");
        let words = ["curl", "-sS", "-m", "20", "--cacert", &authority, "--resolve", &resolve];
        self.world.client.namespace.run(&[&words[..], more, &[&url]].concat())
    }

    /// Who signed the certificate that a client sees.
    fn issuer(&self, name: &str, port: u16, more: &[&str]) -> String {
        let at = Family::V4.server_at(port).to_string();
        let script = format!(
            "openssl s_client -connect {at} -servername {name} {} </dev/null 2>/dev/null | openssl x509 -noout -issuer",
            more.join(" ")
        );
        self.world.client.namespace.run(&["bash", "-c", &script]).stdout.trim().to_owned()
    }

    /// Whether a record with all of these was written.
    #[track_caller]
    fn wait_for_record(&self, words: &[&str]) {
        wait::until(&format!("a record with {words:?} in:\n{}", self.gateway.said()), limits::VISIBLE, || {
            let said = self.gateway.said();
            let found =
                said.lines().any(|line| line.contains("tls.handshake") && words.iter().all(|word| line.contains(word)));
            found.then_some(())
        });
    }
}

#[test]
fn https_decrypted_passed_on_and_ended() {
    let Some(scene) = Scene::new() else { return };
    for family in Family::BOTH {
        decrypted(&scene, family);
        passed_on(&scene, family);
    }
    ended_by_policy(&scene);
    both_versions(&scene);
    servers_that_are_not_trusted(&scene);
    servers_that_are_denied(&scene);
    stacked(&scene);
    a_large_file(&scene);
}

/// The copy is by our trusted authority, and the server sees the client's own address.
fn decrypted(scene: &Scene, family: Family) {
    let report = ["-w", "%{local_port}"];
    let got = scene.curl(family, "www.example", port::GOOD, "trusted.pem", &report).successful();
    let (body, client_port) = got.stdout.split_at(page("tls").len());
    assert_eq!(body, page("tls"));
    let wanted = format!("{} {client_port} /", family.client());
    wait::until(&format!("\"{wanted}\" in nginx's log"), limits::VISIBLE, || {
        let log = fs::read_to_string(scene.file("access.log")).unwrap_or_default();
        log.lines().any(|line| line == wanted).then_some(())
    });
    // Who knows only the world's authorities does not take it.
    assert_eq!(scene.curl(family, "www.example", port::GOOD, "web.pem", &[]).code(), 60);
    scene.wait_for_record(&[
        "action='bump'",
        "sni='www.example'",
        "certificate='trusted'",
        "minted_by='trusted'",
        "ja4='t13d",
    ]);
}

/// The certificate is the server's own.
fn passed_on(scene: &Scene, family: Family) {
    let got = scene.curl(family, "a.spliced.example", port::GOOD, "web.pem", &[]).successful();
    assert_eq!(got.stdout, page("tls"));
    assert_eq!(scene.curl(family, "a.spliced.example", port::GOOD, "trusted.pem", &[]).code(), 60);
    scene.wait_for_record(&["action='splice'", "sni='a.spliced.example'", "result='spliced'"]);
}

fn ended_by_policy(scene: &Scene) {
    let got = scene.curl(Family::V4, "denied.example", port::GOOD, "trusted.pem", &[]);
    assert_eq!(got.code(), 35, "{}", got.stderr);
    assert!(got.stderr.contains("unrecognized name"), "{}", got.stderr);
    scene.wait_for_record(&["action='reject'", "rule='denied'"]);
    let got = scene.curl(Family::V4, "reset.example", port::GOOD, "trusted.pem", &[]);
    assert_eq!(got.code(), 35, "{}", got.stderr);
    scene.wait_for_record(&["action='terminate'", "sni='reset.example'"]);
}

fn both_versions(scene: &Scene) {
    for version in ["-tls1_2", "-tls1_3"] {
        let issuer = scene.issuer("www.example", port::GOOD, &[version]);
        assert!(issuer.contains("Test trusted"), "{version}: {issuer}");
    }
    scene.wait_for_record(&["client_version='TLSv1.2'", "server_version='TLSv1.3'"]);
    assert_eq!(scene.issuer("www.example", port::GOOD, &["-tls1_1"]), "", "it is not spoken");
}

/// The copy is by the untrusted authority, which clients do not know.
fn servers_that_are_not_trusted(scene: &Scene) {
    for (port, verdict) in [
        (port::SELF_SIGNED, "self_signed"),
        (port::EXPIRED, "expired"),
        (port::OTHER_NAME, "wrong_name"),
        (port::REVOKED, "revoked"),
    ] {
        let got = scene.curl(Family::V4, "www.example", port, "trusted.pem", &[]);
        assert_eq!(got.code(), 60, "{verdict}: {}", got.stderr);
        let issuer = scene.issuer("www.example", port, &[]);
        assert!(issuer.contains("Test untrusted"), "{verdict}: {issuer}");
        scene.wait_for_record(&[&format!("certificate='{verdict}'"), "minted_by='untrusted'"]);
    }
    // Who accepts anything gets the page, as without us.
    let got = scene.curl(Family::V4, "www.example", port::SELF_SIGNED, "trusted.pem", &["-k"]).successful();
    assert_eq!(got.stdout, page("tls"));
}

fn servers_that_are_denied(scene: &Scene) {
    for port in [port::SELF_SIGNED, port::EXPIRED, port::OTHER_NAME, port::REVOKED] {
        let got = scene.curl(Family::V4, "www.example", port + port::STRICT, "trusted.pem", &["-k"]);
        assert_eq!(got.code(), 35, "{port}: {}", got.stderr);
        assert!(got.stderr.contains("access denied"), "{port}: {}", got.stderr);
    }
    scene.wait_for_record(&["certificate='revoked'", "result='server_untrusted'"]);
}

fn stacked(scene: &Scene) {
    let got = scene.curl(Family::V4, "www.example", port::STACKED, "trusted.pem", &["-v"]).successful();
    assert_eq!(got.stdout, page("tls"));
    assert!(got.stderr.contains("http/1.1"), "the stacked service speaks no other: {}", got.stderr);
}

/// 200 MiB, decrypted and encrypted again, and the same.
fn a_large_file(scene: &Scene) {
    let large = scene.files.join("www/large");
    write_words(&large, limits::FILE_BYTES).expect("a large file");
    let sum = Command::new("sha256sum").arg(&large).output().expect("sha256sum is part of coreutils");
    let sum = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().unwrap_or_default().to_owned();
    let (authority, server) = (scene.file("trusted.pem"), Family::V4.server());
    let pipeline = format!(
        "curl -sS -m 100 --cacert {authority} --resolve www.example:443:{server} https://www.example/large | sha256sum"
    );
    let words = ["bash", "-o", "pipefail", "-c", &pipeline];
    let fetched = scene.world.client.namespace.run_within(limits::PROGRAM * 2, &words).successful();
    assert_eq!(fetched.stdout.split_whitespace().next(), Some(&*sum));
}

/// Authorities, and servers' certificates with every fault.
fn make_certificates(files: &Path) {
    let made = Command::new("bash").arg(crate::host::script("certificates.sh")).arg(files).output().expect("bash");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn configuration(world: &World, socket: &Path) -> String {
    let mut config = include_str!("tls/gateway.yaml").replace("@CORE@", &world.slot().core().to_string());
    for n in 1..=3 {
        config = config.replace(&format!("@PORT{n}@"), &Device::AfPacket.port(n));
    }
    config.replace("@SOCKET@", &socket.display().to_string())
}

fn start_nginx(world: &World, files: &Path) -> Process {
    fs::create_dir_all(files.join("www")).expect("a directory");
    fs::write(files.join("www/index.html"), page("tls")).expect("a page");
    let directory = files.display();
    let server = |ports: &[u16], name: &str| {
        let listen: String = ports.iter().map(|port| format!("listen {port} ssl; listen [::]:{port} ssl; ")).collect();
        format!(
            "server {{ {listen} ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {directory}/{name}.pem; ssl_certificate_key {directory}/{name}.key; root {directory}/www; }}\n"
        )
    };
    let both = |port: u16| [port, port + port::STRICT];
    let servers = [
        server(&[port::GOOD, port::STACKED], "good"),
        server(&both(port::SELF_SIGNED), "self_signed"),
        server(&both(port::EXPIRED), "expired"),
        server(&both(port::OTHER_NAME), "other_name"),
        server(&both(port::REVOKED), "revoked"),
    ]
    .concat();
    let text = format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 1024; }}
         http {{
             log_format seen '$remote_addr $remote_port $request_uri';
             access_log {directory}/access.log seen;
             default_type text/plain; sendfile on;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             {servers}
         }}"
    );
    let config = files.join("nginx.conf");
    fs::write(&config, text).expect("nginx.conf");
    let (config, errors) = (config.display().to_string(), files.join("nginx.err").display().to_string());
    let nginx = world.server.namespace.start(&["nginx", "-e", &errors, "-c", &config]);
    wait::until("nginx listens", limits::SETTLE, || {
        let listening = world.server.namespace.run(&["ss", "-Htln"]).stdout;
        listening.contains(&format!(":{}", port::STACKED)).then_some(())
    });
    nginx
}
