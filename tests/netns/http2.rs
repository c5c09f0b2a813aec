//! HTTP/2 through the gateway with real programs: curl, nghttp and h2load are the clients, nginx the server, in clear text by
//! prior knowledge and within TLS that the gateway has decrypted; nginx's log has the client's own address and port.
//!
//! Ports 9100 to 9149 of ns2 are taken by these services: 9100 and 9101 nginx in clear text, 9143 and 9144 within TLS, with HTTP/2 and
//! without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::address::Family;
use crate::limits;
use crate::process::{Ended, Process};
use crate::servers::page;
use crate::wait;
use crate::world::{Middle, World};

/// In clear text; a listener of nginx 1.22 that speaks HTTP/2 there speaks nothing else.
const CLEAR: u16 = 9100;
/// The same service's, with HTTP/1.1.
const PLAIN: u16 = 9101;
/// Within TLS, where nginx speaks HTTP/2.
const SECURED: u16 = 9143;
/// Within TLS, where it does not.
const OLD: u16 = 9144;

struct Scene {
    world: World,
    _nginx: Process,
    files: PathBuf,
}

impl Scene {
    fn new() -> Option<Scene> {
        let world = World::new(Middle::AfPacket)?;
        let files = world.directory().join("http2");
        fs::create_dir_all(files.join("www")).expect("the world's directory takes another");
        let made = Command::new("bash").arg(crate::host::script("certificates.sh")).arg(&files).output().expect("bash");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(files.join("www/index.html"), page("two")).expect("a page");
        fs::write(files.join("www/large"), vec![b'x'; 8 << 20]).expect("a large file");
        reconfigure(&world, &files);
        let nginx = start_nginx(&world, &files);
        Some(Scene { world, _nginx: nginx, files })
    }

    fn file(&self, name: &str) -> String {
        self.files.join(name).display().to_string()
    }

    fn curl(&self, url: &str, more: &[&str]) -> Ended {
        let authority = self.file("trusted.pem");
        let server = Family::V4.server();
        let [secured, old] = [SECURED, OLD].map(|port| format!("www.example:{port}:{server}"));
        let words = ["curl", "-sS", "-m", "30", "--cacert", &authority, "--resolve", &secured, "--resolve", &old];
        self.world.client.namespace.run(&[&words[..], more, &[url]].concat())
    }

    #[track_caller]
    fn wait_for_log(&self, line: &str) {
        wait::until(&format!("{line:?} in nginx's log:\n{:?}", self.log()), limits::VISIBLE, || {
            self.log().iter().any(|seen| seen == line).then_some(())
        });
    }

    /// Lines `ADDRESS PORT PROTOCOL URI`.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.files.join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

#[test]
fn http2_in_clear_and_within_tls() {
    let Some(scene) = Scene::new() else { return };
    for family in Family::BOTH {
        by_prior_knowledge(&scene, family);
    }
    within_tls(&scene);
    with_a_server_that_does_not_speak_it(&scene);
    one_stream_is_denied(&scene);
    many_streams(&scene);
}

/// What curl got, its version of HTTP and its port.
#[track_caller]
fn got(ended: Ended, body: &str) -> (String, String) {
    let out = ended.successful().stdout;
    let rest = out.strip_prefix(body).unwrap_or_else(|| panic!("{out}"));
    let (version, port) = rest.split_once(' ').expect("both were asked for");
    (version.to_owned(), port.to_owned())
}

const REPORT: [&str; 2] = ["-w", "%{http_version} %{local_port}"];

fn by_prior_knowledge(scene: &Scene, family: Family) {
    let url = format!("http://{}/index.html", family.server_at(CLEAR));
    let words = [&REPORT[..], &["-g", "--http2-prior-knowledge"]].concat();
    let (version, port) = got(scene.curl(&url, &words), &page("two"));
    assert_eq!(version, "2");
    scene.wait_for_log(&format!("{} {port} HTTP/2.0 /index.html", family.client()));
    // The same service speaks HTTP/1.1 to who begins with it.
    let url = format!("http://{}/index.html", family.server_at(PLAIN));
    let (version, port) = got(scene.curl(&url, &[&REPORT[..], &["-g"]].concat()), &page("two"));
    assert_eq!(version, "1.1");
    scene.wait_for_log(&format!("{} {port} HTTP/1.1 /index.html", family.client()));
}

fn within_tls(scene: &Scene) {
    let url = format!("https://www.example:{SECURED}/index.html");
    let (version, port) = got(scene.curl(&url, &[&REPORT[..], &["--http2"]].concat()), &page("two"));
    assert_eq!(version, "2");
    scene.wait_for_log(&format!("{} {port} HTTP/2.0 /index.html", Family::V4.client()));
    let (version, _) = got(scene.curl(&url, &[&REPORT[..], &["--http1.1"]].concat()), &page("two"));
    assert_eq!(version, "1.1");
    let large = scene.curl(
        &format!("https://www.example:{SECURED}/large"),
        &["--http2", "-o", "/dev/null", "-w", "%{size_download}"],
    );
    assert_eq!(large.successful().stdout, (8 << 20).to_string());
    // What the URL filter refuses is refused within TLS, in either version.
    let denied = format!("https://www.example:{SECURED}/denied/now");
    for version in ["--http2", "--http1.1"] {
        let words = [version, "-o", "/dev/null", "-w", "%{http_code} %{http_version}"];
        let said = scene.curl(&denied, &words).successful().stdout;
        assert_eq!(said, if version == "--http2" { "403 2" } else { "403 1.1" });
    }
    let denied = scene.curl(&format!("https://www.example:{SECURED}/denied/page"), &["--http2", "-w", "%{http_code}"]);
    let denied = denied.successful().stdout;
    assert!(denied.ends_with("403") && denied.contains("URL filter"), "{denied}");
}

fn with_a_server_that_does_not_speak_it(scene: &Scene) {
    let url = format!("https://www.example:{OLD}/index.html");
    let (version, port) = got(scene.curl(&url, &[&REPORT[..], &["--http2"]].concat()), &page("two"));
    assert_eq!(version, "1.1", "the client gets what the server chose");
    scene.wait_for_log(&format!("{} {port} HTTP/1.1 /index.html", Family::V4.client()));
}

/// Three requests on one connection, of which the second does not pass.
fn one_stream_is_denied(scene: &Scene) {
    let before = scene.world.counter("http_url_denied");
    let at = |path: &str| format!("http://{}{path}", Family::V4.server_at(CLEAR));
    let (large, denied, page) = (at("/large"), at("/denied/now"), at("/index.html"));
    let words = ["nghttp", "-n", "-s", "--no-dep", &large, &denied, &page];
    let said = scene.world.client.namespace.run(&words).successful().stdout;
    let status = |path: &str| {
        let line = said.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("{path} in {said}"));
        line.split_whitespace().rev().nth(2).unwrap_or_default().to_owned()
    };
    assert_eq!(["/large", "/denied/now", "/index.html"].map(status), ["200", "403", "200"], "{said}");
    assert_eq!(scene.world.counter("http_url_denied"), before + 1);
    assert!(scene.log().iter().all(|line| !line.contains("denied")), "nginx sees nothing of it");
}

