//! What is counted of scanning: how often was asked, what came of it, and why no verdict came.
//!
//! Each failure is an event of its own; what becomes of the message then is `icap_denied_on_failure` or `icap_passed_on_failure`.

use crate::event::events;

events! {
    Asked "icap_asked" "A message was given to the scanner."
    Clean "icap_clean" "The scanner had nothing against a message (204)."
    Changed "icap_changed" "The scanner gave a message back itself (200), changed or not."
    Answered "icap_requests_answered" "The scanner answered a request itself, in place of the server."
    Infected "icap_infected" "The scanner named an infection or a violation; the client was told 403."
    Repaired "icap_repaired" "The scanner named an infection that it has removed; the message was passed as it gave it back."
    Continued "icap_continued" "The scanner wanted to see more than the preview."
    Options "icap_options" "The scanner was asked what it can do (OPTIONS)."
    Reused "icap_connections_reused" "A message went over a scanner's connection that was there already."
    Retried "icap_retried" "A message was given again: the idle connection was being closed by the scanner."

    SkippedType "icap_skipped_type" "A response was not scanned: the service skips its content type."
    SkippedTransfer "icap_skipped_transfer" "A message was not scanned: the scanner does not want its file extension (Transfer-Ignore)."
    SkippedLarge "icap_skipped_large" "A message was not scanned: it is larger than the service lets scan, and the service lets such pass."
    DeniedLarge "icap_denied_large" "A message is larger than the service lets scan; it was refused."
    RangeDropped "icap_ranges_dropped" "A request for a part was made one for the whole: a scanner cannot judge a part."

    NotConnected "icap_not_connected" "The scanner could not be connected."
    Busy "icap_busy" "The scanner takes no more connections at once (Max-Connections), and none was free in time."
    TimedOut "icap_timed_out" "The scanner did not answer, or did not go on, within the service's time."
    Closed "icap_closed" "The scanner closed its connection in the middle of an answer."
    HeadInvalid "icap_bad_head" "The scanner's answer is no ICAP head: version, status, fields (RFC 3507, 4.3)."
    HeadLarge "icap_head_too_large" "The scanner's answer has a head larger than is read."
    EncapsulatedInvalid "icap_bad_encapsulated" "The scanner's answer does not say where its parts are (RFC 3507, 4.4.1)."
    MessageInvalid "icap_bad_message" "The HTTP head that the scanner gave back is none that we would take from anybody."
    BodyInvalid "icap_bad_body" "The body that the scanner gave back is not framed as it must be, or not as long as its head says."
    StatusUnexpected "icap_unexpected_status" "The scanner answered with an error, or with a status that does not fit what was asked."
    MethodMissing "icap_method_missing" "The scanner does not do what the service asks of it (Methods)."
    Redirected "icap_request_redirected" "The scanner changed a request's method or URL: the policy had decided about another one."
    DeniedOnFailure "icap_denied_on_failure" "No verdict came; the client was told 503."
    PassedOnFailure "icap_passed_on_failure" "No verdict came; the message was passed, as the service says."
}
