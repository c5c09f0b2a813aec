//! The whole table as text: who changes it sees what else changes.

use super::*;

#[test]
fn turns() {
    let mut table = String::new();
    for state in State::ALL {
        let now: Vec<&str> = Known::ALL
            .iter()
            .filter(|known| state.turn(Some(**known)) == Turn::Now)
            .map(|known| known.name())
            .collect();
        table +=
            &format!("{state:?}: {}\n", if now.len() > 20 { format!("{} commands", now.len()) } else { now.join(" ") });
    }
    assert_eq!(
        table,
        "Greeting: \n\
         Login: AUTH CCC FEAT HELP NOOP OPTS PBSZ PROT QUIT REIN SYST USER\n\
         Password: AUTH CCC FEAT HELP NOOP OPTS PASS PBSZ PROT QUIT REIN SYST USER\n\
         Account: ACCT AUTH CCC FEAT HELP NOOP OPTS PBSZ PROT QUIT REIN SYST USER\n\
         Conversation: 48 commands\n\
         Rename: ABOR QUIT RNTO\n\
         Data: ABOR STAT\n\
         Quit: \n"
    );
}

#[test]
fn refusals_have_their_codes() {
    for (state, known, code) in [
        (State::Login, Known::Pass, 503),
        (State::Login, Known::Acct, 503),
        (State::Login, Known::Retr, 530),
        (State::Password, Known::Acct, 503),
        (State::Conversation, Known::User, 530),
        (State::Conversation, Known::Rnto, 503),
        (State::Rename, Known::Retr, 503),
        (State::Quit, Known::Noop, 500),
        (State::Greeting, Known::User, 500),
        (State::Data, Known::User, 530),
    ] {
        let Turn::Refused(refusal) = state.turn(Some(known)) else { panic!("{state:?} {known:?}") };
        assert_eq!(refusal.code, code, "{state:?} {known:?}");
    }
    assert_eq!(State::Data.turn(Some(Known::Quit)), Turn::Later);
    assert_eq!(State::Data.turn(None), Turn::Later);
    assert_eq!(State::Login.turn(None), Turn::Now);
}

#[test]
fn replies_move_on() {
    use State::*;
    for (state, known, code, next) in [
        (Greeting, Known::Greeting, 220, Login),
        (Greeting, Known::Greeting, 120, Greeting),
        (Login, Known::User, 331, Password),
        (Login, Known::User, 230, Conversation),
        (Login, Known::User, 332, Account),
        (Login, Known::User, 530, Login),
        (Password, Known::Pass, 230, Conversation),
        (Password, Known::Pass, 202, Conversation),
        (Password, Known::Pass, 332, Account),
        (Password, Known::Pass, 530, Login),
        (Password, Known::Syst, 215, Password),
        (Account, Known::Acct, 230, Conversation),
        (Account, Known::Acct, 530, Login),
        (Conversation, Known::Pass, 503, Conversation),
        (Conversation, Known::Rnfr, 350, Rename),
        (Conversation, Known::Rnfr, 550, Conversation),
        (Rename, Known::Rnto, 250, Conversation),
        (Rename, Known::Rnto, 550, Conversation),
        (Conversation, Known::Rein, 220, Login),
        (Conversation, Known::Quit, 221, Quit),
        (Conversation, Known::Quit, 500, Conversation),
    ] {
        assert_eq!(state.after(Some(known), code), next, "{state:?} {known:?} {code}");
    }
}
