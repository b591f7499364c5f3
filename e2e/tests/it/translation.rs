//! Calls whose provider has another format than their client: each format is translated into each other one.

mod bedrock_runtime;
mod endings;
mod failures;
mod gemini;
mod google_clients;
mod requests;

use e2e::{Answer, Call, Gateway, Mock, Setup};
use serde_json::{Value, json};

use crate::bodies::Format;
use crate::{reconcile, store};

/// The text of the mock's response.
const SAID: &str = "Hello from the mock provider: this answer is scripted, comes word by word, and is always the same.";
/// USD per million tokens: an input token costs 1,000 nano-USD, an output token 10,000.
const PRICES: [u64; 2] = [1_000, 10_000];

/// Returns the name of a format in the configuration and in the store.
const fn name(format: Format) -> &'static str {
    match format {
        Format::Chat => "chat",
        Format::Responses => "responses",
        Format::Messages => "messages",
    }
}

/// Returns a setup with a provider per format, which has its name and no other format. All of them are `mock`.
fn setup(mock: &Mock) -> Setup {
    let address = mock.address();
    let provider = |format| {
        let name = name(format);
        format!("{{name: {name}, kind: mock, base_url: \"http://{address}\", formats: [{name}]}}")
    };
    let price = |format| format!("{{model: {}/mock, input: \"1\", output: \"10\"}}", name(format));
    Setup::new()
        .section("providers", &format!("[{}]", Format::ALL.map(provider).join(", ")))
        .section("prices", &format!("[{}]", Format::ALL.map(price).join(", ")))
}

/// Returns each pair of different formats: the client's and the provider's.
fn pairs() -> impl Iterator<Item = (Format, Format)> {
    let with_all = |client| Format::ALL.map(|provider| (client, provider));
    Format::ALL.into_iter().flat_map(with_all).filter(|(client, provider)| client != provider)
}

/// Sends `body` in the client's format to a model of the provider with that format.
async fn ask(gateway: &Gateway, key: &str, client: Format, body: &Value) -> Answer {
    gateway.call(Call::json(client.path(), body).key(key)).await
}

/// Returns the whole text of a response, which has the shape of `format`.
fn text_of(format: Format, answer: &Answer) -> String {
    if answer.header("content-type").unwrap().starts_with("application/json") {
        return whole_text(format, &answer.json());
    }
    let events = answer.events();
    let last = events.last().unwrap();
    match format {
        Format::Chat => assert_eq!(last.data, "[DONE]"),
        Format::Responses => assert_eq!(last.name.as_deref(), Some("response.completed")),
        Format::Messages => assert_eq!(last.name.as_deref(), Some("message_stop")),
    }
    let delta = |event: &e2e::sse::Event| {
        let event = event.json();
        let text = match format {
            Format::Chat => &event["choices"][0]["delta"]["content"],
            Format::Responses if event["type"] == "response.output_text.delta" => &event["delta"],
            Format::Messages => &event["delta"]["text"],
            Format::Responses => &Value::Null,
        };
        text.as_str().unwrap_or_default().to_owned()
    };
    events.iter().map(delta).collect()
}

fn whole_text(format: Format, body: &Value) -> String {
    let text = match format {
        Format::Chat => {
            assert_eq!(
                (&body["object"], &body["choices"][0]["finish_reason"]),
                (&json!("chat.completion"), &json!("stop"))
            );
            &body["choices"][0]["message"]["content"]
        }
        Format::Responses => {
            assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")), "{body}");
            let items = body["output"].as_array().unwrap();
            &items.iter().find(|item| item["type"] == "message").unwrap()["content"][0]["text"]
        }
        Format::Messages => {
            assert_eq!((&body["type"], &body["stop_reason"]), (&json!("message"), &json!("end_turn")), "{body}");
            let blocks = body["content"].as_array().unwrap();
            &blocks.iter().find(|block| block["type"] == "text").unwrap()["text"]
        }
    };
    text.as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned()
}

/// Returns the input and output tokens that the client reads.
fn reported(format: Format, answer: &Answer) -> (u64, u64) {
    let values: Vec<Value> = if answer.body.starts_with(b"{") {
        vec![answer.json()]
    } else {
        answer.events().iter().map(e2e::sse::Event::json).collect()
    };
    let usage = values.iter().rev().find_map(|value| {
        let usages = [&value["usage"], &value["response"]["usage"]];
        usages.into_iter().find(|usage| usage.is_object()).cloned()
    });
    let usage = usage.unwrap_or_else(|| panic!("no usage: {}", answer.text()));
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    match format {
        Format::Chat => (count("prompt_tokens"), count("completion_tokens")),
        Format::Responses => (count("input_tokens"), count("output_tokens")),
        Format::Messages => {
            let cached = count("cache_creation_input_tokens") + count("cache_read_input_tokens");
            (count("input_tokens") + cached, count("output_tokens"))
        }
    }
}

