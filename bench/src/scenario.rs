//! The scenarios: requests that are measured beside nginx and HAProxy, with their targets.

use crate::target::Target;

/// The bytes of an LLM request's body.
const BODY_BYTES: usize = 1_024;
/// A stream of 100 tokens with 2 ms between them.
const STREAM_MODEL: &str = "mock/tokens-100-2";

/// The nine header fields that OpenAI's client for Python adds to `Host` and `Authorization`.
const SDK_HEADERS: [(&str, &str); 9] = [
    ("Accept", "application/json"),
    ("User-Agent", "OpenAI/Python 2.10.0"),
    ("X-Stainless-Lang", "python"),
    ("X-Stainless-Package-Version", "2.10.0"),
    ("X-Stainless-OS", "Linux"),
    ("X-Stainless-Arch", "x64"),
    ("X-Stainless-Runtime", "CPython"),
    ("X-Stainless-Runtime-Version", "3.11.7"),
    ("X-Stainless-Async", "false"),
];

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
    pub(crate) scheme: &'static str,
    pub(crate) path: &'static str,
    /// The body; `None` means GET.
    pub(crate) body: Option<String>,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) keyed: bool,
    pub(crate) streamed: bool,
    pub(crate) targets: RatioTargets,
}

/// The maximum ratios of Tollgate's time to nginx's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RatioTargets {
    /// User and system time of all threads.
    pub(crate) total: Target,
    /// User time of all threads.
    pub(crate) user: Target,
    /// User and system time of the worker threads; `None` if they are not reported apart.
    pub(crate) workers: Option<Target>,
}

impl RatioTargets {
    const fn total(total: Target) -> Self {
        Self { total, user: Target::NONE, workers: None }
    }
}

impl BenchScenario {
    pub(crate) fn all() -> [Self; 8] {
        [
            Self::plain(),
            Self::keyed(),
            Self::sdk(),
            Self::sdk_keyed(),
            Self::llm(),
            Self::stream(),
            Self::sized_16k(),
            Self::sized_64k(),
        ]
    }

    pub(crate) fn plain() -> Self {
        let (total, user) = (Target::must(0.95).aiming(0.85), Target::must(0.9).aiming(0.7));
        Self {
            name: "plain",
            what: "plain route",
            scheme: "http",
            path: "/plain/open",
            body: None,
            headers: &[],
            keyed: false,
            streamed: false,
            targets: RatioTargets { total, user, workers: None },
        }
    }

    /// The scenario for the measurement of memory.
    pub(crate) fn keyed() -> Self {
        let (total, user) = (Target::must(1.05).aiming(0.95), Target::must(1.2).aiming(0.9));
        Self {
            name: "keyed",
            what: "with key, quota, rate limit, aggregated events",
            path: "/plain/keyed",
            keyed: true,
            targets: RatioTargets { total, user, workers: None },
            ..Self::plain()
        }
    }

    pub(crate) fn sdk() -> Self {
        Self {
            name: "sdk",
            what: "plain route, nine header fields of an SDK",
            headers: &SDK_HEADERS,
            targets: RatioTargets::total(Target::must(0.95).aiming(0.85)),
            ..Self::plain()
        }
    }

    fn sdk_keyed() -> Self {
        Self {
            name: "sdk-keyed",
            what: "the same with key, quota, rate limit, aggregated events",
            headers: &SDK_HEADERS,
            targets: RatioTargets::total(Target::NONE),
            ..Self::keyed()
        }
    }

    /// The scenario for the comparison of stores.
    pub(crate) fn llm() -> Self {
        Self {
            name: "llm",
            what: "LLM POST of 1 KB, unstreamed, its event ingested",
            path: "/v1/chat/completions",
            body: Some(padded("mock/instant", "")),
            targets: RatioTargets {
                total: Target::must(1.9),
                user: Target::NONE,
                workers: Some(Target::must(1.75).aiming(1.5)),
            },
            ..Self::keyed()
        }
    }

    fn stream() -> Self {
        Self {
            name: "stream",
            what: "event of an LLM stream, nginx without buffering",
            body: Some(padded(STREAM_MODEL, r#","stream":true,"stream_options":{"include_usage":true}"#)),
            streamed: true,
            targets: RatioTargets::total(Target::must(1.05).aiming(0.95)),
            ..Self::llm()
        }
    }

    fn sized_16k() -> Self {
        Self {
            name: "16k",
            what: "plain route, response of 16 KiB",
            path: "/plain/bytes/16384",
            targets: RatioTargets::total(Target::must(0.95)),
            ..Self::plain()
        }
    }

    fn sized_64k() -> Self {
        Self {
            name: "64k",
            what: "plain route, response of 64 KiB",
            path: "/plain/bytes/65536",
            targets: RatioTargets::total(Target::must(0.75)),
            ..Self::plain()
        }
    }

    pub(crate) const fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }

    /// The script that sets wrk's request. Requests use several keys in turn.
    pub(crate) fn lua(&self, keys: &[String]) -> String {
        let mut lua = String::new();
        for (name, value) in self.headers {
            lua.push_str(&format!("wrk.headers[\"{name}\"] = \"{value}\"\n"));
        }
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

    /// The bytes of one request, with the same fields as the script's.
    pub(crate) fn request(&self, key: &str) -> String {
        let mut request = format!("{} {} HTTP/1.1\r\nHost: bench\r\n", self.method(), self.path);
        for (name, value) in self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.keyed {
            request.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        if let Some(body) = &self.body {
            request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request + "\r\n" + self.body.as_deref().unwrap_or_default()
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

    #[test]
    fn a_script_and_a_request_have_the_same_fields() {
        for scenario in BenchScenario::all() {
            let (lua, request) = (scenario.lua(&[String::from("k1")]), scenario.request("k1"));
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let fields: Vec<&str> = head.lines().skip(1).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
            for field in &fields {
                let is_wrks = matches!(*field, "Host" | "Content-Length");
                assert!(is_wrks || lua.contains(&format!("headers[\"{field}\"]")), "{field}: {lua}");
            }
            assert_eq!(lua.matches("wrk.headers").count() + 1 + usize::from(scenario.body.is_some()), fields.len());
            assert_eq!((scenario.body.as_deref().unwrap_or_default(), scenario.keyed), (body, head.contains("k1")));
        }
        assert_eq!(
            BenchScenario::sdk().request("").lines().count(),
            BenchScenario::plain().request("").lines().count() + 9
        );
    }
}
