use access::{
    Credits, Day, KeyNo, LabelSet, LimitPeriod, Minute, NanoUsd, PlanId, RequestId, Subject, SubjectKind, SubjectName,
    Timestamp, Tokens, UserNo,
};
use meter::{
    Attempt, BilledQuantity, Caller, Charge, Counts, Outcome, Period, Source, ToolCalls, Unit, UnknownCost, Usage,
    UsageEvent,
};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::attempt::{read_attempt, write_attempt};
use super::wire::NoRoom;
use super::*;
use crate::fixture;
use crate::open_request::OpenRequest;

/// The tag and the value of a field that this release does not know.
type UnknownField = (u32, Vec<u8>);

/// No field of this release has this tag or a higher one.
const UNKNOWN: u32 = 1_000;

pub(super) fn written(write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut buffer = vec![0; 1024 * 1024];
    let mut writer = PayloadWriter::new(&mut buffer);
    write(&mut writer).unwrap();
    let bytes = writer.len();
    buffer[..bytes].to_vec()
}

pub(super) fn event() -> UsageEvent {
    fixture::event(RequestId(fixture::id(1, 2)))
}

pub(super) fn event_of(bytes: &[u8]) -> Result<UsageEvent, InvalidPayload> {
    read_event(PayloadReader::new(bytes))
}

pub(super) fn field(tag: u32, value: &[u8]) -> Vec<u8> {
    // Postcard writes a slice of bytes in the form of a field's value: its length and the bytes.
    written(|writer| writer.value(&tag).and_then(|()| writer.value(&value)))
}

/// Writes the event as a later minor version does, with more fields in the event and in each attempt.
fn event_with(event: &UsageEvent, in_event: &[UnknownField], in_attempts: &[UnknownField]) -> Vec<u8> {
    let add = |writer: &mut PayloadWriter<'_>, fields: &[UnknownField]| {
        fields.iter().try_for_each(|(tag, value)| writer.value(tag).and_then(|()| writer.value(value)))
    };
    let whole = written(|writer| write_event(writer, event));
    let bare = written(|writer| write_event(writer, &UsageEvent { attempts: Vec::new(), ..event.clone() }));
    // The list follows the base; the payloads differ first in the number of its entries.
    let Some(base) = whole.iter().zip(&bare).position(|(one, other)| one != other) else {
        return [whole, written(|writer| add(writer, in_event))].concat();
    };
    let list = written(|writer| {
        writer.list(&event.attempts, |writer, attempt| {
            write_attempt(writer, attempt)?;
            add(writer, in_attempts)
        })
    });
    [&bare[..base], &list, &bare[base + 1..], &written(|writer| add(writer, in_event))].concat()
}

#[test]
fn event_without_fields_of_later_versions_is_read_and_they_are_none() {
    let bare = |attempt: &Attempt| Attempt { unknown: None, ..attempt.clone() };
    let older = UsageEvent { refusal: None, attempts: event().attempts.iter().map(bare).collect(), ..event() };
    let with_fields = written(|writer| write_event(writer, &event()));
    let without = written(|writer| write_event(writer, &older));
    // The reason of one attempt takes a tag, a length and a code. The refusal takes a tag, two lengths and its text.
    assert_eq!(with_fields.len() - without.len(), 3 + 3 + "upstream_timeout".len());
    assert_eq!(event_of(&without), Ok(older));
}

/// The fields of version 1.4: tag, length, value.
#[test]
fn fields_of_own_credentials_are_frozen() {
    let own = |attempt: &Attempt| Attempt { own_credential: true, ..attempt.clone() };
    let shared = UsageEvent { charge: Charge::money(NanoUsd(300)), ..event() };
    let charge = Charge { pooled_money: NanoUsd(200), ..shared.charge };
    let event = UsageEvent { charge, attempts: shared.attempts.iter().map(own).collect(), ..shared.clone() };
    let attempts: Vec<Vec<u8>> =
        event.attempts.iter().map(|attempt| written(|writer| write_attempt(writer, attempt))).collect();
    assert!(attempts.iter().all(|attempt| attempt.ends_with(b"\x02\x01\x01")));
    let bytes = written(|writer| write_event(writer, &event));
    assert!(bytes.ends_with(b"\x20\x02\xc8\x01"));
    assert_eq!(bytes.len() - written(|writer| write_event(writer, &shared)).len(), 4 + 3 * attempts.len());
    assert_eq!(event_of(&bytes), Ok(event));
    let opened = OpenRequest { reserved: charge, ..fixture::opened(fixture::id(1, 2)) };
    let bytes = written(|writer| write_open(writer, &opened));
    assert!(bytes.ends_with(b"\x20\x02\xc8\x01"));
    assert_eq!(read_open(PayloadReader::new(&bytes)), Ok(opened));
}

