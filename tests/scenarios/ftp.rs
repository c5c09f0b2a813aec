//! FTP through the whole gateway: data connections beside the control connection, over bad cables, in both directions.

use std::time::Duration;

use sim::{Conditions, Random, Step, Town, for_each_seed};

use crate::LONG;

const VERY_LONG: Duration = Duration::from_secs(7_200);

/// What a file is: its key, its length.
const FILE: (u64, u64) = (9, 150_000);

/// The town with FTP on port 21. The range of ports is one port, so that replies are known beforehand.
fn town(seed: u64) -> Town {
    Town::changed(
        seed,
        &[
            ("  anything: {", "  files: { proxy: ftp, ftp: { data: { ports: 40000 } } }\n  anything: {"),
            ("  - { port: 50000,", "  - { port: 50021, service: files }\n  - { port: 50000,"),
            (
                "  -A PRintra -p tcp --dport 8080",
                "  -A PRintra -p tcp --dport 21 -j TPROXY --on-port 50021\n  -A PRintra -p tcp --dport 8080",
            ),
        ],
    )
}

const GREETS: [Step; 5] = [
    Step::Say("220 ready\r\n"),
    Step::Hear("USER joe\r\n"),
    Step::Say("331 ?\r\n"),
    Step::Hear("PASS x\r\n"),
    Step::Say("230 in\r\n"),
];

const LOGS_IN: [Step; 5] = [
    Step::Hear("220 ready\r\n"),
    Step::Say("USER joe\r\n"),
    Step::Hear("331 ?\r\n"),
    Step::Say("PASS x\r\n"),
    Step::Hear("230 in\r\n"),
];

const SERVER_QUITS: [Step; 4] = [Step::Hear("QUIT\r\n"), Step::Say("221 bye\r\n"), Step::Finish, Step::AwaitFinish];

const CLIENT_QUITS: [Step; 4] = [Step::Say("QUIT\r\n"), Step::Hear("221 bye\r\n"), Step::AwaitFinish, Step::Finish];

#[test]
fn a_file_comes_down_a_passive_connection() {
    for_each_seed(12, |seed| {
        let mut town = town(seed);
        warm_up(&mut town);
        weather(&mut town, seed);
        let server = [
            &GREETS[..],
            &[
                Step::Hear("PASV\r\n"),
                Step::Say("227 Entering Passive Mode (10,0,0,2,195,80).\r\n"),
                Step::Hear("RETR file\r\n"),
                Step::Say("150 open\r\n226 done\r\n"),
            ],
            &SERVER_QUITS,
        ];
        let client = [
            &LOGS_IN[..],
            &[
                Step::Say("PASV\r\n"),
                Step::Hear("227 Entering Passive Mode (10,0,0,2,156,64)\r\n"),
                Step::Say("RETR file\r\n"),
                Step::Hear("150 open\r\n226 done\r\n"),
            ],
            &CLIENT_QUITS,
        ];
        let sends = [Step::send(FILE.0, FILE.1), Step::Finish, Step::AwaitFinish];
        town.world.get_mut(town.server).tcp.listen(21, &server.concat());
        town.world.get_mut(town.server).tcp.listen(50_000, &sends);
        let control = town.world.connect(town.client, "10.0.0.2:21", &client.concat());
        // The client connects for data once it has read where: 10 + 7 + 8 bytes of the log-in, then 227.
        let known = "220 ready\r\n331 ?\r\n230 in\r\n227 Entering Passive Mode (10,0,0,2,156,64)\r\n".len() as u64;
        assert!(town.world.run_until(VERY_LONG, |world| world.report(control).bytes.1 >= known));
        let receives = [Step::receive(FILE.0, FILE.1), Step::AwaitFinish, Step::Finish];
        town.world.connect(town.client, "10.0.0.2:40000", &receives);
        town.world.finish(VERY_LONG);
        let data = town.world.accepted(town.server).into_iter().find(|report| report.local.port() == 50_000);
        assert_eq!(data.map(|data| data.remote.ip()), Some("192.168.1.2".parse().expect("an address")));
        settle(&mut town);
        assert_eq!(town.world.gateway.counter("ftp_transfers"), 1);
        assert_eq!(town.world.gateway.records.len(), 1);
    });
}

#[test]
fn a_file_goes_up_an_active_connection() {
    for_each_seed(12, |seed| {
        let mut town = town(seed);
        warm_up(&mut town);
        weather(&mut town, seed);
        let server = [
            &GREETS[..],
            &[
                Step::Hear("PORT 192,168,1,2,156,64\r\n"),
                Step::Say("200 ok\r\n"),
                Step::Hear("STOR file\r\n"),
                Step::Say("150 open\r\n"),
                Step::Wait(Duration::from_secs(1)),
                Step::Say("226 done\r\n"),
            ],
            &SERVER_QUITS,
        ];
        let client = [
            &LOGS_IN[..],
            &[
                Step::Say("PORT 192,168,1,2,200,1\r\n"),
                Step::Hear("200 PORT command successful\r\n"),
                Step::Say("STOR file\r\n"),
                Step::Hear("150 open\r\n226 done\r\n"),
            ],
            &CLIENT_QUITS,
        ];
        town.world.get_mut(town.server).tcp.listen(21, &server.concat());
        let sends = [Step::send(FILE.0, FILE.1), Step::Finish, Step::AwaitFinish];
        town.world.get_mut(town.client).tcp.listen(51_201, &sends);
        town.world.connect(town.client, "10.0.0.2:21", &client.concat());
        // The server connects, from its port 20, once it was asked for the file.
        let heard = "USER joe\r\nPASS x\r\nPORT 192,168,1,2,156,64\r\nSTOR file\r\n".len() as u64;
        let server_host = town.server;
        assert!(town.world.run_until(VERY_LONG, |world| {
            world.accepted(server_host).iter().any(|report| report.local.port() == 21 && report.bytes.1 >= heard)
        }));
        let receives = [Step::receive(FILE.0, FILE.1), Step::AwaitFinish, Step::Finish];
        let address = |text: &str| text.parse().expect("an address");
        let now = town.world.now;
        let host = town.world.get_mut(town.server);
        host.connect_from(now, address("10.0.0.2:20"), address("192.168.1.2:40000"), &receives);
        town.world.finish(VERY_LONG);
        let data = town.world.accepted(town.client).into_iter().find(|report| report.local.port() == 51_201);
        assert_eq!(data.map(|data| data.remote), Some(address("10.0.0.2:20")), "as if the server had connected");
        settle(&mut town);
        assert_eq!(town.world.gateway.counter("ftp_transfers"), 1);
    });
}

/// Neighbours are known: one whose answers are lost three times counts as not there, which is no subject here.
fn warm_up(town: &mut Town) {
    town.world.get_mut(town.server).tcp.listen(7, &[Step::Finish, Step::AwaitFinish]);
    town.world.connect(town.client, "10.0.0.2:7", &[Step::AwaitFinish, Step::Finish]);
    town.world.finish(VERY_LONG);
}

fn weather(town: &mut Town, seed: u64) {
    let mut random = Random::new(seed ^ 0xf7_90);
    if seed > 2 {
        for interface in ["intra", "dmz"] {
            town.world.set(interface, Conditions::bad(&mut random));
        }
    }
}

fn settle(town: &mut Town) {
    town.world.set_all(Conditions::CLEAN);
    town.world.settle(LONG);
}
