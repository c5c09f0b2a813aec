//! A new policy decides new flows; flows that are there keep the one they began with.

use std::time::Duration;

use sim::town::yaml;
use sim::{Pattern, Step, Town, for_each_seed};

use crate::LONG;

/// Nothing is proxied any more.
const CLOSED: (&str, &str) =
    ("-A PRintra -p tcp -j TPROXY --on-port 50000", "-A PRintra -p tcp --dport 443 -j TPROXY --on-port 50000");

#[test]
fn flows_go_on_and_new_ones_meet_the_new_policy() {
    for_each_seed(3, |seed| {
        let mut town = Town::either(seed);
        town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 1, len: 20_000 };
        let client = [
            Step::Exchange(bytes, bytes),
            Step::Wait(Duration::from_secs(5)),
            Step::Exchange(bytes, bytes),
            Step::Finish,
            Step::AwaitFinish,
        ];
        let old = town.world.connect(town.client, "10.0.0.2:80", &client);
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.gateway.report(town.world.now).generation, 1);

        town.world.gateway.reload(town.world.now, &yaml(&[CLOSED])).expect("a good configuration");
        let new = town.world.connect(town.client, "10.0.0.2:80", &[Step::AwaitReset]);
        town.world.run(Duration::from_secs(1));
        assert_eq!(town.world.gateway.report(town.world.now).generation, 2);
        assert_eq!(town.world.report(new).established_at, None, "the new policy forwards and proxies nothing");

        town.world.gateway.reload(town.world.now, &yaml(&[])).expect("a good configuration");
        town.world.run_until(LONG, |world| world.report(old).closed);
        assert_eq!(town.world.report(old).bytes, (40_000, 40_000));
    });
}

#[test]
fn a_faulty_configuration_changes_nothing() {
    let mut town = Town::new(2);
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    let refused = town.world.gateway.reload(town.world.now, &yaml(&[("proxy: plug, accept: mirror", "proxy: plugg")]));
    assert!(refused.is_err());
    let bytes = Pattern { key: 1, len: 2_000 };
    town.world.connect(town.client, "10.0.0.2:80", &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]);
    town.world.finish(LONG);
    assert_eq!(town.world.gateway.report(town.world.now).generation, 1);
    town.world.settle(LONG);
}
