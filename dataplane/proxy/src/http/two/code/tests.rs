//! Codes that say something to the other end are passed, faults are not.

use h2::Reason;

use super::{to_client, to_server};

#[test]
fn codes_keep_their_meaning_for_the_other_end() {
    for code in [Reason::CANCEL, Reason::REFUSED_STREAM, Reason::HTTP_1_1_REQUIRED, Reason::NO_ERROR] {
        assert_eq!(to_client(Some(code)), code);
    }
    for code in [Some(Reason::PROTOCOL_ERROR), Some(Reason::COMPRESSION_ERROR), Some(Reason::from(0x77)), None] {
        assert_eq!((to_client(code), to_server(code)), (Reason::INTERNAL_ERROR, Reason::CANCEL));
    }
    assert_eq!(to_server(Some(Reason::INTERNAL_ERROR)), Reason::INTERNAL_ERROR);
}
