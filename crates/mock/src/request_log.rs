//! The received requests (`GET /mock/seen`): tests compare them with the requests that clients sent.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, Uri};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Some kilobytes per name. Tests that use one name per request find all of them again.
const MODELS_MAX: usize = 10_000;
const BODIES_MAX: usize = 1_000;
const CREDENTIALS_MAX: usize = 32;
/// The headers that can carry a credential.
const CREDENTIALS: [&str; 5] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];
/// The name that counts requests after [`MODELS_MAX`] names.
const OTHERS: &str = "(others)";

/// The SHA-256 of a body.
pub(crate) type BodyHash = [u8; 32];

/// Requests by model (without `mock/`); plain requests are recorded as `plain`. Names and bodies are bounded.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<HashMap<String, ModelLog>>);

#[derive(Debug, Default)]
struct ModelLog {
    requests: u64,
    bodies: VecDeque<BodyHash>,
    /// The distinct credentials of all requests, so that no later request hides one.
    credentials: BTreeSet<String>,
    last: Option<LoggedRequest>,
}

/// The recorded data of one request.
#[derive(Debug)]
pub(crate) struct LoggedRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// The hash; `None` if the request had no body.
    pub(crate) body: Option<BodyHash>,
    /// The parts of a form.
    pub(crate) parts: Vec<LoggedPart>,
}

/// The recorded data of one part of a form.
#[derive(Debug, Serialize)]
pub(crate) struct LoggedPart {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: usize,
    /// The hash of the part's bytes in hex.
    pub(crate) sha256: String,
}

impl RequestLog {
    pub(crate) fn record(&self, name: &str, request: LoggedRequest) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if entries.contains_key(name) || entries.len() < MODELS_MAX { name } else { OTHERS };
        if !entries.contains_key(name) {
            entries.insert(name.to_owned(), ModelLog::default());
        }
        let Some(entry) = entries.get_mut(name) else { return };
        entry.requests += 1;
        if let Some(hash) = request.body {
            if entry.bodies.len() == BODIES_MAX {
                entry.bodies.pop_front();
            }
            entry.bodies.push_back(hash);
        }
        for (name, value) in &request.headers {
            if CREDENTIALS.contains(&name.as_str()) && entry.credentials.len() < CREDENTIALS_MAX {
                entry.credentials.insert(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
            }
        }
        entry.last = Some(request);
    }

    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// `{"models": {NAME: {requests, bodies: [SHA-256 in hex, oldest first], credentials: [NAME: VALUE], method,
    /// target, headers, parts}}}`. The last four are those of the last request. Values of a repeated header are joined
    /// by `, `. A part of a form is `{name, filename, content_type, bytes, sha256}`.
    pub(crate) fn report(&self) -> Bytes {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let models: Map<String, Value> = entries.iter().map(|(name, entry)| (name.clone(), entry.report())).collect();
        Bytes::from(json!({ "models": models }).to_string())
    }
}

impl ModelLog {
    fn report(&self) -> Value {
        let bodies: Vec<String> = self.bodies.iter().map(|hash| hex(hash)).collect();
        let target = self.last.as_ref().map(|request| request.uri.to_string());
        let mut headers = Map::new();
        for (name, value) in self.last.iter().flat_map(|request| &request.headers) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
                Some(before) => format!("{before}, {value}"),
                None => value,
            };
            headers.insert(name.to_string(), Value::String(joined));
        }
        let method = self.last.as_ref().map(|request| request.method.as_str());
        let parts = self.last.as_ref().map_or(&[][..], |request| &request.parts);
        json!({
            "requests": self.requests, "bodies": bodies, "credentials": self.credentials, "method": method,
            "target": target, "headers": headers, "parts": parts
        })
    }
}

/// The bytes in lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: Option<BodyHash>) -> LoggedRequest {
        let uri = Uri::from_static("/plain?a=1");
        LoggedRequest { method: Method::GET, uri, headers: HeaderMap::new(), body, parts: Vec::new() }
    }

    fn report(log: &RequestLog) -> Value {
        serde_json::from_slice(&log.report()).unwrap()
    }

    #[test]
    fn bodies_and_names_are_bounded() {
        let log = RequestLog::default();
        for n in 0..1_005_u16 {
            let mut hash = [0; 32];
            hash[..2].copy_from_slice(&n.to_be_bytes());
            log.record("mock", request(Some(hash)));
        }
        for n in 0..MODELS_MAX + 44 {
            log.record(&format!("model-{n}"), request(None));
        }
        let report = report(&log);
        let models = report["models"].as_object().unwrap();
        assert_eq!(models["mock"]["requests"], 1_005);
        assert_eq!(models["mock"]["bodies"].as_array().unwrap().len(), 1_000);
        assert_eq!(models["mock"]["bodies"][0].as_str().unwrap(), format!("0005{}", "00".repeat(30)));
        assert_eq!(models.len(), MODELS_MAX + 1);
        assert_eq!(models[OTHERS]["requests"], 45);
    }

    #[test]
    fn credentials_of_earlier_requests_stay_in_the_report() {
        let log = RequestLog::default();
        for value in ["one", "two", "one"] {
            let mut request = request(None);
            request.headers.insert("x-api-key", value.parse().unwrap());
            log.record("m", request);
        }
        assert_eq!(report(&log)["models"]["m"]["credentials"], json!(["x-api-key: one", "x-api-key: two"]));
    }

    #[test]
    fn repeated_headers_are_joined_and_reset_deletes_the_log() {
        let log = RequestLog::default();
        let mut one = request(None);
        one.headers.append("a", "1".parse().unwrap());
        one.headers.append("a", "2".parse().unwrap());
        log.record("m", one);
        assert_eq!(report(&log)["models"]["m"]["headers"], json!({ "a": "1, 2" }));
        assert_eq!(report(&log)["models"]["m"]["target"], "/plain?a=1");
        log.reset();
        assert_eq!(report(&log), json!({ "models": {} }));
    }
}
