use access::{Clock, Ids, Timestamp};
use config::snapshot::{Origin, TraceSample};

use super::*;
use crate::client::head::tests::get;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn id() -> RequestId {
    RequestId(Ids::new(Clock::manual(Timestamp(1))).next_uuid())
}

fn context(fields: &[(&str, &str)], traces: Option<&Traces>) -> TraceContext {
    TraceContext::from_head(&get(fields), id(), traces)
}

fn traces(ppm: u32, parent: bool) -> Traces {
    Traces {
        receiver: Origin::parse("http://h").unwrap(),
        headers: Vec::new(),
        sample: TraceSample::of_ppm(ppm),
        parent,
        errors: false,
        slow: None,
        queue_max: 1,
        service: None,
    }
}

/// The cases of the W3C's test suite for `traceparent` (`test_traceparent_*`), and whether the trace continues.
#[test]
fn a_trace_continues_only_from_one_valid_traceparent() {
    let of_version = |version: &str, rest: &str| format!("{version}-{TRACE}-{PARENT}-01{rest}");
    let cases = [
        (of_version("00", ""), true),
        (format!("00-{TRACE}-{PARENT}-00"), true),
        (format!("00-{TRACE}-{PARENT}-ff"), true),
        // Later versions may be longer, but only after a hyphen.
        (of_version("cc", ""), true),
        (of_version("cc", "-what-the-future-will-be-like"), true),
        (of_version("cc", ".what-the-future-will-not-be-like"), false),
        (of_version("00", "-extra"), false),
        (of_version("00", "."), false),
        (of_version("ff", ""), false),
        (of_version(".0", ""), false),
        (of_version("0.", ""), false),
        (of_version("000", ""), false),
        (of_version("0", ""), false),
        (of_version("", ""), false),
        (format!("00-{}-{PARENT}-01", "0".repeat(32)), false),
        (format!("00-.{}-{PARENT}-01", &TRACE[1..]), false),
        (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), false),
        (format!("00-{TRACE}0-{PARENT}-01"), false),
        (format!("00-{}-{PARENT}-01", &TRACE[1..]), false),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
        (format!("00-{TRACE}-.{}-01", &PARENT[1..]), false),
        (format!("00-{TRACE}-{PARENT}0-01"), false),
        (format!("00-{TRACE}-{}-01", &PARENT[1..]), false),
        (format!("00-{TRACE}-{PARENT}-.0"), false),
        (format!("00-{TRACE}-{PARENT}-0."), false),
        (format!("00-{TRACE}-{PARENT}-001"), false),
        (format!("00-{TRACE}-{PARENT}-1"), false),
        (format!("00-{TRACE}-{PARENT}"), false),
        (format!("00-{TRACE}-{PARENT}-"), false),
        ("foo".to_owned(), false),
        (String::new(), false),
    ];
    for (value, continues) in &cases {
        let trace = context(&[("traceparent", value)], None);
        assert_eq!(trace.parent_id.is_some(), *continues, "{value}");
        assert_eq!(trace.trace_id_text() == TRACE, *continues, "{value}");
    }
    let one = of_version("00", "");
    assert_eq!(context(&[("traceparent", &one), ("traceparent", &one)], None).parent_id, None);
}

