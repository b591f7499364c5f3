//! The requests of the HTTPRoute tests of the Gateway API's conformance suite, against the binary with backends on loopback.
//! `e2e/fixtures/gateway_api` has each test as routes of Tollgate; `docs/migrating.md` has the count.

mod backends;
mod comparison;
mod configuration;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;

use e2e::setup::Folder;
use e2e::{Answer, Call, Gateway, Head, at_once};
use serde_json::json;
use tokio::process::Command;

use backends::ReportingBackends;
use configuration::ListenerPlaces;
use table::{ConformanceTest, TableRequest};

/// The page that states how many of the requests get the wanted result.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/migrating.md");
/// The most by which a share of requests may differ from the wanted one, in percent.
const SHARE_DIFFERENCE_MAX: u32 = 5;

/// The result of one request of the table.
enum RequestVerdict {
    Passed,
    /// The table names the feature that Tollgate lacks, or the way in which its result differs.
    Known,
    /// A result that the table does not expect.
    Wrong(String),
}

#[tokio::test]
async fn requests_of_the_gateway_api_get_the_listed_results() {
    let tests = table::read();
    let backends = ReportingBackends::start().await;
    let folder = Folder::new().with_tables();
    let (setup, places) = configuration::setup(&tests, &backends, folder.path());
    let gateway = Rc::new(Gateway::start_in(folder, setup).await);
    let places = Rc::new(places);
    let verdicts = at_once(tests.into_iter().map(|test| run(Rc::clone(&gateway), Rc::clone(&places), test))).await;
    let verdicts: Vec<RequestVerdict> = verdicts.into_iter().flatten().collect();
    let wrong: Vec<&str> = verdicts.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{} results differ from the table:\n{}", wrong.len(), wrong.join("\n"));
    let passed = verdicts.iter().filter(|verdict| matches!(verdict, RequestVerdict::Passed)).count();
    let count = format!("{passed} of {} requests", verdicts.len());
    assert!(fs::read_to_string(PAGE).unwrap().contains(&count), "docs/migrating.md does not contain: {count}");
}

const fn wrong(verdict: &RequestVerdict) -> Option<&str> {
    match verdict {
        RequestVerdict::Wrong(text) => Some(text.as_str()),
        RequestVerdict::Passed | RequestVerdict::Known => None,
    }
}

/// Sends the requests of a test one after the other: retries of one do not use up the retry budget of the next.
async fn run(gateway: Rc<Gateway>, places: Rc<ListenerPlaces>, test: ConformanceTest) -> Vec<RequestVerdict> {
    let mut verdicts = Vec::new();
    for (number, request) in test.requests.iter().enumerate() {
        let id = format!("{}-{number}", test.test);
        let listener = places.listener(&test.test, &request.listener);
        let sender = TableSender { gateway: &gateway, listener, id: &id };
        verdicts.push(sender.verdict(request).await);
    }
    verdicts
}

/// Sends requests to one listener.
struct TableSender<'a> {
    gateway: &'a Gateway,
    listener: usize,
    /// Names the request at its backend.
    id: &'a str,
}

impl TableSender<'_> {
    async fn verdict(&self, request: &TableRequest) -> RequestVerdict {
        if request.lacks.is_some() {
            return RequestVerdict::Known;
        }
        let result = match request.times {
            Some(times) => self.shares(request, times).await,
            None => self.once(request).await,
        };
        let named = |text: &str| RequestVerdict::Wrong(format!("{} {}: {text}", self.id, request.send));
        match (result, &request.differs) {
            (Ok(()), None) => RequestVerdict::Passed,
            (Err(_), Some(_)) => RequestVerdict::Known,
            (Ok(()), Some(reason)) => named(&format!("the request passes, but the table says: {reason}")),
            (Err(difference), None) => named(&difference),
        }
    }

    /// Sends a request and compares the response with the wanted one.
    async fn once(&self, request: &TableRequest) -> Result<(), String> {
        let answer = self.answer(request).await;
        comparison::compare(request, &answer)
    }

    /// Sends a request several times and compares the shares of the backends.
    async fn shares(&self, request: &TableRequest, times: u32) -> Result<(), String> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..times {
            let answer = self.answer(request).await;
            comparison::compare(request, &answer)?;
            *counts.entry(e2e::text(&answer.json()["backend"])).or_default() += 1;
        }
        for (name, wanted) in &request.want.shares {
            let share = counts.get(name).copied().unwrap_or_default() * 100 / times;
            if share.abs_diff(*wanted) > SHARE_DIFFERENCE_MAX || (*wanted == 0 && share > 0) {
                return Err(format!("the share of {name}: {counts:?}"));
            }
        }
        Ok(())
    }

    async fn answer(&self, request: &TableRequest) -> Answer {
        let mut headers: Vec<(&str, String)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        if let Some(mut script) = request.backend_does.clone() {
            script["id"] = json!(self.id);
            headers.push((backends::SCRIPT, script.to_string()));
        }
        let to = self.gateway.listeners[self.listener];
        if request.http2 || request.is_tls() {
            return curl(request, &headers, to.port()).await;
        }
        let (method, target) = request.line();
        let call = Call::new(method, target).header("host", &request.host);
        headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send(to).await
    }
}

/// Sends a request with curl, over TLS with its server name, or over HTTP/2.
async fn curl(request: &TableRequest, headers: &[(&str, String)], port: u16) -> Answer {
    let (method, target) = request.line();
    let name = request.server_name.as_deref().unwrap_or(&request.host);
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--insecure", "--max-time", "50", "--include", "--request", method]);
    match (request.is_tls(), request.http2) {
        (true, true) => command.arg("--http2"),
        (true, false) => command.arg("--http1.1"),
        (false, _) => command.arg("--http2-prior-knowledge"),
    };
    command.args([
        "--connect-to",
        &format!("{name}:{port}:127.0.0.1:{port}"),
        "--header",
        &format!("host: {}", request.host),
    ]);
    for (name, value) in headers {
        command.args(["--header", &format!("{name}: {value}")]);
    }
    let scheme = request.scheme();
    let output = command.arg(format!("{scheme}://{name}:{port}{target}")).output().await.unwrap();
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").map(|before| before + 4);
    let Some(end) = end else { panic!("curl printed no response: {output:?}") };
    Answer { head: Head::parse(output.stdout[..end].to_vec()), body: output.stdout[end..].to_vec(), whole: true }
}