#[test]
fn unknown_fields_of_events_and_attempts_are_skipped() {
    let cases: [&[UnknownField]; 4] = [
        &[],
        &[(UNKNOWN, Vec::new())],
        &[(UNKNOWN, vec![0; 200]), (UNKNOWN + 1, b"text".to_vec()), (u32::MAX, vec![0xff])],
        &[(UNKNOWN + 9, vec![1; 20_000])],
    ];
    for in_event in cases {
        for in_attempts in cases {
            assert_eq!(event_of(&event_with(&event(), in_event, in_attempts)), Ok(event()));
        }
    }
}

#[test]
fn unknown_fields_of_opens_and_counts_are_skipped() {
    let opened = fixture::opened(fixture::id(1, 2));
    let mut bytes = written(|writer| write_open(writer, &opened));
    bytes.extend(field(UNKNOWN, b"later"));
    assert_eq!(read_open(PayloadReader::new(&bytes)), Ok(opened));

    let counts = counts();
    let mut bytes = written(|writer| {
        writer.list(&counts, |writer, one| {
            let mut entry = written(|writer| write_counts(writer, std::slice::from_ref(one)));
            // One entry of a list follows its number and its length, which take one byte each.
            entry.drain(..2);
            entry.extend(field(UNKNOWN, b"later"));
            entry.iter().try_for_each(|byte| writer.value(byte))
        })
    });
    bytes.extend(field(UNKNOWN, b"later"));
    assert_eq!(read_counts(PayloadReader::new(&bytes)), Ok(counts));
}

pub(super) fn counts() -> Vec<Counts> {
    let caller = Subject::Key(Caller { user: UserNo(1), key: KeyNo(-2), plan: PlanId::NIL });
    let of = |subject, minute| Counts {
        subject,
        route: "users".into(),
        status_class: 2,
        minute,
        day: Day(20_000),
        requests: 3,
        credits: Credits::whole(5),
        labels: LabelSet::NONE,
    };
    vec![of(caller, 1), of(Subject::ANONYMOUS, u32::MAX), of(token(), 2)]
}

fn token() -> Subject {
    SubjectName { kind: SubjectKind::Token, issuer: "https://id.example.com", name: "ada" }.subject().unwrap()
}

/// The fields of subjects as version 1.1 wrote them first: tag, length, code of the kind, issuer, name.
#[test]
fn fields_of_subjects_are_frozen() {
    let named = |kind, issuer, name| SubjectName { kind, issuer, name }.subject().unwrap();
    for (subject, content) in [
        (named(SubjectKind::Token, "https://i", "ada"), &b"\x01\x09https://i\x03ada"[..]),
        (named(SubjectKind::Basic, "ops", "ada"), b"\x02\x03ops\x03ada"),
        (named(SubjectKind::Certificate, "", "CN=ada"), b"\x03\x00\x06CN=ada"),
        (Subject::ANONYMOUS, b""),
    ] {
        let event = UsageEvent { subject: subject.clone(), refusal: None, ..event() };
        let opened = OpenRequest { subject: subject.clone(), ..fixture::opened(fixture::id(1, 2)) };
        let counts = vec![Counts { subject, ..counts().remove(0) }];
        let in_event = written(|writer| write_event(writer, &event));
        let in_open = written(|writer| write_open(writer, &opened));
        let in_counts = written(|writer| write_counts(writer, &counts));
        if !content.is_empty() {
            assert!(in_event.ends_with(&field(2, content)) && in_open.ends_with(&field(1, content)));
            assert!(in_counts.ends_with(&field(1, content)));
        }
        assert_eq!(event_of(&in_event), Ok(event));
        assert_eq!(read_open(PayloadReader::new(&in_open)), Ok(opened));
        assert_eq!(read_counts(PayloadReader::new(&in_counts)), Ok(counts));
    }
}

