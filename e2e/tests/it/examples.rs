//! Every example, run with the commands of its README; only ports, keys and addresses are replaced.
//!
//! No request leaves this machine: for requests to providers, a copy of the file has the mock's address as `base_url`.
//! A start with the file itself sends no request to a provider.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use e2e::setup::Folder;
use e2e::tools::{HOW, tools};
use e2e::{Call, Gateway, Mock, Setup, Upstream, commands, eventually, keys_in, sdk, sse};
use serde_json::json;
use tokio::process::Command;

use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};

mod agents;
mod installs;
mod reselling;
mod routes;
mod sdks;
mod sources;

/// The folders below `examples/`; each must have a test in this module.
const EXAMPLES: [&str; 20] = [
    "blue-green",
    "cache",
    "canary",
    "claude-code",
    "codex-cli",
    "codexible",
    "cors",
    "discovery",
    "export",
    "grpc",
    "jwt",
    "llm-openai",
    "plain-api",
    "rate-limits",
    "reselling",
    "resilient",
    "sdks",
    "transform",
    "translation",
    "websocket",
];
/// The address of the proxy in the READMEs.
const PRINTED: &str = "http://127.0.0.1:8080";
/// The address of the admin API in the examples.
const PRINTED_CONTROL: &str = "http://127.0.0.1:8787";
/// Makes a failing `curl` fail the script.
const SHELL: &str = r#"set -eu
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"#;
/// Environment of every program that a test starts: no user's settings, and no proxy to the internet.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "127.0.0.1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
];
/// The text of the mock's response.
const SAID: &str = "Hello from the mock provider: this answer is scripted, comes word by word, and is always the same.";
/// Timeout for a coding agent that starts, sends a request and prints.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The file of an example, and the commands of its README by purpose.
struct Example {
    name: String,
    file: PathBuf,
    yaml: String,
    /// Variables that may be exported, with `…` filled in. A README prints them as comments, so that its commands run
    /// without them.
    exports: Vec<(String, String)>,
    /// The commands that install packages.
    installs: Vec<String>,
    /// The command that starts the API behind Tollgate; empty if the example needs none.
    backend: String,
    /// The command that reads a demo key into `KEY`; empty if the example uses no demo key.
    key: String,
    /// The arguments of `tollgate serve`, including the path of the file.
    serve: Vec<String>,
    /// The commands that send requests to the running server.
    calls: Vec<String>,
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap()
}

impl Example {
    fn read(name: &str) -> Self {
        let file = examples().join(name).join("tollgate.yaml");
        let yaml = fs::read_to_string(&file).unwrap();
        let readme = fs::read_to_string(file.with_file_name("README.md")).unwrap();
        let mut exports = Vec::new();
        let mut serve = Vec::new();
        let mut calls = Vec::new();
        let mut installs = Vec::new();
        let mut backend = String::new();
        let mut key = String::new();
        for command in printed(&readme) {
            if let Some(words) = command.strip_prefix("# export ") {
                assert!(serve.is_empty(), "{name}: an export after the start has no effect: {command}");
                exports.extend(assignments(words));
            } else if installs::is_one(&command) {
                installs.push(command);
            } else if command.starts_with("python3 -m http.server ") || command.starts_with("sh examples/") {
                backend = command;
            } else if command.starts_with("KEY=") {
                key = command;
            } else if let Some(words) = command.strip_prefix("tollgate serve ") {
                assert!(serve.is_empty(), "{name}: the README starts two servers: {command}");
                serve.extend(words.split_whitespace().map(str::to_owned));
            } else {
                assert!(!serve.is_empty(), "{name}: the README sends a request before the start: {command}");
                calls.push(command);
            }
        }
        assert!(!calls.is_empty(), "{name}: its README contains no request");
        let named = format!("examples/{name}/tollgate.yaml");
        assert!(serve.contains(&named), "{name}: its README serves another file");
        let example = Self { name: name.to_owned(), file, yaml, exports, installs, backend, key, serve, calls };
        example.exports_what_the_file_reads(name);
        let mut texts = example.files().into_iter().map(|(_, text)| text).chain(example.calls.clone());
        assert!(texts.any(|text| text.contains(PRINTED)), "{name}: the proxy's address is missing");
        example
    }

