//! A service's total time: a session ends then, however much is said. (Of datagrams: `udp`.)

use std::time::Duration;

use sim::{Pattern, Step, Town};

use crate::LONG;

const TOTAL: (&str, &str) =
    ("anything: { proxy: plug, accept: mirror }", "anything: { proxy: plug, accept: mirror, total_s: 10 }");

#[test]
fn a_session_ends_after_its_total_time_whatever_moves() {
    let mut town = Town::changed(1, &[TOTAL]);
    town.world.get_mut(town.server).tcp.listen(25, &[Step::Echo, Step::AwaitReset]);
    let bytes = Pattern { key: 1, len: 1_000 };
    let talk: Vec<Step> =
        (0..20).flat_map(|_| [Step::Exchange(bytes, bytes), Step::Wait(Duration::from_secs(1))]).collect();
    town.world.connect(town.client, "10.0.0.2:25", &talk);
    // One that has said all in time is not touched.
    town.world.get_mut(town.server).tcp.listen(80, &[Step::Echo, Step::Finish]);
    town.world.connect(town.client, "10.0.0.2:80", &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]);
    town.world.run(Duration::from_secs(15));
    town.world.settle(LONG);
    let mut reasons: Vec<(u64, &str)> = town
        .world
        .gateway
        .summaries
        .iter()
        .map(|summary| (summary.duration_ms / 1_000, summary.reason.as_str()))
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [(0, "finished"), (10, "total_timeout")]);
}
