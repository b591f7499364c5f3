//! A valid spool folder whose files are then damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use ::spool::{OpenRequest, Record, Spool, SpoolError, SpoolOpener};
use access::{Credits, Day, KeyNo, NanoUsd, PlanId, RequestId, Timestamp, Tokens, UserNo};
use meter::{Attempt, Caller, Charge, Counts, Outcome, UsageEvent};
use uuid::Uuid;

use super::scratch::{OPTIONS, drained, in_folder, names_its_place};

/// The number of records, which fill five segments.
const RECORDS: u32 = 60;

/// The valid folder: names and contents of its files.
static WHOLE: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(whole);

/// The input is a sequence of `operation u8 | file u8 | place u16 | extent u8`. Either the folder opens, returns
/// written records once and in order, and accepts new ones. Or opening fails with a file and an offset, and opening
/// with `skip_corrupt` succeeds.
pub fn folder(bytes: &[u8]) {
    in_folder(|dir| {
        for (name, content) in WHOLE.iter() {
            fs::write(dir.join(name), content).unwrap();
        }
        for operation in bytes.chunks_exact(5).take(40) {
            damage(dir, operation);
        }
        let mut spool = match Spool::open(dir, OPTIONS, &[]) {
            Ok(spool) => spool,
            Err(error) => {
                names_its_place(dir, &error);
                return skipped(dir, &error);
            }
        };
        assert!(spool.skipped_damage.is_empty(), "skipped without `skip_corrupt`");
        for cut in &spool.truncated_tails {
            assert!(cut.file.starts_with(dir) && cut.bytes > 0, "{cut:?}");
        }
        let (read, error) = drained(&mut spool);
        if let Some(error) = error {
            return names_its_place(dir, &error);
        }
        in_order(&read);
        for one in &spool.interrupted {
            assert!(read.contains(&Record::Open(one.request.clone())), "never opened: {one:?}");
            let id = one.request.id.0;
            assert!(!read.iter().any(|record| matches!(record, Record::Close(_)) && record.id() == id), "closed: {id}");
        }
        let new = record(RECORDS + 1);
        spool.writers[0].append(&new).unwrap();
        drop(spool);
        let mut spool = Spool::open(dir, OPTIONS, &[]).unwrap();
        let (again, error) = drained(&mut spool);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(again.last(), Some(&new), "a record that was appended after recovery is missing");
    });
}

/// The damage can be skipped, and the remaining records are those that were written.
fn skipped(dir: &Path, error: &SpoolError) {
    if !matches!(error, SpoolError::Corrupt { .. }) {
        return;
    }
    let opening = SpoolOpener { skip_corrupt: true, ..SpoolOpener::new(dir, OPTIONS, &[]) };
    match opening.open() {
        Ok(mut spool) => {
            assert!(!spool.skipped_damage.is_empty(), "{error}");
            for skipped in &spool.skipped_damage {
                assert!(skipped.file.starts_with(dir) && skipped.from <= skipped.to, "{skipped:?}");
            }
            let (read, error) = drained(&mut spool);
            assert!(error.is_none(), "{error:?}");
            in_order(&read);
        }
        Err(SpoolError::Missing { .. }) => {}
        Err(error) => panic!("damage was not skipped: {error}"),
    }
}

fn in_order(read: &[Record]) {
    let mut last = None;
    for record in read {
        let n = number(record);
        assert!(n < RECORDS && *record == self::record(n), "a record that was never written: {record:?}");
        assert!(last < Some(n), "record {n} follows {last:?}");
        last = Some(n);
    }
}

fn damage(dir: &Path, operation: &[u8]) {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let &[operation, file, low, high, extent] = operation else { return };
    if files.is_empty() {
        return;
    }
    let path = &files[usize::from(file) % files.len()];
    let mut bytes = fs::read(path).unwrap();
    let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
    let until = bytes.len().min(at + usize::from(extent));
    match operation % 10 {
        0 if at < bytes.len() => bytes[at] ^= 1 << (extent % 8),
        1 => bytes[at..until].fill(extent),
        2 => bytes[at..].fill(0),
        3 => bytes.truncate(at),
        4 => return fs::remove_file(path).unwrap(),
        5 => return fs::rename(path, named(dir, 0, extent)).unwrap(),
        6 => drop(fs::copy(path, named(dir, low, extent)).unwrap()),
        7 => return fs::rename(path, path.with_extension("new")).unwrap(),
        8 => {
            let piece = bytes[at..until].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => drop(bytes.drain(at..until)),
    }
    fs::write(path, bytes).unwrap();
}

fn named(dir: &Path, lane: u8, number: u8) -> PathBuf {
    dir.join(format!("{:04}-{:010}.spool", lane % 3, number % 9))
}

fn whole() -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), OPTIONS, &[]).unwrap();
    (0..RECORDS).for_each(|n| spool.writers[0].append(&record(n)).unwrap());
    drop(spool);
    let entries = fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

/// The `n`-th record. Of five consecutive records, the second is an open, the third closes it, and the last is counts.
fn record(n: u32) -> Record {
    let of = if n % 5 == 2 { n - 1 } else { n };
    let id = Uuid::from_u128(u128::from(of) << 80 | 7 << 76);
    let subject = access::Subject::Key(Caller { user: UserNo(1), key: KeyNo(n.into()), plan: PlanId::NIL });
    let route: Arc<str> = Arc::from("users");
    let day = Day(20_000);
    if n % 5 == 4 {
        let counts = Counts {
            subject,
            route,
            status_class: 2,
            minute: n,
            day,
            requests: 3,
            credits: Credits::whole(3),
            labels: access::LabelSet::NONE,
        };
        return Record::Counts { id, counts: vec![counts; 1 + n as usize % 3] };
    }
    let started_at = Timestamp(1_700_000_000_000_000);
    if n % 5 == 1 {
        return Record::Open(OpenRequest {
            id: RequestId(id),
            subject,
            started_at,
            day,
            windows: Vec::new(),
            reserved: Charge { credits: Credits::whole(1), tokens: Tokens(n.into()), ..Charge::money(NanoUsd(7)) },
            route,
            format: None,
            model: Some("m".repeat((n * 37 % 300) as usize).into()),
            price_version: None,
            origin: meter::RequestOrigin::default(),
        });
    }
    let attempt = Attempt {
        provider: Arc::from("openai"),
        model: Some(Arc::from("gpt-5-mini")),
        answered_model: None,
        status: Some(200),
        upstream_id: Some("r".repeat((n * 37 % 300) as usize).into()),
        raw_usage: None,
        usage: None,
        cost: None,
        unknown: None,
        price_version: None,
        own_credential: false,
        first_byte_us: Some(250),
        duration_us: 1_000,
    };
    let event = UsageEvent {
        id: RequestId(id),
        subject,
        started_at,
        day,
        windows: Vec::new(),
        charge: Charge::credits(Credits::whole(1)),
        route,
        format: None,
        model: None,
        streamed: false,
        status: 200,
        outcome: Outcome::Completed,
        request_bytes: 1,
        response_bytes: 2,
        duration_us: 3,
        attempts: vec![attempt],
        refusal: None,
        origin: meter::RequestOrigin::default(),
    };
    if n % 5 == 2 { Record::Close(event) } else { Record::Event(event) }
}

fn number(record: &Record) -> u32 {
    let of = u32::try_from(record.id().as_u128() >> 80).unwrap_or(u32::MAX);
    if matches!(record, Record::Close(_)) { of.saturating_add(1) } else { of }
}
