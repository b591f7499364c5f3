//! Destinations of the gateway's own requests: only webhooks can be set below the role admin. Upstreams, health checks, issuers,
//! exports and providers belong to the configuration, which only admins change.

use access::Role;
use serde_json::{Value, json};

use crate::client::{call, get};
use crate::document::{DOCUMENT, calls};
use crate::world::World;

const JSON: &str = "Content-Type: application/json";
/// Names of fields whose values may lead to a server.
const DESTINATIONS: [&str; 9] = ["url", "uri", "host", "hostname", "endpoint", "server", "target", "yaml", "secret"];
/// A configuration in which each kind of outgoing request has an internal destination.
const INTERNAL: &str = "upstreams: [{name: inner, backends: [{url: 'http://127.0.0.1:8787'}], health_check: {path: /x}}]\n\
    routes: [{name: inner, path: /inner, upstreams: inner}]\n\
    auth: [{name: inner, type: jwt, algorithms: [RS256], jwks: 'https://127.0.0.1/keys'}]\n";

/// Adds the names of the texts within a schema of the document.
fn texts(schema: &'static Value, seen: &mut Vec<&'static str>, names: &mut Vec<&'static str>) {
    if let Some(at) = schema["$ref"].as_str() {
        if !seen.contains(&at) {
            seen.push(at);
            texts(DOCUMENT.pointer(at.trim_start_matches('#')).unwrap(), seen, names);
        }
        return;
    }
    for part in ["oneOf", "allOf", "anyOf"] {
        schema[part].as_array().into_iter().flatten().for_each(|part| texts(part, seen, names));
    }
    if schema["items"].is_object() {
        texts(&schema["items"], seen, names);
    }
    for (name, of_name) in schema["properties"].as_object().into_iter().flatten() {
        names.push(name);
        texts(of_name, seen, names);
    }
}

#[test]
fn each_field_of_a_body_that_may_lead_to_a_server_is_known() {
    let mut found = Vec::new();
    for line in calls() {
        let (method, path) = line.split_once(' ').unwrap();
        let content = &DOCUMENT["paths"][path][method.to_lowercase()]["requestBody"]["content"];
        let mut names = Vec::new();
        for of_media in content.as_object().into_iter().flat_map(|media| media.values()) {
            texts(&of_media["schema"], &mut Vec::new(), &mut names);
        }
        names.retain(|name| DESTINATIONS.iter().any(|word| name.split('_').any(|part| part == *word)));
        found.extend(names.into_iter().map(|name| format!("{line} {name}")));
    }
    found.sort_unstable();
    let known = [
        // Admins only.
        "POST /api/config yaml",
        "POST /api/config/validate yaml",
        // The route of a request is explained, and no request is sent.
        "POST /api/explain url",
        // The server of a service account's tokens is one of its provider.
        "PATCH /api/provider-keys/{id} secret",
        "POST /api/provider-keys secret",
        // Finance: the destination is checked when it is set, after each look-up and at each connection.
        "PATCH /api/webhooks/{id} url",
        "POST /api/webhooks url",
    ];
    let mut known = known.map(str::to_owned).to_vec();
    known.sort_unstable();
    assert_eq!(found, known, "check the new destination as those of webhooks, or let only admins set it");
}

#[tokio::test]
async fn only_admins_set_the_servers_of_the_configuration() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let member = world.person("member").await;
    let finance = world.person("finance").await;
    let of_root = world.sign_in(&root).await;
    let grants = r#"{"grants":[{"role":"finance"},{"role":"team_lead"}]}"#;
    let granted =
        call(world.address, &format!("PATCH /api/users/{}", finance.user), &[JSON, &of_root.bearer()], grants).await;
    assert_eq!(granted.status, 200, "{granted:?}");
    let mut below = vec![world.sign_in(&member).await.bearer(), world.sign_in(&finance).await.bearer()];
    for user in [root.user, member.user, finance.user] {
        below.push(format!("Authorization: Bearer {}", world.key_of(user, "own", None).await));
    }
    let id = "0199aa00-0000-7000-8000-00000000dead";
    let writes = [
        ("POST /api/config", json!({"yaml": INTERNAL})),
        ("POST /api/config/validate", json!({"yaml": INTERNAL})),
        ("POST /api/config/rollback", json!({"id": id})),
        ("POST /api/config/plans", json!({"names": ["open"]})),
    ];
    for header in &below {
        for (line, body) in &writes {
            call(world.address, line, &[JSON, "If-Match: *", header], &body.to_string())
                .await
                .refuses(403, "forbidden");
        }
        for path in ["/api/config", "/api/config/history", "/api/upstreams"] {
            get(world.address, path, &[header]).await.refuses(403, "forbidden");
        }
    }
    let running = world.live.load();
    assert!(running.traffic.upstreams.is_empty() && running.traffic.router.routes().is_empty());
    drop(running);
    // The same configuration of an admin is in force.
    let body = json!({"yaml": INTERNAL}).to_string();
    let applied = call(world.address, "POST /api/config", &[JSON, "If-Match: *", &of_root.bearer()], &body).await;
    assert_eq!(applied.status, 200, "{applied:?}");
    assert_eq!(world.live.load().traffic.upstreams.len(), 1);
}
