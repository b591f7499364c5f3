use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::fixture::{SMALL, drain, files, record, records, rest, written};
use crate::{Position, Record, Spool, SpoolError, SpoolOptions};

#[derive(Debug, Clone)]
enum Damage {
    Truncate,
    Flip(u8),
    Fill { byte: u8, count: usize },
    Zeros,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Truncate),
        (0u8..8).prop_map(Damage::Flip),
        (any::<u8>(), 1usize..300).prop_map(|(byte, count)| Damage::Fill { byte, count }),
        Just(Damage::Zeros),
    ]
}

fn inflict(file: &Path, at: usize, damage: &Damage) {
    let mut bytes = fs::read(file).unwrap();
    let until = bytes.len();
    match *damage {
        Damage::Truncate => bytes.truncate(at),
        Damage::Flip(bit) => bytes[at] ^= 1 << bit,
        Damage::Fill { byte, count } => bytes[at..until.min(at + count)].fill(byte),
        Damage::Zeros => bytes[at..].fill(0),
    }
    fs::write(file, bytes).unwrap();
}

/// A random operation; `partition` is taken modulo the number of partitions of the run.
#[derive(Debug, Clone)]
enum Event {
    Append { partition: usize },
    Ingest { records_max: usize, released: bool },
    Restart { partitions: u32 },
}

fn operation() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0usize..3).prop_map(|partition| Event::Append { partition }),
        2 => (1usize..30, any::<bool>()).prop_map(|(records_max, released)| Event::Ingest { records_max, released }),
        1 => (1u32..4).prop_map(|partitions| Event::Restart { partitions }),
    ]
}

/// The state of a store: the ingested records and the positions committed with them.
#[derive(Default)]
struct Store {
    ingested: BTreeMap<u32, Vec<Record>>,
    positions: BTreeMap<u32, Position>,
}

impl Store {
    fn ingest(&mut self, spool: &mut Spool, records_max: usize, released: bool) -> bool {
        let batch = spool.reader.next_batch(records_max).unwrap();
        assert!(batch.records.len() <= records_max);
        self.positions.extend(batch.positions().map(|position| (position.partition, position)));
        if released {
            spool.reader.release(&batch).unwrap();
        }
        let none_left = batch.records.is_empty();
        for record in batch.records {
            let [.., a, b, c, d] = record.id().into_bytes();
            let partition = self.ingested.entry(u32::from_be_bytes([a, b, c, d])).or_default();
            // Ingest is idempotent by id.
            if !partition.iter().any(|known| known.id() == record.id()) {
                partition.push(record);
            }
        }
        none_left
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_yields_a_prefix_or_a_named_error(
        count in 1u32..60,
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), SMALL, count);
        let files = files(dir.path());
        inflict(&files[file.index(files.len())], at.index(SMALL.segment_bytes as usize), &damage);
        match Spool::open(dir.path(), SMALL, &[]) {
            Ok(mut spool) => {
                let (read, error) = drain(&mut spool.reader);
                prop_assert!(error.is_none(), "{error:?}");
                prop_assert_eq!(&read, &records(count)[..read.len()]);
                spool.writers[0].append(&record(0, 99)).unwrap();
                prop_assert_eq!(drain(&mut spool.reader).0, vec![record(0, 99)]);
            }
            Err(error) => prop_assert!(matches!(error, SpoolError::Corrupt { .. }), "{error}"),
        }
    }

    #[test]
    fn damage_in_the_tail_never_prevents_opening(count in 1u32..8, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), SMALL, count - 1);
        let before = end_of_partition(dir.path());
        one_more(dir.path(), count - 1);
        let from = before.map_or(crate::records::segment::HEADER_BYTES, |position| position.offset) as usize;
        inflict(&files(dir.path())[0], from + at.index(40), &Damage::Flip(bit));
        let read = rest(dir.path(), SMALL, &[]);
        prop_assert_eq!(read, records(count - 1));
    }

    #[test]
    fn reading_resumes_at_any_committed_position(count in 1u32..80, batches in prop::collection::vec(1usize..20, 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), SMALL, count);
        let mut positions: Vec<Position> = Vec::new();
        let mut read = Vec::new();
        for records_max in batches {
            let mut spool = Spool::open(dir.path(), SMALL, &positions).unwrap();
            let batch = spool.reader.next_batch(records_max).unwrap();
            positions.extend(batch.positions());
            read.extend(batch.records);
        }
        read.extend(rest(dir.path(), SMALL, &positions));
        prop_assert_eq!(read, records(count));
    }

    #[test]
    fn random_operations_ingest_each_record_once_and_in_order(operations in prop::collection::vec(operation(), 1..250)) {
        let dir = tempfile::tempdir().unwrap();
        let options = |partitions| SpoolOptions { size_bytes_max: 10 * 4096, segment_bytes: 4096, partitions };
        let mut spool = Spool::open(dir.path(), options(2), &[]).unwrap();
        let mut store = Store::default();
        let mut written: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for (n, operation) in (0..).zip(operations) {
            match operation {
                Event::Append { partition } => {
                    let partition = partition % spool.writers.len();
                    let number = u32::try_from(partition).unwrap();
                    match spool.writers[partition].append(&record(number, n)) {
                        Ok(()) => written.entry(number).or_default().push(record(number, n)),
                        Err(error) => prop_assert!(matches!(error, SpoolError::Full { .. }), "{error}"),
                    }
                }
                Event::Ingest { records_max, released } => {
                    store.ingest(&mut spool, records_max, released);
                }
                Event::Restart { partitions } => {
                    drop(spool);
                    let positions: Vec<_> = store.positions.values().copied().collect();
                    spool = Spool::open(dir.path(), options(partitions), &positions).unwrap();
                }
            }
            let on_disk: u64 = files(dir.path()).iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
            prop_assert!(on_disk <= 10 * 4096, "{on_disk}");
        }
        while !store.ingest(&mut spool, 7, true) {}
        prop_assert_eq!(store.ingested, written);
        let depth = spool.reader.depth().unwrap();
        prop_assert_eq!((depth.records, depth.bytes, depth.oldest), (0, 0, None));
        for (partition, writer) in (0..).zip(&mut spool.writers) {
            prop_assert!(writer.append(&record(partition, 1_000)).is_ok());
        }
    }
}

/// The end of partition 0.
fn end_of_partition(dir: &Path) -> Option<Position> {
    let mut spool = Spool::open(dir, SMALL, &[]).unwrap();
    spool.reader.next_batch(1_000).unwrap().positions().next()
}

/// Appends one record after `n` others.
fn one_more(dir: &Path, n: u32) {
    let mut spool = Spool::open(dir, SMALL, &[]).unwrap();
    spool.writers[0].append(&record(0, n)).unwrap();
}
