//! Rules on probation: they decide for a while, and go whatever has become of who asked and of the control thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::engine::{ApiRequest, RulesRequest};
use control::rollback::Install;
use serde_json::Value;
use sim::town::yaml;
use sim::{Step, Town, for_each_seed};

use crate::LONG;

/// Nothing is proxied any more: whoever works through the gateway is locked out.
const CLOSED: (&str, &str) =
    ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");
/// What stands in the rules that are on probation.
const TESTED: &str = "--dport 443";

/// Whether a new connection gets through.
fn is_let_in(town: &mut Town) -> bool {
    let tried = town.world.connect(town.client, "10.0.0.2:80", &[Step::Finish, Step::AwaitFinish]);
    town.world.run_until(Duration::from_secs(2), |world| world.report(tried).established_at.is_some());
    town.world.report(tried).established_at.is_some()
}

fn town(seed: u64) -> Town {
    let mut town = Town::new(seed);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitFinish, Step::Finish]);
    town
}

fn generation(town: &mut Town) -> u64 {
    town.world.gateway.report(town.world.now).generation
}

fn ask(town: &mut Town, request: RulesRequest) -> Result<Value, String> {
    match town.world.gateway.ask(town.world.now, ApiRequest::Rules(request)) {
        Ok(control::engine::Body::Json(value)) => Ok(value),
        Ok(other) => panic!("no JSON: {other:?}"),
        Err(error) => Err(error.error),
    }
}

/// Writes down that it was done.
fn installed() -> (Install, Arc<AtomicBool>) {
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let install = Install::new(move || {
        seen.store(true, Ordering::Relaxed);
        Ok(())
    });
    (install, done)
}

#[test]
fn a_test_ends_as_it_began() {
    for_each_seed(3, |seed| {
        let mut town = town(seed);
        assert!(is_let_in(&mut town));
        let said = town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 10, None).expect("good rules");
        assert_eq!((&said["generation"], &said["probation"]["before"]), (&2.into(), &1.into()));
        assert!(!is_let_in(&mut town), "the tested rules decide");
        assert_eq!(generation(&mut town), 2);
        assert!(town.world.gateway.rules(town.world.now, false).contains(TESTED));
        town.world.run(Duration::from_secs(10));
        assert_eq!(generation(&mut town), 1);
        assert!(!town.world.gateway.rules(town.world.now, false).contains(TESTED));
        assert!(is_let_in(&mut town));
        let state = ask(&mut town, RulesRequest::State).expect("a state");
        assert_eq!((&state["probation"], &state["last"]["ended"]), (&Value::Null, &"reverted".into()));
    });
}

/// The core goes back by its own clock: nobody who could tell it so is left.
#[test]
fn the_control_thread_dies_while_rules_are_tested() {
    for_each_seed(3, |seed| {
        let mut town = town(seed);
        town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 10, None).expect("good rules");
        assert!(!is_let_in(&mut town), "the tested rules decide");
        town.world.gateway.kill_control();
        town.world.run(Duration::from_secs(10));
        assert!(is_let_in(&mut town), "and go without the control thread");
        assert_eq!(town.world.gateway.counter("probation_ended"), 1);
    });
}

#[test]
fn whoever_confirms_keeps_and_whoever_does_not_is_back_where_he_was() {
    let mut town = town(1);
    let (install, written) = installed();
    town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 10, Some(install)).expect("good rules");
    town.world.run(Duration::from_secs(9));
    assert!(!written.load(Ordering::Relaxed), "nothing is written before somebody says so");
    ask(&mut town, RulesRequest::Confirm).expect("kept");
    assert!(written.load(Ordering::Relaxed));
    town.world.run(Duration::from_secs(60));
    assert_eq!((generation(&mut town), town.world.gateway.counter("probation_ended")), (2, 0));
    assert!(!is_let_in(&mut town));

    let (install, written) = installed();
    town.world.gateway.try_out(town.world.now, &yaml(&[]), 10, Some(install)).expect("good rules");
    town.world.run(Duration::from_secs(11));
    assert!(!written.load(Ordering::Relaxed));
    assert_eq!(generation(&mut town), 2, "what ran, not what a file says");
    assert!(ask(&mut town, RulesRequest::Confirm).expect_err("too late").contains("no rules are on probation"));
}