/// The cases of the W3C's test suite for `tracestate` (`test_tracestate_*`), and whether it is forwarded.
#[test]
fn a_tracestate_is_forwarded_without_members_of_invalid_keys() {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let members = |count: usize| (0..count).map(|number| format!("bar{number:02}=x")).collect::<Vec<_>>().join(",");
    let most = members(32);
    let more = members(33);
    let many = members(40);
    let key = |len: usize| format!("{}=1", "z".repeat(len));
    let value = |len: usize| format!("a={}", "v".repeat(len));
    let key_most = key(256);
    let key_more = key(257);
    let value_most = value(256);
    let value_more = value(257);
    let cases: &[(&[&str], bool)] = &[
        (&[], true),
        (&[""], true),
        (&["foo=1"], true),
        (&["foo=1,bar=2"], true),
        (&["foo=1", "bar=2", "baz=3"], true),
        (&["foo=1, ,bar=2"], true),
        (&["foo=1 \t , \t bar=2"], true),
        // Duplicate keys are forwarded as they are.
        (&["foo=1,foo=1"], true),
        (&["0foo=1"], true),
        (&["foo@vendor=1", "t0-_*/@v=1"], true),
        (&["foo= !~"], true),
        (&["foo=1;bar"], true),
        (&[&most], true),
        (&[&more], false),
        (&[&many], false),
        (&[&most, "one=more"], false),
        (&[&key_most], true),
        (&[&key_more], false),
        (&[&value_most], true),
        (&[&value_more], false),
        (&["foo=bar=baz"], false),
        (&["foo=,bar=3"], false),
        (&["foo"], false),
        (&["foo =1"], false),
        (&["FOO=1"], false),
        (&["foo.bar=1"], false),
        (&["@foo=2"], false),
        (&["foo@a@b=1"], false),
        (&["=1"], false),
        (&["foo=1", "foo=\u{e9}"], false),
    ];
    for (values, is_forwarded) in cases {
        let mut fields = vec![("traceparent", parent.as_str())];
        fields.extend(values.iter().map(|value| ("tracestate", *value)));
        let expected = if *is_forwarded { TraceState::Received } else { TraceState::Absent };
        assert_eq!(context(&fields, None).state, expected, "{values:?}");
    }
    for (values, members) in [
        (&["foo=1,foo@a@b=2,bar=3"][..], "foo=1,bar=3"),
        (&["a@b@c=1", "foo=1 , @x=2", "t@s=3"], "foo=1,t@s=3"),
        (&["FOO=1,bar=2"], "bar=2"),
        (&["foo@=1,@foo=2"], "foo@=1"),
        (&["foo.bar=1,=2,x=y"], "x=y"),
        (&[&format!("{key_more},x=y")], "x=y"),
    ] {
        let mut fields = vec![("traceparent", parent.as_str())];
        fields.extend(values.iter().map(|value| ("tracestate", *value)));
        let head = get(&fields);
        let trace = TraceContext::from_head(&head, id(), None);
        assert_eq!(trace.state, TraceState::Members(members.as_bytes().into()), "{values:?}");
        let mut edits = HeadEdits::for_forwarding();
        trace.write(&mut edits).unwrap();
        let written: Vec<_> = edits.kept(head.fields()).chain(edits.added()).collect();
        let states: Vec<_> = written.iter().filter(|field| field.known == Some(KnownName::Tracestate)).collect();
        assert_eq!(states.iter().map(|field| field.value).collect::<Vec<_>>(), [members.as_bytes()]);
    }
    let state = context(&[("tracestate", "foo=1")], None).state;
    assert_eq!(state, TraceState::Absent, "a new trace has no state");
}

#[test]
fn the_flag_says_whether_the_request_is_sampled() {
    let flags = |flags: &str, traces: Option<&Traces>| {
        let trace = context(&[("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))], traces);
        let text = String::from_utf8(trace.attempt_text().to_vec()).unwrap();
        assert_eq!(trace.is_sampled, text.ends_with('1') || text.ends_with('3'), "{text}");
        text[53..].to_owned()
    };
    for (received, ppm, parent, sent) in [
        ("00", 0, true, "00"),
        ("01", 0, true, "01"),
        ("01", 0, false, "00"),
        ("00", 1_000_000, true, "01"),
        ("00", 1_000_000, false, "01"),
        ("03", 0, true, "03"),
        ("02", 0, true, "02"),
        ("ff", 0, false, "02"),
    ] {
        assert_eq!(flags(received, Some(&traces(ppm, parent))), sent, "{received} {ppm} {parent}");
    }
    assert_eq!((flags("01", None), flags("00", None), flags("fe", None)), ("01".into(), "00".into(), "02".into()));
    assert!(context(&[], Some(&traces(1_000_000, false))).is_sampled);
    assert!(!context(&[], Some(&traces(0, true))).is_sampled && !context(&[], None).is_sampled);
}

#[test]
fn each_attempt_has_an_id_that_its_upstream_receives() {
    let trace = context(&[], None);
    let mut edits = HeadEdits::for_forwarding();
    let sent = |edits: &HeadEdits| {
        let [field] = edits.added().collect::<Vec<_>>()[..] else { panic!("not one field") };
        String::from_utf8(field.value.to_vec()).unwrap()
    };
    let mut seen = Vec::new();
    trace.write(&mut edits).unwrap();
    for _ in 0..3 {
        let text = sent(&edits);
        let [_, trace_id, span_id, _] = text.split('-').collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!((trace_id, hex(span_id)), (trace.trace_id_text(), Some(trace.attempt_id())));
        assert!(!seen.contains(&span_id.to_owned()) && hex(span_id) != Some(trace.span_id), "{seen:?} {span_id}");
        seen.push(span_id.to_owned());
        trace.rewrite(&mut edits).unwrap();
    }
    // A route that sets its own value keeps it.
    edits.set(KnownName::Traceparent, b"other").unwrap();
    trace.rewrite(&mut edits).unwrap();
    assert_eq!(sent(&edits), "other");
}
