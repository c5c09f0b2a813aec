//! Placement without EAL.

use super::*;

#[test]
fn the_main_lcore_gets_what_the_workers_leave() {
    let (value, workers) = place(&[1, 3], &[0, 1, 2, 3]).unwrap();
    assert_eq!(value, "0@(0,2),1@1,2@3");
    assert_eq!(workers.iter().map(|worker| (worker.id, worker.cpu())).collect::<Vec<_>>(), [(1, 1), (2, 3)]);
}

#[test]
fn the_main_lcore_shares_when_the_workers_take_all() {
    assert_eq!(place(&[0, 1], &[0, 1]).unwrap().0, "0@(0,1),1@0,2@1");
}

#[test]
fn a_core_that_is_not_ours_is_named() {
    let error = place(&[9], &[0, 1]).unwrap_err();
    assert!(error.to_string().contains("CPU 9"), "{error}");
    assert!(error.advice().unwrap().contains("0,1"), "{error}");
}

#[test]
fn none_twice_and_too_many_are_refused() {
    assert!(place(&[], &[0]).unwrap_err().to_string().contains("no core"));
    assert!(place(&[0, 0], &[0]).unwrap_err().to_string().contains("twice"));
    let many: Vec<u32> = (0..200).collect();
    assert!(place(&many, &many).unwrap_err().to_string().contains("more than"));
}

#[test]
fn the_kernels_lists_parse() {
    assert_eq!(parse_list("0-2,7"), Some(vec![0, 1, 2, 7]));
    assert_eq!(parse_list("5"), Some(vec![5]));
    assert_eq!(parse_list("x"), None);
    assert!(!allowed_cpus().unwrap().is_empty());
}
