//! Records and small spools for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{
    Amount, ClientProgram, Credits, Day, KeyNo, LabelSet, NanoUsd, PlanId, RequestId, Subject, SubjectKind,
    SubjectName, Timestamp, Tokens, UserNo,
};
use meter::{
    Attempt, BilledQuantity, CacheUse, Caller, Charge, Counts, LimitOwner, LimitUnit, Outcome, RefusedLimit,
    RequestOrigin, SKIPPED_TARGETS_MAX, SessionHash, SkipReason, SkippedTarget, Source, ToolCalls, ToolUse, TraceId,
    Unit, UnknownCost, Usage, UsageEvent,
};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::{OpenRequest, Position, Reader, Record, Spool, SpoolError, SpoolOptions};

/// Each segment holds at least two records, and the spool holds many segments.
pub(crate) const SMALL: SpoolOptions = SpoolOptions { size_bytes_max: 1024 * 1024, segment_bytes: 4096, partitions: 1 };

/// The `n`-th record of a partition. Its size depends on `n`; each fifth record contains counts.
pub(crate) fn record(partition: u32, n: u32) -> Record {
    let id = id(partition, n);
    let caller = Some(Caller { user: UserNo(partition.into()), key: KeyNo(n.into()), plan: PlanId::NIL });
    if n % 5 == 4 {
        return Record::Counts { id, counts: (0..n % 7).map(|minute| counts(caller, minute)).collect() };
    }
    let mut event = event(RequestId(id));
    event.subject = caller.into();
    event.model = Some("m".repeat((n * 37 % 400) as usize).into());
    Record::Event(event)
}

fn counts(caller: Option<Caller>, minute: u32) -> Counts {
    let route = Arc::from("users");
    let day = Day(20_000);
    Counts {
        subject: caller.into(),
        route,
        status_class: 2,
        minute,
        day,
        requests: 3,
        credits: Credits::whole(u64::MAX / Credits::MICRO),
        labels: LabelSet::NONE,
    }
}

/// A UUIDv7 with the timestamp `1_000_000 + n` milliseconds.
pub(crate) fn id(partition: u32, n: u32) -> Uuid {
    Uuid::from_u128((1_000_000 + u128::from(n)) << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(partition))
}

/// An open request with every field set.
pub(crate) fn opened(id: Uuid) -> OpenRequest {
    OpenRequest {
        id: RequestId(id),
        subject: Subject::Key(Caller { user: UserNo(1), key: KeyNo(i64::MAX), plan: PlanId::NIL }),
        started_at: Timestamp(1_700_000_000_000_000),
        day: Day(19_675),
        windows: Vec::new(),
        reserved: Charge { credits: Credits::whole(2), tokens: Tokens(4_096), ..Charge::money(NanoUsd(41_000)) },
        route: Arc::from("chat"),
        format: Some(Arc::from("chat")),
        model: Some(Arc::from("fast")),
        price_version: Some(Arc::from("2025-11-01")),
        origin: RequestOrigin::default(),
    }
}

/// An origin with every field set.
pub(crate) fn origin() -> RequestOrigin {
    RequestOrigin {
        labels: LabelSet::of_text("team=payments,tier=gold"),
        client: ClientProgram::Codex,
        tools: ToolUse::Called,
        session: Some(SessionHash([7; 16])),
        cache: CacheUse::Stale,
        trace: Some(TraceId([8; 16])),
        skipped: vec![
            skipped_target("openai", SkipReason::Cooldown, 0),
            skipped_target("backup", SkipReason::Connect, 1),
        ],
        refused_limit: Some(Box::new(refused_limit())),
    }
}

fn refused_limit() -> RefusedLimit {
    RefusedLimit {
        owner: LimitOwner::Rule,
        unit: LimitUnit::Requests,
        rule: Some("ip".into()),
        window_seconds: Some(60),
        limit: Amount(100),
        used: Some(Amount(99)),
        requested: Amount(2),
        full_at: Some(Timestamp(3)),
    }
}

