use super::*;

fn problem(refusal: Refusal) -> Problem<'static> {
    Problem { refusal, message: "say \"what\" to do", request_id: "0199-aa" }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// One line a refusal: what each shape says.
#[test]
fn every_refusal_has_its_words_in_every_format() {
    let mut table = String::new();
    for refusal in Refusal::ALL {
        let problem = problem(*refusal);
        let body = |format| -> serde_json::Value { serde_json::from_slice(&body(format, &problem)).unwrap() };
        let (openai, anthropic) = (body(Some(Format::Chat)), body(Some(Format::Messages)));
        assert_eq!(body(Some(Format::Responses)), openai);
        let (status, code) = (refusal.status(), refusal.code());
        assert_eq!(
            body(None),
            serde_json::json!({"error": {"code": code, "message": problem.message, "status": status}})
        );
        let retry = if headers(Some(Format::Chat), *refusal).is_empty() { "retry" } else { "no retry" };
        table.push_str(&format!(
            "{status} {code}: openai {} {} {}, anthropic {} {}, {retry}\n",
            openai["error"]["type"],
            openai["error"]["code"],
            openai["error"]["param"],
            anthropic["error"]["type"],
            anthropic["error"]["code"],
        ));
    }
    insta::assert_snapshot!("words", table);
}

#[test]
fn bodies_have_the_shape_of_their_format() {
    let problem = problem(Refusal::QuotaExceeded);
    let shapes: Vec<_> = [Some(Format::Chat), Some(Format::Messages), None]
        .into_iter()
        .map(|format| text(body(format, &problem)))
        .collect();
    insta::assert_snapshot!("bodies", shapes.join("\n"));
}

#[test]
fn a_cut_stream_ends_with_the_event_of_its_format() {
    let problem = problem(Refusal::Draining);
    let events: Vec<_> = Format::ALL.into_iter().map(|format| text(event(format, &problem))).collect();
    insta::assert_snapshot!("events", events.join("========\n"));
}

#[test]
fn clients_are_told_not_to_repeat_what_cannot_succeed() {
    const NO: &[(&str, &str)] = &[("x-should-retry", "false")];
    for refusal in [Refusal::QuotaExceeded, Refusal::KeyUnknown, Refusal::KeyRevoked, Refusal::UserSuspended] {
        assert_eq!(headers(Some(Format::Messages), refusal), NO, "{}", refusal.code());
        assert!(headers(None, refusal).is_empty());
    }
    for refusal in [Refusal::RateLimited, Refusal::Draining, Refusal::UpstreamTimeout] {
        assert!(headers(Some(Format::Chat), refusal).is_empty(), "{}", refusal.code());
    }
}

#[test]
fn a_cut_inside_an_event_does_not_swallow_the_error() {
    let problem = problem(Refusal::UpstreamReset);
    for format in Format::ALL {
        let stream = [b"data: {\"par".to_vec(), event(format, &problem)].concat();
        let lines: Vec<_> = std::str::from_utf8(&stream).unwrap().split("\n\n").collect();
        assert_eq!(lines[0], "data: {\"par");
        assert!(
            lines[1].starts_with("data: {\"error\"") || lines[1].starts_with("event: error\ndata: {"),
            "{format:?}"
        );
    }
}
