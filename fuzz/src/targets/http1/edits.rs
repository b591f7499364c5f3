//! Random edits of a head: the written head has exactly the fields that a model of the edits promises.

use std::collections::BTreeSet;

use http1::{
    AnnouncedContent, Fields, HeadEdits, HeadLimits, InvalidPart, KnownName, RequestParser, ResponseParser,
    write_field, write_fields, write_framing,
};

use super::agreement::received;
use super::reference::{FieldPair, normal, trim};
use crate::random::SeededRandom;

const OPERATIONS_MAX: usize = 16;
/// Is edited if the input is no head.
const HEAD: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nCookie: c\r\nx-a: 2\r\nX_Api_Key: k\r\nx-forwarded-foo: f\r\n\
    Connection: X-A, te\r\nTE: trailers\r\nX_Forwarded_For: 1\r\n\r\n";
/// Fields of one connection.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];
const FRAMING: &[&str] = &["content-length", "transfer-encoding"];
const NAMES: &[&[u8]] = &[
    b"X-A",
    b"x-new",
    b"X-Forwarded-Foo",
    b"x_forwarded_foo",
    b"X-Forwarded-",
    b"X_Api_Key",
    b"Content_Length",
    b"transfer-encoding",
    b"Connection",
    b"Host",
    b"",
    b"a b",
    b"a:",
    b"a\r\nb",
    b"\xe9",
];
const VALUES: &[&[u8]] = &[
    b"v",
    b"",
    b" v\t",
    b"close",
    b"a\r\nb: c",
    b"a\nb: c",
    b"a\r",
    b"\0",
    b"\x7f",
    b"\xe9",
    b"\t\r\n\r\nGET / HTTP/1.1",
];

/// A head, or a fixed one, is written with random edits.
pub fn edits(bytes: &[u8]) {
    let mut random = SeededRandom::from_bytes(bytes);
    let limits = super::head_limits::head_limits();
    if let Ok(Some(head)) = ResponseParser::new(limits).parse(bytes) {
        return check(head.over(bytes).fields(), head.announced(), bytes, &mut random);
    }
    let parsed = RequestParser::new(limits).parse(bytes).ok().flatten().map(|head| (bytes, head));
    let (head_bytes, head) = parsed.unwrap_or_else(|| (HEAD, RequestParser::new(limits).parse(HEAD).unwrap().unwrap()));
    check(head.over(head_bytes).fields(), head.announced(), bytes, &mut random);
}

fn check(fields: Fields<'_>, announced: AnnouncedContent, input: &[u8], random: &mut SeededRandom) {
    let received = received(fields);
    let mut model = Model::default();
    model.edit(fields, input, random);
    if random.one_in(3) {
        let mut later = Model::default();
        later.edit(fields, input, random);
        model.edits.append_all(&later.edits).unwrap();
        // `clear` forgets the later edits alone.
        let cleared = later.operations.iter().rposition(|operation| matches!(operation, Operation::Clear));
        model.operations.extend(later.operations.into_iter().skip(cleared.map_or(0, |at| at + 1)));
    }
    let edits = &model.edits;
    let announced = *random.pick(&[
        announced,
        AnnouncedContent::Nothing,
        AnnouncedContent::Length(9_999_999_999_999_999_999),
        AnnouncedContent::Chunked,
    ]);
    let is_own = random.one_in(8);
    let mut out = b"GET / HTTP/1.1\r\n".to_vec();
    let line_len = out.len();
    if is_own {
        for field in edits.added() {
            write_field(&mut out, field.name, field.value).unwrap();
        }
        write_framing(&mut out, announced);
    } else {
        write_fields(&mut out, fields, edits, announced);
    }
    let expected = model.fields(if is_own { &[] } else { &received }, announced);

    let mut headers = [httparse::EMPTY_HEADER; super::head_limits::FIELDS_MAX + 2 * OPERATIONS_MAX + 1];
    let (len, headers) = httparse::parse_headers(&out[line_len..], &mut headers).unwrap().unwrap();
    let written =
        headers.iter().map(|field| (field.name.to_ascii_lowercase().into_bytes(), trim(field.value).to_vec()));
    assert_eq!(written.collect::<Vec<FieldPair>>(), expected, "{:?}", model.operations);
    assert_eq!(line_len + len, out.len(), "bytes follow the head");

    // The lists are those that are written.
    let mut listed: Vec<FieldPair> = Vec::new();
    if !is_own {
        listed.extend(edits.kept(fields).map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())));
    }
    listed.extend(edits.added().map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())));
    let framing = usize::from(announced != AnnouncedContent::Nothing);
    assert_eq!(listed, expected[..expected.len() - framing]);

    // `http1` reads the same, if the edits did not break a rule about a head.
    let count = |name: &str| expected.iter().filter(|(other, _)| normal(other) == name).count();
    let has_host = count("host") == 1 && expected.contains(&(b"host".to_vec(), b"a".to_vec()));
    if has_host && count("connection") == 0 && expected.iter().all(|(name, _)| name.len() <= 256) {
        let head =
            RequestParser::new(HeadLimits::new(usize::MAX, usize::MAX, usize::MAX)).parse(&out).unwrap().unwrap();
        let again = received_in_lower_case(head.over(&out).fields());
        assert_eq!((again, head.announced(), head.len()), (expected, announced, out.len()));
    }
}

