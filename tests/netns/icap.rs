//! Scanning by ICAP with a real scanner: c-icap with ClamAV's engine, between curl and nginx. What is infected never reaches who
//! asked for it, nor the server that it was meant for; what is clean arrives as it was sent; without a scanner there is no verdict.
//!
//! The engine knows one signature, made here: its database is a folder of the world, bound over ClamAV's in the scanner's own
//! mount namespace. Ports 9200 and 9201 of ns2 are nginx, 1344 of ns3 the scanner.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::address::Family;
use crate::limits;
use crate::process::{Ended, Process};
use crate::servers::page;
use crate::wait;
use crate::world::{Middle, World};

/// Scanned, and refused without a verdict.
const SCANNED: u16 = 9200;
/// Scanned, and passed without a verdict.
const LENIENT: u16 = 9201;
const SCANNER: u16 = 1344;
/// What the scanner's one signature looks for.
const VIRUS: &str = "limpid-tests-consider-this-a-virus";

struct Scene {
    world: World,
    _nginx: Process,
    scanner: Option<Process>,
    files: PathBuf,
}

impl Scene {
    fn new() -> Option<Scene> {
        let world = World::new(Middle::AfPacket)?;
        let files = world.directory().join("icap");
        for folder in ["www", "uploads", "clamav", "tmp"] {
            fs::create_dir_all(files.join(folder)).expect("the world's directory takes another");
        }
        fs::write(files.join("www/clean.html"), page("icap")).expect("a page");
        fs::write(files.join("www/infected.html"), format!("<p>{VIRUS}</p>\n")).expect("a page");
        // Text, so that the scanner does not take it for a kind that it leaves alone; larger than what is held.
        fs::write(files.join("www/large.txt"), "0123456789abcde\n".repeat(100_000)).expect("a large file");
        let large = format!("{}{VIRUS}\n", "0123456789abcde\n".repeat(100_000));
        fs::write(files.join("www/large-infected.txt"), large).expect("a large file");
        let nginx = start_nginx(&world, &files);
        let mut scene = Scene { world, _nginx: nginx, scanner: None, files };
        scene.scanner = Some(scene.start_scanner());
        reconfigure(&scene.world);
        Some(scene)
    }

    fn start_scanner(&self) -> Process {
        let directory = self.files.display();
        let hex = VIRUS.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        fs::write(self.files.join("clamav/limpid.ndb"), format!("Limpid.Test-1:0:*:{hex}\n")).expect("a signature");
        let text = format!(
            "PidFile {directory}/c-icap.pid\nCommandsSocket {directory}/c-icap.ctl\nUser root\nGroup root
             Port {SCANNER}\nStartServers 1\nMaxServers 2\nThreadsPerChild 10\nMinSpareThreads 5\nMaxSpareThreads 20
             KeepAliveTimeout 60\nTimeout 60\nTmpDir {directory}/tmp\nMaxMemObject 1048576
             ModulesDir /usr/lib/x86_64-linux-gnu/c_icap\nServicesDir /usr/lib/x86_64-linux-gnu/c_icap
             TemplateDir /usr/share/c_icap/templates/\nTemplateDefaultLanguage en\nLoadMagicFile /etc/c-icap/c-icap.magic
             ServerLog {directory}/scanner.log\nAccessLog {directory}/scans.log\nDebugLevel 1
             Module common clamav_mod.so\nclamav_mod.TmpDir {directory}/tmp
             Service antivirus virus_scan.so\nvirus_scan.DefaultEngine clamav
             virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE\nvirus_scan.SendPercentData 0
             virus_scan.MaxObjectSize 20M\nvirus_scan.StartSendPercentDataAfter 20M\nvirus_scan.Allow204Responces on\n"
        );
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        // Of one that was killed, it would be taken for its own.
        let _ = fs::remove_file(self.files.join("c-icap.pid"));
        let config = self.files.join("c-icap.conf");
        fs::write(&config, text).expect("c-icap.conf");
        let script =
            format!("mount --bind {directory}/clamav /var/lib/clamav && exec c-icap -N -f {}", config.display());
        let scanner =
            self.world.other.namespace.start(&["unshare", "-m", "-p", "-f", "--kill-child", "bash", "-c", &script]);
        let log = || fs::read_to_string(self.files.join("scanner.log")).unwrap_or_default();
        wait::until(&format!("the scanner listens\n{}{}", log(), scanner.stderr()), limits::SETTLE, || {
            let listening = self.world.other.namespace.run(&["ss", "-Htln"]).stdout;
            listening.contains(&format!(":{SCANNER}")).then_some(())
        });
        scanner
    }

    fn curl(&self, port: u16, path: &str, more: &[&str]) -> Ended {
        let url = format!("http://{}/{path}", Family::V4.server_at(port));
        self.world.client.namespace.run(&[&["curl", "-sS", "-m", "60"], more, &[&url]].concat())
    }

    /// Status and body.
    fn get(&self, port: u16, path: &str) -> (String, String) {
        let said = self.curl(port, path, &["-w", "\n%{http_code}"]).successful().stdout;
        let (body, status) = said.rsplit_once('\n').expect("a status");
        (status.to_owned(), body.to_owned())
    }

    fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.files.join(name);
        fs::write(&file, bytes).expect("a file");
        let words = ["-T", &file.display().to_string(), "-o", "/dev/null", "-w", "%{http_code}"];
        self.curl(SCANNED, &format!("uploads/{name}"), &words).successful().stdout
    }

    fn uploaded(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.files.join("uploads").join(name)).ok()
    }
}

#[test]
fn what_a_real_scanner_says_is_done() {
    let Some(mut scene) = Scene::new() else { return };
    downloads(&scene);
    uploads(&scene);
    without_a_scanner(&mut scene);
}

fn downloads(scene: &Scene) {
    assert_eq!(scene.get(SCANNED, "clean.html"), ("200".to_owned(), page("icap")));
    let large = scene.curl(SCANNED, "large.txt", &[]).successful().stdout;
    assert_eq!(large.len(), 1_600_000);
    assert!(large == "0123456789abcde\n".repeat(100_000), "as it was sent");
    for path in ["infected.html", "large-infected.txt"] {
        let (status, body) = scene.get(SCANNED, path);
        assert_eq!(status, "403", "{path}: {body}");
        assert!(body.contains("Limpid.Test-1") && !body.contains(VIRUS), "{path}: {body}");
        // Not a byte of it came before the verdict.
        assert!(!body.contains("0123456789abcde"), "{path}");
    }
    scene.world.wait_for_counter("session_scanner_denied", 1);
}

fn uploads(scene: &Scene) {
    let clean = "clean upload\n".repeat(20_000).into_bytes();
    assert_eq!(scene.upload("clean.txt", &clean), "201");
    assert_eq!(scene.uploaded("clean.txt").as_ref(), Some(&clean));
    let infected = format!("{}{VIRUS}\n", "infected upload\n".repeat(20_000)).into_bytes();
    assert_eq!(scene.upload("infected.txt", &infected), "403");
    assert_eq!(scene.uploaded("infected.txt"), None, "the server has seen nothing of it");
}

/// The one service refuses what nobody has judged, the other one passes it.
fn without_a_scanner(scene: &mut Scene) {
    scene.scanner = None;
    wait::until("the scanner is gone", limits::SETTLE, || {
        let listening = scene.world.other.namespace.run(&["ss", "-Htln"]).stdout;
        (!listening.contains(&format!(":{SCANNER}"))).then_some(())
    });
    assert_eq!(scene.get(SCANNED, "clean.html").0, "503");
    assert_eq!(scene.get(LENIENT, "clean.html"), ("200".to_owned(), page("icap")));
    scene.scanner = Some(scene.start_scanner());
    wait::until("it is asked again", limits::SETTLE, || (scene.get(SCANNED, "clean.html").0 == "200").then_some(()));
    assert_eq!(scene.get(LENIENT, "infected.html").0, "403");
}

fn start_nginx(world: &World, files: &Path) -> Process {
    let directory = files.display();
    let text = format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 1024; }}
         http {{
             access_log off; default_type text/plain; client_max_body_size 100m;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             server {{
                 listen {SCANNED}; listen {LENIENT}; root {directory}/www;
                 location /uploads/ {{ root {directory}; dav_methods PUT; }}
             }}
         }}"
    );
    let config = files.join("nginx.conf");
    fs::write(&config, text).expect("nginx.conf");
    let (config, errors) = (config.display().to_string(), files.join("nginx.err").display().to_string());
    let nginx = world.server.namespace.start(&["nginx", "-e", &errors, "-c", &config]);
    wait::until("nginx listens", limits::SETTLE, || {
        let listening = world.server.namespace.run(&["ss", "-Htln"]).stdout;
        listening.contains(&format!(":{LENIENT}")).then_some(())
    });
    nginx
}

/// Puts the services into the gateway.
fn reconfigure(world: &World) {
    let config = world.gateway().config();
    let text = fs::read_to_string(config).expect("the configuration");
    let scanner = std::net::SocketAddr::new(Family::V4.other(), SCANNER);
    let icap = format!("server: \"{scanner}\", reqmod: /virus_scan, respmod: /virus_scan");
    let services = format!(
        "services:
  scanned: {{ proxy: http, http: {{ methods: [GET, PUT], icap: {{ {icap} }} }} }}
  lenient: {{ proxy: http, http: {{ icap: {{ {icap}, on_failure: pass }} }} }}
"
    );
    let text = replaced(&text, "services:\n", &services);
    let text = replaced(&text, "inbound_services: [plug, ", "inbound_services: [scanned, lenient, plug, ");
    let listeners = "  - { port: 50920, service: scanned }\n  - { port: 50921, service: lenient }\n";
    let text = replaced(&text, "listeners:\n", &format!("listeners:\n{listeners}"));
    let first = "  -A PRns1 -p tcp --dport 80 -j TPROXY --on-port 50000\n";
    let rules = format!(
        "  -A PRns1 -p tcp --dport {SCANNED} -j TPROXY --on-port 50920
  -A PRns1 -p tcp --dport {LENIENT} -j TPROXY --on-port 50921\n"
    );
    let text = replaced(&text, first, &format!("{rules}{first}"));
    fs::write(config, text).expect("another configuration");
    world.gateway().cli(&world.router, &["reload"]).successful();
}

#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the gateway's configuration has no {old:?}");
    text.replacen(old, new, 1)
}