fn any_refused_limit() -> impl Strategy<Value = Option<Box<RefusedLimit>>> {
    let enums = (prop::sample::select(LimitOwner::ALL), prop::sample::select(LimitUnit::ALL));
    let amounts = any::<(u64, Option<u64>, u64, Option<u32>, Option<u64>)>();
    option::of((enums, option::of("[a-z+]{1,20}"), amounts).prop_map(|((owner, unit), rule, amounts)| {
        let (limit, used, requested, window_seconds, full_at) = amounts;
        Box::new(RefusedLimit {
            owner,
            unit,
            rule: rule.map(Into::into),
            window_seconds,
            limit: Amount(limit),
            used: used.map(Amount),
            requested: Amount(requested),
            full_at: full_at.map(Timestamp),
        })
    }))
}

fn skipped_target(provider: &str, reason: SkipReason, attempts_before: u8) -> SkippedTarget {
    SkippedTarget { provider: provider.into(), model: "gpt-5".into(), reason, attempts_before }
}

fn any_skipped() -> impl Strategy<Value = Vec<SkippedTarget>> {
    let target = ("[a-z]{1,20}", prop::sample::select(&SkipReason::ALL[..]), any::<u8>());
    let target = target.prop_map(|(provider, reason, before)| skipped_target(&provider, reason, before));
    prop::collection::vec(target, 0..=SKIPPED_TARGETS_MAX)
}

/// Any origin that records may contain.
pub(crate) fn any_origin() -> impl Strategy<Value = RequestOrigin> {
    let client = prop::sample::select(&ClientProgram::ALL[..]);
    let tools = prop::sample::select(&ToolUse::ALL[..]);
    let cache = prop::sample::select(&CacheUse::ALL[..]);
    let session = option::of(any::<[u8; 16]>());
    let trace = option::of(any::<[u8; 16]>());
    let words = ("([a-z]=[A-Za-z0-9._/:-]{1,9})?", client, tools, cache);
    let explained = (any_skipped(), any_refused_limit());
    (words, session, trace, explained).prop_map(|((labels, client, tools, cache), session, trace, explained)| {
        let labels = LabelSet::of_text(&labels);
        let session = session.map(SessionHash);
        let trace = trace.map(TraceId);
        let (skipped, refused_limit) = explained;
        RequestOrigin { labels, client, tools, session, cache, trace, skipped, refused_limit }
    })
}

/// One subject of each kind, as records contain it.
pub(crate) fn subjects() -> [Subject; 5] {
    let named = |kind, issuer, name| SubjectName { kind, issuer, name }.subject().unwrap();
    [
        opened(Uuid::nil()).subject,
        named(SubjectKind::Token, "https://id.example.com", "ada"),
        named(SubjectKind::Basic, "ops", "ada"),
        named(SubjectKind::Certificate, "", "CN=ada"),
        Subject::ANONYMOUS,
    ]
}

/// The open record of the `n`-th request of a partition.
pub(crate) fn open_of(partition: u32, n: u32) -> Record {
    Record::Open(opened(id(partition, n)))
}

/// The close record of the `n`-th request of a partition.
pub(crate) fn close_of(partition: u32, n: u32) -> Record {
    Record::Close(event(RequestId(id(partition, n))))
}

/// The close record of the `n`-th pre-logged batch of a partition.
pub(crate) fn close_batch_of(partition: u32, n: u32) -> Record {
    Record::CloseBatch { id: id(partition, n), counts: (0..n % 4).map(|minute| counts(None, minute)).collect() }
}

/// A close record of exactly `bytes` bytes, its header included.
pub(crate) fn close_of_bytes(partition: u32, n: u32, bytes: u32) -> Record {
    let mut event = event(RequestId(id(partition, n)));
    let mut encoder = crate::records::record::Encoder::new();
    let whole = encoder.encode(&Record::Close(event.clone())).unwrap() as usize;
    for name in (0..=(bytes as usize + event.route.len()).saturating_sub(whole)).rev() {
        event.route = "r".repeat(name).into();
        if encoder.encode(&Record::Close(event.clone())).unwrap() == bytes {
            return Record::Close(event);
        }
    }
    panic!("no close of {bytes} bytes");
}

