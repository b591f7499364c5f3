use super::*;
use crate::upstream::response_head::UpstreamHead;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn judged(status: u16, fields: &str, ttl: Option<u64>, has_foreign_credential: bool) -> Option<Freshness> {
    let head = UpstreamHead::parsed(format!("HTTP/1.1 {status} \r\n{fields}\r\n").into_bytes()).unwrap();
    judge(&ExchangeFacts {
        status,
        fields: head.fields(),
        requested_at: NOW,
        received_at: NOW,
        ttl: ttl.map(Duration::from_secs),
        has_foreign_credential,
    })
}

fn date(seconds_from_now: i64) -> String {
    let at = NOW.unix_seconds().saturating_add_signed(seconds_from_now);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(at))
}

#[test]
fn what_is_stored_and_for_how_long() {
    let past = date(-100);
    let soon = date(50);
    let now = date(0);
    for (status, fields, ttl, expected) in [
        (200, "cache-control: max-age=60\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60, s-maxage=5\r\n".to_owned(), None, Some(5)),
        (200, "cache-control: max-age=60, private\r\n".to_owned(), None, None),
        (200, "cache-control: max-age=60, no-store\r\n".to_owned(), Some(9), None),
        (200, "cache-control: max-age=60\r\nset-cookie: a=b\r\n".to_owned(), None, None),
        (200, "cache-control: max-age=60\r\nvary: a, *\r\n".to_owned(), None, None),
        (200, "cache-control: max-age=60\r\nvary: a\r\n".to_owned(), None, Some(60)),
        (200, String::new(), None, None),
        (200, String::new(), Some(9), Some(9)),
        (200, "cache-control: max-age=60\r\n".to_owned(), Some(9), Some(60)),
        (200, "cache-control: max-age=0\r\n".to_owned(), Some(9), None),
        (200, "cache-control: no-cache\r\n".to_owned(), Some(9), None),
        (200, "cache-control: public\r\n".to_owned(), Some(9), Some(9)),
        (200, format!("expires: {soon}\r\ndate: {now}\r\n"), Some(9), Some(50)),
        (200, format!("expires: {soon}\r\nexpires: {soon}\r\n"), Some(9), None),
        (200, "expires: 0\r\n".to_owned(), Some(9), None),
        (200, format!("cache-control: max-age=60\r\ndate: {past}\r\n"), None, None),
        (200, "cache-control: max-age=60\r\nage: 20\r\n".to_owned(), None, Some(40)),
        (200, "cache-control: max-age=60\r\nage: x\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: -7\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: 7200.0\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: \"20\"\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage:\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: 0, 0\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: 20 , 99\r\n".to_owned(), None, Some(40)),
        (200, "cache-control: max-age=60\r\nage: 0\r\nage: 99\r\n".to_owned(), None, Some(60)),
        (200, "cache-control: max-age=60\r\nage: 99\r\nage: 0\r\n".to_owned(), None, None),
        (200, "cache-control: max-age=60\r\nage: 2147483648\r\n".to_owned(), None, None),
        (200, "cdn-cache-control: max-age=60\r\ncache-control: no-store\r\nexpires: 0\r\n".to_owned(), None, Some(60)),
        (200, "cdn-cache-control: private\r\ncache-control: max-age=60\r\n".to_owned(), None, None),
        (200, "cdn-cache-control: no-store\r\ncache-control: max-age=60\r\n".to_owned(), Some(9), None),
        (200, "cdn-cache-control: max-age=60, &&\r\ncache-control: max-age=9\r\n".to_owned(), None, Some(9)),
        (200, format!("cdn-cache-control: public\r\nexpires: {soon}\r\ndate: {now}\r\n"), Some(9), Some(9)),
        (200, "cache-control: max-age=60, no-store, must-understand\r\n".to_owned(), None, Some(60)),
        (599, "cache-control: max-age=60, must-understand\r\n".to_owned(), None, None),
        (200, "cache-control: max-age=60\r\nage: 9999999999999\r\n".to_owned(), None, None),
        (503, String::new(), Some(9), None),
        (503, "cache-control: max-age=60\r\n".to_owned(), None, Some(60)),
        (404, String::new(), Some(9), Some(9)),
        (206, "cache-control: max-age=60\r\n".to_owned(), None, None),
        (304, "cache-control: max-age=60\r\n".to_owned(), None, None),
    ] {
        let freshness = judged(status, &fields, ttl, false);
        assert_eq!(freshness.and_then(|freshness| freshness.fresh_for(NOW)), expected, "{status} {fields:?}");
    }
    // A response that always needs consent is stored if there is something to compare.
    let validated = judged(200, "cache-control: no-cache\r\netag: \"a\"\r\n", None, false).unwrap();
    assert_eq!(validated.fresh_for(NOW), None);
}

