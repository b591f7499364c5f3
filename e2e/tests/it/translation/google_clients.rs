//! Google's clients at providers that do not have Gemini's format.

use e2e::{Answer, Call, Gateway, Mock, Upstream};
use serde_json::{Value, json};

use super::{PRICES, SAID, name, setup};
use crate::bodies::Format;
use crate::{reconcile, store};

/// What the paths of Google's API request.
const VERBS: [&str; 3] = ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"];

fn body() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

async fn ask(gateway: &Gateway, key: &str, model: &str, verb: &str, body: &Value) -> Answer {
    gateway.call(Call::json(&format!("/v1beta/models/{model}:{verb}"), body).key(key)).await
}

/// Returns the whole responses of an answer: of a body, an event stream or an array.
fn chunks(answer: &Answer) -> Vec<Value> {
    if answer.header("content-type").unwrap().starts_with("text/event-stream") {
        return answer.events().iter().map(e2e::sse::Event::json).collect();
    }
    let body = answer.json();
    body.as_array().cloned().unwrap_or_else(|| vec![body])
}

fn parts(chunks: &[Value]) -> Vec<Value> {
    let parts = chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array());
    parts.flatten().cloned().collect()
}

fn text_of(chunks: &[Value]) -> String {
    let parts = parts(chunks);
    let is_shown = |part: &&Value| part["thought"] != true;
    parts.iter().filter(is_shown).filter_map(|part| part["text"].as_str()).collect()
}

#[tokio::test]
async fn google_s_clients_get_and_pay_the_responses_of_each_other_format() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for provider in Format::ALL {
        for verb in VERBS {
            let case = format!("{verb} to {provider:?}");
            let answer = ask(&gateway, &key, &format!("{}/mock", name(provider)), verb, &body()).await.expect(200);
            let chunks = chunks(&answer);
            assert!(answer.whole && text_of(&chunks) == SAID, "{case}: {}", answer.text());
            assert_eq!(answer.text().starts_with('['), verb == VERBS[2], "{case}");
            let last = chunks.last().unwrap();
            assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{case}: {last}");
            assert_eq!(last["modelVersion"], format!("{}/mock", name(provider)), "{case}: {last}");
            assert_eq!(mock.seen("mock").await["target"], provider.path(), "{case}");

            let row = store::row(gateway.folder(), &answer).await;
            let figure = |name: &str| row[name].as_i64().unwrap_or(0).unsigned_abs();
            let input = figure("input") + figure("cached_input") + figure("cache_write_short");
            let output = figure("output") + figure("reasoning");
            let usage = &last["usageMetadata"];
            let count = |name: &str| usage[name].as_u64().unwrap_or(0);
            assert_eq!(count("promptTokenCount"), input, "{case}: {row} {usage}");
            assert_eq!(count("candidatesTokenCount") + count("thoughtsTokenCount"), output, "{case}: {row} {usage}");
            assert_eq!(count("totalTokenCount"), input + output, "{case}: {usage}");
            assert_eq!(figure("cost_nano"), input * PRICES[0] + output * PRICES[1], "{case}: {row}");
            let of = (&row["format"], &row["provider"], &row["outcome"]);
            assert_eq!(of, (&json!("generate_content"), &json!(name(provider)), &json!("completed")), "{case}: {row}");
        }
    }
    reconcile::agrees(gateway.folder()).await;
}

#[tokio::test]
async fn google_s_clients_call_functions_and_send_results_without_ids() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for provider in Format::ALL {
        for verb in VERBS {
            let case = format!("{verb} to {provider:?}");
            let model = format!("{}/tool", name(provider));
            let mut call = body();
            let schema = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]});
            call["tools"] = json!([{"functionDeclarations": [{"name": "get_weather", "parameters": schema}]}]);
            call["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY"}});
            let first = ask(&gateway, &key, &model, verb, &call).await.expect(200);
            let chunks_of_first = chunks(&first);
            let made = parts(&chunks_of_first);
            let function =
                made.iter().find(|part| part["functionCall"].is_object()).unwrap_or_else(|| panic!("{case}"));
            let function = &function["functionCall"];
            assert!(function["name"] == "get_weather" && function["args"]["city"].is_string(), "{case}: {function}");
            assert!(function["id"].is_string(), "{case}: {function}");

            let contents = call["contents"].as_array_mut().unwrap();
            for chunk in &chunks_of_first {
                let mut content = chunk["candidates"][0]["content"].clone();
                for part in content["parts"].as_array_mut().into_iter().flatten() {
                    if let Some(function) = part["functionCall"].as_object_mut() {
                        function.remove("id");
                    }
                }
                contents.push(content);
            }
            let result = json!({"name": "get_weather", "response": {"output": "18 degrees"}});
            contents.push(json!({"role": "user", "parts": [{"functionResponse": result}]}));
            call.as_object_mut().unwrap().remove("toolConfig");
            let second = ask(&gateway, &key, &model, verb, &call).await.expect(200);
            assert!(!text_of(&chunks(&second)).is_empty(), "{case}: {}", second.text());
        }
    }
}