#[test]
fn invalid_subjects_are_damage() {
    let anonymous = UsageEvent { subject: Subject::ANONYMOUS, refusal: None, ..event() };
    let bytes =
        |event: &UsageEvent, content: &[u8]| [written(|writer| write_event(writer, event)), field(2, content)].concat();
    assert_eq!(
        event_of(&bytes(&anonymous, b"\x02\x03ops\x03ada")).map(|event| event.subject.kind()),
        Ok(SubjectKind::Basic)
    );
    let long = [b"\x02\x01i\x80\x02".as_slice(), &[b'a'; 256]].concat();
    for content in [
        &b"\x05\x00\x03ada"[..],
        b"\x00\x00\x03ada",
        b"\x04\x00\x00",
        b"\x02\x00\x00",
        b"\x02\x00\x03ada",
        b"\x01\x00\x03ada",
        b"\x03\x01i\x03ada",
        b"\x02\x01i\x03a\0a",
        &long,
    ] {
        assert_eq!(event_of(&bytes(&anonymous, content)), Err(InvalidPayload), "{content:?}");
    }
    let of_key = UsageEvent { refusal: None, ..event() };
    assert_eq!(event_of(&bytes(&of_key, b"\x02\x01i\x03ada")), Err(InvalidPayload), "a key and a name");
}

