//! Official clients over TLS: a call and its streams, with a certificate of a private authority.

use e2e::clients::{self, Client};

use super::{Stage, run, table};
use crate::protocols::certificates::Certificates;

/// The calls of the first pages of each client's manual.
const ONLY: &str = "chat.completions.create ok;chat.completions.create stream;\
    messages.create ok;messages.create stream;\
    models.generateContent ok;models.generateContentStream stream;\
    models.generate_content ok;models.generate_content_stream stream";
/// One client of each library, in its current version.
pub(super) const NAMES: [&str; 6] =
    ["openai-node", "openai-python", "anthropic-node", "anthropic-python", "google-node", "google-python"];

#[tokio::test]
async fn each_client_reads_responses_and_streams_over_tls() {
    let certificates = Certificates::new();
    let mut stage = Stage::set(|setup| setup.section("listen", &certificates.listeners())).await;
    let gateway = format!("https://localhost:{}", stage.gateway.listeners[1].port());
    let authority = certificates.authority().display().to_string();
    stage.variables.retain(|(name, _)| *name != "GATEWAY");
    stage.variables.extend([
        ("GATEWAY", gateway),
        ("ONLY", ONLY.to_owned()),
        ("NODE_EXTRA_CA_CERTS", authority.clone()),
        // OpenSSL reads it, and with it Python.
        ("SSL_CERT_FILE", authority),
    ]);
    let chosen: Vec<Client> = clients::ALL.into_iter().filter(|client| NAMES.contains(&client.name)).collect();
    assert_eq!(chosen.len(), NAMES.len());
    let (lines, _) = run(&chosen, &stage).await;
    for (client, lines) in chosen.iter().zip(&lines) {
        for case in ["ok", "stream"] {
            assert!(lines.iter().any(|line| line["case"] == case), "{} has no scenario of {case}", client.name);
        }
    }
    let failed: Vec<String> = lines.iter().flatten().filter(|line| line["pass"] != true).map(table::summary).collect();
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
}