#[tokio::test]
async fn errors_and_cut_streams_reach_google_s_clients_in_their_words() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for provider in Format::ALL {
        for (status, expected, word) in [
            (400, 400, "INVALID_ARGUMENT"),
            (429, 429, "RESOURCE_EXHAUSTED"),
            (500, 500, "INTERNAL"),
            (529, 503, "UNAVAILABLE"),
        ] {
            let verb = VERBS[usize::from(status == 429)];
            let answer = ask(&gateway, &key, &format!("{}/{status}", name(provider)), verb, &body()).await;
            let answer = answer.expect(expected);
            let error = &answer.json()["error"];
            assert_eq!((&error["code"], &error["status"]), (&json!(expected), &json!(word)), "{provider:?}: {error}");
            assert!(error["message"].is_string() && error["details"].is_array(), "{provider:?}: {error}");
        }
        for (fault, verb) in [("error-event", VERBS[1]), ("unfinished", VERBS[2]), ("cut", VERBS[1]), ("cut", VERBS[2])]
        {
            let case = format!("{provider:?}: {fault} {verb}");
            let answer = ask(&gateway, &key, &format!("{}/{fault}", name(provider)), verb, &body()).await.expect(200);
            assert!(answer.whole && !answer.text().contains("finishReason"), "{case}: {}", answer.text());
            if verb == VERBS[2] {
                let chunks = answer.json();
                assert!(chunks.as_array().unwrap().last().unwrap()["error"]["code"].is_u64(), "{case}: {chunks}");
            } else {
                // Google's SDK for Node reads only an error that is no event.
                let (_, bare) = answer.text().rsplit_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                let error: Value = serde_json::from_str(&bare).unwrap_or_else(|_| panic!("{case}: {}", answer.text()));
                assert!(error["error"]["status"].is_string(), "{case}: {error}");
            }
        }
    }
    let busy = ask(&gateway, &key, "messages/retry-after-7", VERBS[0], &body()).await.expect(429);
    let details = busy.json()["error"]["details"].as_array().unwrap().clone();
    assert!(details.iter().any(|detail| detail["retryDelay"] == "7s"), "{details:?}");
}

#[tokio::test]
async fn fields_that_no_other_format_has_are_named_or_refused_by_google_s_names() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    let mut call = body();
    call["generation_config"] = json!({"topK": 40, "seed": 7});
    call["tools"] = json!([{"googleSearch": {}}]);
    let answer = ask(&gateway, &key, "chat/mock", VERBS[0], &call).await.expect(200);
    assert_eq!(answer.header("x-tollgate-dropped"), Some("tools[0].googleSearch, generationConfig.topK"));
    call["cachedContent"] = "cachedContents/1".into();
    let refused = ask(&gateway, &key, "chat/mock", VERBS[0], &call).await.expect(400).json();
    assert_eq!(refused["error"]["details"][0]["reason"], "format_mismatch", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("`cachedContent`"), "{refused}");
    // This provider's counter reports no count: the response is an estimate.
    let only = Upstream::json(&json!({})).await;
    let gateway = Gateway::start(e2e::Setup::provider("openai", only.address())).await;
    let key = gateway.key().await;
    let counted = ask(&gateway, &key, "up/m", "countTokens", &body()).await.expect(200);
    assert_eq!(counted.header("x-tollgate-estimated"), Some("true"));
    assert!(counted.json()["totalTokens"].as_u64().unwrap() > 0);
}