#[test]
fn a_file_that_cannot_be_written_takes_the_rules_back() {
    let mut town = town(1);
    let install = Install::new(|| Err(std::io::Error::other("the disk is full")));
    town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 10, Some(install)).expect("good rules");
    assert!(ask(&mut town, RulesRequest::Confirm).expect_err("not written").contains("the disk is full"));
    assert_eq!(generation(&mut town), 1);
    let (now, text) = (town.world.now, yaml(&[CLOSED]));
    let read = control::config::parse("simulated.yaml", &text).map(Box::new);
    let install = Install::new(|| Err(std::io::Error::other("the disk is full")));
    let commit = RulesRequest::Commit { read, install, confirm_us: None };
    assert!(town.world.gateway.ask(now, ApiRequest::Rules(commit)).is_err());
    assert_eq!(generation(&mut town), 1, "what is not written is not loaded");
    assert!(is_let_in(&mut town));
}

#[test]
fn nothing_else_is_loaded_meanwhile() {
    let mut town = town(1);
    town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 10, None).expect("good rules");
    let refused = town.world.gateway.reload(town.world.now, &yaml(&[])).expect_err("busy");
    assert_eq!(refused.status, 423);
    let refused = town.world.gateway.try_out(town.world.now, &yaml(&[]), 10, None).expect_err("busy");
    assert!(refused.error.contains("on probation"), "{}", refused.error);
    assert!(ask(&mut town, RulesRequest::Confirm).expect_err("a test").contains("a test ends as it began"));
    ask(&mut town, RulesRequest::Revert).expect("taken back");
    assert_eq!(generation(&mut town), 1);
    town.world.gateway.reload(town.world.now, &yaml(&[])).expect("free again");
    town.world.run(Duration::from_secs(20));
    assert_eq!(generation(&mut town), 3, "the time that is over concerns nobody any more");
}

#[test]
fn what_only_the_tested_rules_let_in_goes_with_them() {
    let mut town = town(1);
    town.world.gateway.reload(town.world.now, &yaml(&[CLOSED])).expect("good rules");
    town.world.gateway.try_out(town.world.now, &yaml(&[]), 10, None).expect("good rules");
    let wait = [Step::Wait(Duration::from_secs(3_600)), Step::Finish, Step::AwaitFinish];
    let guest = town.world.connect(town.client, "10.0.0.2:80", &wait);
    town.world.run(Duration::from_secs(2));
    assert!(town.world.report(guest).established_at.is_some());
    town.world.run(Duration::from_secs(10));
    assert_eq!(town.world.gateway.counter("redecided_sessions"), 1);
    assert_eq!(town.world.gateway.audit().sessions, 0);
}

#[test]
fn rules_count_what_they_met_and_what_comes_back_counts_on() {
    let mut town = town(1);
    assert!(is_let_in(&mut town));
    let counted = |town: &mut Town| {
        let rules = town.world.gateway.rules(town.world.now, true);
        let line = rules.lines().find(|line| line.contains("--on-port 50000")).expect("the rule").to_owned();
        line.split(':').next().expect("a count").trim_start_matches('[').parse::<u64>().expect("a number")
    };
    let before = counted(&mut town);
    assert!(before > 0);
    town.world.gateway.try_out(town.world.now, &yaml(&[CLOSED]), 1, None).expect("good rules");
    assert_eq!(counted(&mut town), 0);
    town.world.run(Duration::from_secs(2));
    assert_eq!(counted(&mut town), before);
    town.world.settle(LONG);
}
