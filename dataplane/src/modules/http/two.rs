//! `http2:` of a service: yes, no, or how; and what of HTTP/1 does not go together with it, said before it is loaded.

use control::config::decode::{self, Mapping};
use control::config::tree::{Node, Value};
use control::faults::Faults;
use proxy::http::{Otherwise, Settings, Two, limits, policy::Server};

/// Reads the section; none where HTTP/2 is not spoken.
pub(super) fn two(node: &Node, faults: &mut Faults) -> Option<Two> {
    if !matches!(node.value, Value::Map(_)) {
        let spoken = decode::boolean(node, "`http2`", faults)?;
        return spoken.then(Two::default);
    }
    let mut mapping = Mapping::new(node, "`http2`", faults)?;
    let mut two = Two::default();
    let streams = mapping.get("streams");
    if let Some(streams) =
        streams.and_then(|node| decode::number(node, "`streams`", 1..=u64::from(limits::STREAMS_MAX), faults))
    {
        two.streams = streams;
    }
    let known = mapping.get("prior_knowledge");
    if let Some(known) = known.and_then(|node| decode::boolean(node, "`prior_knowledge`", faults)) {
        two.prior_knowledge = known;
    }
    mapping.finish(faults);
    Some(two)
}

/// What the proxy does for HTTP/1 only is not left out silently for those who speak HTTP/2.
pub(super) fn alone(settings: &Settings, node: &Node, faults: &mut Faults) {
    if settings.http2.is_none() {
        return;
    }
    let parent = |server: &Server| matches!(server, Server::Parent(_));
    let to_parent =
        matches!(settings.otherwise, Otherwise::Parent(_)) || settings.routes.iter().any(|route| parent(&route.server));
    for (wrong, what) in [
        (settings.permit_proxy_requests, "`http2` and `mode` other than transparent"),
        (settings.connect.is_some(), "`http2` and `connect`"),
        (to_parent, "`http2` and a `parent` proxy"),
        (settings.icap.is_some(), "`http2` and `icap`"),
    ] {
        if wrong {
            faults.add_hint(
                node.place.clone(),
                format!("{what} in one service: that is for HTTP/1 only"),
                "without `http2`, clients are offered HTTP/1.1 alone",
            );
        }
    }
}