fn received_in_lower_case(fields: Fields<'_>) -> Vec<FieldPair> {
    received(fields).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// One edit of a head that succeeded.
#[derive(Debug, Clone)]
enum Operation {
    Clear,
    Keep(KnownName),
    RemoveKnown(KnownName),
    RemoveNamed(Vec<u8>),
    /// Received fields are removed by number.
    RemoveFields(Vec<usize>),
    Append(Vec<u8>, Vec<u8>),
}

/// Edits, and those of them that succeeded, in order.
#[derive(Debug, Default)]
struct Model {
    edits: HeadEdits,
    operations: Vec<Operation>,
}

fn name(received: &[FieldPair], input: &[u8], random: &mut SeededRandom) -> Vec<u8> {
    let mut name = match random.below(5) {
        0 | 1 if !received.is_empty() => random.pick(received).0.clone(),
        2 => random.pick(KnownName::ALL).as_str().as_bytes().to_vec(),
        3 => slice(input, random).to_vec(),
        _ => random.pick(NAMES).to_vec(),
    };
    match random.below(6) {
        0 => name.make_ascii_uppercase(),
        1 => name.iter_mut().filter(|octet| **octet == b'-').for_each(|octet| *octet = b'_'),
        2 => name.iter_mut().filter(|octet| **octet == b'_').for_each(|octet| *octet = b'-'),
        _ => {}
    }
    name
}

fn value(received: &[FieldPair], input: &[u8], random: &mut SeededRandom) -> Vec<u8> {
    match random.below(4) {
        0 if !received.is_empty() => random.pick(received).1.clone(),
        1 => slice(input, random).to_vec(),
        _ => random.pick(VALUES).to_vec(),
    }
}

fn slice<'a>(input: &'a [u8], random: &mut SeededRandom) -> &'a [u8] {
    let start = random.below(input.len());
    let len = random.below(20).min(input.len() - start);
    &input[start..start + len]
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet))
}

/// The well-known name that servers may read a name as.
fn known(name: &[u8]) -> Option<KnownName> {
    let name = normal(name);
    let known = KnownName::ALL.iter().copied().find(|known| known.as_str() == name);
    known.or_else(|| name.starts_with("x-forwarded-").then_some(KnownName::XForwardedOther))
}

impl Operation {
    /// Removes a name in any case. A well-known name is removed with its spelling with underscores.
    fn removal(name: &[u8]) -> Self {
        let is_same = |known: &&KnownName| known.as_str().as_bytes().eq_ignore_ascii_case(name);
        match KnownName::ALL.iter().find(is_same) {
            Some(known) if *known != KnownName::XForwardedOther => Self::RemoveKnown(*known),
            _ => Self::RemoveNamed(name.to_vec()),
        }
    }

    /// Whether it removes a field of this name, and of this number if it was received.
    fn removes(&self, other: &[u8], number: Option<usize>) -> bool {
        match self {
            Self::RemoveFields(numbers) => number.is_some_and(|number| numbers.contains(&number)),
            Self::RemoveKnown(name) => known(other) == Some(*name),
            Self::RemoveNamed(name) => name.eq_ignore_ascii_case(other),
            Self::Clear | Self::Keep(_) | Self::Append(..) => false,
        }
    }
}

impl Model {
    fn edit(&mut self, fields: Fields<'_>, input: &[u8], random: &mut SeededRandom) {
        let received = &received(fields);
        for _ in 0..random.below(OPERATIONS_MAX) {
            let known = *random.pick(KnownName::ALL);
            let name = name(received, input, random);
            let value = value(received, input, random);
            let known_text = known.as_str().as_bytes();
            match random.below(14) {
                0 => {
                    self.edits.clear();
                    self.operations.push(Operation::Clear);
                }
                1 => {
                    self.edits.keep(known);
                    self.operations.push(Operation::Keep(known));
                }
                2 | 3 => {
                    self.edits.remove(known);
                    self.operations.push(Operation::RemoveKnown(known));
                }
                4 | 5 => {
                    let removed = self.edits.remove_named(&name);
                    assert_eq!(removed.err(), (!is_token(&name)).then_some(InvalidPart::Name));
                    if removed.is_ok() {
                        self.operations.push(Operation::removal(&name));
                    }
                }
                12 => {
                    let len = random.below(4);
                    self.edits.remove_fields(fields, |field| field.value.len() == len);
                    let numbers = received.iter().enumerate().filter(|(_, (_, value))| value.len() == len);
                    self.operations.push(Operation::RemoveFields(numbers.map(|(number, _)| number).collect()));
                }
                13 => {
                    let (one, other) = value.split_at(random.below(value.len() + 1));
                    let result = self.edits.append_parts(known, &[one, other]);
                    self.append(result, known_text, value.clone());
                }
                6 => {
                    let result = self.edits.set(known, &value);
                    self.set(result, known_text, value);
                }
                7 => {
                    let result = self.edits.append(known, &value);
                    self.append(result, known_text, value);
                }
                8 | 9 => {
                    let result = self.edits.set_named(&name, &value);
                    self.set(result, &name, value);
                }
                _ => {
                    let result = self.edits.append_named(&name, &value);
                    self.append(result, &name, value);
                }
            }
        }
    }

