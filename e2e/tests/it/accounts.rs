//! Users, passwords and roles on the command line, and the link that creates the first admin.

use e2e::database::on_postgres;
use e2e::setup::Folder;
use e2e::terminal::Terminal;
use e2e::{Call, Gateway, Setup, commands, eventually, text};
use serde_json::json;

use crate::store::number;

const PASSWORD: &str = "correct horse battery";
const ROOT: &str = "root@example.com";
/// Counts users whose password is stored as the required Argon2id hash.
const HASHED: &str = "SELECT count(*) FROM users WHERE password LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
const ADMINS: &str = "SELECT count(*) FROM users WHERE role = 'admin'";
const LINKS: &str = "SELECT count(*) FROM links";
const OPEN_LINKS: &str = "SELECT count(*) FROM links WHERE used_at IS NULL AND expires_at > updated_at";

fn words<'a>(data: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    words.iter().copied().chain(["--data", data]).collect()
}

/// Runs a command that must succeed; returns its stdout.
async fn must(folder: &Folder, arguments: &[&str], input: &str) -> String {
    let data = folder.data().display().to_string();
    let output = commands::run_with_input(folder, &words(&data, arguments), input.as_bytes()).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail; returns its stderr.
async fn refused(folder: &Folder, arguments: &[&str], input: &[u8]) -> String {
    let data = folder.data().display().to_string();
    let output = commands::run_with_input(folder, &words(&data, arguments), input).await;
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    let reported = String::from_utf8(output.stderr).unwrap();
    assert!(!reported.contains(PASSWORD) && !reported.contains("panicked"), "{reported}");
    reported
}

/// Returns the only link in a text.
fn link(text: &str) -> &str {
    let links: Vec<&str> = text.lines().map(str::trim).filter(|line| line.contains("/link#")).collect();
    let [link] = links[..] else { panic!("{} links in: {text}", links.len()) };
    let (_, token) = link.split_once("/link#").unwrap();
    let secret = token.strip_prefix("tgl_").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    assert!(secret.len() == 43 && secret.bytes().all(fits), "{link}");
    link
}

#[tokio::test]
async fn an_admin_is_made_with_a_password_from_stdin() {
    let folder = Folder::new();
    let create = ["users", "create", "--email", ROOT, "--admin", "--password-stdin"];
    for ending in ["", "\n", "\r\n"] {
        let email = format!("{}@example.com", ending.len());
        let create = ["users", "create", "--email", &email, "--admin", "--password-stdin"];
        let said = must(&folder, &create, &format!("{PASSWORD}{ending}")).await;
        assert!(said.contains("admin") && !said.contains("tgl_") && !said.contains(PASSWORD), "{said}");
    }
    assert_eq!((number(&folder, HASHED).await, number(&folder, ADMINS).await), (3, 3));
    let endless = vec![b'x'; 100_000];
    for (input, reported) in [
        (b"too short\n".as_slice(), "12 to 128 characters"),
        (b"", "12 to 128 characters"),
        (&[b'x'; 129], "12 to 128 characters"),
        (&endless, "12 to 128 characters"),
        (b"correct horse\nbattery staple\n", "one line"),
        (b"correct \xff\xfe horse battery", "UTF-8"),
    ] {
        let refusal = refused(&folder, &create, input).await;
        assert!(refusal.contains(reported), "{refusal}");
    }
    assert_eq!(number(&folder, ADMINS).await, 3, "no admin is created with a rejected password");
    let taken = ["users", "create", "--email", "0@example.com", "--admin", "--password-stdin"];
    let refusal = refused(&folder, &taken, PASSWORD.as_bytes()).await;
    assert!(refusal.contains("tollgate users role"), "{refusal}");
}

#[tokio::test]
async fn without_a_password_an_admin_gets_a_link() {
    let folder = Folder::new();
    let said = must(&folder, &["users", "create", "--email", ROOT, "--admin"], "").await;
    assert!(link(&said).starts_with("http://127.0.0.1:8787/link#"), "{said}");
    assert_eq!(said.lines().last(), Some(link(&said)), "the last line is the link alone: {said}");
    let config = folder.write("public.yaml", "public_url: {control: \"https://gate.example.com\"}\n");
    let config = config.display().to_string();
    let said = must(&folder, &["users", "password", "--user", ROOT, "--link", "--config", &config], "").await;
    assert!(link(&said).starts_with("https://gate.example.com/link#"), "{said}");
    assert_eq!(
        (number(&folder, LINKS).await, number(&folder, OPEN_LINKS).await),
        (2, 1),
        "the second link revokes the first"
    );
    must(&folder, &["users", "password", "--user", ROOT, "--password-stdin"], PASSWORD).await;
    assert_eq!((number(&folder, OPEN_LINKS).await, number(&folder, HASHED).await), (0, 1));
    let both = refused(&folder, &["users", "password", "--user", ROOT, "--link", "--password-stdin"], b"").await;
    assert!(both.contains("cannot be used with"), "{both}");
    let neither = refused(&folder, &["users", "password", "--user", ROOT], b"").await;
    assert!(neither.contains("password_missing") && neither.contains("--link"), "{neither}");
    let closed_port = refused(&folder, &["users", "password", "--user", "no@example.com", "--link"], b"").await;
    assert!(closed_port.contains("users list"), "{closed_port}");
}

#[tokio::test]
async fn a_service_user_has_a_name_and_keys_only() {
    let folder = Folder::new();
    let said = must(&folder, &["users", "create", "--service", "Corner Shop", "--plan", "pro"], "").await;
    let id = said.split_whitespace().next().unwrap();
    assert!(said.contains("member") && said.contains("pro") && said.trim_end().ends_with("Corner Shop"), "{said}");
    assert_eq!(must(&folder, &["users", "list"], "").await, said);
    let key = must(&folder, &["keys", "create", "--user", id, "--label", "shop"], "").await;
    assert!(key.contains("tollgate_"), "{key}");
    let reported = refused(&folder, &["users", "password", "--user", id, "--link"], b"").await;
    assert!(reported.contains("a service user has no password"), "{reported}");
    for other in [&["--email", ROOT][..], &["--admin"], &["--link"], &["--name", "Shop"]] {
        let reported = refused(&folder, &[&["users", "create", "--service", "Shop"], other].concat(), b"").await;
        assert!(reported.contains("cannot be used with"), "{reported}");
    }
    let reported = refused(&folder, &["users", "create", "--plan", "pro"], b"").await;
    assert!(reported.contains("--email"), "{reported}");
    let reported = refused(&folder, &["users", "create", "--service", "  "], b"").await;
    assert!(reported.contains("name"), "{reported}");
}

#[tokio::test]
async fn a_password_is_requested_twice_and_not_echoed() {
    let folder = Folder::new();
    let data = folder.data().display().to_string();
    let mut terminal = Terminal::run(&folder, &words(&data, &["users", "create", "--email", ROOT, "--admin"]));
    terminal.sees("Password", 1).await;
    assert!(!terminal.echoes());
    terminal.types("too short");
    terminal.sees("12 to 128 characters", 1).await;
    terminal.sees("Password", 2).await;
    terminal.types(PASSWORD);
    terminal.sees("Again", 1).await;
    terminal.types("correct horse batterz");
    terminal.sees("do not match", 1).await;
    terminal.sees("Password", 3).await;
    terminal.types(PASSWORD);
    terminal.sees("Again", 2).await;
    terminal.types(PASSWORD);
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.shown());
    terminal.sees(ROOT, 1).await;
    assert!(terminal.echoes(), "the terminal echoes again");
    let shown = terminal.shown();
    assert!(!shown.contains("horse") && !shown.contains("too short") && !shown.contains("tgl_"), "{shown}");
    assert_eq!(number(&folder, HASHED).await, 1);

    let mut terminal = Terminal::run(&folder, &words(&data, &["users", "password", "--user", ROOT]));
    for nth in 1..=3 {
        terminal.sees("New password", nth).await;
        terminal.types("short");
    }
    assert_eq!(terminal.ends().await, Some(1));
    terminal.sees("nothing was changed", 1).await;

    let mut terminal = Terminal::run(&folder, &words(&data, &["users", "password", "--user", ROOT]));
    terminal.sees("New password", 1).await;
    terminal.interrupts();
    assert_eq!(terminal.ends().await, Some(1));
    terminal.sees("nothing was changed", 1).await;
    assert!(terminal.echoes(), "the terminal echoes again after SIGINT");

    let shown = ["users", "password", "--user", ROOT, "--password-stdin"];
    let mut terminal = Terminal::run(&folder, &words(&data, &shown));
    assert_eq!(terminal.ends().await, Some(1));
    terminal.sees("leave it out", 1).await;
}