    /// Finds a variable that a README lacks, or still contains.
    fn exports_what_the_file_reads(&self, name: &str) {
        let named = self.yaml.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
        // Other names are those of values of a request.
        let mut read: Vec<&str> = named.filter(|name| !name.contains(|c: char| c.is_ascii_lowercase())).collect();
        let mut exported: Vec<&str> = self.exports.iter().map(|(variable, _)| variable.as_str()).collect();
        read.sort_unstable();
        exported.sort_unstable();
        assert_eq!(exported, read, "{name}: what its README exports, and what its file reads");
    }

    /// Starts the server as printed, with these variables.
    async fn start(&self, variables: &[(String, String)]) -> Gateway {
        self.start_with(&self.file, variables).await
    }

    /// Like [`Example::start`], with a copy of the file whose providers are at `mock`.
    async fn start_before(&self, mock: &Mock, variables: &[(String, String)]) -> Gateway {
        let mut copy = String::new();
        for line in self.yaml.lines() {
            copy += &format!("{line}\n");
            let path = match line.trim() {
                "kind: openai" => "/v1",
                "kind: anthropic" | "kind: gemini" => "",
                _ => continue,
            };
            let indent = line.len() - line.trim_start().len();
            copy += &format!("{:indent$}base_url: http://{}{path}\n", "", mock.address());
        }
        assert_ne!(copy, self.yaml, "the file must name its providers' kinds");
        let folder = Folder::new();
        self.start_with(&folder.write("copy.yaml", &copy), variables).await
    }

    async fn start_with(&self, file: &Path, variables: &[(String, String)]) -> Gateway {
        let path = file.display().to_string();
        let words = self.serve.iter().map(|word| if word.ends_with("/tollgate.yaml") { &path } else { word });
        let bare = if self.name == "rate-limits" { Setup::bare().limited() } else { Setup::bare() };
        let setup = words.fold(bare, |setup, word| setup.flag(word));
        Gateway::start(variables.iter().fold(setup, |setup, (name, value)| setup.variable(name, value))).await
    }

    /// Returns the files of the folder except the configuration and Markdown pages.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let others = entries.filter(|path| path.is_file() && path.extension().is_none_or(|kind| kind != "md"));
        let others = others.filter(|path| *path != self.file);
        others
            .map(|path| (path.file_name().unwrap().display().to_string(), fs::read_to_string(&path).unwrap()))
            .collect()
    }

    /// Creates a folder like that of the README's reader: the example with the server's address, installed packages,
    /// the server's data and a home. It is not a git repository.
    fn workspace(&self, gateway: &Gateway) -> Folder {
        let folder = Folder::new();
        let own = folder.path().join("examples").join(&self.name);
        fs::create_dir_all(&own).unwrap();
        for (name, text) in self.files() {
            fs::write(own.join(name), started_at(gateway, &text)).unwrap();
        }
        fs::create_dir(folder.path().join("home")).unwrap();
        symlink(sdk::folder("sdk").join("node_modules"), folder.path().join("node_modules")).unwrap();
        symlink(tools().join("python-current"), folder.path().join(".venv")).unwrap();
        symlink(gateway.folder().data(), folder.path().join("tollgate-data")).unwrap();
        folder
    }

    /// Runs the requests as printed, which must succeed; returns the output of each.
    async fn run(&self, gateway: &Gateway, key: &str) -> Vec<String> {
        let mut outputs = Vec::new();
        for (call, output) in self.try_to_run(gateway, key).await {
            let reported = String::from_utf8_lossy(&output.stdout).into_owned();
            let failed = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{call}: {failed} {reported} ({HOW}; curl comes with `apt install curl`)");
            outputs.push(reported);
        }
        outputs
    }

    /// Like [`Example::run`], but commands may fail.
    async fn try_to_run(&self, gateway: &Gateway, key: &str) -> Vec<(String, Output)> {
        let workspace = self.workspace(gateway);
        let mut outputs = Vec::new();
        for call in &self.calls {
            outputs.push((call.clone(), run_in(&workspace, gateway, call, [("KEY", key)]).await));
        }
        outputs
    }

    /// Returns the key that the README's command reads from the server's data.
    async fn finds_key(&self, gateway: &Gateway) -> String {
        let workspace = self.workspace(gateway);
        let mut child = shell(&format!("{}\nprintf %s \"$KEY\"", self.key), &workspace);
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}: {output:?}", self.key);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns only these of the exported variables.
    fn only(&self, names: &[&str]) -> Vec<(String, String)> {
        self.exports.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect()
    }
}

