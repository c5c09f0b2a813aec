//! What is handed to the log: flows that are not let in, with their rule and reason; and how much of it.

use std::time::Duration;

use control::Verdict;
use sim::{Step, Town};

/// Everything towards port 81 meets a LOG rule and then a DROP rule.
const LOGGED: (&str, &str) = (
    "-A PRintra -p tcp -j TPROXY --on-port 50000",
    "-A PRintra -p tcp --dport 81 -j LOG --log-prefix \"no81: \" --log-level info\n  -A PRintra -p tcp --dport 81 -j DROP\n  -A PRintra -p tcp -j TPROXY --on-port 50000",
);

#[test]
fn a_dropped_flow_is_told_with_its_rules() {
    let mut town = Town::changed(1, &[LOGGED]);
    town.world.connect(town.client, "10.0.0.2:81", &[Step::AwaitReset]);
    town.world.run(Duration::from_millis(500));
    let told = town.world.gateway.decided.first().expect("it is told").clone();
    assert!(matches!(told.decision.verdict, Verdict::Drop(_)), "{:?}", told.decision);
    assert_eq!(told.flow.destination.port(), 81);
    let log = told.policy.rule(told.decision.logs.rules()[0]);
    assert_eq!(log.log.as_ref().map(|log| (log.prefix.as_str(), log.level)), Some(("no81: ", 6)));
    let rule = told.policy.rule(told.decision.rule.expect("the DROP rule"));
    assert_eq!((rule.chain.as_ref(), rule.index, rule.place.line), ("PRintra", log.index + 1, log.place.line + 1));
}

#[test]
fn a_flood_is_told_in_few_lines_and_one_sum() {
    let mut town = Town::changed(1, &[LOGGED]);
    for _ in 0..1_000 {
        town.world.connect(town.client, "10.0.0.2:81", &[Step::AwaitReset]);
    }
    town.world.run(Duration::from_millis(900));
    let told = town.world.gateway.decided.len() as u64;
    assert!((200..400).contains(&told), "{told}");
    town.world.run(Duration::from_secs(30));
    let told = town.world.gateway.decided.len() as u64;
    let suppressed = town.world.gateway.suppressed;
    assert!(suppressed > 500, "{suppressed}");
    assert_eq!(suppressed, town.world.gateway.counter("log_suppressed"));
    assert_eq!(told + suppressed, town.world.gateway.counter("drop_tproxy_rule"));
}

#[test]
fn a_session_tells_when_it_began_and_which_rule_took_it() {
    let mut town = Town::new(1);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::AwaitFinish, Step::Finish]);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::Finish, Step::AwaitFinish]);
    town.world.run(Duration::from_secs(2));
    let summary = town.world.gateway.summaries.first().expect("a record");
    assert_eq!((summary.verdict.as_str(), summary.client_local), ("ACCEPTED", summary.destination));
    assert!(summary.rule.as_ref().is_some_and(|rule| rule.starts_with("simulated.yaml:")), "{summary:?}");
    assert!(town.world.gateway.decided.is_empty(), "nothing was denied: {:?}", town.world.gateway.decided);
}
