//! The last record of a spool is torn at every byte: the server starts, and only that record is missing. The test runs
//! with `SQLite` only, because the spool does not depend on the store.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2e::database::on_postgres;
use e2e::setup::Folder;
use e2e::{Gateway, Mock, Setup, at_once, eventually};
use tokio::task::JoinSet;

use super::rounds::{Load, tell};
use crate::store;

/// Number of lanes; each has a last record, so one start tests this many bytes.
const LANES: usize = 40;
const CALLS: usize = 200;
/// Step between truncated lengths: a short file is read like one with zeros, so few are tested.
const SHORT: usize = 16;
/// Number of concurrent requests.
const BATCH: usize = 40;
/// Number of concurrent starts.
const BESIDE: usize = 3;
const SEGMENT_HEADER_BYTES: usize = 32;
const HEADER_BYTES: usize = 28;
const CLOSE: u8 = 2;

/// The way in which a record is torn at a byte.
#[derive(Debug, Clone, Copy)]
enum TearKind {
    /// The byte and all following ones were never written.
    Zeros,
    /// The byte has another value.
    Garbled,
    /// The file ends before the byte.
    Short,
}

/// The last record of a lane.
#[derive(Debug, Clone)]
struct LastRecord {
    file: PathBuf,
    offset: u64,
    length: usize,
    /// The request id as the store's rows spell it.
    id: String,
}

/// Returns the last record of each lane that ends with one. The format is that of `spool::records::segment` and
/// `spool::records::record`.
fn last_records(spool: &Path) -> Vec<LastRecord> {
    let mut lanes: BTreeMap<u32, LastRecord> = BTreeMap::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "spool"));
    paths.sort();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let lane = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
        let mut at = SEGMENT_HEADER_BYTES;
        while bytes.len() > at + HEADER_BYTES && bytes[at + 8] != 0 {
            let length = HEADER_BYTES + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            assert!(bytes[at + 9] <= 5, "a segment that the lane no longer uses: {path:?}");
            let id = bytes[at + 12..at + 28].iter().map(|byte| format!("{byte:02x}")).collect();
            let last = LastRecord { file: path.clone(), offset: at as u64, length, id };
            if bytes[at + 9] == CLOSE {
                lanes.insert(lane, last);
            } else {
                lanes.remove(&lane);
            }
            at += length;
        }
    }
    lanes.into_values().collect()
}

/// Damages the record; returns whether its bytes changed, which zeros at the end do not guarantee.
fn tear(record: &LastRecord, file: &Path, at: usize, how: TearKind) -> bool {
    let file = File::options().read(true).write(true).open(file).unwrap();
    let place = record.offset + at as u64;
    let mut rest = vec![0; record.length - at];
    file.read_exact_at(&mut rest, place).unwrap();
    match how {
        TearKind::Zeros => file.write_all_at(&vec![0; rest.len()], place).unwrap(),
        TearKind::Garbled => file.write_all_at(&[!rest[0]], place).unwrap(),
        TearKind::Short => file.set_len(place).unwrap(),
    }
    matches!(how, TearKind::Garbled) || rest.iter().any(|byte| *byte != 0)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.as_ref().unwrap().path();
        let to = to.join(entry.unwrap().file_name());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Requests that are in flight when the server is killed.
pub(crate) const HANGING: u8 = 2;

/// A server that was killed, with its folder and load.
pub(crate) struct KilledServer {
    pub(crate) folder: Folder,
    pub(crate) load: Arc<Load>,
}

/// Kills a server whose spool has all events: `calls` finished requests and [`HANGING`] open ones.
pub(crate) async fn killed(setup: Setup, calls: usize) -> KilledServer {
    let gateway = Gateway::start_in(Folder::on_sqlite(), setup).await;
    let load = Load::new(&gateway.key().await);
    // No ingest happens while this connection locks the database.
    let held = store::rows(gateway.folder(), &gateway.folder().data()).hold().await;
    let make = |nth: usize, model: &'static str| {
        let load = Arc::clone(&load);
        let to = gateway.proxy;
        async move { load.make(to, load.call(model, nth.is_multiple_of(2))).await }
    };
    let mut hanging: JoinSet<_> = (0..HANGING).map(|_| make(0, "tokens-100-1000")).collect();
    let in_flight = async || (gateway.gauge("tollgate_requests_in_flight").await == i64::from(HANGING)).then_some(());
    eventually("the requests are in flight", in_flight).await;
    for batch in (0..calls).step_by(BATCH) {
        let batch = batch..calls.min(batch + BATCH);
        let passed = batch.map(|nth| make(nth, "tokens-2-0")).collect::<JoinSet<_>>().join_all().await;
        assert!(passed.iter().all(|status| *status == Some(200)), "{passed:?}");
    }
    eventually("only the open requests remain", in_flight).await;
    let folder = gateway.crash().folder;
    assert!(matches!(hanging.join_next().await, Some(Ok(None))));
    hanging.join_all().await;
    held.give_up().await;
    assert_eq!(store::all_events(&folder).await.len(), 0);
    KilledServer { folder, load }
}

