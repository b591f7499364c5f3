//! One segment with valid checksums and arbitrary records, written here according to the documented format instead of
//! the spool's code.

use std::collections::BTreeSet;
use std::fs;

use ::spool::{Record, Spool, SpoolError};
use uuid::Uuid;

use super::scratch::{OPTIONS, drained, in_folder, names_its_place};

const NAME: &str = "0000-0000000001.spool";
const SEGMENT_BYTES: usize = 64 * 1024;
const HEAD_BYTES: usize = 28;
/// Major version 1 in the high four bits, minor version 0 in the low four.
const VERSION: u8 = 0x10;
const NEXT_VERSION: u8 = 0x20;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const COUNTS: u8 = 3;
const COUNTED: u8 = 6;
const EVENT: u8 = 5;
const END: u8 = 255;

/// One record of the input, which is a sequence of `kind u8 | length u16 | payload`. Kinds from `0x80` on, except that
/// of the end, select the minor version of an event, and from `0xc0` on the next major version.
struct RecordSpec<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// Records are read in order, up to the first invalid one, whose offset is reported. Requests without a close are
/// reported as interrupted and can be settled. The read records can be written and read again.
pub fn records(bytes: &[u8]) {
    let (segment, places) = segment(bytes);
    in_folder(|dir| {
        fs::write(dir.join(NAME), &segment).unwrap();
        let mut spool = match Spool::open(dir, OPTIONS, &[]) {
            Ok(spool) => spool,
            Err(error) => {
                assert!(!matches!(error, SpoolError::Missing { .. }), "{error}");
                return names_its_place(dir, &error);
            }
        };
        assert!(
            spool.truncated_tails.is_empty() && spool.lost_segments.is_empty(),
            "{:?} {:?}",
            spool.truncated_tails,
            spool.lost_segments
        );
        let interrupted: BTreeSet<Uuid> = spool.interrupted.iter().map(|one| one.request.id.0).collect();
        let (records, error) = drained(&mut spool);
        assert!(records.len() <= places.len());
        for (record, (_, id)) in records.iter().zip(&places) {
            assert_eq!(record.id(), *id);
        }
        match error {
            None => assert_eq!(records.len(), places.len()),
            Some(SpoolError::Corrupt { offset, .. }) => {
                assert_eq!(offset as usize, places[records.len()].0, "the error names another record");
                return;
            }
            Some(error) => panic!("failed after opening: {error}"),
        }
        assert_eq!(interrupted, left_open(&records));
        again(&mut spool, &records);
    });
}

/// Requests without a close, in any order of records. One close after two opens of a request closes both.
fn left_open(records: &[Record]) -> BTreeSet<Uuid> {
    let mut open = BTreeSet::new();
    let mut closed = BTreeSet::new();
    for record in records {
        let id = record.id();
        match record {
            Record::Open(_) if !closed.remove(&id) => drop(open.insert(id)),
            Record::Close(_) | Record::CloseBatch { .. } if !open.remove(&id) => drop(closed.insert(id)),
            Record::Open(_)
            | Record::Close(_)
            | Record::CloseBatch { .. }
            | Record::Event(_)
            | Record::Counts { .. } => {}
        }
    }
    open
}

fn again(spool: &mut Spool, records: &[Record]) {
    for record in records.iter().take(20) {
        match spool.writers[0].append(record) {
            Ok(()) => {}
            // These segments are smaller than the one of the input.
            Err(SpoolError::TooLarge { .. } | SpoolError::Full { .. }) => return,
            Err(error) => panic!("{error}"),
        }
        let (read, error) = drained(spool);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(read, std::slice::from_ref(record), "the record changed between write and read");
    }
}

/// The segment, and the offset and id of each record except the end.
fn segment(mut bytes: &[u8]) -> (Vec<u8>, Vec<(usize, Uuid)>) {
    let mut segment = header();
    let mut places = Vec::new();
    while let Some((spec, rest)) = next(bytes) {
        bytes = rest;
        if segment.len() + 2 * HEAD_BYTES + spec.payload.len() > SEGMENT_BYTES {
            break;
        }
        let at = segment.len();
        let id = record(&mut segment, &spec);
        if spec.kind == END {
            break;
        }
        places.push((at, id));
    }
    segment.resize(SEGMENT_BYTES, 0);
    (segment, places)
}

