//! What requests build from their bodies: calls in many parts, edits, queries. Many large bodies of one key take bounded memory
//! and processor time, whatever is done with them, and other users' calls pass meanwhile.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2e::{
    Answer, Call, Canary, Exchange, Framing, Gateway, MemoryBound, Piece, Setup, Turn, Upstream, Wire, is_long, timed,
};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};
use crate::hostile::say;

const MIB: usize = 1 << 20;
/// The memory of the smallest deployment.
const PROCESS_BYTES_MAX: u64 = 512 << 20;
/// The size of bodies, and their number at once: those of a long run, and what an unoptimized server reads in seconds.
const LONG: [(usize, usize); 2] = [(8 * MIB, 16), (32 * MIB - 256, 16)];
const SHORT: [(usize, usize); 1] = [(MIB, 4)];
/// Users at once: those of a long run, and of a short one.
const USERS: [usize; 2] = [64, 6];
/// Maximum time of 95 of 100 calls of another user, beside the delays of the machine.
const OTHERS_WAIT_MAX: Duration = Duration::from_millis(20);
/// The same of an unoptimized server. Tests of an optimized one name it.
const UNOPTIMIZED_WAIT_MAX: Duration = Duration::from_millis(500);
/// The maximum size of a body of control.
const CONTROL_BYTES: usize = MIB - 1;
/// Memory that remains when all bodies are done.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// Memory that reading a body takes beside its bytes: buffers of connections, and the heap of threads.
const SLACK: u64 = 40 << 20;

/// A body that is sent many times.
#[derive(Clone)]
struct Large {
    name: &'static str,
    to: SocketAddr,
    call: Call,
    body: Arc<Vec<u8>>,
    /// Whether its length is announced; otherwise it grows while the server reads it.
    has_length: bool,
}

/// Returns elements that are repeated until they have about this size.
fn repeated(element: &str, bytes: usize) -> String {
    vec![element; bytes / (element.len() + 1)].join(",")
}