#[tokio::test]
async fn each_format_is_served_by_a_provider_of_each_other_one() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for (client, provider) in pairs() {
        for stream in [false, true] {
            let case = format!("{client:?} to {provider:?}, stream: {stream}");
            let mut body = client.body(&format!("{}/mock", name(provider)), stream);
            if stream && client == Format::Chat {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = ask(&gateway, &key, client, &body).await.expect(200);
            assert!(answer.whole, "{case}");
            assert_eq!(text_of(client, &answer), SAID, "{case}");
            assert_eq!(answer.header("x-tollgate-dropped"), None, "{case}");
            let seen = mock.seen("mock").await;
            assert_eq!(seen["target"], provider.path(), "{case}: {seen}");

            let row = store::row(gateway.folder(), &answer).await;
            let figure = |name: &str| row[name].as_i64().unwrap_or(0).unsigned_abs();
            let input = figure("input") + figure("cached_input") + figure("cache_write_short");
            let stored = (input, figure("output") + figure("reasoning"));
            assert_eq!(stored, reported(client, &answer), "{case}: {row}");
            assert!(stored.0 > 0 && stored.1 > 0, "{case}: {row}");
            assert_eq!(figure("cost_nano"), stored.0 * PRICES[0] + stored.1 * PRICES[1], "{case}: {row}");
            assert_eq!(
                (&row["format"], &row["provider"]),
                (&json!(name(client)), &json!(name(provider))),
                "{case}: {row}"
            );
            assert_eq!((&row["outcome"], &row["status"]), (&json!("completed"), &json!(200)), "{case}: {row}");
        }
    }
    reconcile::agrees(gateway.folder()).await;
}

/// Returns a call that offers a function, and must use it.
fn with_tool(format: Format, model: &str) -> Value {
    let mut body = format.body(model, false);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let name = "get_weather";
    let description = "The weather of a city";
    (body["tools"], body["tool_choice"]) = match format {
        Format::Chat => {
            let function = json!({"name": name, "description": description, "parameters": schema});
            (json!([{"type": "function", "function": function}]), json!("required"))
        }
        Format::Responses => {
            let tool = json!({"type": "function", "name": name, "description": description, "parameters": schema});
            (json!([tool]), json!("required"))
        }
        Format::Messages => {
            (json!([{"name": name, "description": description, "input_schema": schema}]), json!({"type": "any"}))
        }
    };
    body
}

/// Returns the call of the function in a response: its id and its arguments.
fn call_of(format: Format, body: &Value) -> (String, Value) {
    let items = match format {
        Format::Chat => &body["choices"][0]["message"]["tool_calls"],
        Format::Responses => &body["output"],
        Format::Messages => &body["content"],
    };
    let is_call = |item: &&Value| matches!(item["type"].as_str(), Some("function" | "function_call" | "tool_use"));
    let call = items.as_array().into_iter().flatten().find(is_call).unwrap_or_else(|| panic!("no call: {body}"));
    let parsed = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
    let (id, called, arguments) = match format {
        Format::Chat => (&call["id"], &call["function"]["name"], parsed(&call["function"]["arguments"])),
        Format::Responses => (&call["call_id"], &call["name"], parsed(&call["arguments"])),
        Format::Messages => (&call["id"], &call["name"], call["input"].clone()),
    };
    assert_eq!(called, "get_weather", "{body}");
    (id.as_str().unwrap().to_owned(), arguments)
}

/// Adds the call of the function and its result to the conversation.
fn add_result(format: Format, body: &mut Value, response: &Value, id: &str) {
    const RESULT: &str = "18 degrees";
    match format {
        Format::Chat => {
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(response["choices"][0]["message"].clone());
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": RESULT}));
        }
        Format::Responses => {
            let mut input = vec![json!({"role": "user", "content": "hi"})];
            input.extend(response["output"].as_array().unwrap().iter().cloned());
            input.push(json!({"type": "function_call_output", "call_id": id, "output": RESULT}));
            body["input"] = input.into();
        }
        Format::Messages => {
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(json!({"role": "assistant", "content": response["content"]}));
            let result = json!({"type": "tool_result", "tool_use_id": id, "content": RESULT});
            messages.push(json!({"role": "user", "content": [result]}));
        }
    }
    let body = body.as_object_mut().unwrap();
    body.remove("tool_choice");
}

#[tokio::test]
async fn a_model_calls_a_function_and_reads_its_result_in_each_pair_of_formats() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&mock)).await;
    let key = gateway.key().await;
    for (client, provider) in pairs() {
        let case = format!("{client:?} to {provider:?}");
        let mut body = with_tool(client, &format!("{}/tool", name(provider)));
        let first = ask(&gateway, &key, client, &body).await.expect(200).json();
        let (id, arguments) = call_of(client, &first);
        assert!(arguments["city"].is_string(), "{case}: {first}");
        add_result(client, &mut body, &first, &id);
        let second = ask(&gateway, &key, client, &body).await.expect(200);
        assert!(!text_of(client, &second).is_empty(), "{case}");
    }
}
