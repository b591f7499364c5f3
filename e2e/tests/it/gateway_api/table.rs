//! The files of `e2e/fixtures/gateway_api`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// The folder of the table's files.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gateway_api");

/// One test of the conformance suite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConformanceTest {
    /// The name of its file in the suite.
    pub(super) test: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    /// The listeners besides `main`.
    #[serde(default)]
    pub(super) listeners: BTreeMap<String, TestListener>,
    /// The upstreams besides `one`, `two` and `three`.
    #[serde(default)]
    pub(super) upstreams: Vec<Value>,
    #[serde(default)]
    pub(super) routes: Vec<Value>,
    pub(super) requests: Vec<TableRequest>,
}

/// A listener of a test.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestListener {
    /// The names of its certificates; without them, the listener has no TLS.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
}

/// A request of the table with its wanted result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableRequest {
    /// The method and the target.
    pub(super) send: String,
    #[serde(default = "main")]
    pub(super) listener: String,
    #[serde(default)]
    pub(super) http2: bool,
    /// The server name of TLS, if it is not the host.
    pub(super) server_name: Option<String>,
    #[serde(default = "gateway")]
    pub(super) host: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// What the backend does before and in its response.
    pub(super) backend_does: Option<Value>,
    /// How often the request is sent.
    pub(super) times: Option<u32>,
    /// The feature that Tollgate lacks. The request is not sent.
    pub(super) lacks: Option<String>,
    /// Why Tollgate's result is another one.
    pub(super) differs: Option<String>,
    pub(super) want: WantedResult,
}

/// What the client and the backend get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedResult {
    /// The possible statuses; 200 by default.
    #[serde(default)]
    pub(super) status: Statuses,
    /// The backend that serves the request.
    pub(super) backend: Option<String>,
    /// The target that the backend gets, if it is not the sent one.
    pub(super) target: Option<String>,
    /// The host that the backend gets.
    pub(super) backend_host: Option<String>,
    /// Headers that the backend gets; several lines are joined by commas.
    #[serde(default)]
    pub(super) received: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) not_received: Vec<String>,
    /// A header in which the backend gets its own name.
    pub(super) backend_in: Option<String>,
    /// Headers of the response, each with its possible values.
    #[serde(default)]
    pub(super) response: BTreeMap<String, HeaderValues>,
    #[serde(default)]
    pub(super) not_in_response: Vec<String>,
    /// The address of a redirect.
    pub(super) location: Option<String>,
    /// The share of each backend, in percent.
    #[serde(default)]
    pub(super) shares: BTreeMap<String, u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Statuses {
    One(u16),
    Several(Vec<u16>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum HeaderValues {
    One(String),
    Several(Vec<String>),
}

fn main() -> String {
    "main".to_owned()
}

fn gateway() -> String {
    "gateway.example".to_owned()
}

/// Returns the tests of all files.
pub(super) fn read() -> Vec<ConformanceTest> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    paths.sort();
    let file = |path: &PathBuf| match serde_saphyr::from_str::<Vec<ConformanceTest>>(&fs::read_to_string(path).unwrap())
    {
        Ok(tests) => tests,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    paths.iter().flat_map(file).collect()
}

impl Default for Statuses {
    fn default() -> Self {
        Self::One(200)
    }
}

impl Statuses {
    pub(super) fn contains(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Several(several) => several.contains(&status),
        }
    }
}

impl HeaderValues {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

impl TableRequest {
    /// Returns the method and the target.
    pub(super) fn line(&self) -> (&str, &str) {
        match self.send.split_once(' ') {
            Some(line) => line,
            None => panic!("not a method and a target: {}", self.send),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.listener == "tls"
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }
}
