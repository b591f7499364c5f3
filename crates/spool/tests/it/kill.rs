//! `kill -9`: a process appends until it is killed, several times; each acknowledged record exists exactly once.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use access::{Clock, Credits, Day, NanoUsd, RequestId, Timestamp, Tokens};
use meter::{Charge, Outcome, UsageEvent};
use spool::{OpenRequest, Record, Spool, SpoolDurability, SpoolOpener, SpoolOptions};
use uuid::Uuid;

const FOLDER: &str = "SPOOL_TEST_FOLDER";
const OPTIONS: SpoolOptions = SpoolOptions { size_bytes_max: 256 << 20, segment_bytes: 64 * 1024, partitions: 2 };
const ROUNDS: u32 = 10;
/// Open requests of a partition.
const IN_FLIGHT: u32 = 20;

fn id(partition: u32, round: u32, n: u32) -> Uuid {
    Uuid::from_u128(7 << 76 | u128::from(partition) << 64 | u128::from(round) << 32 | u128::from(n))
}

/// Returns partition, round and number.
fn numbers(id: Uuid) -> (u32, u32, u32) {
    let word = |at: u32| u32::try_from(id.as_u128() >> at & 0xffff_ffff).unwrap();
    (word(64) & 0xfff, word(32), word(0))
}

fn opened(id: Uuid) -> OpenRequest {
    OpenRequest {
        id: RequestId(id),
        subject: access::Subject::ANONYMOUS,
        started_at: Timestamp(1),
        day: Day(1),
        windows: Vec::new(),
        reserved: Charge { credits: Credits::whole(1), tokens: Tokens(1), ..Charge::money(NanoUsd(1)) },
        route: "r".into(),
        format: None,
        model: None,
        price_version: None,
        origin: meter::RequestOrigin::default(),
    }
}

fn closed(id: Uuid, outcome: Outcome) -> UsageEvent {
    let OpenRequest { id, subject, started_at, day, reserved, route, format, model, .. } = opened(id);
    UsageEvent {
        id,
        subject,
        started_at,
        day,
        windows: Vec::new(),
        charge: reserved,
        route,
        format,
        model,
        streamed: true,
        status: 200,
        outcome,
        request_bytes: 1,
        response_bytes: 2,
        duration_us: 3,
        attempts: Vec::new(),
        refusal: None,
        origin: meter::RequestOrigin::default(),
    }
}

/// The file in which one partition of one round counts its acknowledged opens and closes. The kernel's page cache keeps
/// it.
fn told(dir: &Path, round: u32, partition: u32) -> File {
    let path = dir.join(format!("told-{round}-{partition}"));
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// The body of the killed process. As an ordinary test it has no folder and returns at once.
#[test]
fn appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (dir, round) = folder.split_once(':').unwrap();
    let dir = Path::new(dir).to_owned();
    let round = round.parse::<u32>().unwrap();
    // Both durabilities have the same result after a kill.
    let durability = if round % 2 == 0 { SpoolDurability::Process } else { SpoolDurability::Power };
    let mut spool = SpoolOpener { durability, ..SpoolOpener::new(&dir.join("spool"), OPTIONS, &[]) }.open().unwrap();
    spool.settle(|one| closed(one.request.id.0, Outcome::Drained)).unwrap();
    let writers = std::mem::take(&mut spool.writers);
    thread::scope(|scope| {
        for (partition, mut writer) in (0..).zip(writers) {
            let told = told(&dir, round, partition);
            scope.spawn(move || {
                for n in 0..u32::MAX {
                    writer.append(&Record::Open(opened(id(partition, round, n)))).unwrap();
                    told.write_all_at(&(n + 1).to_le_bytes(), 0).unwrap();
                    if let Some(first) = n.checked_sub(IN_FLIGHT) {
                        writer.append(&Record::Close(closed(id(partition, round, first), Outcome::Completed))).unwrap();
                        told.write_all_at(&(first + 1).to_le_bytes(), 4).unwrap();
                    }
                }
            });
        }
    });
}

fn start(dir: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::appends_until_it_is_killed"])
        .env(FOLDER, format!("{}:{round}", dir.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_process_keeps_each_acknowledged_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    for round in 0..ROUNDS {
        let mut child = start(dir.path(), round);
        let began = clock.mono();
        // Waits until both partitions write, and then for a while that varies by round.
        while clock.mono().since(began).as_secs() < 60
            && (0..2).any(|partition| counts(dir.path(), round, partition).1 == 0)
        {
            thread::yield_now();
        }
        let writing = clock.mono();
        while clock.mono().since(writing).as_micros() < u128::from(3_000 + round * 1_777) {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut spool = Spool::open(&dir.path().join("spool"), OPTIONS, &[]).unwrap();
    let mut seen: BTreeMap<Uuid, (u32, Vec<Outcome>)> = BTreeMap::new();
    let open_at_last: Vec<_> = spool.interrupted.iter().map(|one| one.request.id.0).collect();
    spool.settle(|one| closed(one.request.id.0, Outcome::Drained)).unwrap();
    loop {
        let batch = spool.reader.next_batch(1_000).unwrap();
        if batch.records.is_empty() {
            break;
        }
        for record in &batch.records {
            let (opens, closes) = seen.entry(record.id()).or_default();
            match record {
                Record::Open(_) => *opens += 1,
                Record::Close(event) => closes.push(event.outcome),
                Record::Event(_) | Record::Counts { .. } | Record::CloseBatch { .. } => {
                    panic!("{record:?} was not written")
                }
            }
        }
        spool.reader.release(&batch).unwrap();
    }
    for (id, (opens, closes)) in &seen {
        assert_eq!((*opens, closes.len()), (1, 1), "{:?}", numbers(*id));
    }
    for round in 0..ROUNDS {
        for partition in 0..2 {
            let (opens, closes) = counts(dir.path(), round, partition);
            assert!(opens > 0 && closes > 0, "round {round}, partition {partition}");
            let found = (0..).take_while(|n| seen.contains_key(&id(partition, round, *n))).count();
            // The append during the kill may have succeeded or not.
            assert!((opens..=opens + 1).contains(&u32::try_from(found).unwrap()), "{found} of {opens}");
            for n in 0..closes {
                assert_eq!(seen[&id(partition, round, n)].1, [Outcome::Completed], "{round} {partition} {n}");
            }
        }
    }
    assert!(open_at_last.iter().all(|id| numbers(*id).1 == ROUNDS - 1), "earlier rounds were settled");
    assert!(open_at_last.len() >= 2 * IN_FLIGHT as usize);
}

/// Returns the acknowledged opens and closes of a partition in a round.
fn counts(dir: &Path, round: u32, partition: u32) -> (u32, u32) {
    let mut bytes = [0; 8];
    let file = told(dir, round, partition);
    if file.metadata().unwrap().len() < 8 {
        return (0, 0);
    }
    file.read_exact_at(&mut bytes, 0).unwrap();
    let [a, b, c, d, e, f, g, h] = bytes;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}