/// Returns the text of an example with the addresses of the started server.
fn started_at(gateway: &Gateway, text: &str) -> String {
    let text = text.replace(PRINTED_CONTROL, &format!("http://{}", gateway.control));
    text.replace(PRINTED, &format!("http://{}", gateway.proxy))
}

/// Runs one printed command with a key in a variable.
async fn run_in(workspace: &Folder, gateway: &Gateway, call: &str, variables: [(&str, &str); 1]) -> Output {
    let mut child = shell(&started_at(gateway, call), workspace);
    child.envs(variables);
    let output = tokio::time::timeout(COMMAND_TIMEOUT, child.output()).await;
    output.unwrap_or_else(|_| panic!("not within {COMMAND_TIMEOUT:?}: {call}")).unwrap()
}

/// Builds `command` as a user's shell would run it.
fn shell(command: &str, workspace: &Folder) -> Command {
    let mut child = Command::new("sh");
    child.args(["-c", &format!("{SHELL}{command}")]).current_dir(workspace.path()).kill_on_drop(true);
    child.env_clear().envs(ENVIRONMENT).env("PATH", sdk::path()).env("HOME", workspace.path().join("home"));
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    child
}

/// Returns the commands in a README's `sh` blocks, with continuation lines joined. Panics on a block of another
/// language, because no test would run it.
fn printed(readme: &str) -> Vec<String> {
    let mut commands = Vec::<String>::new();
    let mut inside = false;
    let mut goes_on = false;
    for line in readme.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            assert_eq!(kind, if inside { "" } else { "sh" }, "a code block that no test runs: {line}");
            inside = !inside;
        } else if inside {
            match commands.last_mut() {
                Some(command) if goes_on => *command += &format!("\n{line}"),
                _ if line.trim().is_empty() => {}
                _ => commands.push(line.to_owned()),
            }
            goes_on = line.ends_with('\\');
        }
    }
    assert!(!inside && !goes_on, "the last block has no end");
    commands
}