#[tokio::test]
async fn an_empty_password_on_a_terminal_is_a_link() {
    let folder = Folder::new();
    let data = folder.data().display().to_string();
    let mut terminal = Terminal::run(&folder, &words(&data, &["users", "create", "--email", ROOT, "--admin"]));
    terminal.sees("Password", 1).await;
    terminal.types("");
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.shown());
    terminal.sees("tgl_", 1).await;
    assert_eq!((number(&folder, ADMINS).await, number(&folder, OPEN_LINKS).await), (1, 1));
}

#[tokio::test]
async fn the_last_admin_stays() {
    let folder = Folder::new();
    must(&folder, &["users", "create", "--email", ROOT, "--admin", "--password-stdin"], PASSWORD).await;
    must(&folder, &["users", "create", "--email", "ada@example.com"], "").await;
    for last in [&["users", "role", "--user", ROOT, "member"][..], &["users", "suspend", "--user", ROOT]] {
        let reported = refused(&folder, last, b"").await;
        assert!(reported.contains("last admin"), "{reported}");
    }
    let said = must(&folder, &["users", "role", "--user", "ada@example.com", "admin"], "").await;
    assert!(said.contains("admin") && said.contains("ada@example.com"), "{said}");
    // An admin without a password cannot act yet.
    let reported = refused(&folder, &["users", "role", "--user", ROOT, "member"], b"").await;
    assert!(reported.contains("and a password"), "{reported}");
    must(&folder, &["users", "password", "--user", "ada@example.com", "--password-stdin"], PASSWORD).await;
    must(&folder, &["users", "role", "--user", ROOT, "member"], "").await;
    must(&folder, &["users", "suspend", "--user", ROOT], "").await;
    assert_eq!(number(&folder, ADMINS).await, 1);
    let reported = refused(&folder, &["users", "role", "--user", ROOT, "owner"], b"").await;
    assert!(reported.contains("admin") && reported.contains("member"), "{reported}");
}

