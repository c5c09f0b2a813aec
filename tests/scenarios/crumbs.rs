//! Small segments to a server that does not read pin a packet buffer each: they must not take the buffers of others.

use std::time::Duration;

use sim::gateway::Settings;
use sim::host::sockets::Habits;
use sim::town::TERMINATED;
use sim::{Pattern, Step, Town, for_each_seed};

use crate::LONG;

/// Packet buffers of the gateway: fewer than two stalled connections of crumbs would pin.
const FRAMES: usize = 3_000;

#[test]
fn stalled_connections_of_crumbs_leave_buffers_for_others() {
    for_each_seed(2, |seed| {
        let mut town = Town::with(seed, &[TERMINATED], &Settings { frames: FRAMES, ..Settings::default() });
        // The server says that it takes nothing larger, so the client's segments are crumbs.
        town.world.get_mut(town.server).tcp.habits = Habits { mss: Some(216), ..Habits::MODERN };
        let much = 1 << 20;
        let stalled = [Step::Wait(Duration::from_secs(100)), Step::receive(1, much), Step::AwaitFinish, Step::Finish];
        town.world.get_mut(town.server).tcp.listen(80, &stalled);
        town.world.get_mut(town.server).tcp.listen(81, &[Step::Echo, Step::Finish]);
        let hog = [Step::send(1, much), Step::Finish, Step::AwaitFinish];
        for _ in 0..4 {
            town.world.connect(town.client, "10.0.0.2:80", &hog);
        }
        town.world.run(Duration::from_secs(20));
        assert!(town.world.gateway.counter("memory_pressure") > 0, "{}", town.world.gateway.state());
        let bytes = Pattern { key: 2, len: 20_000 };
        let honest = [Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish];
        let call = town.world.connect(town.client, "10.0.0.2:81", &honest);
        town.world.run(Duration::from_secs(20));
        assert_eq!(town.world.report(call).bytes, (20_000, 20_000), "{}", town.world.gateway.state());
        assert_eq!(town.world.gateway.counter("no_memory"), 0);
        town.world.finish(LONG);
        town.world.settle(LONG);
        town.world.no_faults();
    });
}
