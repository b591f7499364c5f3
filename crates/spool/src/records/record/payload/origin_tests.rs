//! The fields of the origins of requests.

use access::Amount;
use meter::{
    CacheUse, Counts, LimitOwner, LimitUnit, RefusedLimit, RequestOrigin, SkipReason, SkippedTarget, ToolUse,
    UsageEvent,
};

use super::tests::{counts, event, event_of, field, written};
use super::*;
use crate::fixture;
use crate::open_request::OpenRequest;

#[test]
fn fields_of_origins_are_frozen() {
    let origin = fixture::origin();
    let content = |first: u32| {
        let skipped = b"\x02\x06openai\x05gpt-5\x03\x00\x06backup\x05gpt-5\x06\x01";
        let refused = b"\x06\x01\x01\x02ip\x01\x3c\x64\x01\x63\x02\x01\x03";
        let values: [&[u8]; 8] =
            [b"\x17team=payments,tier=gold", &[1], &[2], &[7; 16], &[2], &[8; 16], skipped, refused];
        (first..).zip(values).flat_map(|(tag, value)| field(tag, value)).collect::<Vec<u8>>()
    };
    let event = UsageEvent { refusal: None, origin: origin.clone(), ..event() };
    let opened = OpenRequest { origin: origin.clone(), ..fixture::opened(fixture::id(1, 2)) };
    let counts = vec![Counts { labels: origin.labels, ..counts().remove(0) }];
    let in_event = written(|writer| write_event(writer, &event));
    let in_open = written(|writer| write_open(writer, &opened));
    let in_counts = written(|writer| write_counts(writer, &counts));
    assert!(in_event.ends_with(&content(3)) && in_open.ends_with(&content(2)));
    assert!(in_counts.ends_with(&field(2, b"\x17team=payments,tier=gold")));
    assert_eq!(event_of(&in_event), Ok(event));
    assert_eq!(read_open(PayloadReader::new(&in_open)), Ok(opened));
    assert_eq!(read_counts(PayloadReader::new(&in_counts)), Ok(counts));
}

/// A program and a use of tools of a later release are read, and labels that no release writes are damage.
#[test]
fn origins_of_later_releases_are_read() {
    let bare = UsageEvent { attempts: Vec::new(), refusal: None, ..event() };
    let with =
        |tag, content: &[u8]| event_of(&[written(|writer| write_event(writer, &bare)), field(tag, content)].concat());
    let read = |tag, content: &[u8]| with(tag, content).map(|event| event.origin);
    assert_eq!(read(4, &[200]), Ok(RequestOrigin::default()));
    assert_eq!(read(7, &[9]), Ok(RequestOrigin { cache: CacheUse::Hit, ..RequestOrigin::default() }));
    assert_eq!(read(5, &[9]), Ok(RequestOrigin { tools: ToolUse::Offered, ..RequestOrigin::default() }));
    for labels in [&b"\x06team=\n"[..], b"\x07team=\0a"] {
        assert_eq!(read(3, labels), Err(InvalidPayload));
    }
    for tag in [6, 8] {
        assert_eq!(read(tag, &[7; 15]), Err(InvalidPayload));
    }
    let later = read(10, &[200, 200, 0, 0, 5, 0, 1, 0]).map(|origin| origin.refused_limit.map(|refused| *refused));
    let other = RefusedLimit {
        owner: LimitOwner::Other,
        unit: LimitUnit::Other,
        rule: None,
        window_seconds: None,
        limit: Amount(5),
        used: None,
        requested: Amount(1),
        full_at: None,
    };
    assert_eq!(later, Ok(Some(other)));
    assert_eq!(read(10, &[6, 1, 0]), Err(InvalidPayload));
    let skipped = |content: &[u8]| read(9, content).map(|origin| origin.skipped);
    let other =
        SkippedTarget { provider: "p".into(), model: "m".into(), reason: SkipReason::Other, attempts_before: 2 };
    assert_eq!(skipped(b"\x01\x01p\x01m\xc8\x02"), Ok(vec![other]));
    for invalid in [&b"\x02\x01p\x01m\x01\x02"[..], b"\x01\x01p\x01m\x01", b"\xff\xff\xff\xff\x0f"] {
        assert_eq!(skipped(invalid), Err(InvalidPayload), "{invalid:?}");
    }
}

/// A later release may record more targets than this one.
#[test]
fn skipped_targets_are_bounded_when_they_are_written_and_when_they_are_read() {
    let target = fixture::origin().skipped.remove(0);
    let many = |count| vec![target.clone(); count];
    let origin = |count| RequestOrigin { skipped: many(count), ..RequestOrigin::default() };
    let bare = UsageEvent { refusal: None, ..event() };
    let with = |count| written(|writer| write_event(writer, &UsageEvent { origin: origin(count), ..bare.clone() }));
    assert_eq!(with(33), with(32));
    assert_eq!(event_of(&with(32)).map(|event| event.origin), Ok(origin(32)));
    let content = [vec![40], b"\x06openai\x05gpt-5\x03\x00".repeat(40)].concat();
    let more = [with(0), field(9, &content)].concat();
    assert_eq!(event_of(&more).map(|event| event.origin), Ok(origin(32)));
}

#[test]
fn requests_without_a_trace_and_skipped_targets_take_no_more_bytes_than_in_version_1_2() {
    let bare = RequestOrigin { trace: None, skipped: Vec::new(), refused_limit: None, ..fixture::origin() };
    let frozen = [RequestOrigin::default(), bare];
    let bytes = frozen.map(|origin| {
        let event = UsageEvent { origin, ..event() };
        written(|writer| write_event(writer, &event)).len()
    });
    let session_and_labels = 2 + 24 + 3 + 3 + 2 + 16 + 3;
    assert_eq!(bytes[1] - bytes[0], session_and_labels);
}
