//! The scenarios: requests that are measured beside other proxies, with their targets.

use crate::order::Side;
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

/// The script builds all requests before the first one is sent; `NEXT` selects one of them.
const IN_TURNS: &str = r#"local keys, requests, at = {KEYS}, {}, 0
init = function()
  for nth, key in ipairs(keys) do
    wrk.headers["Authorization"] = "Bearer " .. key
    requests[nth] = wrk.format()
  end
end
request = function()
  NEXT
  return requests[at]
end
"#;

const FROM_THE_BEGINNING: &str = "at = at % #requests + 1";

/// The run ends before the last keys are used. When wrk stops, each connection may have one more request.
const ONCE: &str = "at = at + 1
  if at >= #requests - RESERVE then
    wrk.thread:stop()
  end";
/// The number of keys for the requests after the stop: the maximum of connections.
const RESERVE: usize = 2_000;

/// The proxies beside which every scenario is measured, and those with further ones.
const USUAL: &[Side] = &[Side::Nginx, Side::Haproxy];
const WITH_ENVOY: &[Side] = &[Side::Nginx, Side::Haproxy, Side::Envoy];
const ALL_PROXIES: &[Side] = &[Side::Nginx, Side::Haproxy, Side::Envoy, Side::Traefik];

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
    pub(crate) credential: Credential,
    /// Whether each request has a new credential, until all are used. Otherwise several are used in turn.
    pub(crate) once: bool,
    pub(crate) streamed: bool,
    /// The proxies of the comparison.
    pub(crate) proxies: &'static [Side],
    pub(crate) targets: RatioTargets,
}

/// The credential of a scenario's requests, in the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    None,
    /// A key of a user, whose usage is counted.
    Key,
    /// An access token. Only a Tollgate whose configuration has an issuer has its route.
    Token,
}

/// The maximum ratios of Tollgate's time to nginx's, and to Envoy's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RatioTargets {
    /// User and system time of all threads.
    pub(crate) total: Target,
    /// User time of all threads.
    pub(crate) user: Target,
    /// User and system time of the worker threads; `None` if they are not reported apart.
    pub(crate) workers: Option<Target>,
    /// User and system time of all threads, to Envoy's.
    pub(crate) envoy: Target,
}

impl RatioTargets {
    const fn total(total: Target) -> Self {
        Self { total, user: Target::NONE, workers: None, envoy: Target::NONE }
    }
}

impl BenchScenario {
    pub(crate) fn all() -> [Self; 9] {
        [
            Self::plain(),
            Self::keyed(),
            Self::sdk(),
            Self::sdk_keyed(),
            Self::llm(),
            Self::stream(),
            Self::sized_16k(),
            Self::sized_64k(),
            Self::jwt(),
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
            credential: Credential::None,
            once: false,
            streamed: false,
            proxies: ALL_PROXIES,
            targets: RatioTargets { user, ..RatioTargets::total(total) },
        }
    }

    /// The scenario for the measurement of memory.
    pub(crate) fn keyed() -> Self {
        let (total, user) = (Target::must(1.05).aiming(0.95), Target::must(1.2).aiming(0.9));
        Self {
            name: "keyed",
            what: "with key, quota, rate limit, aggregated events",
            path: "/plain/keyed",
            credential: Credential::Key,
            proxies: USUAL,
            targets: RatioTargets { user, ..RatioTargets::total(total) },
            ..Self::plain()
        }
    }

    pub(crate) fn sdk() -> Self {
        Self {
            name: "sdk",
            what: "plain route, nine header fields of an SDK",
            headers: &SDK_HEADERS,
            proxies: USUAL,
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
                workers: Some(Target::must(1.75).aiming(1.5)),
                ..RatioTargets::total(Target::must(1.9))
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
            proxies: USUAL,
            targets: RatioTargets::total(Target::must(0.95)),
            ..Self::plain()
        }
    }

    fn sized_64k() -> Self {
        Self {
            name: "64k",
            what: "plain route, response of 64 KiB",
            path: "/plain/bytes/65536",
            proxies: USUAL,
            targets: RatioTargets::total(Target::must(0.75)),
            ..Self::plain()
        }
    }

    /// An access token that is verified once. nginx and HAProxy forward it unseen, Envoy does the same work as Tollgate.
    pub(crate) fn jwt() -> Self {
        Self {
            name: "jwt",
            what: "RS256 token, cached, rate limit of all workers, three claims as headers",
            path: "/plain/jwt",
            credential: Credential::Token,
            proxies: WITH_ENVOY,
            targets: RatioTargets { envoy: Target::must(0.38), ..RatioTargets::total(Target::must(1.2)) },
            ..Self::plain()
        }
    }

    /// The same, but each request has a new token.
    pub(crate) fn cold() -> Self {
        Self { once: true, ..Self::jwt() }
    }

    pub(crate) const fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }

    /// The script that sets wrk's request. Requests use several keys in turn, or each of them once.
    pub(crate) fn lua(&self, keys: &[String]) -> String {
        let mut lua = String::new();
        for (name, value) in self.headers {
            lua.push_str(&format!("wrk.headers[\"{name}\"] = \"{value}\"\n"));
        }
        let script =
            |next: &str| IN_TURNS.replace("NEXT", next).replace("KEYS", &format!("\"{}\"", keys.join("\",\"")));
        match keys {
            _ if self.credential == Credential::None => {}
            keys if self.once => {
                lua.push_str(&script(&ONCE.replace("RESERVE", &RESERVE.min(keys.len()).to_string())));
            }
            [key] => lua.push_str(&format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n")),
            _ => lua.push_str(&script(FROM_THE_BEGINNING)),
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
        if self.credential != Credential::None {
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
        let once = BenchScenario::cold().lua(&keys);
        assert!(
            once.contains("{\"k1\",\"k2\"}") && once.contains("#requests - 2 ") && once.contains(":stop()"),
            "{once}"
        );
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
            assert_eq!(scenario.body.as_deref().unwrap_or_default(), body);
            assert_eq!(scenario.credential != Credential::None, head.contains("k1"));
        }
        assert_eq!(
            BenchScenario::sdk().request("").lines().count(),
            BenchScenario::plain().request("").lines().count() + 9
        );
    }
}
