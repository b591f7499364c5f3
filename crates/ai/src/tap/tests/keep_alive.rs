//! Signs of life between the events of a stream.

use super::*;

/// Forwards a stream byte by byte, with a sign of life wherever one may follow. Returns the bytes, and the number of signs.
fn with_signs(format: Format, framing: ResponseFraming, stream: &[u8]) -> (Vec<u8>, usize) {
    let mut tap = Tap::new(format, framing, false);
    let mut out = Vec::new();
    let mut signs = 0;
    for byte in stream {
        let passed = tap.push(Bytes::copy_from_slice(&[*byte]));
        out.extend_from_slice(&passed);
        if !passed.is_empty()
            && let Some(sign) = tap.keep_alive()
        {
            out.extend_from_slice(sign);
            signs += 1;
        }
    }
    out.extend_from_slice(&tap.finish().0);
    (out, signs)
}

#[test]
fn signs_of_life_are_between_events_and_change_none() {
    for &(name, format, framing, stream) in FIXTURES {
        let (out, signs) = with_signs(format, framing, stream);
        assert_eq!(
            tapped(Tap::new(format, framing, false), [&*out]).1.usage,
            tapped(Tap::new(format, framing, false), [stream]).1.usage,
            "{name}"
        );
        match framing {
            ResponseFraming::Events => {
                let plain = events(stream);
                let signed = events(&out);
                assert_eq!(signed, plain, "{name}");
                assert!(signs >= plain.len(), "{name}");
            }
            ResponseFraming::Array if name == "generate_array" => {
                let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
                assert!(signs > 1 && read(&out) == read(stream), "{name}");
            }
            ResponseFraming::Json | ResponseFraming::Array | ResponseFraming::Opaque => assert_eq!(signs, 0, "{name}"),
        }
    }
}

/// Returns the blocks of a stream that clients read: those with data, but no pings.
fn events(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n");
    let is_read = |block: &&str| block.contains("data:") && !block.contains("event: ping");
    text.split("\n\n").filter(is_read).map(|block| block.trim_start().to_owned()).collect()
}

#[test]
fn no_sign_of_life_follows_a_part_of_an_event() {
    let mut tap = Tap::new(Format::Chat, ResponseFraming::Events, false);
    assert_eq!(tap.keep_alive(), Some(&b": keepalive\n\n"[..]));
    assert!(tap.push(Bytes::from_static(b"data: {\"half")).is_empty() && tap.keep_alive().is_some());
    assert!(!tap.push(vec![b'x'; 70_000].into()).is_empty() && tap.keep_alive().is_none());
    tap.push(Bytes::from_static(b"\"}\n\n"));
    assert!(tap.keep_alive().is_some());
}

#[test]
fn clients_of_messages_get_pings_after_the_start_and_googles_get_no_comments() {
    let mut tap = Tap::new(Format::Messages, ResponseFraming::Events, false);
    assert_eq!(tap.keep_alive(), Some(&b": keepalive\n\n"[..]));
    let start =
        b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n";
    tap.push(Bytes::from_static(start));
    assert_eq!(tap.keep_alive(), Some(&b"event: ping\ndata: {\"type\":\"ping\"}\n\n"[..]));
    tap.push(Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    assert_eq!(tap.keep_alive(), Some(&b": keepalive\n\n"[..]));
    let google = Tap::new(Format::GenerateContent, ResponseFraming::Events, false);
    assert_eq!(google.keep_alive(), Some(&b"\n"[..]));
}
