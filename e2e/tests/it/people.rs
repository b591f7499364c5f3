//! A server with open registration, and users with their resources.

use e2e::setup::provider;
use e2e::{Call, Gateway, Mock, Setup, commands, eventually, text};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "a long enough password";

/// A user with one resource of each kind.
pub(crate) struct TestUser {
    pub(crate) token: String,
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) key_id: String,
    pub(crate) session: String,
    pub(crate) provider_key: String,
}

/// Starts a server with the provider `up`, whose credentials are in the vault. Rate limits are on but never reached;
/// clients set their address.
pub(crate) async fn open() -> (Gateway, Mock) {
    let mock = Mock::start().await;
    let limit = |whose: &str| format!("{{{whose}, limit: 1000000, window: 1s}}");
    let limits = ["dimension: key", "dimension: ip", "dimension: ip, without: key", "dimension: ip, with: session"];
    let limits = limits.map(limit).join(", ");
    let providers = provider("up", "openai", mock.address()).replace(e2e::setup::CREDENTIAL, "vault");
    let setup = Setup::bare()
        .limited()
        .section("drain", "{delay: 0s, timeout: 1s}")
        .section("providers", &format!("[{providers}]"))
        .section("signup", "open")
        .section("trusted_proxies", "[\"127.0.0.1\"]")
        .section("control", &format!("{{rate_limits: [{limits}]}}"));
    (Gateway::start(setup).await, mock)
}

/// Registers a user and creates the resources.
pub(crate) async fn somebody(gateway: &Gateway, name: &str) -> TestUser {
    let sign_up = json!({"email": format!("{name}@example.org"), "password": PASSWORD, "name": name});
    let answer = gateway.ask(Call::json("/api/auth/register", &sign_up)).await.expect(201).json();
    let token = text(&answer["access_token"]);
    let me = gateway.ask(Call::get("/api/me").key(&token)).await.expect(200).json();
    let created = gateway.ask(Call::json("/api/keys", &json!({"label": name})).key(&token)).await.expect(201).json();
    let secret = json!({"provider": "up", "label": name, "secret": format!("sk-of-{name}-0123456789")});
    let provider_key = gateway.ask(Call::json("/api/provider-keys", &secret).key(&token)).await.expect(201).json();
    TestUser {
        token,
        user: text(&answer["user"]["id"]),
        key: text(&created["key"]),
        key_id: text(&created["id"]),
        session: text(&me["session_id"]),
        provider_key: text(&provider_key["id"]),
    }
}

/// Registers a user who becomes an admin.
pub(crate) async fn admin(gateway: &Gateway, name: &str) -> TestUser {
    let somebody = somebody(gateway, name).await;
    let email = format!("{name}@example.org");
    let data = gateway.folder().data().to_string_lossy().into_owned();
    let words = ["users", "role", "--user", email.as_str(), "admin", "--data", data.as_str()];
    let done = commands::run(gateway.folder(), &words).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    eventually("the user acts as an admin", async || {
        let me: Value = gateway.ask(Call::get("/api/me").key(&somebody.token)).await.expect(200).json();
        (me["acts_as"] == "admin").then_some(())
    })
    .await;
    somebody
}
