//! Lines as commands, and what logs show of them.

use proptest::prelude::*;

use super::{Command, CommandError};

fn parsed(line: &str) -> Result<(String, String), CommandError> {
    let command = Command::parse(line.as_bytes())?;
    Ok((command.name().to_owned(), String::from_utf8_lossy(command.argument()).into_owned()))
}

#[test]
fn a_name_one_space_and_the_rest() {
    let ok = |name: &str, argument: &str| Ok((name.to_owned(), argument.to_owned()));
    assert_eq!(parsed("quit"), ok("QUIT", ""));
    assert_eq!(parsed("Retr a b "), ok("RETR", "a b "));
    assert_eq!(parsed("CWD  x"), ok("CWD", " x"));
    assert_eq!(parsed(""), Err(CommandError::Empty));
    assert_eq!(parsed("   "), Err(CommandError::Empty));
    for bad in [" USER a", "US\tER a", "USER\ta", "A-B", "ABCDEFGHIJKLMNOPQ", "ÄB"] {
        assert_eq!(parsed(bad), Err(CommandError::BadName), "{bad}");
    }
}

#[test]
fn logs_never_show_passwords() {
    let shown = |line: &str| Command::parse(line.as_bytes()).expect("it is a command").to_string();
    assert_eq!(shown("pass secret"), "PASS ***");
    assert_eq!(shown("ACCT secret"), "ACCT ***");
    assert_eq!(shown("RETR \u{1b}[2J"), "RETR \\x1b[2J");
    assert_eq!(format!("{:?}", Command::parse(b"PASS secret")), "Ok(PASS ***)");
}

#[test]
fn an_argument_stays_on_its_line() {
    let mut command = Command::parse(b"CWD a").expect("it is a command");
    for bad in ["a\r\nDELE b", "a\rb", "a\nb", "a\0b"] {
        assert_eq!(command.set_argument(bad), Err(CommandError::BadArgument));
    }
    assert_eq!(command.line(), b"CWD a");
}

proptest! {
    #[test]
    fn a_command_reads_as_it_was_written(line in prop::collection::vec(any::<u8>(), 0..40)) {
        let Ok(command) = Command::parse(&line) else { return Ok(()) };
        prop_assert_eq!(Command::parse(&command.line()), Ok(command));
    }
}
