//! One request per endpoint; `{model}` marks the places of the model's name.

use std::pin::Pin;

use e2e::{Answer, Call, Gateway, Mock, Setup, is_uuid_v7, setup};
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

const BOUNDARY: &str = "----e2e.boundary'(1)";
/// Length of the test file. It contains bytes that no parser may change: every byte value, line ends, and the
/// beginning of the boundary.
const SOUND_BYTES: usize = 40_000;

/// The API family of a request: it determines where clients send the key and how they read an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Azure,
    Anthropic,
    Google,
}

/// The encoding of a request body.
#[derive(Debug, Clone, Copy)]
enum Content {
    Json(&'static str),
    /// A form with these fields and one file, whose field is named first.
    Form(&'static str, &'static [(&'static str, &'static str)]),
}

/// A request to one endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// The name of the model at the provider.
    pub(super) name: &'static str,
    pub(super) dialect: Dialect,
    /// The path and query that the client requests.
    at: &'static str,
    /// The path and query that the provider receives.
    provider_at: &'static str,
    /// The value of `format` in usage events.
    pub(super) format: &'static str,
    content: Content,
    /// Whether the request costs no credits.
    pub(super) free: bool,
}

const fn ask(name: &'static str, dialect: Dialect, at: &'static str, format: &'static str, content: Content) -> Ask {
    Ask { name, dialect, at, provider_at: at, format, content, free: false }
}

impl Ask {
    const fn free(self) -> Self {
        Self { free: true, ..self }
    }

    const fn asked_at(self, provider_at: &'static str) -> Self {
        Self { provider_at, ..self }
    }
}

use Content::{Form, Json};
use Dialect::{Anthropic, Azure, Google, OpenAi};