/// Parses `A=1 B=2   # why`; an ellipsis represents the rest of a secret.
fn assignments(words: &str) -> Vec<(String, String)> {
    let words = words.split(" #").next().unwrap_or_default().split_whitespace();
    let filled = words.map(|word| word.replace('…', "example"));
    filled.map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

/// Returns the first demo key, which the README calls `$KEY`.
fn first_key(gateway: &Gateway) -> String {
    keys_in(&gateway.stdout()).first().expect("the demo prints keys").clone()
}

/// Asserts that a stream ended with the event that its format requires.
fn assert_streamed(output: &str, last: &str) {
    let events = sse::parse(output.as_bytes());
    assert!(events.len() > 3 && events.last().is_some_and(|event| event.data.contains(last)), "{output}");
}

#[tokio::test]
async fn every_example_has_a_test_and_passes_the_check() {
    let mut found: Vec<String> =
        fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // The files of `insights`, which `crate::insights` tests, and the script of `billing` are no configuration.
    found.retain(|name| name != "insights" && name != "billing");
    found.sort();
    assert_eq!(found, EXAMPLES, "an example without a test here, or a test without its example");
    for name in EXAMPLES {
        let output = commands::check(&Folder::new(), &Example::read(name).file).await;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn every_example_starts_and_prints_whether_calls_cost_money() {
    for name in EXAMPLES {
        let example = Example::read(name);
        let has_keys = example.exports.iter().any(|(variable, _)| variable.ends_with("_API_KEY"));
        for variables in [&[], example.exports.as_slice()] {
            let gateway = example.start(variables).await;
            let costs = has_keys && !variables.is_empty();
            if !example.key.is_empty() {
                assert_eq!(example.finds_key(&gateway).await, first_key(&gateway), "{name}");
            }
            assert_eq!(gateway.stdout().contains("requests cost money"), costs, "{name}: {}", gateway.stdout());
            let secret = variables.iter().find(|(variable, _)| variable.ends_with("_API_KEY"));
            let reported = format!("{}{}", gateway.stdout(), gateway.stderr());
            assert!(!secret.is_some_and(|(_, value)| reported.contains(value)), "{name}: {reported}");
        }
    }
}

#[tokio::test]
async fn resilient_serves_while_one_of_two_backends_is_gone() {
    let example = Example::read("resilient");
    for (variable, default) in &example.exports {
        assert!(example.yaml.contains(&format!("${{{variable}:-{default}}}")), "the README names the default");
    }
    let first = Upstream::json(&json!({"users": []})).await;
    let second = Upstream::json(&json!({"users": []})).await;
    let url = |backend: &Upstream| format!("http://{}", backend.address());
    let variables = [("FIRST_URL".to_owned(), url(&first)), ("SECOND_URL".to_owned(), url(&second))];
    let gateway = example.start(&variables).await;
    let unhealthy = format!("tollgate_backend_unhealthy{{upstream=\"users\",backend=\"{}\"}} 1", url(&first));
    assert_eq!(example.run(&gateway, "").await, ["{\"users\":[]}"]);
    drop(first);
    for _ in 0..10 {
        assert_eq!(example.run(&gateway, "").await, ["{\"users\":[]}"]);
    }
    eventually("the backend is unhealthy", async || gateway.metrics().await.contains(&unhealthy).then_some(())).await;
    drop(second);
    let answer = gateway.call(Call::get("/api/v1/users")).await.expect(503);
    assert_eq!(answer.text(), "{\"error\": \"try again soon\"}");
}

#[tokio::test]
async fn plain_api_counts_reads_and_writes_and_leaves_health_open() {
    let example = Example::read("plain-api");
    let api = Upstream::json(&json!({"users": []})).await;
    assert!(
        example.yaml.contains(&format!("${{USERS_URL:-{}}}", example.exports[0].1)),
        "the README names the default"
    );
    let gateway = example.start(&[("USERS_URL".to_owned(), format!("http://{}", api.address()))]).await;
    let key = first_key(&gateway);

    assert_eq!(example.run(&gateway, &key).await, [r#"{"users":[]}"#; 2]);
    let called: Vec<String> = api.seen().iter().map(|seen| seen.head.word(1).to_owned()).collect();
    assert_eq!(called, ["/health", "/api/v1/users"]);
    gateway.uses(&key, 1).await;
    gateway.call(Call::post("/api/v1/users", "{}").key(&key)).await.expect(200);
    gateway.uses(&key, 6).await;

    gateway.call(Call::get("/api/v1/users")).await.expect(401);
    for path in ["/", "/users", CHAT] {
        gateway.call(Call::get(path).key(&key)).await.expect(404);
    }
}

#[tokio::test]
async fn jwt_admits_tokens_with_the_scope_and_names_the_user_to_the_api() {
    let example = Example::read("jwt");
    let api = Upstream::json(&json!({"users": []})).await;
    let gateway = example.start(&[("USERS_URL".to_owned(), format!("http://{}", api.address()))]).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, [r#"{"users":[]}"#; 2]);
    let seen = api.seen();
    let called: Vec<_> = seen
        .iter()
        .map(|seen| (seen.head.word(1), seen.head.header("x-user-id"), seen.head.header("authorization")))
        .collect();
    assert_eq!(called, [("/api/v1/users", Some("ada"), None), ("/partners/1", None, None)]);
    gateway.call(Call::get("/api/v1/users")).await.expect(401);
    gateway.call(Call::get("/api/v1/users").key(&key)).await.expect(401);
}

#[tokio::test]
async fn canary_gets_one_request_in_ten_and_those_of_testers() {
    let example = Example::read("canary");
    let stable = Upstream::json(&json!({"v": 1})).await;
    let canary = Upstream::json(&json!({"v": 2})).await;
    let url = |name: &str, api: &Upstream| (name.to_owned(), format!("http://{}", api.address()));
    let gateway = example.start(&[url("STABLE_URL", &stable), url("CANARY_URL", &canary)]).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, [r#"{"v":1}"#, r#"{"v":2}"#]);
    for _ in 0..39 {
        gateway.call(Call::get("/api/v1/users").key(&key)).await.expect(200);
    }
    let canary_count = canary.seen().len();
    // Each worker divides its own requests.
    assert!((2..=7).contains(&canary_count) && stable.seen().len() + canary_count == 41, "{canary_count}");
    let checked = commands::check(&Folder::new(), &example.file).await;
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn rate_limits_report_the_limit_with_the_smallest_share_left_first() {
    let example = Example::read("rate-limits");
    let gateway = example.start(&[]).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    assert!(outputs[0].contains("ratelimit: \"client\";r=2;t=") && outputs[0].ends_with("fine"), "{outputs:?}");
    assert!(outputs[1].contains("ratelimit-policy: \"user\";q=") && outputs[1].ends_with("report"), "{outputs:?}");
    for status in [200, 200, 429] {
        let answer = gateway.call(Call::get("/status")).await.expect(status);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
    }
    // The refused request counts in no limit: the address has used 5 of 20.
    let answer = gateway.call(Call::get("/report")).await.expect(401);
    assert!(answer.header("ratelimit").is_some_and(|limit| limit.contains("\"ip\";r=15;")), "{answer:?}");
}

#[tokio::test]
async fn llm_openai_streams_from_openai_or_without_a_key_from_the_mock() {
    let example = Example::read("llm-openai");
    let gateway = example.start(&[]).await;
    let key = first_key(&gateway);
    for output in example.run(&gateway, &key).await {
        assert_streamed(&output, "[DONE]");
    }
    assert_eq!(gateway.mock().requests("fast").await, 1);
    gateway.call(Call::json(CHAT, &Format::Chat.body("smart", false)).key(&key)).await.expect(200);
    // The mock serves the models of the file for their credits.
    gateway.uses(&key, 11).await;

    let openai = Mock::start().await;
    let gateway = example.start_before(&openai, &example.exports).await;
    let key = first_key(&gateway);
    for output in example.run(&gateway, &key).await {
        assert_streamed(&output, "[DONE]");
    }
    let seen = openai.seen("gpt-5-mini").await;
    assert_eq!(seen["requests"], 1, "{seen}");
    assert!(!seen.to_string().contains(&key), "clients' keys must not reach a provider: {seen}");
    gateway.uses(&key, 1).await;
    gateway.call(Call::json(CHAT, &Format::Chat.body("smart", false)).key(&key)).await.expect(200);
    assert_eq!(openai.requests("gpt-5").await, 1);
    gateway.uses(&key, 11).await;
}

#[tokio::test]
async fn codexible_serves_coding_agents_under_its_own_name() {
    let example = Example::read("codexible");
    let gateway = example.start(&[]).await;
    let key = first_key(&gateway);
    assert!(key.starts_with("codexible_") && gateway.stdout().contains("Codexible"), "{}", gateway.stdout());
    assert_eq!(example.run(&gateway, &key).await, [format!("{SAID}\n")]);
    assert_eq!(gateway.mock().requests("claude-haiku-4-5").await, 1);

    let providers = Mock::start().await;
    let gateway = example.start_before(&providers, &example.exports).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, [format!("{SAID}\n")]);
    gateway.call(Call::json(RESPONSES, &Format::Responses.body("gpt-5.1-codex", false)).key(&key)).await.expect(200);
    for model in ["claude-haiku-4-5", "gpt-5.1-codex"] {
        assert_eq!(providers.requests(model).await, 1, "{model} keeps the provider's own name");
    }

    let gateway = example.start_before(&providers, &example.only(&["OPENAI_API_KEY"])).await;
    let key = first_key(&gateway);
    // The only provider serves other formats too.
    let call = Call::json(MESSAGES, &Format::Messages.body("claude-haiku-4-5", false)).key(&key);
    assert_eq!(gateway.call(call).await.expect(200).json()["type"], "message");
    gateway.call(Call::json(CHAT, &Format::Chat.body("gpt-5.1-codex", false)).key(&key)).await.expect(200);
}
