//! A receiver of OTLP: it reads the protobuf of each request without the library that Tollgate uses.

use std::collections::BTreeMap;

use e2e::{Upstream, eventually};

/// One span, as a tracing system shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShownSpan {
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
}

/// A field of a message: its number, and its value as a number or as bytes.
struct WireField<'a> {
    number: u64,
    value: u64,
    bytes: &'a [u8],
}

/// Starts a receiver that accepts everything.
pub(crate) async fn accepting() -> Upstream {
    Upstream::answering("200 OK\r\ncontent-type: application/x-protobuf", "").await
}

/// Waits for the spans of a trace: those of one whole request.
pub(crate) async fn spans_of(receiver: &Upstream, trace_id: &str) -> Vec<ShownSpan> {
    eventually("the spans of the trace arrive", async || {
        let spans: Vec<ShownSpan> = all(receiver).into_iter().filter(|span| span.trace_id == trace_id).collect();
        (!spans.is_empty()).then_some(spans)
    })
    .await
}

/// Returns all spans that the receiver has got.
pub(crate) fn all(receiver: &Upstream) -> Vec<ShownSpan> {
    let requests = receiver.seen();
    let bodies = requests.iter().filter(|request| request.whole).map(|request| request.body.as_slice());
    let of_resource = |bytes| children(bytes, 2).into_iter().flat_map(|scope| children(scope, 2));
    bodies.flat_map(|body| children(body, 1)).flat_map(of_resource).map(span).collect()
}

/// Returns the attributes of the resource of the first request.
pub(crate) fn resource(receiver: &Upstream) -> BTreeMap<String, String> {
    let requests = receiver.seen();
    let body = &requests.iter().find(|request| request.whole).expect("a request").body;
    attributes(children(children(body, 1)[0], 1)[0], 1)
}

fn span(bytes: &[u8]) -> ShownSpan {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut span = ShownSpan { attributes: attributes(bytes, 9), ..ShownSpan::default() };
    for WireField { number, value, bytes } in fields(bytes) {
        match number {
            1 => span.trace_id = hex(bytes),
            2 => span.id = hex(bytes),
            3 => span.state = text(bytes),
            4 => span.parent = hex(bytes),
            5 => span.name = text(bytes),
            6 => span.kind = value,
            7 => span.start = value,
            8 => span.end = value,
            15 => span.is_error = fields(bytes).iter().any(|field| (field.number, field.value) == (3, 2)),
            _ => {}
        }
    }
    span
}

fn attributes(bytes: &[u8], number: u64) -> BTreeMap<String, String> {
    let attribute = |bytes| {
        let key = String::from_utf8(children(bytes, 1)[0].to_vec()).unwrap();
        let value = fields(children(bytes, 2)[0]).pop().unwrap();
        let shown =
            if value.number == 1 { String::from_utf8(value.bytes.to_vec()).unwrap() } else { value.value.to_string() };
        (key, shown)
    };
    children(bytes, number).into_iter().map(attribute).collect()
}

fn children(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    fields(bytes).into_iter().filter(|field| field.number == number).map(|field| field.bytes).collect()
}

/// Reads the fields of a message (protobuf.dev, "Encoding").
fn fields(mut bytes: &[u8]) -> Vec<WireField<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let mut field = WireField { number: tag >> 3, value: 0, bytes: &[] };
        match tag & 7 {
            0 => field.value = varint(&mut bytes),
            1 => field.value = u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap()),
            2 => {
                let len = usize::try_from(varint(&mut bytes)).unwrap();
                field.bytes = take(&mut bytes, len);
            }
            5 => field.value = u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into(),
            other => panic!("the wire type {other}"),
        }
        fields.push(field);
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return value;
        }
    }
    panic!("a number is too long")
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken
}
