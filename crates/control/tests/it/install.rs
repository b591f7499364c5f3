use std::io::Write;
use std::process::{Command, Stdio};

use config::snapshot::{Dimension, LimitSubject, WindowLimit};

use crate::client::{Answer, call, get};
use crate::world::World;

#[tokio::test]
async fn the_script_is_rendered_for_each_agent_and_needs_no_credential() {
    let world = World::start().await;
    world.configure(|snapshot| {
        snapshot.process.public_url.proxy = Some("https://llm.example.com".to_owned());
        "It's us".clone_into(&mut snapshot.process.brand.name);
    });
    for (agent, says) in [("codex", "wire_api = \"responses\""), ("claude", "ANTHROPIC_BASE_URL")] {
        let answer = get(world.address, &format!("/install.sh?agent={agent}"), &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/x-shellscript; charset=utf-8");
        assert!(answer.body.starts_with("#!/bin/sh\n") && answer.body.ends_with("\nmain \"$@\"\n"));
        assert!(
            answer.body.contains("\nbase='https://llm.example.com'\nname_")
                || answer.body.contains("base='https://llm.example.com'")
        );
        assert!(answer.body.contains(r"name='It'\''s us'") && answer.body.contains(says), "{agent}");
        assert!(!answer.body.contains('@') || !answer.body.contains("@NAME"), "{agent}");
    }
}

#[tokio::test]
async fn without_an_agent_it_is_for_codex() {
    let world = World::start().await;
    let codex = get(world.address, "/install.sh?agent=codex", &[]).await;
    let plain = get(world.address, "/install.sh", &[]).await;
    assert_eq!((plain.status, &plain.headers["content-type"]), (200, &codex.headers["content-type"]));
    assert_eq!(plain.body, codex.body);
}

/// Runs a shell with this response as its script; returns the exit code, stdout and stderr.
fn run(answer: &Answer) -> (Option<i32>, String, String) {
    let mut shell = Command::new("sh");
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Asserts that an error is a script that prints `says` to stderr under the brand's name, and exits with 1.
fn fails(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/x-shellscript; charset=utf-8", "{answer:?}");
    let length: usize = answer.headers["content-length"].parse().unwrap();
    assert!(length == answer.body.len() && answer.headers.contains_key("x-request-id"), "{answer:?}");
    let (code, out, error) = run(answer);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{answer:?}");
    assert!(error.starts_with("It's $(us): ") && error.contains(says), "{error}");
}

#[tokio::test]
async fn every_error_is_a_script_that_prints_it_and_fails() {
    let world = World::start().await;
    world.configure(|snapshot| "It's $(us)".clone_into(&mut snapshot.process.brand.name));
    for query in ["?agent=", "?agent=cursor", "?agent=codex%27", "?agent=Codex"] {
        let answer = get(world.address, &format!("/install.sh{query}"), &[]).await;
        fails(&answer, 400, "?agent=codex or ?agent=claude");
    }
    for query in ["?agent=codex&agent=claude", "?agent=codex&x=1", "?x=%27%3B%20touch%20x"] {
        fails(&get(world.address, &format!("/install.sh{query}"), &[]).await, 400, "the query cannot be read");
    }
    for path in ["/install.sh/", "/install.sh/codex"] {
        fails(&get(world.address, path, &[]).await, 404, "nothing is found at this path");
    }
    fails(&call(world.address, "POST /install.sh", &[], "{}").await, 405, "does not support the method");
    let head = call(world.address, "HEAD /install.sh?agent=cursor", &[], "").await;
    assert!(head.status == 400 && head.body.is_empty(), "{head:?}");
    world.configure(|snapshot| snapshot.traffic.ai = None);
    fails(&get(world.address, "/install.sh?agent=codex", &[]).await, 404, "disabled");
}

#[tokio::test]
async fn a_refusal_by_rate_is_a_script_too() {
    let world = World::start().await;
    world.configure(|snapshot| {
        "It's $(us)".clone_into(&mut snapshot.process.brand.name);
        snapshot.process.control.rate_limits = vec![WindowLimit {
            dimension: Dimension::Address,
            whose: LimitSubject::Everybodys,
            limit: std::num::NonZeroU32::MIN,
            window: std::time::Duration::from_secs(600),
        }];
    });
    // The script itself has no rate limit, but paths below it have.
    fails(&get(world.address, "/install.sh/x", &[]).await, 404, "nothing is found");
    let limited = get(world.address, "/install.sh/x", &[]).await;
    fails(&limited, 429, "wait and try again");
    assert!(limited.headers.contains_key("retry-after") && limited.headers.contains_key("x-ratelimit-limit"));
    assert_eq!(get(world.address, "/install.sh", &[]).await.status, 200);
    get(world.address, "/api/me", &[]).await.refuses(429, "rate_limited");
}