    fn set(&mut self, result: Result<(), InvalidPart>, name: &[u8], value: Vec<u8>) {
        if verdict(result, name, &value) {
            self.operations.push(Operation::removal(name));
            self.operations.push(Operation::Append(name.to_vec(), value));
        }
    }

    fn append(&mut self, result: Result<(), InvalidPart>, name: &[u8], value: Vec<u8>) {
        if verdict(result, name, &value) {
            self.operations.push(Operation::Append(name.to_vec(), value));
        }
    }

    /// The fields that remain and those that were added, in lower case.
    fn fields(&self, received: &[FieldPair], announced: AnnouncedContent) -> Vec<FieldPair> {
        let named = named_by_connection(received);
        let mut remaining: Vec<(bool, FieldPair)> = Vec::new();
        let mut kept = BTreeSet::new();
        let mut removed = Vec::<&Operation>::new();
        let mut added = Vec::<FieldPair>::new();
        for operation in &self.operations {
            match operation {
                Operation::Clear => (kept, removed, added) = Default::default(),
                Operation::Keep(name) => {
                    kept.insert(*name);
                    removed.retain(|other| !matches!(other, Operation::RemoveKnown(other) if other == name));
                }
                Operation::RemoveKnown(_) | Operation::RemoveNamed(_) | Operation::RemoveFields(_) => {
                    added.retain(|field| !operation.removes(&field.0, None));
                    kept.retain(|other| !matches!(operation, Operation::RemoveKnown(name) if name == other));
                    removed.push(operation);
                }
                Operation::Append(name, value) => added.push((name.to_ascii_lowercase(), trim(value).to_vec())),
            }
        }
        for (number, (name, value)) in received.iter().enumerate() {
            let is_default = known(name).is_some_and(|known| {
                let text = known.as_str();
                FRAMING.contains(&text) || (HOP_BY_HOP.contains(&text) && !kept.contains(&known))
            });
            let lower = name.to_ascii_lowercase();
            let is_removed = is_default
                || named.contains(&lower)
                || removed.iter().any(|removal| removal.removes(name, Some(number)));
            remaining.push((is_removed, (lower, value.clone())));
        }
        let mut fields: Vec<FieldPair> =
            remaining.into_iter().filter(|(is_removed, _)| !is_removed).map(|(_, field)| field).collect();
        fields.extend(added);
        match announced {
            AnnouncedContent::Nothing => {}
            AnnouncedContent::Length(length) => {
                fields.push((b"content-length".to_vec(), length.to_string().into_bytes()));
            }
            AnnouncedContent::Chunked => fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec())),
        }
        fields
    }
}

/// Whether the edit is valid, as it must be reported.
fn verdict(result: Result<(), InvalidPart>, name: &[u8], value: &[u8]) -> bool {
    let is_prefix = name.eq_ignore_ascii_case(b"x-forwarded-");
    let is_name = is_token(name) && !FRAMING.contains(&normal(name).as_str()) && !is_prefix;
    let is_value = value.iter().all(|octet| *octet == b'\t' || (*octet >= 0x20 && *octet != 0x7f));
    let expected = match (is_name, is_value) {
        (false, _) => Err(InvalidPart::Name),
        (true, false) => Err(InvalidPart::Value),
        (true, true) => Ok(()),
    };
    assert_eq!(result, expected, "{:?}", String::from_utf8_lossy(name));
    expected.is_ok()
}

/// The names in lower case that `Connection` removes. A field that frames or routes the message stays.
fn named_by_connection(received: &[FieldPair]) -> BTreeSet<Vec<u8>> {
    let values: Vec<&[u8]> = received
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
        .map(|(_, value)| value.as_slice())
        .collect();
    // These options alone name no field.
    if let [value] = values[..]
        && (value.eq_ignore_ascii_case(b"close") || value.eq_ignore_ascii_case(b"keep-alive"))
    {
        return BTreeSet::new();
    }
    let options = values.into_iter().flat_map(|value| value.split(|octet| *octet == b','));
    let options = options.map(|option| trim(option).to_ascii_lowercase());
    options
        .filter(|option| !["host", "content-length", "transfer-encoding"].map(str::as_bytes).contains(&&option[..]))
        .collect()
}
