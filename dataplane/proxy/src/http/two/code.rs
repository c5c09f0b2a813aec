//! Codes of RST_STREAM from one side to the other (RFC 9113, 7): each side learns what it may act upon, and nothing that
//! would be told of the wrong end.

use h2::Reason;

/// What a client is told of a stream that its server has reset.
///
/// REFUSED_STREAM and HTTP_1_1_REQUIRED say that nothing was done, and are acted upon; the codes of a fault are the server's
/// about us, and would be taken for the client's own.
pub(super) fn to_client(code: Option<Reason>) -> Reason {
    match code {
        Some(
            code @ (Reason::NO_ERROR
            | Reason::CANCEL
            | Reason::REFUSED_STREAM
            | Reason::HTTP_1_1_REQUIRED
            | Reason::ENHANCE_YOUR_CALM),
        ) => code,
        _ => Reason::INTERNAL_ERROR,
    }
}

/// What a server is told of a stream that its client has reset.
pub(super) fn to_server(code: Option<Reason>) -> Reason {
    match code {
        Some(code @ (Reason::CANCEL | Reason::INTERNAL_ERROR)) => code,
        _ => Reason::CANCEL,
    }
}

/// Has the server done nothing with the request, so that it may be sent again?
///
/// RFC 9113, 8.7: "The REFUSED_STREAM error code can be included in a RST_STREAM frame to indicate that the stream is being
/// closed prior to any processing having occurred", and streams beyond the last one of a GOAWAY "have not been processed".
pub(super) fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests;
