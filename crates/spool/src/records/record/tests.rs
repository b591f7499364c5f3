use access::{RequestId, Subject};

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
    (bare.subject, bare.format, bare.model, bare.attempts) = (Subject::ANONYMOUS, None, None, Vec::new());
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

/// Records as version 1.0 wrote them, one of each kind. Fields of later minor versions are `None` in these values.
fn golden() -> [(&'static str, Option<Record>, &'static str); 6] {
    let event = || fixture::event(RequestId(fixture::id(1, 2)));
    [
        ("open", Some(fixture::open_of(1, 2)), include_str!("golden/open.hex")),
        ("close", Some(Record::Close(event())), include_str!("golden/close.hex")),
        ("event", Some(Record::Event(event())), include_str!("golden/event.hex")),
        ("counts", Some(fixture::record(1, 9)), include_str!("golden/counts.hex")),
        ("close_batch", Some(fixture::close_batch_of(1, 3)), include_str!("golden/close_batch.hex")),
        ("end", None, include_str!("golden/end.hex")),
    ]
}

const GOLDEN_LOCATION: RecordLocation = RecordLocation { seed: SEED, offset: 96, synced: SyncMark(3) };

fn golden_bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

#[test]
fn records_of_version_1_0_are_read() {
    for (name, record, hex) in golden() {
        let bytes = golden_bytes(hex);
        let frame = frame(&bytes, SEED, 96).unwrap();
        assert_eq!((frame.len() as usize, frame.synced, bytes[8]), (bytes.len(), SyncMark(3), 0x10), "{name}");
        match (frame.decode().unwrap(), record) {
            (FrameContent::Record(read), Some(record)) => assert_eq!(read, record, "{name}"),
            (FrameContent::End, None) => {}
            (read, _) => panic!("{name}: {read:?}"),
        }
    }
}

/// The checksum and the version may differ from those of version 1.0, and nothing else.
#[test]
fn bases_of_records_are_frozen() {
    let mut changed = Vec::new();
    for (name, record, hex) in golden() {
        let frozen = golden_bytes(hex);
        let mut written = match record {
            Some(record) => {
                let mut encoder = Encoder::new();
                encoder.encode(&record).unwrap();
                encoder.stamped(GOLDEN_LOCATION).to_vec()
            }
            None => end(GOLDEN_LOCATION).to_vec(),
        };
        let now: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(unequal) = written.get_mut(4..9)
            && let Some(frozen) = frozen.get(4..9)
        {
            unequal.copy_from_slice(frozen);
        }
        if written != frozen {
            changed.push(format!("{name}: {now}"));
        }
    }
    assert!(
        changed.is_empty(),
        "the base of a record is frozen: add a field to the tail instead, as `payload.rs` says. Written now:\n{}",
        changed.join("\n")
    );
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
    assert_eq!((short.id, short.subject, short.charge), (event.id, event.subject, event.charge));
    assert!(event.model.unwrap().starts_with(&*short.model.unwrap()));
}

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
fn records_of_every_minor_version_are_read() {
    let record = fixture::record(0, 1);
    for minor in 0..16 {
        let mut bytes = encoded(&record);
        // An older minor version has no field after its base, a newer one has an unknown field.
        if minor > 0 {
            bytes.extend([200, 1, 3, b'n', b'e', b'w']);
            let length = u32::try_from(bytes.len() - HEAD).unwrap();
            bytes[..4].copy_from_slice(&length.to_le_bytes());
        }
        let bytes = restamped(bytes, |bytes| bytes[8] = 0x10 | minor);
        let read = frame(&bytes, SEED, 96).unwrap().decode().unwrap();
        assert!(matches!(&read, FrameContent::Record(read) if *read == record), "{read:?}");
    }
}

#[test]
fn unknown_versions_and_kinds_are_distinguished_from_damage() {
    let event = encoded(&fixture::record(0, 1));
    let why = |bytes: Vec<u8>| frame(&bytes, SEED, 96).unwrap().decode().unwrap_err();
    for version in [0x01, 0x0f, 0x20, 0x21, 0xff] {
        let found = RecordVersion::from_byte(version);
        let known = RecordVersion::CURRENT;
        let refused = why(restamped(event.clone(), |bytes| bytes[8] = version));
        assert_eq!(refused, DecodeError::Newer(UnknownFormat::Record { found, known }));
    }
    for kind in [Kind::Lease.code(), 7, 254] {
        let version = RecordVersion::CURRENT;
        let refused = why(restamped(event.clone(), |bytes| bytes[9] = kind));
        assert_eq!(refused, DecodeError::Newer(UnknownFormat::Kind { kind, version }));
    }
    assert_eq!(why(restamped(event.clone(), |bytes| bytes[27] ^= 1)), DecodeError::Damaged);
    assert_eq!(why(restamped(event.clone(), |bytes| bytes[28..].fill(0xff))), DecodeError::Damaged);
    // In a record of a later minor version, an unreadable payload with a valid checksum is a code of that version.
    let later = why(restamped(event.clone(), |bytes| {
        bytes[8] = 0x18;
        bytes[28..].fill(0xff);
    }));
    let found = RecordVersion::from_byte(0x18);
    let known = RecordVersion::CURRENT;
    assert_eq!(later, DecodeError::Newer(UnknownFormat::Record { found, known }));
    let last = event.len() - 1;
    assert_eq!(why(restamped(event, |bytes| bytes[last] ^= 0x80)), DecodeError::Damaged);
}

#[test]
fn oversized_payload_is_refused_and_the_next_is_accepted() {
    let mut event = fixture::event(RequestId(fixture::id(0, 0)));
    event.model = Some("m".repeat(PAYLOAD_BYTES_MAX as usize).into());
    let mut encoder = Encoder::new();
    assert!(matches!(encoder.encode(&Record::Event(event)), Err(SpoolError::TooLarge { .. })));
    assert!(encoder.encode(&fixture::record(0, 0)).is_ok());
}
