use std::time::Duration;

use access::RequestId;
use http1::{HeadLimits, ResponseParser};
use meter::rate::RateLevel;

use super::*;
use crate::refusal::limit_items::{LimitItem, LimitSource, LimitUnit};
use crate::refusal::render;
use crate::response::sharing;
use crate::transform;
use crate::transform::control_cookies::ControlCookies;

/// The time of the tests is 2009-02-13T23:31:30Z.
const NOW: Timestamp = Timestamp(1_234_567_890_000_000);

fn gateway(limit: bool, origin: bool) -> GatewayFields<'static> {
    let id = RequestIdText::new(RequestId::NIL);
    let level = RateLevel { limit: 60, remaining: 59, reset: Duration::from_secs(7) };
    let origin = origin.then_some(&b"https://control.example"[..]);
    let sharing = origin.map(|_| Sharing { origin, credentials: false, exposed: None, varies: true });
    let item = limit.then(|| LimitItem::of_rate(LimitSource::PerMinute, LimitUnit::Count, level));
    let limits = LimitItems::new(None, item.into_iter());
    let control_cookies = ControlCookies::from_key_prefix("tollgate");
    GatewayFields { id, limits, vendor: None, sharing, control_cookies, headers: None, now: NOW }
}

/// A head of an upstream that has each field of the gateway itself.
fn received() -> Box<RelayedHead> {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: up\r\nRequest-Id: up\r\nvary: accept\r\n\
        x-ratelimit-limit: 1\r\nX-RateLimit-Remaining: 1\r\nx-ratelimit-reset: 1\r\nRateLimit: up\r\n\
        ratelimit-policy: up\r\naccess-control-allow-origin: *\r\naccess-control-expose-headers: x\r\nx-kept: 1\r\n\
        date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
    let limits = HeadLimits::new(usize::MAX, usize::MAX, usize::MAX);
    let parsed = ResponseParser::new(limits).parse(bytes).unwrap().unwrap();
    RelayedHead::new(UpstreamHead::new(Bytes::from_static(bytes), parsed))
}

/// The kinds of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    OfUpstream,
    OfProvider,
}

fn head(kind: Kind, gateway: &GatewayFields<'_>) -> ClientHead {
    match kind {
        Kind::Own => ClientHead::own(render::json(b"{}".to_vec()), gateway).0,
        Kind::OfUpstream => ClientHead::relayed(received(), StatusCode::OK, gateway),
        Kind::OfProvider => {
            let mut relayed = received();
            transform::from_provider(&mut relayed).unwrap();
            ClientHead::relayed(relayed, StatusCode::OK, gateway)
        }
    }
}

/// Returns the values of a field, as HTTP/1.1 and as HTTP/2 have it.
fn values(head: &ClientHead, name: &str) -> [Vec<String>; 2] {
    let mut out = Vec::new();
    let dates = DateCache::default();
    head.write(&mut out, &dates);
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let http1 = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
    let fields = head.http2_fields(&dates);
    let http2 = fields.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
    [http1.collect(), http2.collect()]
}

#[test]
fn each_kind_of_response_has_each_field_of_the_gateway_once() {
    let id = String::from_utf8(gateway(false, false).id.as_bytes().to_vec()).unwrap();
    let own_date = "Fri, 13 Feb 2009 23:31:30 GMT";
    for kind in [Kind::Own, Kind::OfUpstream, Kind::OfProvider] {
        for (has_limit, has_origin) in [(false, false), (true, false), (false, true), (true, true)] {
            let head = head(kind, &gateway(has_limit, has_origin));
            let is_passed = kind == Kind::OfUpstream;
            let limit = |own: &str, of_upstream: &str| match has_limit {
                true => vec![own.to_owned()],
                false => is_passed.then(|| of_upstream.to_owned()).into_iter().collect(),
            };
            let shared = |own: &str, of_upstream: &str| match has_origin {
                true => vec![own.to_owned()],
                false => is_passed.then(|| of_upstream.to_owned()).into_iter().collect(),
            };
            let exposed = std::str::from_utf8(sharing::EXPOSED).unwrap();
            let vary = (kind != Kind::Own).then_some("accept").into_iter().chain(has_origin.then_some("Origin"));
            let date = if kind == Kind::Own { own_date } else { "Thu, 01 Jan 1970 00:00:00 GMT" };
            for (name, expected) in [
                ("x-request-id", vec![id.clone()]),
                ("request-id", vec![id.clone()]),
                ("date", vec![date.to_owned()]),
                ("x-ratelimit-limit", limit("60", "1")),
                ("x-ratelimit-remaining", limit("59", "1")),
                ("x-ratelimit-reset", limit("1234567897", "1")),
                ("ratelimit-policy", limit("\"requests_per_minute\";q=60;w=60", "up")),
                ("ratelimit", limit("\"requests_per_minute\";r=59;t=7", "up")),
                ("access-control-allow-origin", shared("https://control.example", "*")),
                ("access-control-expose-headers", shared(exposed, "x")),
                ("vary", vary.map(str::to_owned).collect()),
                ("x-kept", (kind != Kind::Own).then(|| "1".to_owned()).into_iter().collect()),
            ] {
                let [http1, http2] = values(&head, name);
                assert_eq!(http1, expected, "{kind:?} {has_limit} {has_origin} {name}");
                assert_eq!(http2, expected, "{kind:?} {has_limit} {has_origin} {name} over HTTP/2");
            }
        }
    }
}

#[test]
fn fields_of_a_connection_are_not_written_over_http2() {
    let response = Response::builder().header("connection", "upgrade").header("upgrade", "HTTP/1.1").header("a", "b");
    let head = ClientHead::own(response.body(Bytes::new()).unwrap(), &gateway(false, false)).0;
    assert_eq!(values(&head, "connection"), [vec!["upgrade".to_owned()], vec![]]);
    assert_eq!(values(&head, "upgrade"), [vec!["HTTP/1.1".to_owned()], vec![]]);
    assert_eq!(values(&head, "a"), [["b".to_owned()], ["b".to_owned()]]);
}
