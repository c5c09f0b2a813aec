//! What scripts do and how they fail, each with a sentence for the operator: a denial is told from a fault, and a fault from a budget.

use crate::event::events;

events! {
    Calls "script_calls" "Hooks of scripts that were run."
    Denied "script_denied" "Sessions, requests, commands or handshakes that a script denied or rejected."
    Error "script_errors" "Hooks that ended with an error of the script; the log has its line."
    OutOfInstructions "script_out_of_instructions" "Hooks that used up their instructions, as an endless loop does."
    OutOfMemory "script_out_of_memory" "Hooks that needed more memory than the script may have; its state was made anew."
    BadAnswer "script_bad_answers" "Hooks that returned what is no answer."
    Started "script_states" "States of scripts that were made: one for each core and script, and one after each that ran out of memory."
    LinesDropped "script_lines_dropped" "Log lines of scripts beyond what one hook may write."
    SharedEvicted "script_shared_evicted" "Values in `shared` that had to go because it was full."
}