/// A usage event with every field set.
pub(crate) fn event(id: RequestId) -> UsageEvent {
    let usage = Usage {
        source: Source::Reported,
        input: Some(Tokens(1)),
        cached_input: Some(Tokens(0)),
        cache_write_short: None,
        cache_write_long: Some(Tokens(u64::MAX)),
        output: Some(Tokens(300)),
        reasoning: Some(Tokens(128)),
        audio_input: Some(Tokens(2)),
        image_input: None,
        audio_output: Some(Tokens(3)),
        image_output: Some(Tokens(4)),
        billed: Some(BilledQuantity { unit: Unit::Character, quantity: 5 }),
        tools: ToolCalls { searches: Some(6), file_searches: Some(u64::MAX), ..ToolCalls::default() },
    };
    let attempt = Attempt {
        provider: Arc::from("openai"),
        model: Some(Arc::from("gpt-5-mini")),
        answered_model: Some(Arc::from("gpt-5-mini-2025-08-07")),
        status: Some(200),
        upstream_id: Some(Arc::from("req_1")),
        raw_usage: None,
        usage: Some(usage),
        cost: Some(NanoUsd(-1)),
        unknown: None,
        price_version: Some(Arc::from("2025-11-01")),
        own_credential: false,
        first_byte_us: Some(250),
        duration_us: 1_000,
    };
    UsageEvent {
        id,
        subject: Subject::Key(Caller { user: UserNo(1), key: KeyNo(i64::MIN), plan: PlanId::NIL }),
        started_at: Timestamp(1_700_000_000_000_000),
        day: Day(19_675),
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(2)),
        route: Arc::from("chat"),
        format: Some(Arc::from("chat")),
        model: Some(Arc::from("fast")),
        streamed: true,
        status: 429,
        outcome: Outcome::Drained,
        request_bytes: 128,
        response_bytes: 16_384,
        duration_us: 1_100,
        attempts: vec![
            Attempt { usage: None, cost: None, unknown: Some(UnknownCost::NoUsage), status: None, ..attempt.clone() },
            attempt,
        ],
        refusal: Some(Arc::from("upstream_timeout")),
        origin: RequestOrigin::default(),
    }
}

/// Opens a spool from which nothing was ingested.
pub(crate) fn open(dir: &Path, options: SpoolOptions) -> Spool {
    Spool::open(dir, options, &[]).unwrap()
}

/// Appends records `0..count` to each partition, and leaves the files as a killed process does.
pub(crate) fn written(dir: &Path, options: SpoolOptions, count: u32) {
    let mut spool = open(dir, options);
    for (partition, writer) in (0..).zip(&mut spool.writers) {
        (0..count).for_each(|n| writer.append(&record(partition, n)).unwrap());
    }
}

/// Reads and releases all records; returns them and the error that ended the reading.
pub(crate) fn drain(reader: &mut Reader) -> (Vec<Record>, Option<SpoolError>) {
    let mut records = Vec::new();
    loop {
        match reader.next_batch(3) {
            Ok(batch) if batch.records.is_empty() => return (records, None),
            Ok(batch) => {
                reader.release(&batch).unwrap();
                records.extend(batch.records);
            }
            Err(error) => return (records, Some(error)),
        }
    }
}

/// Opens the spool at `ingested` and reads all records in the order of the partitions.
pub(crate) fn rest(dir: &Path, options: SpoolOptions, ingested: &[Position]) -> Vec<Record> {
    let mut spool = Spool::open(dir, options, ingested).unwrap();
    let (records, error) = drain(&mut spool.reader);
    assert!(error.is_none(), "{error:?}");
    records
}

/// The first `count` records of partition 0.
pub(crate) fn records(count: u32) -> Vec<Record> {
    (0..count).map(|n| record(0, n)).collect()
}

/// The paths of the folder's files, sorted by name.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