fn many_streams(scene: &Scene) {
    let before = scene.world.counter("http2_sessions");
    for (url, connections) in [
        (format!("http://{}/index.html", Family::V4.server_at(CLEAR)), 4),
        (format!("https://{}/index.html", Family::V4.server_at(SECURED)), 2),
    ] {
        let clients = connections.to_string();
        let words = ["h2load", "-n", "4000", "-c", &clients, "-m", "100", &url];
        let said = scene.world.client.namespace.run(&words).successful().stdout;
        assert!(said.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
        assert!(said.contains("4000 2xx"), "{said}");
    }
    scene.world.wait_for_counter("http2_sessions", before + 5);
}

fn start_nginx(world: &World, files: &Path) -> Process {
    let directory = files.display();
    let tls = format!("ssl_certificate {directory}/good.pem; ssl_certificate_key {directory}/good.key;");
    let listen = |port: u16, how: &str| format!("listen {port}{how}; listen [::]:{port}{how};");
    let text = format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 1024; }}
         http {{
             log_format seen '$remote_addr $remote_port $server_protocol $request_uri';
             access_log {directory}/access.log seen;
             default_type text/plain; keepalive_requests 100000; root {directory}/www;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             server {{ {} {} }}
             server {{ {} {tls} }}
             server {{ {} {tls} }}
         }}",
        listen(CLEAR, " http2"),
        listen(PLAIN, ""),
        listen(SECURED, " ssl http2"),
        listen(OLD, " ssl"),
    );
    let config = files.join("nginx.conf");
    fs::write(&config, text).expect("nginx.conf");
    let (config, errors) = (config.display().to_string(), files.join("nginx.err").display().to_string());
    let nginx = world.server.namespace.start(&["nginx", "-e", &errors, "-c", &config]);
    wait::until("nginx listens", limits::SETTLE, || {
        let listening = world.server.namespace.run(&["ss", "-Htln"]).stdout;
        listening.contains(&format!(":{OLD}")).then_some(())
    });
    nginx
}

/// Puts the services into the gateway.
fn reconfigure(world: &World, files: &Path) {
    let config = world.gateway().config();
    let text = fs::read_to_string(config).expect("the configuration");
    let directory = files.display();
    let denied = "url_filter: [{ regex: '/denied/', action: reject }]";
    let services = format!(
        "services:
  clear_two: {{ proxy: http, http: {{ http2: true, {denied} }} }}
  web_two: {{ proxy: http, http: {{ http2: {{ prior_knowledge: false }}, {denied} }} }}
  https_two:
    proxy: tls
    tls:
      otherwise: bump
      keybridge: {{ trusted: {{ certificate: {directory}/trusted.pem, key: {directory}/trusted.key }} }}
      verify: {{ authorities: {directory}/web.pem, missing_list: permit, check_name: false }}
      stack: web_two
"
    );
    let text = replaced(&text, "services:\n", &services);
    let text = replaced(&text, "inbound_services: [plug, ", "inbound_services: [clear_two, web_two, https_two, plug, ");
    let listeners = "  - { port: 50910, service: clear_two }\n  - { port: 50911, service: https_two }\n";
    let text = replaced(&text, "listeners:\n", &format!("listeners:\n{listeners}"));
    let first = "  -A PRns1 -p tcp --dport 80 -j TPROXY --on-port 50000\n";
    let rules = "  -A PRns1 -p tcp --dport 9100:9109 -j TPROXY --on-port 50910
  -A PRns1 -p tcp --dport 9143:9149 -j TPROXY --on-port 50911\n";
    let text = replaced(&text, first, &format!("{rules}{first}"));
    fs::write(config, text).expect("another configuration");
    world.gateway().cli(&world.router, &["reload"]).successful();
}

#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the gateway's configuration has no {old:?}");
    text.replacen(old, new, 1)
}
