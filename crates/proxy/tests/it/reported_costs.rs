//! The cost that a provider reports, in the usage event of its call.

use meter::Attempt;
use spool::Record;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

/// Returns the cost in nano-USD and the version of the price of each attempt of a call that reports `cost`.
async fn recorded(cost: &str, price: &str, prices: &str, is_streamed: bool) -> Vec<(Option<i64>, Option<String>)> {
    let usage = format!(r#"{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"cost":{cost}}}"#);
    let content = if is_streamed {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a\"}},\"finish_reason\":\"stop\"}}]}}\n\n\
             data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n"
        )
    } else {
        format!(
            r#"{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"a"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        )
    };
    let kind = if is_streamed { "text/event-stream" } else { "application/json" };
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{content}", content.len());
    let raw = Raw::start(move |mut conn: Conn| {
        let answer = answer.clone();
        async move {
            while conn.body().await.is_some() {
                conn.say(&answer).await;
            }
        }
    })
    .await;
    let mut gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far, {price}}}]\n{prices}",
        raw.address
    ));
    let call = format!(
        r#"{{"model":"far/m","stream":{is_streamed},"messages":[{{"role":"user","content":"a"}}],"max_tokens":9}}"#
    );
    let answer = got(gateway.post("/v1/chat/completions", call).await).await;
    assert_eq!(answer.status, 200);
    let records = gateway.stop().await;
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let attempts = events.flat_map(|event| &event.attempts);
    let version = |attempt: &Attempt| attempt.price_version.as_deref().map(str::to_owned);
    attempts.map(|attempt| (attempt.cost.map(|cost| cost.0), version(attempt))).collect()
}

#[tokio::test]
async fn a_reported_cost_is_that_of_the_call_unless_a_price_is_configured() {
    const PRICES: &str = "prices: [{model: far/m, input: '1', output: '1'}]\n";
    for is_streamed in [false, true] {
        let reported = (Some(2_950_000), Some("reported".to_owned()));
        assert_eq!(recorded("0.00295", "price: reported", "", is_streamed).await, [reported]);
        assert_eq!(recorded("0.00295", "price: table", "", is_streamed).await, [(None, None)]);
        let configured = recorded("0.00295", "price: reported", PRICES, is_streamed).await;
        assert!(configured.iter().all(|(_, version)| version.as_deref() != Some("reported")), "{configured:?}");
        assert_eq!(configured.iter().map(|(cost, _)| *cost).collect::<Vec<_>>(), [Some(1_100_000)]);
        for odd in ["-1", "\"0.1\"", "1e300", "null"] {
            assert_eq!(recorded(odd, "price: reported", "", is_streamed).await, [(None, None)], "{odd}");
        }
    }
}