const CHAT: Content = Json(r#"{ "x":1.0e+02,"model" : "{model}", "messages":[{"role":"user","content":"h\u00e9"}]}"#);
const EMBEDDINGS: Content = Json(r#"{"input":["one","two"],  "model":"{model}","n":123456789012345678901}"#);
const GENERATE: Content = Json(r#"{ "contents":[{"parts":[{"text":"hi \ud83d\ude00"}]}],"x":{"model":"not read"} }"#);
const EMBED: Content = Json(r#"{ "model" :"models/{model}", "content":{"parts":[{"text":"hi"}]}}"#);
const BATCH: Content = Json(
    r#"{"requests":[{"model":"models/{model}","content":{"parts":[{"text":"a"}]}}, {"content":{"parts":[{"text":"b"}]},"model":"models/{model}"}]}"#,
);
const SPEECH: Content = Json(r#"{"model":"{model}","voice":"alloy","input":"so\u00fcnd"}"#);
const TRANSCRIBE: Content = Form("file", &[("model", "{model}"), ("prompt", "odd\r\n--x"), ("temperature", "0.20")]);

/// Requests for whole responses, and for streams to which Tollgate adds no event. The provider receives the client's
/// bytes with the model's name replaced; the client receives the provider's bytes.
pub(super) const ALL: [Ask; 29] = [
    ask("chat", OpenAi, "/v1/chat/completions?api-version=preview", "chat", CHAT),
    ask("completions", OpenAi, "/v1/completions", "completions", Json(r#"{"model":"{model}","prompt" : "hi"}"#)),
    ask("responses", OpenAi, "/v1/responses", "responses", Json(r#"{"input":"hi", "model":"{model}"}"#)),
    ask(
        "responses-events",
        OpenAi,
        "/v1/responses",
        "responses",
        Json(r#"{"input":"hi", "model":"{model}","stream":true}"#),
    ),
    ask(
        "messages",
        Anthropic,
        "/v1/messages?beta=true",
        "messages",
        Json(r#"{"model":"{model}","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#),
    ),
    ask(
        "counted",
        Anthropic,
        "/v1/messages/count_tokens",
        "messages",
        Json(r#"{"model":"{model}","messages":[{"role":"user","content":"hi"}]}"#),
    )
    .free(),
    ask("embeddings", OpenAi, "/v1/embeddings", "embeddings", EMBEDDINGS),
    ask(
        "embeddings-base64",
        OpenAi,
        "/v1/embeddings",
        "embeddings",
        Json(r#"{"model":"{model}","input":[1,2],"encoding_format":"base64","dimensions":3}"#),
    ),
    ask(
        "images",
        OpenAi,
        "/v1/images/generations",
        "images",
        Json(r#"{"prompt":"a dog","model":"{model}","n":2,"size":"1024x1024"}"#),
    ),
    ask(
        "images-events",
        OpenAi,
        "/v1/images/generations",
        "images",
        Json(r#"{"prompt":"a dog","model":"{model}","stream":true,"partial_images":3}"#),
    ),
    ask("dall-e-3", OpenAi, "/v1/images/generations", "images", Json(r#"{"prompt":"a dog","model":"{model}","n":3}"#)),
    ask("edits", OpenAi, "/v1/images/edits", "images", Form("image[]", &[("prompt", "a cat"), ("model", "{model}")])),
    ask("speech", OpenAi, "/v1/audio/speech", "speech", SPEECH),
    ask(
        "speech-events",
        OpenAi,
        "/v1/audio/speech",
        "speech",
        Json(r#"{"model":"{model}","voice":"alloy","input":"hi","response_format":"wav","stream_format":"sse"}"#),
    ),
    ask("transcriptions", OpenAi, "/v1/audio/transcriptions", "transcription", TRANSCRIBE),
    ask(
        "transcriptions-events",
        OpenAi,
        "/v1/audio/transcriptions",
        "transcription",
        Form("file", &[("stream", "true"), ("model", "{model}")]),
    ),
    ask("whisper-1", OpenAi, "/v1/audio/translations", "transcription", TRANSCRIBE),
    ask(
        "moderations",
        OpenAi,
        "/v1/moderations",
        "moderations",
        Json(r#"{"model":"{model}","input":["fine","also fine"]}"#),
    ),
    ask("gemini", Google, "/v1beta/models/{model}:generateContent", "generate_content", GENERATE),
    ask("gemini-v1", Google, "/v1/models/{model}:generateContent", "generate_content", GENERATE),
    ask("gemini-events", Google, "/v1beta/models/{model}:streamGenerateContent?alt=sse", "generate_content", GENERATE),
    ask("gemini-array", Google, "/v1/models/{model}:streamGenerateContent", "generate_content", GENERATE),
    ask("gemini-counted", Google, "/v1beta/models/{model}:countTokens", "generate_content", GENERATE).free(),
    ask("gemini-counted-v1", Google, "/v1/models/{model}:countTokens", "generate_content", GENERATE).free(),
    ask("embed", Google, "/v1beta/models/{model}:embedContent", "embed_content", EMBED),
    ask("batch-v1", Google, "/v1/models/{model}:batchEmbedContents", "embed_content", BATCH),
    ask(
        "azure-chat",
        Azure,
        "/openai/deployments/{model}/chat/completions?api-version=2024-10-21&a=b&key=k",
        "chat",
        Json(r#"{"messages":[{"role":"user","content":"hi"}],"model":"{model}"}"#),
    )
    .asked_at("/v1/chat/completions"),
    ask(
        "azure-transcriptions",
        Azure,
        "/openai/deployments/{model}/audio/transcriptions?api-version=2025-04-01-preview",
        "transcription",
        TRANSCRIBE,
    )
    .asked_at("/v1/audio/transcriptions"),
    ask("azure-responses", Azure, "/openai/v1/responses?api-version=v1", "responses", Json(r#"{"model":"{model}"}"#))
        .asked_at("/v1/responses"),
];

impl Ask {
    /// Returns the request with this name.
    pub(super) fn named(name: &str) -> Self {
        *ALL.iter().find(|ask| ask.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Builds the request with a key in the field that its clients use.
    pub(super) fn with_key(&self, model: &str, key: &str) -> Call {
        let call = self.call(model);
        match self.dialect {
            Dialect::OpenAi => call.key(key),
            Dialect::Azure => call.header("api-key", key),
            Dialect::Anthropic => call.header("x-api-key", key).header("anthropic-version", "2023-06-01"),
            Dialect::Google => call.header("x-goog-api-key", key),
        }
    }

    /// Builds the request without a key.
    pub(super) fn call(&self, model: &str) -> Call {
        // A deployment is one path segment; Google's names may span several.
        let in_path = if self.dialect == Dialect::Azure { model.replace('/', "%2F") } else { model.to_owned() };
        self.to(&self.at.replace("{model}", &in_path), model)
    }

    /// Returns the target and the request that the provider must receive.
    pub(super) fn at_the_provider(&self) -> (String, Call) {
        let target = self.provider_at.replace("{model}", self.name);
        let call = self.to(&target, self.name);
        (target, call)
    }

    fn to(&self, target: &str, model: &str) -> Call {
        Call::new("POST", target).header("content-type", &self.content_type()).body(self.body(model))
    }

    pub(super) fn content_type(&self) -> String {
        match self.content {
            Json(_) => "application/json".to_owned(),
            Form(..) => format!("multipart/form-data; boundary=\"{BOUNDARY}\""),
        }
    }

    pub(super) fn is_form(&self) -> bool {
        matches!(self.content, Form(..))
    }

    pub(super) fn body(&self, model: &str) -> Vec<u8> {
        let (file, fields) = match self.content {
            Json(text) => return text.replace("{model}", model).into_bytes(),
            Form(file, fields) => (file, fields),
        };
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"a \u{e9}.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        )
        .into_bytes();
        body.extend(sound());
        for (name, value) in fields {
            let value = value.replace("{model}", model);
            let part = format!("\r\n--{BOUNDARY}\r\ncontent-disposition:form-data;name=\"{name}\"\r\n\r\n{value}");
            body.extend(part.into_bytes());
        }
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        body
    }
}

/// Returns the file in every form.
pub(super) fn sound() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(SOUND_BYTES).collect();
    bytes.extend(b"\r\n--\r\n----e2e\r\n\0");
    bytes
}

/// Runs `check` for all `cases` concurrently, because streams take long.
pub(super) async fn each<C, T: 'static>(
    cases: impl IntoIterator<Item = C>,
    check: impl Fn(C) -> Pin<Box<dyn Future<Output = T>>>,
) -> Vec<T> {
    let mut checks = JoinSet::new();
    let local = LocalSet::new();
    for case in cases {
        checks.spawn_local_on(check(case), &local);
    }
    local.run_until(checks.join_all()).await
}

/// A server and its mock, which is the provider `up`.
pub(super) struct EndpointServer {
    pub(super) mock: Mock,
    pub(super) gateway: Gateway,
}

impl EndpointServer {
    pub(super) async fn new() -> Self {
        let mock = Mock::start().await;
        // Ids pass unchanged; `crate::nodes` and the proxy's tests check those that are bound to their user.
        let provider = setup::provider("up", "mock", mock.address()).replace('}', ", account_objects: any}");
        let gateway = Gateway::start(Setup::new().section("providers", &format!("[{provider}]"))).await;
        Self { mock, gateway }
    }

    /// Sends the request with `key`; the model is the provider's `model`.
    pub(super) async fn send(&self, ask: &Ask, model: &str, key: &str) -> Answer {
        self.gateway.call(ask.with_key(&format!("up/{model}"), key)).await
    }
}

impl Dialect {
    /// Asserts that `answer` is a refusal as this dialect's clients read it: `status`, Tollgate's `code`, the value in
    /// the field that the clients check, and an id.
    #[track_caller]
    pub(super) fn check(self, answer: &Answer, status: u16, code: &str, word: &str) {
        assert_eq!(answer.status(), status, "{self:?} {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{self:?}");
        let id = answer.header("x-request-id").unwrap();
        assert!(is_uuid_v7(id) && answer.header("request-id") == Some(id), "{self:?} {id}");
        let body = answer.json();
        let error = &body["error"];
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        match self {
            Self::OpenAi | Self::Azure => assert_eq!(error["code"], word, "{body}"),
            Self::Anthropic => {
                assert_eq!((&body["type"], &error["type"]), (&json!("error"), &json!(word)), "{body}");
                assert_eq!((&error["code"], &body["request_id"]), (&json!(code), &json!(id)), "{body}");
            }
            Self::Google => {
                assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(word)), "{body}");
                let info = json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "tollgate",
                    "metadata": {"request_id": id}
                });
                let quota_ids = [("quota_exceeded", "CreditsPerDay"), ("budget_exceeded", "BudgetPerDay")];
                let quota_id = quota_ids.iter().find(|(of, _)| *of == code).map(|(_, id)| *id);
                let quota = json!({
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"subject": "tollgate", "description": error["message"], "quotaId": quota_id}]
                });
                let details = if quota_id.is_some() { json!([info, quota]) } else { json!([info]) };
                assert_eq!(error["details"], details, "{body}");
            }
        }
    }
}
