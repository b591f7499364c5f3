//! One segment whose checksums are right and whose records are anything: written here after the documented form, not with
//! the spool's own code.

use std::collections::BTreeSet;
use std::fs;

use ::spool::{Record, Spool, SpoolError};
use uuid::Uuid;

use super::{OPTIONS, drained, in_folder, names_its_place};

const NAME: &str = "0000-0000000001.spool";
const SEGMENT_BYTES: usize = 64 * 1024;
const HEAD_BYTES: usize = 28;
const VERSION: u8 = 1;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const COUNTS: u8 = 3;
const EVENT: u8 = 5;
const END: u8 = 255;

/// What a record is to be: `kind u8 | length u16 | payload`, again and again. Kinds of `0x80` and above, but the end's,
/// change the version.
struct Asked<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// Read in the order in which they stand, up to the first that cannot be decoded, which is named; what was opened and not
/// closed is said to be interrupted, and can be settled; and what was read can be written and read again.
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
        assert!(spool.cuts.is_empty() && spool.lost.is_empty(), "{:?} {:?}", spool.cuts, spool.lost);
        let interrupted: BTreeSet<Uuid> = spool.interrupted.iter().map(|one| one.opened.id.0).collect();
        let (records, error) = drained(&mut spool);
        assert!(records.len() <= places.len());
        for (record, (_, id)) in records.iter().zip(&places) {
            assert_eq!(record.id(), *id);
        }
        match error {
            None => assert_eq!(records.len(), places.len()),
            Some(SpoolError::Corrupt { offset, .. }) => {
                assert_eq!(offset as usize, places[records.len()].0, "another record is named");
                return;
            }
            Some(error) => panic!("opened, and then: {error}"),
        }
        assert_eq!(interrupted, left_open(&records));
        again(&mut spool, &records);
    });
}

/// What was opened and not closed, in whichever order; a request that was opened twice is closed by one close after both.
fn left_open(records: &[Record]) -> BTreeSet<Uuid> {
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        let id = record.id();
        match record {
            Record::Open(_) if !closed.remove(&id) => drop(open.insert(id)),
            Record::Close(_) if !open.remove(&id) => drop(closed.insert(id)),
            Record::Open(_) | Record::Close(_) | Record::Event(_) | Record::Counts { .. } => {}
        }
    }
    open
}

fn again(spool: &mut Spool, records: &[Record]) {
    for record in records.iter().take(20) {
        match spool.writers[0].append(record) {
            Ok(()) => {}
            // Segments of this run are smaller.
            Err(SpoolError::TooLarge { .. } | SpoolError::Full { .. }) => return,
            Err(error) => panic!("{error}"),
        }
        let (read, error) = drained(spool);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(read, std::slice::from_ref(record), "written and read again");
    }
}

/// The segment, and for each record that is no end where it stands and which id it has.
fn segment(mut bytes: &[u8]) -> (Vec<u8>, Vec<(usize, Uuid)>) {
    let mut segment = header();
    let mut places = Vec::new();
    while let Some((asked, rest)) = next(bytes) {
        bytes = rest;
        if segment.len() + 2 * HEAD_BYTES + asked.payload.len() > SEGMENT_BYTES {
            break;
        }
        let at = segment.len();
        let id = record(&mut segment, &asked);
        if asked.kind == END {
            break;
        }
        places.push((at, id));
    }
    segment.resize(SEGMENT_BYTES, 0);
    (segment, places)
}

fn next(bytes: &[u8]) -> Option<(Asked<'_>, &[u8])> {
    let (&[kind, low, high], rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (payload, rest) = rest.split_at(length);
    // An end has no payload.
    let payload = if kind == END { &[][..] } else { payload };
    Some((Asked { kind, payload }, rest))
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

fn record(segment: &mut Vec<u8>, asked: &Asked<'_>) -> Uuid {
    let Asked { kind, payload } = *asked;
    let (version, kind) = match kind {
        0x80..END => (1 + (kind & 3), EVENT),
        OPEN | CLOSE | EVENT | END => (VERSION, kind),
        // Mostly one of those that are read.
        kind if kind >= 16 => (VERSION, COUNTS),
        kind => (VERSION, kind),
    };
    // The own id of a request, behind its length, is that of its record.
    let id = match payload {
        [16, id @ ..] if matches!(kind, OPEN | CLOSE | EVENT) && id.len() >= 16 => Uuid::from_slice(&id[..16]).unwrap(),
        _ => Uuid::from_u128(7 << 76 | segment.len() as u128),
    };
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
    use super::*;

    /// Seeds that are refused at their first byte would be worth nothing, and nobody would see it.
    #[test]
    fn seeds_hold_records_that_are_read() {
        for (seed, count) in [
            (&include_bytes!("../../../corpus/spool_records/event")[..], 1),
            (include_bytes!("../../../corpus/spool_records/refused"), 1),
            (include_bytes!("../../../corpus/spool_records/counts"), 1),
            (include_bytes!("../../../corpus/spool_records/several"), 4),
            (include_bytes!("../../../corpus/spool_records/open"), 1),
            (include_bytes!("../../../corpus/spool_records/close"), 1),
            (include_bytes!("../../../corpus/spool_records/open-and-close"), 3),
            (include_bytes!("../../../corpus/spool_records/one-left-open"), 3),
            (include_bytes!("../../../corpus/spool_records/close-before-open"), 2),
        ] {
            let (segment, places) = segment(seed);
            assert_eq!(places.len(), count);
            in_folder(|dir| {
                fs::write(dir.join(NAME), &segment).unwrap();
                let (records, error) = drained(&mut Spool::open(dir, OPTIONS, &[]).unwrap());
                assert_eq!((records.len(), error.map(|error| error.to_string())), (count, None));
            });
        }
    }
}
