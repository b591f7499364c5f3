use access::RequestId;

use super::*;
use crate::fixture;

const SEED: ChecksumSeed = ChecksumSeed(7);

fn encoded(record: &Record) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let bytes = encoder.encode(record).unwrap();
    let stamped = encoder.stamped(RecordLocation { seed: SEED, offset: 96, synced: SyncMark::UNKNOWN }).to_vec();
    assert_eq!(stamped.len(), bytes as usize);
    stamped
}

fn restamped(mut bytes: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut bytes);
    stamp(&mut bytes, SEED, 96);
    bytes
}

#[test]
fn records_round_trip() {
    let mut bare = fixture::event(RequestId(fixture::id(0, 0)));
    (bare.caller, bare.format, bare.model, bare.attempts) = (None, None, None, Vec::new());
    let empty = Record::Counts { id: Uuid::max(), counts: Vec::new() };
    let counted = fixture::close_batch_of(1, 3);
    let others = [
        Record::Event(bare.clone()),
        Record::Close(bare),
        empty,
        fixture::open_of(1, 1),
        fixture::close_of(1, 1),
        counted,
    ];
    for record in (0..20).map(|n| fixture::record(3, n)).chain(others) {
        let bytes = encoded(&record);
        let frame = frame(&bytes, SEED, 96).unwrap();
        assert_eq!((frame.id, frame.len() as usize), (record.id(), bytes.len()));
        match frame.decode().unwrap() {
            FrameContent::Record(read) => assert_eq!(read, record),
            FrameContent::End => panic!("not an end"),
        }
    }
    assert!(matches!(
        frame(&end(RecordLocation { seed: SEED, offset: 96, synced: SyncMark::UNKNOWN }), SEED, 96).unwrap().decode(),
        Ok(FrameContent::End)
    ));
}

/// The next release must be able to read these bytes: if this test fails, the version must change.
#[test]
fn version_1_bytes_are_stable() {
    let bytes = encoded(&Record::Event(fixture::event(RequestId(fixture::id(1, 2)))));
    assert_eq!(bytes[..4], u32::try_from(bytes.len() - HEAD).unwrap().to_le_bytes());
    assert_eq!(bytes[8..12], [1, 5, 0, 0]);
    assert_eq!(bytes[12..28], *fixture::id(1, 2).as_bytes());
    assert_eq!((bytes.len(), crc32c::crc32c(&bytes[8..])), (EVENT_BYTES, EVENT_CHECKSUM));
    let bytes = encoded(&fixture::record(1, 9));
    assert_eq!(bytes[8..12], [1, 3, 0, 0]);
    assert_eq!((bytes.len(), crc32c::crc32c(&bytes[8..])), (COUNTS_BYTES, COUNTS_CHECKSUM));
}

#[test]
fn version_1_bytes_of_opens_and_closes_are_stable() {
    let bytes = encoded(&fixture::open_of(1, 2));
    assert_eq!(bytes[8..12], [1, 1, 0, 0]);
    assert_eq!((bytes.len(), crc32c::crc32c(&bytes[8..])), (OPEN_BYTES, OPEN_CHECKSUM));
    let bytes = encoded(&Record::Close(fixture::event(RequestId(fixture::id(1, 2)))));
    assert_eq!(bytes[8..12], [1, 2, 0, 0]);
    assert_eq!(bytes.len(), EVENT_BYTES);
}

#[test]
fn sync_mark_is_rounded_down() {
    for (offset, holds, may_lose) in
        [(32, 0, 0), (1023, 0, 0), (1024, 1023, 1024), (64 << 20, 65_534 * 1024 - 1, 65_534 * 1024)]
    {
        let mut encoder = Encoder::new();
        encoder.encode(&fixture::record(0, 0)).unwrap();
        let bytes =
            encoder.stamped(RecordLocation { seed: SEED, offset: 96, synced: SyncMark::until(offset) }).to_vec();
        let synced = frame(&bytes, SEED, 96).unwrap().synced;
        assert!(offset < 1024 || !synced.may_lose(holds), "{offset}");
        assert!(synced.may_lose(may_lose), "{offset}");
    }
    assert!(!SyncMark::UNKNOWN.may_lose(u32::MAX));
}