#[tokio::test]
async fn roles_beside_admin_and_member_are_set_and_listed() {
    let folder = Folder::new();
    must(&folder, &["users", "create", "--email", "ada@example.com"], "").await;
    let grants = |roles: &[&'static str]| [&["users", "grants", "--user", "ada@example.com"], roles].concat();
    let said = must(&folder, &grants(&["team_lead:team=payments", "finance"]), "").await;
    assert!(said.ends_with("  finance,team_lead:team=payments\n"), "{said}");
    assert_eq!(must(&folder, &["users", "list"], "").await, said);
    for bad in ["finnance", "finance:team=payments", "team_lead:team"] {
        let reported = refused(&folder, &grants(&[bad]), b"").await;
        assert!(reported.contains("the roles are finance, team_lead"), "{reported}");
    }
    assert_eq!(must(&folder, &["users", "list"], "").await, said);
    refused(&folder, &grants(&[]), b"").await;
    let said = must(&folder, &grants(&["--none"]), "").await;
    assert!(said.ends_with("  ada@example.com\n"), "{said}");
}

/// Runs the command that the server printed at start, with output into a pipe; returns the printed link.
async fn set_up(gateway: &Gateway) -> String {
    let stdout = gateway.stdout();
    let command = stdout.lines().find_map(|line| Some(line.split_once("tollgate setup-link")?.1)).unwrap_or_default();
    let words: Vec<&str> = ["setup-link"].into_iter().chain(command.split_whitespace()).collect();
    let output = commands::run(gateway.folder(), &words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    link(&String::from_utf8_lossy(&output.stdout)).to_owned()
}

#[tokio::test]
async fn each_start_prints_the_command_for_a_link_until_an_admin_exists() {
    let gateway = Gateway::start(Setup::mocked()).await;
    assert_eq!(number(gateway.folder(), LINKS).await, 0, "a start alone creates no link");
    let first = set_up(&gateway).await;
    assert!(!gateway.stdout().contains("tgl_"), "{}", gateway.stdout());
    assert!(first.starts_with(&format!("http://{}/link#", gateway.control)), "{first}");
    assert!(!gateway.stderr().contains("tgl_"), "{}", gateway.stderr());
    let public = Setup::mocked().section("public_url", "{control: \"https://gate.example.com\"}");
    let gateway = Gateway::start_in(gateway.stop().await.folder, public).await;
    let second = set_up(&gateway).await;
    assert!(second.starts_with("https://gate.example.com/link#") && second != first, "{second}");
    assert_eq!(number(gateway.folder(), LINKS).await, 2);
    assert_eq!(number(gateway.folder(), OPEN_LINKS).await, 1, "a new link revokes the previous one");
    let create = ["users", "create", "--email", ROOT, "--plan", "open", "--admin", "--password-stdin"];
    must(gateway.folder(), &create, PASSWORD).await;
    let gateway = Gateway::start_in(gateway.stop().await.folder, Setup::mocked()).await;
    assert!(!gateway.stdout().contains("admin"), "{}", gateway.stdout());
    // The link of an admin who exists is for the password. It has the address that the lock of the server names.
    let said = must(gateway.folder(), &["setup-link"], "").await;
    assert!(link(&said).starts_with(&format!("http://{}/link#", gateway.control)), "{said}");
    assert!(said.contains(ROOT) && said.lines().last() == Some(link(&said)), "{said}");
    let second = ["users", "create", "--email", "second@example.com", "--plan", "open", "--admin", "--password-stdin"];
    must(gateway.folder(), &second, PASSWORD).await;
    let reported = refused(gateway.folder(), &["setup-link"], b"").await;
    assert!(reported.contains("several_admins") && reported.contains(ROOT), "{reported}");
    let said = must(gateway.folder(), &["setup-link", "--user", "second@example.com"], "").await;
    assert!(said.contains("second@example.com"), "{said}");
    let member = ["users", "create", "--email", "ada@example.com", "--plan", "open"];
    must(gateway.folder(), &member, "").await;
    let reported = refused(gateway.folder(), &["setup-link", "--user", "ada@example.com"], b"").await;
    assert!(reported.contains("is not an admin"), "{reported}");
    assert_eq!(number(gateway.folder(), LINKS).await, 4, "two for the first admin, and one of each admin");
}

/// Anybody can fail to sign in as an admin, who still signs in: in a browser that has signed in before, and with a link that
/// the server prints. A link that sets the same password again ends no session.
#[tokio::test]
async fn failed_sign_ins_of_others_lock_nobody_out_and_a_link_of_the_server_lifts_a_lock() {
    let gateway = Gateway::start(Setup::mocked().section("trusted_proxies", "[\"127.0.0.1\"]")).await;
    let create = ["users", "create", "--email", ROOT, "--plan", "open", "--admin", "--password-stdin"];
    must(gateway.folder(), &create, PASSWORD).await;
    let sign_in = |password: &str, from: &str| {
        Call::json("/api/auth/login", &json!({"email": ROOT, "password": password})).header("X-Forwarded-For", from)
    };
    let first = gateway.ask(sign_in(PASSWORD, "203.0.113.1")).await.expect(200);
    let session = text(&first.json()["access_token"]);
    let cookies: Vec<&str> = first.head.all("set-cookie");
    let known = cookies
        .into_iter()
        .filter_map(|line| line.split(';').next())
        .find(|cookie| cookie.starts_with("tollgate_known="))
        .unwrap()
        .to_owned();
    // The address of the admin is locked, as if somebody behind the same one guessed.
    for _ in 0..9 {
        gateway.ask(sign_in("not the password", "203.0.113.1")).await.expect(401);
    }
    gateway.ask(sign_in(PASSWORD, "203.0.113.1")).await.expect(429);
    gateway
        .ask(sign_in(PASSWORD, "203.0.113.1").header("Cookie", &known).header("Sec-Fetch-Site", "same-origin"))
        .await
        .expect(200);
    // From elsewhere, the account is slow and not locked.
    gateway.ask(sign_in(PASSWORD, "203.0.113.2")).await.expect(200);
    let said = must(gateway.folder(), &["setup-link"], "").await;
    let token = link(&said).split_once('#').unwrap().1;
    let chosen = json!({"token": token, "password": PASSWORD});
    gateway.ask(Call::json("/api/auth/link", &chosen).header("X-Forwarded-For", "203.0.113.1")).await.expect(200);
    gateway.ask(sign_in(PASSWORD, "203.0.113.1")).await.expect(200);
    gateway.ask(Call::get("/api/me").key(&session)).await.expect(200);
    // A changed password ends the session.
    let said = must(gateway.folder(), &["setup-link", "--user", ROOT], "").await;
    let chosen = json!({"token": link(&said).split_once('#').unwrap().1, "password": "another horse, same battery"});
    gateway.ask(Call::json("/api/auth/link", &chosen)).await.expect(200);
    gateway.ask(Call::get("/api/me").key(&session)).await.expect(401);
}

/// The path of a new operator: from the command printed at the first start to the first key, over HTTP alone.
#[tokio::test]
async fn the_link_of_the_first_start_leads_to_an_admins_session() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let printed = set_up(&gateway).await;
    let token = printed.split_once('#').unwrap().1;
    // Control serves the page; only the browser reads the part after the `#`.
    assert!(printed.starts_with(&format!("http://{}/", gateway.control)), "{printed}");
    let check = Call::json("/api/auth/link/check", &json!({"token": token}));
    let reported = gateway.ask(check.clone()).await.expect(200).json();
    assert_eq!(reported["kind"], "first_admin", "{reported}");
    let chosen = json!({"token": token, "email": ROOT, "name": "Root", "password": PASSWORD});
    let used = gateway.ask(Call::json("/api/auth/link", &chosen)).await.expect(200);
    assert!(!used.text().contains(token) && !used.text().contains(PASSWORD), "{}", used.text());
    let sign_in = json!({"email": ROOT, "password": PASSWORD});
    let signed_in = gateway.ask(Call::json("/api/auth/login", &sign_in)).await.expect(200).json();
    let access = text(&signed_in["access_token"]);
    let me = gateway.ask(Call::get("/api/me").key(&access)).await.expect(200).json();
    assert_eq!((&me["acts_as"], &me["user"]["email"]), (&json!("admin"), &json!(ROOT)), "{me}");
    gateway.ask(Call::get("/api/audit").key(&access)).await.expect(200);
    let created =
        gateway.ask(Call::json("/api/keys", &json!({"label": "first"})).key(&access)).await.expect(201).json();
    gateway.validate(&text(&created["key"])).await;
    // A link can be used once.
    gateway.ask(check).await.expect(404);
    gateway.ask(Call::json("/api/auth/link", &chosen)).await.expect(404);
}

#[tokio::test]
async fn a_start_on_a_terminal_prints_the_link_itself() {
    let folder = Folder::new();
    let data = folder.data().display().to_string();
    let words = ["serve", "--demo", "--listen", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--data", data.as_str()];
    let mut terminal = Terminal::run(&folder, &words);
    terminal.sees("listening", 1).await;
    let shown = terminal.shown();
    let admin = shown.find("There is no admin");
    let keys = shown.find("Demo keys");
    assert!(link(&shown).contains("tgl_") && admin.is_some() && admin < keys, "{shown}");
    assert!(!shown.contains("setup-link"), "{shown}");
    terminal.interrupts();
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.shown());
    assert_eq!(number(&folder, OPEN_LINKS).await, 1);
}

#[tokio::test]
async fn a_proxy_without_control_prints_no_link() {
    if !on_postgres() {
        return;
    }
    let gateway = Gateway::start(Setup::mocked().flag("--role").flag("proxy")).await;
    eventually("the start messages are printed", async || gateway.stdout().contains("control").then_some(())).await;
    assert!(!gateway.stdout().contains("tgl_"), "{}", gateway.stdout());
    assert_eq!(number(gateway.folder(), LINKS).await, 0);
}
