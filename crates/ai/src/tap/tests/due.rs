//! Reports of usage that are due.

use super::*;

#[test]
fn usage_is_due_between_the_end_of_the_model_and_its_report() {
    let check = |format: Format, pieces: &[(&'static str, bool)]| {
        let mut tap = Tap::new(format, ResponseFraming::Events, false);
        for (piece, expected) in pieces {
            tap.push(Bytes::from_static(piece.as_bytes()));
            assert_eq!(tap.awaits_usage(), *expected, "{piece}");
        }
    };
    check(
        Format::Chat,
        &[
            ("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n", false),
            ("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", true),
            ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n", false),
        ],
    );
    check(
        Format::Messages,
        &[
            (
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n",
                false,
            ),
            ("event: content_block_start\ndata: {\"type\":\"content_block_start\"}\n\n", false),
            ("event: content_block_stop\ndata: {\"type\":\"content_block_stop\"}\n\n", true),
            ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", false),
        ],
    );
    check(Format::GenerateContent, &[("data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n", false)]);
}