#[test]
fn a_late_response_was_sent_fresh_unless_its_age_or_the_upstream_denies_it() {
    for (fields, ttl, was_sent_fresh) in [
        ("", Some(1), true),
        ("cache-control: max-age=1\r\n", None, true),
        ("cache-control: max-age=5\r\nage: 4\r\n", None, true),
        ("cache-control: max-age=5\r\nage: 5\r\n", None, false),
        ("age: 1\r\n", Some(1), false),
        ("cache-control: max-age=0\r\netag: \"a\"\r\n", Some(1), false),
        ("cache-control: no-cache, max-age=9\r\netag: \"a\"\r\n", None, false),
        ("expires: 0\r\netag: \"a\"\r\n", Some(1), false),
    ] {
        let head = UpstreamHead::parsed(format!("HTTP/1.1 200 \r\n{fields}\r\n").into_bytes()).unwrap();
        let facts = ExchangeFacts {
            status: 200,
            fields: head.fields(),
            requested_at: NOW,
            received_at: NOW.after(Duration::from_secs(60)),
            ttl: ttl.map(Duration::from_secs),
            has_foreign_credential: false,
        };
        let freshness = judge(&facts).unwrap();
        assert_eq!(freshness.fresh_for(facts.received_at), None, "{fields:?}");
        assert_eq!(freshness.was_sent_fresh(), was_sent_fresh, "{fields:?}");
        assert!(!freshness.until(facts.received_at).was_sent_fresh(), "a purge ends it");
    }
}

#[test]
fn a_response_to_a_credential_needs_permission() {
    for (control, is_stored) in [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ] {
        let freshness = judged(200, &format!("cache-control: {control}\r\n"), Some(9), true);
        assert_eq!(freshness.is_some(), is_stored, "{control}");
    }
}

#[test]
fn a_response_that_a_clock_ahead_has_received_is_not_used_until_its_time() {
    let control = "cache-control: max-age=10, stale-while-revalidate=5, stale-if-error=20";
    let freshness = judged(200, &format!("{control}\r\n"), None, false).unwrap();
    for (before, is_used) in [(0, true), (5, true), (6, false), (3_600, false)] {
        let now = NOW.before(Duration::from_secs(before));
        assert_eq!(freshness.fresh_for(now).is_some(), is_used, "{before}");
        assert_eq!((freshness.allows_stale(now), freshness.allows_stale_on_error(now)), (is_used, is_used), "{before}");
    }
}

#[test]
fn a_stale_response_is_used_only_within_its_bounds() {
    let at = |seconds: u64| NOW.after(Duration::from_secs(seconds));
    let control = "cache-control: max-age=10, stale-while-revalidate=5, stale-if-error=20";
    let freshness = judged(200, &format!("{control}\r\n"), None, false).unwrap();
    for (after, fresh, stale, on_error) in [
        (0, Some(10), true, true),
        (9, Some(1), true, true),
        (10, None, true, true),
        (15, None, false, true),
        (30, None, false, false),
    ] {
        let now = at(after);
        assert_eq!(freshness.fresh_for(now), fresh, "{after}");
        assert_eq!((freshness.allows_stale(now), freshness.allows_stale_on_error(now)), (stale, on_error), "{after}");
    }
    for forbids in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"] {
        let fields = format!("{control}, {forbids}\r\netag: \"a\"\r\n");
        let freshness = judged(200, &fields, None, false).unwrap();
        assert!(!freshness.allows_stale(at(11)) && !freshness.allows_stale_on_error(at(11)), "{forbids}");
    }
}

#[test]
fn no_age_is_larger_than_a_client_may_read() {
    let fields = "cache-control: max-age=60\r\netag: \"a\"\r\nage: 99999999999999999999\r\n";
    let freshness = judged(200, fields, None, false).unwrap();
    assert_eq!((freshness.age(NOW), freshness.age(Timestamp(u64::MAX))), (1 << 31, 1 << 31));
}
