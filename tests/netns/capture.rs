//! What went over a host's device, as `tcpdump` wrote it and `tshark` reads it: an oracle of TCP that is not ours.
//!
//! What must hold: nothing is missing in a capture (the kernel's drop count is checked), all sums are verified, and a host's own
//! frames have theirs (offloads are off). Captured at the hosts' ends: at the gateway's, a driver may go past the tap.

use crate::host::{DEVICE, Host};
use crate::limits;
use crate::process::Process;
use crate::wait;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A running capture of all TCP of a host.
pub(crate) struct Capture {
    process: Process,
    file: PathBuf,
}

/// A finished one.
pub(crate) struct Captured {
    file: PathBuf,
}

/// The servers' ports: what the bytes there may look like to `tshark` is nobody's concern.
const BYTES: [&str; 2] = ["tcp.port==80,data", "tcp.port==8000-8199,data"];

/// How grave `tshark` finds something, from "note" on: what is below is told of every connection.
const NOTE: u64 = 0x0040_0000;

impl Capture {
    #[track_caller]
    pub(crate) fn start(host: &Host, name: &str) -> Capture {
        let file = host.namespace.directory().join(format!("{name}.pcap"));
        let path = file.display().to_string();
        let words =
            ["tcpdump", "-Z", "root", "-ni", DEVICE, "-s", "0", "-B", "65536", "--immediate-mode", "-w", &path, "tcp"];
        let process = host.namespace.start(&words);
        wait::until("tcpdump listens", limits::VISIBLE, || process.stderr().contains("listening on").then_some(()));
        Capture { process, file }
    }

    /// Ends it; what was on the wire before is in it, whole.
    #[track_caller]
    pub(crate) fn stop(self) -> Captured {
        // What the last program's kernel still says after its end; nothing tells when that was all.
        let _ = wait::poll(Duration::from_millis(300), || None::<()>);
        self.process.signal("INT");
        let ended = self.process.finish(limits::VISIBLE).successful();
        assert!(ended.stderr.contains("\n0 packets dropped by kernel"), "{}", ended.stderr);
        Captured { file: self.file }
    }
}

impl Captured {
    /// The fields of the frames that match, a row each; a field that occurs several times is joined by `|`.
    #[track_caller]
    pub(crate) fn fields(&self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-n", "-Y", filter, "-T", "fields"]);
        // Numbers as they are on the wire, and no opinion of what the bytes mean.
        command.args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
        command.args(["-o", "tcp.relative_sequence_numbers:FALSE", "-d", BYTES[0], "-d", BYTES[1]]);
        command.args(["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"]);
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = command.output().expect("tshark is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark {filter}: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The kinds of what `tshark`'s experts find worth a note or more, and who sent the frame.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<(IpAddr, String)> {
        let rows = self.fields("_ws.expert", &["ip.src", "ipv6.src", "_ws.expert.severity", "_ws.expert.message"]);
        let found = rows.iter().flat_map(|row| {
            let [v4, v6, severities, messages] = row.as_slice() else { panic!("four fields: {row:?}") };
            let sender = v4.parse().or_else(|_| v6.parse()).unwrap_or_else(|_| panic!("an address: {row:?}"));
            let grave = |severity: &str| severity.parse::<u64>().is_ok_and(|severity| severity >= NOTE);
            let notes = severities.split('|').zip(messages.split('|')).filter(move |(severity, _)| grave(severity));
            notes.map(move |(_, message)| (sender, kind(message)))
        });
        found.collect()
    }
}

/// "Duplicate ACK (#12)" is of the kind of "Duplicate ACK (#1)".
fn kind(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}