#[test]
fn invalid_fields_are_damage() {
    let one = |tag| field(tag, b"v");
    let cases = [
        ("an old field again", [one(1), one(1)].concat()),
        ("a duplicate tag", [one(5), one(5)].concat()),
        ("descending tags", [one(6), one(5)].concat()),
        ("tag 0", one(0)),
        ("a tag without a length", vec![5]),
        ("a tag that is cut", vec![0x85]),
        ("a tag of more than 32 bits", vec![0xff, 0xff, 0xff, 0xff, 0x1f, 1, 0]),
        ("a tag of more than five bytes", vec![0x85, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 0]),
        ("a length that is cut", vec![5, 0x81]),
        ("a length of more than 32 bits", vec![5, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("a value that is cut", vec![5, 3, 0, 0]),
        ("the longest value", vec![5, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("a known field with more than its value", field(1, &[0, 0])),
        ("a known field with less than its value", field(1, &[])),
    ];
    let bare = UsageEvent { attempts: Vec::new(), refusal: None, ..event() };
    let attempt = Attempt { unknown: None, ..event().attempts[0].clone() };
    let opened = fixture::opened(fixture::id(1, 2));
    for (name, tail) in cases {
        let with_tail = |mut bytes: Vec<u8>| {
            bytes.extend(&tail);
            bytes
        };
        let in_event = with_tail(written(|writer| write_event(writer, &bare)));
        assert_eq!(event_of(&in_event), Err(InvalidPayload), "{name}");
        let in_attempt = with_tail(written(|writer| write_attempt(writer, &attempt)));
        assert_eq!(read_attempt(PayloadReader::new(&in_attempt)), Err(InvalidPayload), "{name}");
        let in_open = with_tail(written(|writer| write_open(writer, &opened)));
        assert_eq!(read_open(PayloadReader::new(&in_open)), Err(InvalidPayload), "{name}");
        // A list of counts has no known field.
        if name.contains("known") {
            continue;
        }
        let in_counts = with_tail(written(|writer| write_counts(writer, &counts())));
        assert_eq!(read_counts(PayloadReader::new(&in_counts)), Err(InvalidPayload), "{name}");
    }
}

#[test]
fn invalid_codes_are_damage() {
    let attempt = event().attempts[0].clone();
    let mut bytes = written(|writer| write_attempt(writer, &attempt));
    assert_eq!(read_attempt(PayloadReader::new(&bytes)), Ok(attempt));
    *bytes.last_mut().unwrap() = 6;
    assert_eq!(read_attempt(PayloadReader::new(&bytes)), Err(InvalidPayload));
}

#[test]
fn cut_payload_is_damage_or_ends_between_two_fields() {
    let whole = written(|writer| write_event(writer, &event()));
    // An event without fields is whole. A cut payload that is read is written back with the same bytes.
    let reads: Vec<(usize, UsageEvent)> =
        (0..whole.len()).filter_map(|cut| Some((cut, event_of(&whole[..cut]).ok()?))).collect();
    assert_eq!(reads.first().map(|(_, read)| (&read.attempts, &read.refusal)), Some((&event().attempts, &None)));
    for (cut, read) in reads {
        assert_eq!(written(|writer| write_event(writer, &read)), whole[..cut], "cut at {cut}");
    }
}

#[test]
fn payload_that_exceeds_its_buffer_by_any_number_of_bytes_is_refused() {
    let whole = written(|writer| write_event(writer, &event()));
    for bytes in 0..whole.len() {
        let mut buffer = vec![0; bytes];
        assert_eq!(write_event(&mut PayloadWriter::new(&mut buffer), &event()), Err(NoRoom), "{bytes}");
    }
    let mut buffer = vec![0; whole.len()];
    assert_eq!(write_event(&mut PayloadWriter::new(&mut buffer), &event()), Ok(()));
    assert_eq!(buffer, whole);
}

fn text() -> impl Strategy<Value = String> {
    "[a-zä🦀]{0,40}"
}

fn name() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn subject() -> impl Strategy<Value = Subject> {
    let key = any::<(i64, i64, u128)>().prop_map(|(user, key, plan)| {
        Subject::Key(Caller { user: UserNo(user), key: KeyNo(key), plan: PlanId(Uuid::from_u128(plan)) })
    });
    let named = |kind: SubjectKind, issuer: &'static str, name: &'static str| {
        (issuer, name)
            .prop_map(move |(issuer, name)| SubjectName { kind, issuer: &issuer, name: &name }.subject().unwrap())
    };
    prop_oneof![
        key,
        Just(Subject::ANONYMOUS),
        named(SubjectKind::Token, "[a-z:/.]{1,512}", "[a-zä]{1,127}"),
        named(SubjectKind::Basic, "[a-z.]{1,64}", "[a-z@.]{1,255}"),
        named(SubjectKind::Certificate, "", "[a-zA-Z=, ]{1,512}"),
    ]
}

fn charge() -> impl Strategy<Value = Charge> {
    let pooled = prop_oneof![Just(None), (0..=i64::MAX).prop_map(Some)];
    (any::<u64>(), any::<u64>(), 0..=i64::MAX, pooled).prop_map(|(credits, tokens, money, pooled)| Charge {
        credits: Credits(credits),
        tokens: Tokens(tokens),
        money: NanoUsd(money),
        pooled_money: NanoUsd(pooled.unwrap_or(money)),
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let billed = (prop::sample::select(&Unit::ALL[..]), any::<u64>())
        .prop_map(|(unit, quantity)| BilledQuantity { unit, quantity });
    let source = prop::sample::select(&Source::ALL[..]);
    let tools = any::<[Option<u64>; 5]>().prop_map(ToolCalls::of_counts);
    (source, any::<[Option<u64>; 10]>(), option::of(billed), tools).prop_map(|(source, classes, billed, tools)| {
        let [
            input,
            cached_input,
            cache_write_short,
            cache_write_long,
            output,
            reasoning,
            audio_input,
            image_input,
            audio_output,
            image_output,
        ] = classes.map(|class| class.map(Tokens));
        Usage {
            source,
            input,
            cached_input,
            cache_write_short,
            cache_write_long,
            output,
            reasoning,
            audio_input,
            image_input,
            audio_output,
            image_output,
            billed,
            tools,
        }
    })
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let names = (text(), [name(), name(), name(), name(), name()]);
    let unknown = option::of(prop::sample::select(&UnknownCost::ALL[..]));
    let numbers = any::<(Option<u16>, Option<i64>, Option<u64>, u64, bool)>();
    (names, option::of(usage()), unknown, numbers).prop_map(|(names, usage, unknown, numbers)| {
        let (provider, optional) = names;
        let [model, answered_model, upstream_id, raw_usage, price_version] = optional.map(|name| name.map(Into::into));
        let (status, cost, first_byte_us, duration_us, own_credential) = numbers;
        Attempt {
            provider: provider.into(),
            model,
            answered_model,
            status,
            upstream_id,
            usage,
            raw_usage,
            cost: cost.map(NanoUsd),
            unknown,
            price_version,
            own_credential,
            first_byte_us,
            duration_us,
        }
    })
}

fn windows() -> impl Strategy<Value = Vec<Period>> {
    let shapes = prop::sample::select(vec!["5h/first_use", "90d/first_use", "day/Asia/Jakarta", "month/UTC"]);
    let window = (shapes, any::<u32>(), any::<u32>()).prop_map(|(shape, begin, end)| {
        Period::between(LimitPeriod::parse(shape).unwrap(), Minute(begin), Minute(end))
    });
    prop::collection::vec(window, 0..8)
}

fn any_event() -> impl Strategy<Value = UsageEvent> {
    let head = (any::<(u128, u64, u32)>(), subject(), charge());
    let names = (text(), name(), name(), name());
    let outcome = prop::sample::select(&Outcome::ALL[..]);
    let numbers = any::<(bool, u16, u64, u64, u64)>();
    let attempts = prop::collection::vec(attempt(), 0..5);
    (head, names, outcome, numbers, attempts, (fixture::any_origin(), windows())).prop_map(
        |(head, names, outcome, numbers, attempts, (origin, windows))| {
            let ((id, started_at, day), subject, charge) = head;
            let (route, format, model, refusal) = names;
            let (streamed, status, request_bytes, response_bytes, duration_us) = numbers;
            UsageEvent {
                id: RequestId(Uuid::from_u128(id)),
                subject,
                started_at: Timestamp(started_at),
                day: Day(day),
                windows,
                charge,
                route: route.into(),
                format: format.map(Into::into),
                model: model.map(Into::into),
                streamed,
                status,
                outcome,
                request_bytes,
                response_bytes,
                duration_us,
                attempts,
                refusal: refusal.map(Into::into),
                origin,
            }
        },
    )
}

/// Fields with ascending tags that this release does not know.
fn unknown_fields() -> impl Strategy<Value = Vec<UnknownField>> {
    let value = prop::collection::vec(any::<u8>(), 0..300);
    prop::collection::btree_map(UNKNOWN..=u32::MAX, value, 0..6).prop_map(|fields| fields.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_with_any_unknown_fields_round_trips(
        event in any_event(),
        in_event in unknown_fields(),
        in_attempts in unknown_fields(),
    ) {
        let read = event_of(&written(|writer| write_event(writer, &event))).unwrap();
        prop_assert_eq!(&read, &event);
        let read = event_of(&event_with(&event, &in_event, &in_attempts)).unwrap();
        prop_assert_eq!(&read, &event);
    }

    #[test]
    fn any_open_request_with_any_unknown_fields_round_trips(
        id in any::<u128>(),
        started_at in any::<u64>(),
        day in any::<u32>(),
        subject in subject(),
        reserved in charge(),
        route in text(),
        format in name(),
        model in name(),
        price_version in name(),
        origin in fixture::any_origin(),
        windows in windows(),
        fields in unknown_fields(),
    ) {
        let opened = OpenRequest {
            id: RequestId(Uuid::from_u128(id)),
            subject,
            started_at: Timestamp(started_at),
            day: Day(day),
            windows,
            reserved,
            route: route.into(),
            format: format.map(Into::into),
            model: model.map(Into::into),
            price_version: price_version.map(Into::into),
            origin,
        };
        let mut bytes = written(|writer| write_open(writer, &opened));
        prop_assert_eq!(&read_open(PayloadReader::new(&bytes)).unwrap(), &opened);
        fields.iter().for_each(|(tag, value)| bytes.extend(field(*tag, value)));
        prop_assert_eq!(&read_open(PayloadReader::new(&bytes)).unwrap(), &opened);
    }

    /// What can be read can be written and read again; everything else is an error, not a panic.
    #[test]
    fn any_bytes_are_read_or_refused(
        start in prop::sample::select(vec![Vec::new(), written(|writer| write_event(writer, &event()))]),
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut all = start;
        let at = at.index(all.len() + 1);
        let until = all.len().min(at + bytes.len() / 2);
        all.splice(at..until, bytes);
        if let Ok(event) = event_of(&all) {
            prop_assert_eq!(event_of(&written(|writer| write_event(writer, &event))), Ok(event));
        }
        drop((read_open(PayloadReader::new(&all)), read_counts(PayloadReader::new(&all))));
    }
}
