//! The scenarios: requests that are measured.

use crate::RunFlags;

/// The bytes of an LLM request's body.
const BODY_BYTES: usize = 1_024;
/// A stream of 100 tokens with 2 ms between them.
const STREAM_MODEL: &str = "mock/tokens-100-2";

/// The script builds all requests before the first one is sent.
const IN_TURNS: &str = r#"local keys, requests, at = {KEYS}, {}, 0
init = function()
  for nth, key in ipairs(keys) do
    wrk.headers["Authorization"] = "Bearer " .. key
    requests[nth] = wrk.format()
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"#;

/// A repeated request, and its maximum cost.
#[derive(Debug, Clone)]
pub(crate) struct BenchScenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) path: &'static str,
    /// The body; `None` means GET.
    pub(crate) body: Option<String>,
    pub(crate) keyed: bool,
    pub(crate) streamed: bool,
    /// The maximum ratio to nginx.
    pub(crate) target: f64,
    /// The maximum ratio of Tollgate's worker threads to nginx.
    pub(crate) workers_target: Option<f64>,
}

impl BenchScenario {
    /// The scenarios that the flags select.
    pub(crate) fn chosen(flags: &RunFlags) -> Vec<Self> {
        let chosen = |scenario: &Self| flags.only.as_deref().is_none_or(|part| scenario.name.contains(part));
        Self::all().into_iter().filter(chosen).collect()
    }

    pub(crate) fn all() -> [Self; 4] {
        [Self::plain(), Self::keyed(), Self::llm(), Self::stream()]
    }

    fn plain() -> Self {
        Self {
            name: "plain",
            what: "plain route, open",
            path: "/plain/open",
            body: None,
            keyed: false,
            streamed: false,
            target: 1.10,
            workers_target: None,
        }
    }

    /// The scenario for the measurement of memory.
    pub(crate) fn keyed() -> Self {
        Self {
            name: "keyed",
            what: "plain route with key, quota, rate limit, aggregated events",
            path: "/plain/keyed",
            keyed: true,
            target: 1.25,
            workers_target: Some(1.15),
            ..Self::plain()
        }
    }

    /// The scenario for the comparison of stores.
    pub(crate) fn llm() -> Self {
        Self {
            name: "llm",
            what: "LLM POST of 1 KB, unstreamed, its event ingested",
            path: "/v1/chat/completions",
            body: Some(padded("mock/instant", "")),
            keyed: true,
            streamed: false,
            target: 1.9,
            workers_target: None,
        }
    }

    fn stream() -> Self {
        Self {
            name: "stream",
            what: "event of an LLM stream, nginx without buffering",
            body: Some(padded(STREAM_MODEL, r#","stream":true,"stream_options":{"include_usage":true}"#)),
            streamed: true,
            target: 1.2,
            ..Self::llm()
        }
    }

    /// The script that sets wrk's request. Requests use several keys in turn.
    pub(crate) fn lua(&self, keys: &[String]) -> String {
        let mut lua = String::new();
        match keys {
            [key] if self.keyed => lua.push_str(&format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n")),
            keys if self.keyed => lua.push_str(&IN_TURNS.replace("KEYS", &format!("\"{}\"", keys.join("\",\"")))),
            _ => {}
        }
        if let Some(body) = &self.body {
            lua.push_str("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n");
            lua.push_str(&format!("wrk.body = [==[{body}]==]\n"));
        }
        lua
    }
}

/// A chat request of [`BODY_BYTES`].
fn padded(model: &str, more: &str) -> String {
    let body = |text: &str| format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#);
    body(&"x".repeat(BODY_BYTES.saturating_sub(body("").len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_each_key_once() {
        let keys = ["k1", "k2"].map(str::to_owned);
        let lua = BenchScenario::keyed().lua(&keys);
        assert!(lua.contains("{\"k1\",\"k2\"}") && lua.contains("request = function"), "{lua}");
        let one = BenchScenario::keyed().lua(&keys[..1]);
        assert_eq!(one, "wrk.headers[\"Authorization\"] = \"Bearer k1\"\n");
        assert_eq!(BenchScenario::plain().lua(&keys), "");
    }

    #[test]
    fn bodies_are_one_kilobyte_of_json() {
        for body in BenchScenario::all().into_iter().filter_map(|scenario| scenario.body) {
            assert_eq!(body.len(), BODY_BYTES);
            assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["model"].is_string());
        }
    }
}