fn next(bytes: &[u8]) -> Option<(RecordSpec<'_>, &[u8])> {
    let (&[kind, low, high], rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (payload, rest) = rest.split_at(length);
    // An end has no payload.
    let payload = if kind == END { &[][..] } else { payload };
    Some((RecordSpec { kind, payload }, rest))
}

fn header() -> Vec<u8> {
    let mut bytes = b"TGSPOOL\n".to_vec();
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    for word in [0, 1, u32::try_from(SEGMENT_BYTES).unwrap(), 0] {
        bytes.extend_from_slice(&u32::to_le_bytes(word));
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn record(segment: &mut Vec<u8>, spec: &RecordSpec<'_>) -> Uuid {
    let RecordSpec { kind, payload } = *spec;
    let (version, kind) = match kind {
        0x80..0xc0 => (VERSION | kind & 0xf, EVENT),
        0xc0..END => (NEXT_VERSION | kind & 0xf, EVENT),
        OPEN | CLOSE | EVENT | COUNTED | END => (VERSION, kind),
        // Most unknown kinds become counts, so that inputs contain more valid records.
        kind if kind >= 16 => (VERSION, COUNTS),
        kind => (VERSION, kind),
    };
    // The payload of a request begins with the length and the bytes of its id, which is also the id of the record. The
    // id of a request that counts close precedes the counts.
    let (id, payload) = match payload {
        [16, id @ ..] if matches!(kind, OPEN | CLOSE | EVENT) && id.len() >= 16 => (&id[..16], payload),
        [16, rest @ ..] if kind == COUNTED && rest.len() >= 16 => rest.split_at(16),
        _ => (&[][..], payload),
    };
    let id = Uuid::from_slice(id).unwrap_or(Uuid::from_u128(7 << 76 | segment.len() as u128));
    let offset = u32::try_from(segment.len()).unwrap();
    let length = u32::try_from(payload.len()).unwrap();
    let mut covered = vec![version, kind, 0, 0];
    covered.extend_from_slice(id.as_bytes());
    covered.extend_from_slice(payload);
    let mut checksum = 0;
    for word in [0_u32, 1, offset, length] {
        checksum = crc32c::crc32c_append(checksum, &word.to_le_bytes());
    }
    segment.extend_from_slice(&length.to_le_bytes());
    segment.extend_from_slice(&crc32c::crc32c_append(checksum, &covered).to_le_bytes());
    segment.extend_from_slice(&covered);
    id
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use access::{Credits, Day, KeyNo, NanoUsd, PlanId, RequestId, Timestamp, Tokens, UserNo};
    use meter::{Attempt, Caller, Charge, Counts, Outcome, UsageEvent};

    use ::spool::OpenRequest;

    use super::*;

    const SEGMENT_HEADER_BYTES: usize = 32;

    fn caller() -> Option<Caller> {
        Some(Caller { user: UserNo(1), key: KeyNo(-2), plan: PlanId::NIL })
    }

    fn opened(last: u8) -> Record {
        Record::Open(OpenRequest {
            id: RequestId(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e00 | u128::from(last))),
            subject: caller().into(),
            started_at: Timestamp(1_760_000_000_000_000),
            day: Day(20_000),
            windows: Vec::new(),
            reserved: Charge { credits: Credits::whole(2), tokens: Tokens(4_096), ..Charge::money(NanoUsd(101_000)) },
            route: "chat".into(),
            format: Some("chat".into()),
            model: None,
            price_version: Some("2025-11-01".into()),
            origin: meter::RequestOrigin::default(),
        })
    }

    fn event(last: u8) -> UsageEvent {
        let Record::Open(opened) = opened(last) else { unreachable!() };
        let attempt = Attempt {
            provider: "openai".into(),
            model: None,
            answered_model: None,
            status: Some(200),
            upstream_id: None,
            raw_usage: Some("{}".into()),
            usage: None,
            cost: None,
            unknown: None,
            price_version: None,
            own_credential: false,
            first_byte_us: None,
            duration_us: 5,
        };
        UsageEvent { attempts: vec![attempt], status: 200, outcome: Outcome::Completed, ..opened.interrupted_event() }
    }

    fn counts() -> Record {
        let caller = caller();
        let route = "users".into();
        let of = Counts {
            subject: caller.into(),
            route,
            status_class: 2,
            minute: 7,
            day: Day(20_000),
            requests: 3,
            credits: Credits::whole(4),
            labels: access::LabelSet::NONE,
        };
        Record::Counts { id: Uuid::nil(), counts: vec![of] }
    }

    fn counted() -> Record {
        let Record::Counts { counts, .. } = counts() else { unreachable!() };
        Record::CloseBatch { id: opened(0).id(), counts }
    }

    /// The name of each seed of records that the spool wrote, the records, and the number that can be read.
    fn written_seeds() -> Vec<(&'static str, Vec<Record>, usize)> {
        let refused = UsageEvent { attempts: Vec::new(), refusal: Some("quota_exceeded".into()), ..event(15) };
        let one = || Record::Event(event(15));
        let other = || Record::Close(event(15));
        vec![
            ("event", vec![one()], 1),
            ("refused", vec![Record::Event(refused)], 1),
            ("counts", vec![counts()], 1),
            ("several", vec![one(), counts(), one(), counts()], 4),
            ("open", vec![opened(15)], 1),
            ("close", vec![other()], 1),
            ("open-and-close", vec![opened(15), other(), counts()], 3),
            ("one-left-open", vec![opened(15), opened(14), other()], 3),
            ("open-and-counted", vec![opened(0), counted(), counts()], 3),
            ("close-before-open", vec![other(), opened(15)], 2),
        ]
    }

    /// The payload of the record, as the spool writes it.
    fn payload(record: &Record) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        Spool::open(dir.path(), OPTIONS, &[]).unwrap().writers[0].append(record).unwrap();
        let segment = fs::read(dir.path().join(NAME)).unwrap();
        let head = &segment[SEGMENT_HEADER_BYTES..];
        let length = u32::from_le_bytes(*head.first_chunk().unwrap()) as usize;
        head[HEAD_BYTES..HEAD_BYTES + length].to_vec()
    }

    fn spec_of(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
        [&[kind], &length[..], payload].concat()
    }

    fn spec(record: &Record) -> Vec<u8> {
        let kind = match record {
            Record::Open(_) => OPEN,
            Record::Close(_) => CLOSE,
            Record::Event(_) => EVENT,
            Record::Counts { .. } => COUNTS,
            Record::CloseBatch { id, .. } => {
                return spec_of(COUNTED, &[&[16], &id.as_bytes()[..], &payload(record)].concat());
            }
        };
        spec_of(kind, &payload(record))
    }

    /// An event of a later minor version: an unknown field in the event, and one in its only attempt.
    fn later_event() -> Vec<u8> {
        let bare = UsageEvent { attempts: Vec::new(), ..event(15) };
        let mut base = payload(&Record::Event(bare));
        assert_eq!(base.pop(), Some(0), "the payload ends with the number of attempts");
        let whole = payload(&Record::Event(event(15)));
        let [count, length, attempt @ ..] = &whole[base.len()..] else { panic!("no attempt") };
        let field = [200, 1, 5, b'l', b'a', b't', b'e', b'r'];
        let longer = [&[*count, *length + u8::try_from(field.len()).unwrap()], attempt, &field[..]].concat();
        spec_of(0x80, &[base, longer, field.to_vec()].concat())
    }

    /// The name of each seed, its input, and the number of records that can be read.
    fn seeds() -> Vec<(&'static str, Vec<u8>, usize)> {
        let written = written_seeds().into_iter();
        let mut seeds: Vec<_> =
            written.map(|(name, all, count)| (name, all.iter().flat_map(spec).collect(), count)).collect();
        let with_field = [payload(&opened(15)), vec![100, 2, 0, 0]].concat();
        seeds.push(("later-minor-version", [later_event(), spec_of(OPEN, &with_field)].concat(), 2));
        seeds
    }

    /// Seeds that are refused at their first byte would be useless. `UPDATE_SEEDS=1` rewrites the seeds.
    #[test]
    fn seeds_contain_valid_records() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/spool_records");
        for (name, seed, count) in seeds() {
            if std::env::var_os("UPDATE_SEEDS").is_some() {
                fs::write(corpus.join(name), &seed).unwrap();
            }
            assert!(fs::read(corpus.join(name)).unwrap() == seed, "{name}: UPDATE_SEEDS=1 cargo test -p fuzz seeds");
            let (segment, places) = segment(&seed);
            assert_eq!(places.len(), count, "{name}");
            in_folder(|dir| {
                fs::write(dir.join(NAME), &segment).unwrap();
                let (records, error) = drained(&mut Spool::open(dir, OPTIONS, &[]).unwrap());
                assert_eq!((records.len(), error.map(|error| error.to_string())), (count, None), "{name}");
            });
        }
    }
}
