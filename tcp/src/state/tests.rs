use super::*;

const EVENTS: [Event; 8] = [
    Event::SynAck,
    Event::Syn,
    Event::SynAcknowledged,
    Event::Close,
    Event::Fin,
    Event::FinAcknowledged,
    Event::TwoMsl,
    Event::Abort,
];

/// Every transition there is, against RFC 9293, figure 5. `cargo test every_transition -- --nocapture` prints it.
#[test]
fn every_transition() {
    let mut table = String::new();
    for &state in State::ALL {
        for event in EVENTS {
            let next = state.on(event);
            if next != state {
                table += &format!("{state} --{event:?}-> {next}\n");
            }
        }
    }
    eprintln!("{table}");
    assert_eq!(
        table,
        "\
SYN-SENT --SynAck-> ESTABLISHED
SYN-SENT --Syn-> SYN-RECEIVED
SYN-SENT --Abort-> CLOSED
SYN-RECEIVED --SynAcknowledged-> ESTABLISHED
SYN-RECEIVED --Abort-> CLOSED
ESTABLISHED --Close-> FIN-WAIT-1
ESTABLISHED --Fin-> CLOSE-WAIT
ESTABLISHED --Abort-> CLOSED
FIN-WAIT-1 --Fin-> CLOSING
FIN-WAIT-1 --FinAcknowledged-> FIN-WAIT-2
FIN-WAIT-1 --Abort-> CLOSED
FIN-WAIT-2 --Fin-> TIME-WAIT
FIN-WAIT-2 --Abort-> CLOSED
CLOSE-WAIT --Close-> LAST-ACK
CLOSE-WAIT --Abort-> CLOSED
CLOSING --FinAcknowledged-> TIME-WAIT
CLOSING --Abort-> CLOSED
LAST-ACK --FinAcknowledged-> CLOSED
LAST-ACK --Abort-> CLOSED
TIME-WAIT --TwoMsl-> CLOSED
TIME-WAIT --Abort-> CLOSED
"
    );
}