/// Starts a copy with these damaged records; asserts that all other records are stored.
async fn check(setup: Setup, data: PathBuf, torn: Vec<(LastRecord, usize, TearKind)>) {
    let folder = Folder::on_sqlite();
    copy(&data, &folder.data());
    let file = |record: &LastRecord| folder.data().join("spool").join(record.file.file_name().unwrap());
    let torn: Vec<_> = torn.into_iter().filter(|(record, at, how)| tear(record, &file(record), *at, *how)).collect();
    let gateway = Gateway::start_in(folder, setup).await;
    let events = store::all_events(gateway.folder()).await;
    assert_eq!(events.len(), CALLS + usize::from(HANGING));
    assert_eq!(events.iter().filter(|event| event.outcome == "interrupted").count(), torn.len() + usize::from(HANGING));
    for (record, at, how) in &torn {
        let event = events.iter().find(|event| event.id == record.id);
        assert!(event.is_some_and(|event| event.outcome == "interrupted"), "{how:?} at {at}: {event:?}");
    }
}

#[tokio::test]
async fn a_spool_with_a_torn_last_record_opens_without_only_that_record() {
    if on_postgres() {
        return;
    }
    let mock = Mock::start().await;
    let workers = LANES.to_string();
    let setup =
        Setup::provider("mock", mock.address()).section("spool", "{max_size: 40MiB}").flag("--workers").flag(&workers);
    let KilledServer { folder, .. } = killed(setup.clone(), CALLS).await;
    let records = last_records(&folder.data().join("spool"));
    assert!(records.len() > LANES / 2, "{} lanes", records.len());
    let longest = records.iter().map(|record| record.length).max().unwrap();
    let mut left: VecDeque<(usize, TearKind)> =
        (0..longest).flat_map(|at| [TearKind::Zeros, TearKind::Garbled].map(|how| (at, how))).collect();
    left.extend((0..longest).step_by(SHORT).map(|at| (at, TearKind::Short)));
    let mut starts: Vec<Vec<_>> = Vec::new();
    while !left.is_empty() {
        let mut torn = Vec::new();
        for record in &records {
            if let Some(found) = left.iter().position(|(at, _)| *at < record.length) {
                let (at, how) = left.remove(found).unwrap();
                torn.push((record.clone(), at, how));
            }
        }
        starts.push(torn);
    }
    let count = starts.len();
    let mut share: [Vec<_>; BESIDE] = Default::default();
    for (nth, torn) in starts.into_iter().enumerate() {
        share[nth % BESIDE].push(torn);
    }
    at_once(share.map(|starts| {
        let setup = setup.clone();
        let data = folder.data();
        async move {
            for torn in starts {
                check(setup.clone(), data.clone(), torn).await;
            }
        }
    }))
    .await;
    tell(&format!("{longest} bytes, each torn in 2 ways, some in 3, in {count} starts"));
}
