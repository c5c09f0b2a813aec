//! What answers in ns2 and ns3: nginx with a page and a large file, and `hosts/server.py` with a behaviour per port.

use crate::host::{Host, script};
use crate::limits;
use crate::process::Process;
use crate::wait;
use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What a port's last two digits mean to `hosts/server.py`.
pub(crate) mod port {
    pub(crate) const ECHO: u16 = 1;
    pub(crate) const GREETING: u16 = 2;
    pub(crate) const DIGEST: u16 = 3;
    pub(crate) const FINISHES_FIRST: u16 = 4;
    pub(crate) const RESETS: u16 = 5;
    pub(crate) const WATCHES: u16 = 6;
    pub(crate) const WHOAMI: u16 = 7;
    /// Nobody listens.
    pub(crate) const CLOSED: u16 = 50;
    /// The host's firewall drops what comes.
    pub(crate) const SILENT: u16 = 51;

    /// What the gateway does with a port's hundred (gateway.yaml).
    pub(crate) const MIRRORED: u16 = 8000;
    pub(crate) const IMMEDIATE: u16 = 8100;
    pub(crate) const FORWARDED: u16 = 8200;
    pub(crate) const FOREIGN_SOURCE: u16 = 8300;
    pub(crate) const NO_LISTENER: u16 = 8400;
    pub(crate) const UNTOUCHED: u16 = 8500;
    pub(crate) const FOREIGN_LISTEN: u16 = 8600;
    pub(crate) const NOT_LET_IN: u16 = 8700;
    pub(crate) const SELFTEST: u16 = 12080;
}

/// The servers of one host.
pub(crate) struct Servers {
    nginx: Process,
    script: Process,
    directory: PathBuf,
}

impl Servers {
    /// Starts them and waits until they listen. `name` is what the script calls itself.
    #[track_caller]
    pub(crate) fn start(host: &Host, name: &str) -> Servers {
        let directory = host.namespace.directory().join(name);
        fs::create_dir_all(directory.join("www")).expect("the world's directory takes another");
        fs::write(directory.join("www/index.html"), page(name)).expect("a page");
        let config = directory.join("nginx.conf");
        fs::write(&config, nginx_config(&directory)).expect("nginx.conf");
        let (config, errors) = (config.display().to_string(), directory.join("nginx.err").display().to_string());
        let nginx = host.namespace.start(&["nginx", "-e", &errors, "-c", &config]);
        let log = directory.join("server.log").display().to_string();
        let script = host.namespace.start(&["/usr/bin/python3", &script("server.py"), name, &log]);
        let servers = Servers { nginx, script, directory };
        wait::until("the server script listens", limits::SETTLE, || servers.events("listening").pop());
        servers
    }

    /// What the servers said about themselves, for a failed test.
    pub(crate) fn said(&self) -> String {
        let nginx = fs::read_to_string(self.directory.join("nginx.err")).unwrap_or_default();
        format!("{}{nginx}{}", self.nginx.stderr(), self.script.stderr())
    }

    /// Where files for nginx go.
    pub(crate) fn documents(&self) -> PathBuf {
        self.directory.join("www")
    }

    /// Whether nginx's access log has this request from this client address and port.
    #[track_caller]
    pub(crate) fn wait_for_request(&self, path: &str, client: IpAddr, port: u64) {
        let wanted = format!("{client} {port} {path}");
        wait::until(&format!("\"{wanted}\" in nginx's access log:\n{}", self.access_log()), limits::VISIBLE, || {
            self.access_log().lines().any(|line| line == wanted).then_some(())
        });
    }

    pub(crate) fn access_log(&self) -> String {
        fs::read_to_string(self.directory.join("access.log")).unwrap_or_default()
    }

    /// All of the script's events of a kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.directory.join("server.log")).unwrap_or_default();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["event"] == kind).collect()
    }

    /// Events of a kind on a port, from a client address.
    pub(crate) fn events_of(&self, kind: &str, port: u16, client: IpAddr) -> Vec<Value> {
        let client = client.to_string();
        self.events(kind).into_iter().filter(|event| event["port"] == port && event["peer"] == *client).collect()
    }

    /// How the connection on this port from this client's port ended, as the server saw it.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, port: u16, client: IpAddr, client_port: &Value) -> Value {
        wait::until(&format!("the server's end of {client} {client_port} on port {port}"), limits::VISIBLE, || {
            self.events_of("ended", port, client).into_iter().find(|event| event["peer_port"] == *client_port)
        })
    }
}

pub(crate) fn page(name: &str) -> String {
    format!("<p>This page comes from {name}.</p>\n")
}

/// One process, in the foreground: what the test started is what the test ends.
fn nginx_config(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 4096; }}
         http {{
             log_format seen '$remote_addr $remote_port $request_uri';
             access_log {directory}/access.log seen;
             default_type text/plain; sendfile on; keepalive_timeout 5;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             server {{ listen 80; listen [::]:80; root {directory}/www; }}
         }}"
    )
}
