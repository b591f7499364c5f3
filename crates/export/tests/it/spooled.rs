//! A spool, and jobs that export it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use access::{
    Clock, Credits, Day, KeyId, KeyNo, LabelSet, NanoUsd, PlanId, RequestId, Subject, Timestamp, Tokens, UserId, UserNo,
};
use export::{CallerIds, EventExport, EventExportParts, EventTarget, IdLookup};
use meter::{Attempt, Caller, Charge, Counts, Outcome, RequestOrigin, Source, UnknownCost, Usage, UsageEvent};
use serde_json::Value;
use spool::{ExportCounter, ExportOptions, Position, Record, Spool, SpoolOpener, SpoolOptions};
use tempfile::TempDir;
use uuid::Uuid;

/// The time at which each test begins: 2026-11-26T10:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_687_200_000_000);
pub(crate) const NODE: Uuid = Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_dead_beef);
const SEGMENT_BYTES: u32 = 16 * 1024;
const OPTIONS: SpoolOptions =
    SpoolOptions { size_bytes_max: 16 * 1024 * 1024, segment_bytes: SEGMENT_BYTES, partitions: 1 };

/// A spool on disk, open or not.
pub(crate) struct Spooled {
    folder: TempDir,
    spool: Option<Spool>,
    ingested: Vec<Position>,
    counter: Option<ExportCounter>,
    /// Maximum size of segments that wait for the target.
    pub(crate) size_bytes_max: u64,
    pub(crate) clock: Clock,
    /// The number of look-ups in the store.
    pub(crate) lookups: Arc<AtomicU64>,
}

impl Spooled {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            spool: None,
            ingested: Vec::new(),
            counter: None,
            size_bytes_max: 64 * 1024 * 1024,
            clock: Clock::manual(NOW),
            lookups: Arc::default(),
        }
    }

    /// Opens the spool again, as a start does, and returns the job.
    pub(crate) fn start(&mut self, target: EventTarget) -> EventExport {
        self.spool = None;
        let spool = self.folder.path().join("spool");
        let waiting = self.folder.path().join("export");
        let export = ExportOptions { dir: &waiting, size_bytes_max: self.size_bytes_max };
        let opener = SpoolOpener { export: Some(export), ..SpoolOpener::new(&spool, OPTIONS, &self.ingested) };
        let mut opened = opener.open().unwrap();
        let reader = opened.export.take().unwrap();
        self.counter = Some(reader.counter());
        self.spool = Some(opened);
        let lookups = self.lookups.clone();
        let lookup = IdLookup::new(move |callers| {
            lookups.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { Ok(found(&callers)) })
        });
        let clock = self.clock.clone();
        EventExport::new(reader, EventExportParts { target: Arc::new(target), lookup, node: NODE, clock })
    }

    /// Appends requests with these numbers.
    pub(crate) fn append(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.spool.as_mut().unwrap().writers[0].append(&record(number)).unwrap();
        }
    }

    /// Stores everything, as ingest does.
    pub(crate) fn ingest(&mut self) {
        let reader = &mut self.spool.as_mut().unwrap().reader;
        loop {
            let batch = reader.next_batch(100).unwrap();
            if batch.records.is_empty() {
                break;
            }
            self.ingested = batch.positions().collect();
            reader.release(&batch).unwrap();
        }
        assert_eq!(reader.depth().unwrap().records, 0);
    }

    /// The bytes of the files in the folder of waiting segments.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.folder.path().join("export")).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    /// The number of rows that were removed before the target accepted them, since the last start.
    pub(crate) fn skipped_rows(&self) -> u64 {
        self.counter.as_ref().unwrap().totals().skipped_rows
    }

    pub(crate) const fn folder(&self) -> &TempDir {
        &self.folder
    }
}

/// User 9 is deleted.
fn found(callers: &[Caller]) -> CallerIds {
    let id = |no: i64| Uuid::from_u128(u128::try_from(no).unwrap());
    let user = |caller: &Caller| (caller.user, (caller.user.0 != 9).then(|| UserId(id(caller.user.0))));
    CallerIds {
        keys: callers.iter().map(|caller| (caller.key, Some(KeyId(id(caller.key.0))))).collect(),
        users: callers.iter().map(user).collect(),
    }
}

fn id(number: u32) -> Uuid {
    Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_0000 + u128::from(number))
}

/// Each tenth record has counts of two minutes, each third request no key.
pub(crate) fn record(number: u32) -> Record {
    let caller = Caller { user: UserNo(i64::from(number % 10)), key: KeyNo(100), plan: PlanId(id(7)) };
    let subject = if number.is_multiple_of(3) { Subject::ANONYMOUS } else { Subject::Key(caller) };
    if number % 10 == 9 {
        let counts = |status_class, minute| Counts {
            subject: subject.clone(),
            route: "users".into(),
            status_class,
            minute,
            day: Day(20_000),
            requests: 5,
            credits: Credits::whole(10),
            labels: LabelSet::NONE,
        };
        return Record::Counts { id: id(number), counts: vec![counts(2, 28_800_000), counts(24, 28_800_001)] };
    }
    let usage = Usage { input: Some(Tokens(7)), output: Some(Tokens(3)), ..Usage::empty(Source::Reported) };
    let attempt = Attempt {
        provider: "openai".into(),
        model: Some("gpt-5-mini".into()),
        answered_model: None,
        status: Some(200),
        upstream_id: None,
        usage: Some(usage),
        raw_usage: Some("{\"secret\": 1}".into()),
        cost: Some(NanoUsd(41)),
        unknown: None,
        price_version: None,
        own_credential: false,
        first_byte_us: Some(250),
        duration_us: 1_000,
    };
    let failed = Attempt {
        provider: "backup".into(),
        usage: None,
        cost: None,
        unknown: Some(UnknownCost::NoUsage),
        first_byte_us: None,
        ..attempt.clone()
    };
    Record::Event(UsageEvent {
        id: RequestId(id(number)),
        subject,
        started_at: Timestamp(NOW.0 - 1_000_000 + u64::from(number)),
        day: NOW.day(),
        windows: Vec::new(),
        charge: Charge { credits: Credits::whole(2), tokens: Tokens(10), ..Charge::money(NanoUsd(41)) },
        route: "chat".into(),
        format: Some("chat".into()),
        model: Some("fast \"quoted\"\n".into()),
        streamed: true,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 128,
        response_bytes: 256,
        duration_us: 1_100,
        attempts: vec![failed, attempt],
        refusal: None,
        origin: RequestOrigin { labels: LabelSet::of_text("team=payments"), ..RequestOrigin::default() },
    })
}

/// The ids of the rows of these records.
pub(crate) fn ids(numbers: std::ops::Range<u32>) -> Vec<String> {
    let of = |number: u32| {
        let id = id(number);
        if number % 10 == 9 { vec![format!("{id}-0"), format!("{id}-1")] } else { vec![id.to_string()] }
    };
    numbers.flat_map(of).collect()
}

/// The ids of rows in JSON lines.
pub(crate) fn ids_of(lines: &str) -> Vec<String> {
    lines.lines().map(|line| parsed(line)["id"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Returns the ids in their order.
pub(crate) fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_unstable();
    ids
}

/// Files of a folder by name.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    sorted(std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
}
