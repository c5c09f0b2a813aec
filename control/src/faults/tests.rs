//! Faults: order, duplicates, bounds and the words of the hint.

use super::*;

fn place(line: u32) -> Place {
    Place { file: "a.yaml".into(), line, column: 1 }
}

#[test]
fn faults_print_in_the_order_of_the_file_each_once() {
    let mut faults = Faults::new();
    faults.add(place(9), "late");
    faults.add_hint(place(2), "early", "mend it");
    faults.add(place(9), "late");
    let text = faults.or_ok(()).unwrap_err().to_string();
    assert_eq!(text, "a.yaml:2:1: early\n    hint: mend it\na.yaml:9:1: late");
}

#[test]
fn a_thoroughly_wrong_file_is_cut_and_says_so() {
    let mut faults = Faults::new();
    for line in 1..=limits::FAULTS_MAX as u32 + 7 {
        faults.add(place(line), "wrong");
    }
    assert_eq!(faults.len(), limits::FAULTS_MAX + 7);
    assert!(faults.to_string().ends_with("\nand 7 more"));
}

#[test]
fn nearest_finds_typos_and_nothing_else() {
    let known = ["interfaces", "routes", "zones", "services"];
    assert_eq!(nearest("interfcaes", known), Some("interfaces"));
    assert_eq!(nearest("zone", known), Some("zones"));
    assert_eq!(nearest("bananas", known), None);
}
