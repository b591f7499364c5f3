use std::io::Cursor;

use access::Secret;
use base64ct::{Base64, Encoding};

use super::*;
use crate::manifest::{FORMAT_VERSION, ManifestFile};
use crate::signing_key::SigningKey;
use crate::writer::{EvidenceWriter, WriteEvidenceError};

fn key(byte: u8) -> SigningKey {
    SigningKey::of_seed(&Secret::new(Base64::encode_string(&[byte; 32]))).unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        installation: "Tollgate".to_owned(),
        id: "2026-11-21".to_owned(),
        figures_version: 3,
        complete: true,
        created_at: "2026-11-22T00:00:00Z".to_owned(),
        public_key: String::new(),
        days_without_requests: Vec::new(),
        files: Vec::new(),
    }
}

/// An export of three files, of which the last is written in parts.
fn export() -> Vec<u8> {
    let mut writer = EvidenceWriter::new();
    writer.file("brief.json", b"{\"id\":\"2026-11-21\"}").unwrap();
    writer.file("empty.csv", b"").unwrap();
    writer.begin("events.csv").unwrap();
    let mut zip = writer.take();
    for row in 0..200 {
        writer.write(format!("{row},{}\r\n", row * 7).as_bytes()).unwrap();
        zip.extend(writer.take());
    }
    writer.finish(manifest(), &key(7)).unwrap();
    zip.extend(writer.take());
    zip
}

#[test]
fn a_discarded_file_is_signed_and_not_listed() {
    let mut writer = EvidenceWriter::new();
    writer.file("first.json", b"1").unwrap();
    writer.begin("discarded.csv").unwrap();
    writer.write(b"2").unwrap();
    writer.discard().unwrap();
    writer.file("last.json", b"3").unwrap();
    writer.finish(manifest(), &key(7)).unwrap();
    let mut zip = writer.take();
    let names: Vec<String> = judge(&zip).unwrap().manifest.files.into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["first.json", "last.json"]);
    let at = zip.windows(13).position(|part| part == b"discarded.csv").unwrap();
    zip[at] ^= 1;
    assert!(matches!(judge(&zip), Err(VerifyError::Changed)));
}

fn judge(zip: &[u8]) -> Result<VerifiedExport, VerifyError> {
    verify(&mut Cursor::new(zip), None)
}

#[test]
fn an_unchanged_export_is_valid() {
    let zip = export();
    let verified = judge(&zip).unwrap();
    let names: Vec<&str> = verified.manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["brief.json", "empty.csv", "events.csv"]);
    assert_eq!(verified.manifest.public_key, key(7).public_key());
    let own = hex::decode(key(7).public_key().as_bytes());
    assert_eq!(verify(&mut Cursor::new(&zip), own).unwrap(), verified);
    let other = hex::decode(key(8).public_key().as_bytes());
    let refused = verify(&mut Cursor::new(&zip), other).unwrap_err();
    assert!(refused.to_string().contains(&verified.fingerprint), "{refused}");
    assert_eq!(export(), zip, "the same content has the same bytes");
}

#[test]
fn a_file_of_a_verified_export_is_read() {
    let mut zip = Cursor::new(export());
    let mut bytes = Vec::new();
    read_file(&mut zip, "brief.json", |part| bytes.extend_from_slice(part)).unwrap();
    assert_eq!(bytes, b"{\"id\":\"2026-11-21\"}");
    let missing = read_file(&mut zip, "absent.json", |_| {}).unwrap_err();
    assert!(matches!(&missing, VerifyError::FileChanged { name } if name == "absent.json"), "{missing:?}");
}

#[test]
fn a_file_is_read_in_parts_and_its_end_checks_the_digest() {
    let zip = export();
    let listed = judge(&zip).unwrap().manifest.files;
    for file in &listed {
        let read = |zip: &[u8]| -> Result<Vec<u8>, VerifyError> {
            let mut opened = crate::ExportedFile::open(Cursor::new(zip), file)?;
            let mut all = Vec::new();
            let mut part = [0; 7];
            loop {
                match opened.read(&mut part)? {
                    0 => return Ok(all),
                    count => all.extend_from_slice(&part[..count]),
                }
            }
        };
        let whole = read(&zip).unwrap();
        let mut expected = Vec::new();
        read_file(&mut Cursor::new(&zip), &file.name, |bytes| expected.extend_from_slice(bytes)).unwrap();
        assert!(whole == expected && u64::try_from(whole.len()) == Ok(file.size), "{}", file.name);
        // A changed byte of the file is found, or is one that the zip repeats elsewhere: then the content is the same.
        for at in 0..zip.len() {
            let mut changed = zip.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err() || read(&changed).unwrap() == whole, "{} {at}", file.name);
        }
    }
    let absent = ManifestFile { name: "absent".to_owned(), ..listed[0].clone() };
    assert!(crate::ExportedFile::open(Cursor::new(&zip), &absent).is_err());
}

#[test]
fn each_changed_byte_is_found() {
    let zip = export();
    for at in 0..zip.len() {
        for flip in [1, 0x80] {
            let mut changed = zip.clone();
            changed[at] ^= flip;
            match judge(&changed) {
                Err(VerifyError::FileChanged { .. } | VerifyError::Changed) => {}
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_changed_file_is_named() {
    let mut changed = export();
    let row = changed.windows(10).position(|bytes| bytes == b"events.csv").unwrap();
    changed[row + 40] ^= 1;
    let error = judge(&changed).unwrap_err();
    assert!(matches!(&error, VerifyError::FileChanged { name } if name == "events.csv"), "{error:?}");
}

#[test]
fn a_cut_or_extended_export_is_not_valid() {
    let zip = export();
    for length in 0..zip.len() {
        assert!(judge(&zip[..length]).is_err(), "{length}");
    }
    assert!(judge(&[&zip[..], b"x"].concat()).is_err());
    assert!(judge(&[&zip[..], &zip[..]].concat()).is_err());
}

#[test]
fn other_files_are_no_exports() {
    for bytes in [&b""[..], b"PK", b"hello", &[0; 4_096], b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        assert!(matches!(judge(bytes), Err(VerifyError::NotAnExport)), "{bytes:?}");
    }
}

#[test]
fn names_are_unique_and_bounded() {
    let mut writer = EvidenceWriter::new();
    writer.file("a", b"1").unwrap();
    assert!(matches!(writer.file("a", b"2"), Err(WriteEvidenceError::Files)));
    assert!(writer.begin("").is_err() && writer.begin(&"x".repeat(256)).is_err());
}