#[test]
fn close_is_shortened_to_its_reserved_bytes_and_keeps_its_cost() {
    let mut event = fixture::event(RequestId(fixture::id(0, 0)));
    let name = Some("ä".repeat(3_000).into());
    let priced = meter::Attempt { model: name.clone(), upstream_id: name.clone(), ..event.attempts[1].clone() };
    let failed = meter::Attempt { usage: None, cost: None, ..priced.clone() };
    event.attempts = [vec![failed; 20], vec![priced; 10]].concat();
    (event.model, event.route) = (name, "r".repeat(5_000).into());
    let mut encoder = Encoder::new();
    let mut bytes = |event: &UsageEvent| encoder.encode(&Record::Close(event.clone())).unwrap_or(u32::MAX);
    let short = shortened(&event).find(|event| bytes(event) <= crate::CLOSE_BYTES_MAX).unwrap();
    let costs = |event: &UsageEvent| -> Vec<_> {
        event.attempts.iter().filter(|one| one.cost.is_some()).map(|one| (one.usage, one.cost)).collect()
    };
    assert_eq!((costs(&short).len(), costs(&short)), (10, costs(&event)));
    assert_eq!((short.id, short.caller, short.charge), (event.id, event.caller, event.charge));
    assert!(event.model.unwrap().starts_with(&*short.model.unwrap()));
}

const EVENT_BYTES: usize = 330;
const EVENT_CHECKSUM: u32 = 2_666_533_660;
const OPEN_BYTES: usize = 120;
const OPEN_CHECKSUM: u32 = 3_672_657_699;
const COUNTS_BYTES: usize = 113;
const COUNTS_CHECKSUM: u32 = 3_656_936_485;

#[test]
fn record_is_valid_only_whole_unchanged_and_at_its_offset() {
    let bytes = encoded(&fixture::record(0, 1));
    for cut in 0..bytes.len() {
        assert!(frame(&bytes[..cut], SEED, 96).is_none(), "cut at {cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(frame(&flipped, SEED, 96).is_none(), "bit {bit}");
    }
    assert!(frame(&bytes, SEED, 97).is_none());
    assert!(frame(&bytes, ChecksumSeed::new(0, 1), 96).is_none());
    assert!(frame(&vec![0; 1_000], SEED, 96).is_none());
}

#[test]
fn records_of_newer_versions_are_distinguished_from_damage() {
    let event = encoded(&fixture::record(0, 1));
    let why = |bytes: Vec<u8>| frame(&bytes, SEED, 96).unwrap().decode().unwrap_err();
    assert_eq!(why(restamped(event.clone(), |bytes| bytes[8] = 2)), DecodeError::Newer);
    for kind in [Kind::Lease.code(), 7, 254] {
        assert_eq!(why(restamped(event.clone(), |bytes| bytes[9] = kind)), DecodeError::Newer);
    }
    assert_eq!(why(restamped(event.clone(), |bytes| bytes[27] ^= 1)), DecodeError::Damaged);
    assert_eq!(why(restamped(event, |bytes| bytes[28..].fill(0xff))), DecodeError::Damaged);
}

#[test]
fn oversized_payload_is_refused_and_the_next_is_accepted() {
    let mut event = fixture::event(RequestId(fixture::id(0, 0)));
    event.model = Some("m".repeat(PAYLOAD_BYTES_MAX as usize).into());
    let mut encoder = Encoder::new();
    assert!(matches!(encoder.encode(&Record::Event(event)), Err(SpoolError::TooLarge { .. })));
    assert!(encoder.encode(&fixture::record(0, 0)).is_ok());
}
