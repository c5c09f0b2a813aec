//! The same seed gives the same run, to the last byte of the last frame: without that no failure could be found again.

use sim::world::Captured;
use sim::{Conditions, Pattern, Random, Step, Town};

use crate::LONG;

fn run(seed: u64) -> Vec<Captured> {
    let mut town = Town::new(seed);
    town.world.record();
    town.world.set_all(Conditions::bad(&mut Random::new(seed)));
    for port in 80..90 {
        town.world.get_mut(town.server).tcp.listen(port, &[Step::Echo, Step::Finish]);
        let bytes = Pattern { key: 1, len: 20_000 };
        let remote = format!("10.0.0.2:{port}");
        town.world.connect(town.client, &remote, &[Step::Exchange(bytes, bytes), Step::Finish, Step::AwaitFinish]);
    }
    town.world.finish(LONG * 10);
    town.world.capture.take().unwrap_or_default()
}

#[test]
fn same_seed_same_run() {
    let (first, second) = (run(11), run(11));
    let differs = first.iter().zip(&second).position(|(a, b)| (a.at, a.port, &a.frame) != (b.at, b.port, &b.frame));
    assert_eq!(differs, None);
    assert_eq!(first.len(), second.len());
    let other = run(12);
    assert!(other.iter().zip(&first).any(|(a, b)| a.frame != b.frame), "another seed is another run");
}
