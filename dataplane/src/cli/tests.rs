//! Arguments as operators type them, and what becomes of a file.

use std::path::Path;

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
}

fn command(line: &str) -> Command {
    parse(line).unwrap_or_else(|kind| panic!("{line}: {kind}")).command
}

#[test]
fn the_arguments_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn options_stand_before_or_behind_the_command() {
    for line in ["limpid -c a.yaml -s b.sock --json status", "limpid status --json --socket b.sock --config a.yaml"] {
        let cli = parse(line).expect(line);
        assert_eq!(cli.config_given(), Some(Path::new("a.yaml")));
        assert_eq!(cli.socket.as_deref(), Some(Path::new("b.sock")));
        assert!(cli.json);
        assert!(matches!(cli.command, Command::Status { all: false }));
    }
}

fn shown(local: &Local) -> String {
    format!("{} {}", protocol::name(local.protocol), local.local)
}

#[test]
fn requests_read_as_documented() {
    let Command::Assign(assign) = command("limpid assign tcp 10.0.0.1:5001 203.0.113.9:80 --flags LISTEN,ONCE") else {
        panic!("assign");
    };
    assert_eq!((shown(&assign.local).as_str(), assign.foreign.port()), ("tcp 10.0.0.1:5001", 80));
    assert_eq!(assign.flags, Some(Flags::LISTEN | Flags::ONCE));
    assert!(!assign.reuse && assign.expires.is_none() && assign.remote.is_none());
    let Command::Assign(assign) =
        command("limpid assign udp [fd00::1]:53 [2001:db8::1]:53 --reuse --expires 30 --remote [fd00::2]:4000")
    else {
        panic!("assign");
    };
    assert_eq!((shown(&assign.local).as_str(), assign.expires), ("udp [fd00::1]:53", Some(30)));
    let Command::Flags { local, flags: None } = command("limpid flags tcp 10.0.0.1:5001") else { panic!("flags") };
    assert_eq!(local.local.port(), 5001);
    let Command::Flags { flags: Some(flags), .. } = command("limpid flags tcp 10.0.0.1:5001 none") else {
        panic!("flags");
    };
    assert!(flags.is_empty());
    assert!(matches!(command("limpid unassign tcp 10.0.0.1:5001"), Command::Unassign(_)));
    assert!(matches!(command("limpid query 17 10.0.0.1:5001"), Command::Query(Local { protocol: 17, .. })));
    assert!(matches!(command("limpid alloc tcp 10.0.0.1:5001"), Command::Alloc(_)));
    assert!(matches!(command("limpid connect tcp 10.0.0.1:5001 10.9.9.9:1"), Command::Connect { .. }));
    assert!(matches!(command("limpid flows --limit 5"), Command::Flows { limit: 5 }));
}

#[test]
fn ends_of_flows_may_lack_a_port() {
    let Command::Explain(flow) = command("limpid explain intra icmp 10.0.0.2 [2001:db8::1]") else { panic!("explain") };
    assert_eq!(
        (flow.protocol, flow.source, flow.destination),
        (1, end("10.0.0.2:0").expect("an end"), end("2001:db8::1").expect("an end"))
    );
    assert_eq!(end("[fd00::1]:80").map(|end| end.port()), Ok(80));
    for wrong in ["10.0.0.2:", "10.0.0:80", "fd00::1:80:x", "[fd00::1", "host:80", ""] {
        assert!(end(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn wrong_lines_are_usage_errors() {
    for (line, kind) in [
        ("limpid", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("limpid fly", ErrorKind::InvalidSubcommand),
        ("limpid explain intra tcp 10.0.0.2:1", ErrorKind::MissingRequiredArgument),
        ("limpid query tpc 10.0.0.1:5001", ErrorKind::ValueValidation),
        ("limpid query tcp 10.0.0.1", ErrorKind::ValueValidation),
        ("limpid flags tcp 10.0.0.1:1 LISTENING", ErrorKind::ValueValidation),
        ("limpid flows --limit many", ErrorKind::ValueValidation),
        ("limpid status now", ErrorKind::UnknownArgument),
    ] {
        assert_eq!(parse(line).map(|cli| cli.json), Err(kind), "{line}");
    }
}

fn run(line: &str) -> Done {
    dispatch(&parse(line).unwrap_or_else(|kind| panic!("{line}: {kind}")))
}

fn file(text: &str) -> (PathBuf, Removed) {
    let name = format!("limpid-cli-{}-{:p}.yaml", std::process::id(), text.as_ptr());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).expect("the file can be written");
    (path.clone(), Removed(path))
}

/// Takes the file away again.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it was written above");
    }
}

const GOOD: &str = "interfaces:\n  intra: { port: net_null0, addresses: [10.0.0.1/24] }\n";

#[test]
fn a_good_file_is_ok_and_explains() {
    let (path, _removed) = file(GOOD);
    let path = path.display();
    assert!(run(&format!("limpid check -c {path}")).is_ok());
    assert!(run(&format!("limpid check --json -c {path}")).is_ok());
    assert!(run(&format!("limpid explain -c {path} intra tcp 10.0.0.2:1 10.9.9.9:80")).is_ok());
    for wrong in ["dmz tcp 10.0.0.2:1 10.9.9.9:80", "intra tcp 10.0.0.2:1 [fd00::1]:80"] {
        let outcome = run(&format!("limpid explain -c {path} {wrong}"));
        assert!(matches!(outcome, Err(Failure::Wrong(_))), "{outcome:?}");
    }
}

#[test]
fn a_bad_file_is_wrong_with_all_its_faults() {
    let (path, _removed) = file("interfaces:\n  intra: { port: net_null0, adresses: [10.0.0.1/24] }\nzonen: {}\n");
    let path = path.display();
    let Err(Failure::Wrong(text)) = run(&format!("limpid check -c {path}")) else { panic!("not noticed") };
    assert!(text.contains("limpid-cli") && text.contains(":2:") && text.contains(":3:"), "{text}");
    for line in ["check --json", "explain intra tcp 10.0.0.2:1 10.9.9.9:80", "status"] {
        let outcome = run(&format!("limpid -c {path} {line}"));
        assert!(matches!(outcome, Err(Failure::Wrong(_))), "{line}: {outcome:?}");
    }
}

#[test]
fn nobody_there_is_said_so() {
    for line in [
        "status",
        "flows",
        "entries",
        "stop",
        "reload",
        "query tcp 10.0.0.1:1",
        "explain intra tcp 10.0.0.2:1 10.9.9.9:80",
    ] {
        let outcome = run(&format!("limpid -s nowhere.sock {line}"));
        let Err(Failure::Failed(text)) = outcome else { panic!("{line}: {outcome:?}") };
        assert!(text.contains("nowhere.sock") && text.ends_with("is limpid running?"), "{text}");
    }
}

#[test]
fn failures_have_their_exit_codes() {
    assert_eq!(report(&Failure::Failed("it did not work".to_owned())), ExitCode::from(1));
    assert_eq!(report(&Failure::Wrong("it was wrong".to_owned())), ExitCode::from(2));
    assert_eq!(report(&Failure::NobodyReads), ExitCode::SUCCESS);
}