/// Returns a call in messages of 30 bytes.
fn in_messages(format: Format, model: &str, bytes: usize) -> Vec<u8> {
    let field = if format == Format::Responses { "input" } else { "messages" };
    let messages = repeated(r#"{"role":"user","content":"hi"}"#, bytes);
    format!(r#"{{"model":"{model}","max_tokens":9,"max_output_tokens":9,"{field}":[{messages}]}}"#).into_bytes()
}

/// Sends a body. A refusal may arrive before it is written.
async fn send(large: Large) -> Answer {
    let Large { to, call, body, has_length, .. } = large;
    let length = body.len().to_string();
    let framing = if has_length { ["content-length", length.as_str()] } else { ["transfer-encoding", "chunked"] };
    let method = call.line().0.to_owned();
    let head = call.header(framing[0], framing[1]).head(to);
    let mut wire = Wire::connect(to).await.unwrap();
    let mut written = wire.write(head.as_bytes()).await;
    for piece in body.chunks(64 * 1024) {
        if written.is_err() {
            break;
        }
        written = if has_length { wire.write(piece).await } else { wire.write(&chunk(piece)).await };
    }
    if !has_length && written.is_ok() {
        written = wire.write(b"0\r\n\r\n").await;
    }
    let head = tokio::time::timeout(Duration::from_secs(240), wire.idle_head()).await.expect("a response in time");
    let head = head.unwrap_or_else(|| panic!("no response to a body of {} bytes: {written:?}", body.len()));
    Exchange::new(wire, head, &method).rest().await
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// Responses of providers, by a part of their path.
const RESPONSES_BY_PATH: [(&str, &str); 4] = [
    (
        "/chat/",
        r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
    ),
    (
        "/responses",
        r#"{"id":"r","object":"response","model":"m","status":"completed","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"a","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}"#,
    ),
    (
        "/messages",
        r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#,
    ),
    (
        ":generateContent",
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}"#,
    ),
];

/// Reads each body without keeping it. `/stored` has a large response that may be stored.
async fn answer(mut turn: Turn) -> Option<Turn> {
    let mut framing = turn.head.framing().unwrap_or(Framing::Length(0));
    while matches!(turn.wire.piece(&mut framing).await, Piece::Data(_)) {}
    let path = turn.head.word(1);
    let of_path = RESPONSES_BY_PATH.iter().find(|(part, _)| path.contains(part)).map_or("{}", |(_, response)| response);
    let body = if path.starts_with("/stored") { vec![b' '; 4 * MIB] } else { of_path.as_bytes().to_vec() };
    let head = "200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=60";
    turn.answer(head, &body).await;
    Some(turn)
}

/// A server with a provider of each format, and routes that change, store and forward bodies.
struct Place {
    gateway: Gateway,
    /// Dropped after the process. `None` if this machine bounds no memory for the test.
    bound: Option<MemoryBound>,
    /// The memory at the start.
    start_bytes: u64,
    _upstream: Upstream,
    key: String,
    other: String,
}

impl Place {
    async fn start(plan: &str) -> Self {
        let upstream = Upstream::start(answer).await;
        let address = upstream.address();
        let one = |name: &str, kind: &str, formats: &str| {
            format!(
                "{{name: {name}, kind: {kind}, base_url: \"http://{address}/v1\", formats: [{formats}], credential: c}}"
            )
        };
        let providers = [
            one("chat", "openai", "chat"),
            one("responses", "openai", "responses"),
            format!("{{name: messages, kind: anthropic, base_url: \"http://{address}\", credential: c}}"),
            format!("{{name: gemini, kind: gemini, base_url: \"http://{address}\", credential: c}}"),
        ];
        let edits = "{request: {body: {remove: [/0], set: {/0: 1}}, body_max: 32MiB}}";
        let routes = format!(
            "{{path: {{prefix: /edited}}, upstreams: backend, transformations: {edits}}}, \
             {{path: {{prefix: /stored}}, upstreams: backend, cache: {{entry_max: 8MiB}}}}, \
             {{path: {{prefix: /plain}}, upstreams: backend}}"
        );
        let setup = Setup::routed(address, &routes)
            .section("providers", &format!("[{}]", providers.join(", ")))
            .section("connections", "{in_flight_per_key: 64}")
            .plans(&format!("{{name: tried, {plan}}}"));
        let gateway = Gateway::start(setup).await;
        let key = gateway.account("tried").await.key;
        let other = gateway.key().await;
        let start_bytes = gateway.vitals().memory_bytes();
        // What the process has allocated before is not in the group.
        let bound = MemoryBound::around(gateway.process().id(), PROCESS_BYTES_MAX - start_bytes);
        say(&format!("{} MiB at the start, in a memory cgroup: {}", start_bytes >> 20, bound.is_some()));
        let place = Self { gateway, bound, start_bytes, _upstream: upstream, key, other };
        place.others_call().await;
        place
    }

    /// Asserts that the process has not used more memory than the smallest deployment has. Returns the most that it has used.
    fn check_memory(&self, name: &str) -> u64 {
        let peak = self.gateway.vitals().peak_bytes();
        assert!(peak < PROCESS_BYTES_MAX, "{name}: {} MiB", peak >> 20);
        assert_eq!(self.bound.as_ref().map_or(0, MemoryBound::kills), 0, "{name}");
        peak
    }

    /// Sends a small call of another user, and returns its duration.
    async fn others_call(&self) -> Duration {
        let call = Call::json(CHAT, &Format::Chat.body("chat/m", false)).key(&self.other);
        let (answer, took) = timed(self.gateway.call(call)).await;
        answer.expect(200);
        took
    }

    /// Returns a body for the data plane.
    fn large(&self, name: &'static str, path: &str, body: Vec<u8>) -> Large {
        let call = Call::new("POST", path).key(&self.key).header("content-type", "application/json");
        Large { name, to: self.gateway.proxy, call, body: Arc::new(body), has_length: true }
    }

    /// Returns a body of the largest size for control.
    fn control(&self, name: &'static str, path: &str, body: String) -> Large {
        assert!(body.len() <= MIB, "{}", body.len());
        let call = Call::new("POST", path).key(&self.key).header("content-type", "application/json");
        Large { name, to: self.gateway.control, call, body: Arc::new(body.into_bytes()), has_length: true }
    }

    /// Sends these bodies at once, beside the calls of another user. Returns the statuses.
    async fn many(&self, name: &str, bodies: Vec<Large>) -> Vec<u16> {
        let is_over = Cell::new(false);
        let mut sent = JoinSet::new();
        let since = Canary::new();
        for large in bodies {
            sent.spawn(send(large));
        }
        let crowd = async {
            let mut statuses: Vec<u16> = sent.join_all().await.iter().map(Answer::status).collect();
            is_over.set(true);
            statuses.sort_unstable();
            statuses
        };
        let others = async {
            let mut times = Vec::new();
            while !is_over.get() {
                times.push(self.others_call().await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            times.sort_unstable();
            times
        };
        let (statuses, times) = tokio::join!(crowd, others);
        let p95 = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
        let calls = times.len();
        let peak = self.check_memory(name);
        let counts: BTreeMap<u16, usize> = statuses.iter().fold(BTreeMap::new(), |mut counts, status| {
            *counts.entry(*status).or_default() += 1;
            counts
        });
        let took = since.elapsed();
        say(&format!(
            "{name}: {counts:?} in {took:?}; {calls} other calls, p95 {p95:?}; {} MiB at most so far",
            peak >> 20
        ));
        let is_optimized = std::env::var_os("TOLLGATE_BINARY").is_some();
        let wait_max = if is_optimized { OTHERS_WAIT_MAX } else { UNOPTIMIZED_WAIT_MAX };
        assert!(p95 < since.allows(wait_max), "{name}: {p95:?}");
        statuses
    }
}

/// Returns a body for each action that reads one.
fn each_action(place: &Place, bytes: usize) -> Vec<Large> {
    let chat = |model| in_messages(Format::Chat, model, bytes);
    let gemini = format!(r#"{{"contents":[{}]}}"#, repeated(r#"{"parts":[{"text":"hello"}]}"#, bytes));
    let parts = format!(
        r#"{{"model":"messages/m","messages":[{{"role":"user","content":[{}]}}]}}"#,
        repeated(r#"{"type":"text","text":"a"}"#, bytes)
    );
    let numbers = format!(r#"{{"model":"messages/m","messages":[{}]}}"#, repeated("1", bytes));
    let nested = format!(r#"{{"model":"messages/m","messages":[{}]}}"#, repeated("[[],[]]", bytes));
    let one = format!(
        r#"{{"model":"messages/m","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "a\\u00e9".repeat(bytes / 7)
    );
    let members: Vec<String> = (0..bytes / 12).map(|nth| format!("\"{nth}\":1")).collect();
    let form = {
        let file = "x".repeat(bytes);
        format!(
            "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nchat/m\r\n--b\r\ncontent-disposition: form-data; \
             name=\"file\"; filename=\"a.mp3\"\r\n\r\n{file}\r\n--b--\r\n"
        )
    };
    let mut speech = place.large("multipart", "/v1/audio/transcriptions", form.into_bytes());
    speech.call = Call::new("POST", "/v1/audio/transcriptions")
        .key(&place.key)
        .header("content-type", "multipart/form-data; boundary=b");
    let mut zipped = place.large("gzip", CHAT, gzip(&chat("messages/m")));
    zipped.call = zipped.call.header("content-encoding", "gzip");
    let query =
        |variables: &str| format!(r#"{{"query":"{{ me {{ user {{ email }} }} }}","variables":{{"a":[{variables}]}}}}"#);
    vec![
        place.large("native", CHAT, chat("chat/m")),
        place.large("chat to messages", CHAT, chat("messages/m")),
        place.large("chat to gemini", CHAT, chat("gemini/m")),
        place.large("messages to chat", MESSAGES, in_messages(Format::Messages, "chat/m", bytes)),
        place.large("responses to messages", RESPONSES, in_messages(Format::Responses, "messages/m", bytes)),
        place.large("gemini to chat", "/v1beta/models/chat/m:generateContent", gemini.into_bytes()),
        place.large("many parts", CHAT, parts.into_bytes()),
        place.large("one part with escapes", CHAT, one.into_bytes()),
        place.large("numbers", CHAT, numbers.into_bytes()),
        place.large("nested lists", CHAT, nested.into_bytes()),
        zipped,
        speech,
        place.large("edits of a list", "/edited", format!("[{}]", repeated("1", bytes)).into_bytes()),
        place.large("edits of an object", "/edited", format!("{{{}}}", members.join(",")).into_bytes()),
        place.large("plain", "/plain", vec![b'x'; bytes]),
        place.control("GraphQL", "/graphql", query(&repeated("1", CONTROL_BYTES - 100))),
        place.control("webhooks", "/api/webhooks", format!(r#"{{"url":[{}]}}"#, repeated("[]", CONTROL_BYTES - 100))),
    ]
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Statuses of bodies that are served, refused, or too many at once.
const KNOWN: [u16; 10] = [200, 400, 401, 403, 404, 413, 422, 429, 502, 503];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_of_one_key_for_every_action_leave_the_process_in_512_mib() {
    let place = Place::start("credits_per_day: 1000000").await;
    for &(bytes, at_once) in if is_long() { LONG.as_slice() } else { &SHORT } {
        for large in each_action(&place, bytes) {
            let name = format!("{} of {} KiB", large.name, large.body.len() >> 10);
            let statuses = place.many(&name, vec![large; at_once]).await;
            assert!(statuses.iter().all(|status| KNOWN.contains(status)), "{name}: {statuses:?}");
        }
    }
    place.gateway.at_rest().await;
    let kept = place.gateway.vitals().memory_bytes().saturating_sub(place.start_bytes);
    say(&format!("{} MiB more at rest", kept >> 20));
    assert!(kept < KEPT_BYTES_MAX, "{} MiB", kept >> 20);
    fill_cache(&place).await;
    let peak = place.check_memory("fills of the cache");
    let of_group = place.bound.as_ref().map_or(0, MemoryBound::peak_bytes);
    say(&format!("{} MiB at most, {} MiB with pages of files", peak >> 20, of_group >> 20));
    // All memory is counted as free.
    place.gateway.at_rest().await;
}

/// Requests large responses at once that are stored, each with another path.
async fn fill_cache(place: &Place) {
    let mut fills = JoinSet::new();
    for nth in 0..16 {
        let call = Call::get(&format!("/stored/{nth}")).key(&place.key);
        let to = place.gateway.proxy;
        fills.spawn(async move { call.send(to).await.status() });
    }
    assert_eq!(fills.join_all().await, vec![200; 16]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_of_many_users_leave_the_process_in_512_mib() {
    let [long, short] = USERS;
    let (users, bytes) = if is_long() { (long, LONG[0].0) } else { (short, SHORT[0].0) };
    let place = Place::start("credits_per_day: 1000000").await;
    let chat = place.large("users", CHAT, in_messages(Format::Chat, "messages/m", bytes));
    let mut bodies = Vec::new();
    for _ in 0..users {
        let key = place.gateway.account("tried").await.key;
        let call = Call::new("POST", CHAT).key(&key).header("content-type", "application/json");
        bodies.push(Large { call, ..chat.clone() });
    }
    let statuses = place.many(&format!("{users} users"), bodies).await;
    assert!(statuses.iter().all(|status| KNOWN.contains(status)), "{statuses:?}");
    place.gateway.at_rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_credits_are_refused_before_their_bodies_are_translated_or_inflated() {
    let bytes = 4 * MIB;
    let place = Place::start("credits_per_day: 1").await;
    let small = Call::json(CHAT, &Format::Chat.body("chat/m", false)).key(&place.key);
    place.gateway.call(small).await.expect(200);
    let body = in_messages(Format::Chat, "messages/m", bytes);
    let mut zipped = place.large("gzip without credits", CHAT, gzip(&body));
    zipped.call = zipped.call.header("content-encoding", "gzip");
    let before = place.gateway.vitals().memory_bytes();
    let plain = place.large("chat without credits", CHAT, body);
    let growing = Large { name: "growing chat without credits", has_length: false, ..plain.clone() };
    for large in [plain, zipped, growing] {
        let name = large.name;
        let cpu = place.gateway.vitals().cpu();
        assert_eq!(place.many(name, vec![large; 6]).await, [429; 6], "{name}");
        say(&format!("{name}: {:?} of processor time", place.gateway.vitals().cpu() - cpu));
    }
    let bodies = u64::try_from(6 * bytes).unwrap();
    let peak = place.gateway.vitals().peak_bytes();
    assert!(peak < before + bodies + SLACK, "{} MiB before, {} at most", before >> 20, peak >> 20);
    // The same body is served where credits are left.
    let call = Call::post(CHAT, in_messages(Format::Chat, "messages/m", bytes)).key(&place.other);
    assert!(matches!(place.gateway.call(call).await.status(), 200 | 502));
    place.gateway.at_rest().await;
    assert_eq!(place.gateway.used(&place.key).await, 1);
}
