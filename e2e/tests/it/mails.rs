//! Mails of billing, taken by the SMTP server `aiosmtpd`.

mod opensmtpd;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use e2e::python::python;
use e2e::{Call, Setup, eventually, text};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::billing::Shop;
use crate::protocols::certificates::Certificates;
use crate::store;

/// The time in which a mail must arrive.
const SOON: Duration = Duration::from_secs(60);

/// An SMTP server; dropped, it ends.
struct MailServer {
    address: SocketAddr,
    certificates: Certificates,
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl MailServer {
    /// Starts a server with TLS, by `STARTTLS` or from the first byte, that requires a sign-in.
    async fn start(is_immediate: bool) -> Self {
        let certificates = Certificates::new();
        let mut command = python("mail", "serve_smtp.py");
        command.env("CERTIFICATE", certificates.certificate()).env("KEY", certificates.key());
        command.env("LOGIN", "billing:s3cret").env("TLS", if is_immediate { "immediate" } else { "starttls" });
        Self::from_command(command, certificates).await
    }

    /// Starts a server without TLS and sign-in.
    async fn plain() -> Self {
        Self::from_command(python("mail", "serve_smtp.py"), Certificates::new()).await
    }

    async fn from_command(mut command: Command, certificates: Certificates) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { address, certificates, _child: child, stdin, lines }
    }

    /// Returns the section `mail` for this server.
    fn section(&self, scheme: &str, password: &str) -> String {
        let port = self.address.port();
        let ca = self.certificates.authority();
        format!(
            "{{smtp: \"{scheme}://billing:{password}@localhost:{port}\", from: \"PT Contoh <billing@example.com>\", ca: {}, timeout: 2s}}",
            ca.display()
        )
    }

    /// Sets the behaviour from now on.
    async fn behaves(&mut self, mode: &str) {
        self.stdin.write_all(format!("{mode}\n").as_bytes()).await.unwrap();
        assert_eq!(self.line().await, json!({"mode": mode}));
    }

    /// Returns the next mail that arrives.
    async fn mail(&mut self) -> Value {
        self.line().await
    }

    async fn line(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.expect("a mail arrives").unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn setup(server: &MailServer, scheme: &str) -> Setup {
    let billing = "{seller: {name: PT Contoh, email: finance@example.com}}";
    let setup = Setup::bare().flag("--demo").section("mail", &server.section(scheme, "s3cret"));
    setup.section("billing", billing).section("public_url", "{control: \"https://api.example.com\"}")
}

/// Waits until one mail fits.
async fn exists(shop: &Shop, sql: &'static str) {
    eventually("a mail has the state", async || (shop.count(sql).await == 1).then_some(())).await;
}

/// Makes the next attempt of each mail due.
async fn is_due(shop: &Shop) {
    let data = shop.gateway.folder().data();
    let due = "UPDATE mails SET next_at = 0";
    store::rows(shop.gateway.folder(), &data).execute(due, due).await;
}

#[tokio::test]
async fn an_invoice_and_its_payment_are_mailed_once_over_starttls() {
    let mut server = MailServer::start(false).await;
    let shop = Shop::open_with(setup(&server, "smtp+starttls")).await;
    let (invoice, payment) = shop.begin(&json!({"method": "qris"})).await;
    let mail = server.mail().await;
    let shown = shop.get(&format!("/api/invoices/{invoice}")).await.expect(200).json();
    let headers = &mail["headers"];
    let number = text(&shown["number"]);
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("billing")), "{mail}");
    assert_eq!(mail["envelope"]["from"], "billing@example.com");
    assert_eq!(headers["Subject"], format!("Invoice {number}: IDR 150,000").as_str(), "{mail}");
    assert_eq!(
        (&headers["From"], &headers["Auto-Submitted"]),
        (&json!("PT Contoh <billing@example.com>"), &json!("auto-generated"))
    );
    assert!(text(&headers["Message-ID"]).ends_with("@example.com>"), "{mail}");
    let link = format!("https://api.example.com/dashboard/pay?id={invoice}");
    for part in ["text", "html"] {
        let part = text(&mail[part]);
        assert!(part.contains(&number) && part.contains("IDR 150,000") && part.contains(&link), "{part}");
    }
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    let mail = server.mail().await;
    assert_eq!(mail["headers"]["Subject"], "Payment of IDR 150,000 received", "{mail}");
    eventually("both mails are sent", async || {
        (shop.count("SELECT count(*) FROM mails WHERE state = 'sent'").await == 2).then_some(())
    })
    .await;
    assert_eq!(shop.count("SELECT count(*) FROM mails WHERE attempts <> 1").await, 0);
    let log = shop.gateway.stderr();
    assert!(!log.contains("s3cret") && !log.contains("ada@example.com"), "the log has a secret or an address: {log}");
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_or_cut_off_early_is_repeated() {
    let mut server = MailServer::start(true).await;
    server.behaves("later").await;
    let shop = Shop::open_with(setup(&server, "smtps")).await;
    let language = json!({"language": "id"}).to_string();
    let change = Call::new("PATCH", "/api/billing/profile").header("content-type", "application/json").body(&language);
    shop.gateway.ask(change.key(&shop.key)).await.expect(200);
    shop.begin(&json!({"method": "qris"})).await;
    exists(&shop, "SELECT count(*) FROM mails WHERE state = 'waiting' AND attempts = 1 AND error LIKE '%451%'").await;
    for mode in ["cut_early", "hang"] {
        server.behaves(mode).await;
        let attempts = shop.count("SELECT max(attempts) FROM mails").await;
        is_due(&shop).await;
        eventually("the attempt fails", async || {
            (shop.count("SELECT max(attempts) FROM mails WHERE state = 'waiting'").await > attempts).then_some(())
        })
        .await;
    }
    server.behaves("accept").await;
    is_due(&shop).await;
    let mail = server.mail().await;
    assert!(text(&mail["headers"]["Subject"]).starts_with("Faktur INV-"), "{mail}");
    assert!(text(&mail["text"]).contains("Rp150.000"), "{mail}");
    exists(&shop, "SELECT count(*) FROM mails WHERE state = 'sent'").await;
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_not_repeated() {
    let mut server = MailServer::start(false).await;
    server.behaves("refuse").await;
    let shop = Shop::open_with(setup(&server, "smtp+starttls")).await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    exists(&shop, "SELECT count(*) FROM mails WHERE state = 'failed' AND error LIKE '%550%'").await;
    server.behaves("reject").await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    exists(&shop, "SELECT count(*) FROM mails WHERE state = 'failed' AND error LIKE '%554%'").await;
    shop.has_plan("pro").await;
}

#[tokio::test]
async fn a_mail_whose_response_is_lost_is_not_sent_again() {
    let mut server = MailServer::start(false).await;
    server.behaves("cut").await;
    let shop = Shop::open_with(setup(&server, "smtp+starttls")).await;
    let (_, payment) = shop.begin(&json!({"method": "qris"})).await;
    server.mail().await;
    exists(&shop, "SELECT count(*) FROM mails WHERE state = 'unknown'").await;
    server.behaves("accept").await;
    is_due(&shop).await;
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    let next = server.mail().await;
    assert_eq!(next["headers"]["Subject"], "Payment of IDR 150,000 received", "no other mail came before");
    assert_eq!(shop.count("SELECT count(*) FROM mails WHERE attempts > 1").await, 0);
}

#[tokio::test]
async fn a_wrong_password_or_authority_sends_nothing_and_fails_the_job() {
    let server = MailServer::start(false).await;
    let other = Certificates::new();
    let port = server.address.port();
    let ca = other.authority();
    let unknown = format!(
        "{{smtp: \"smtp+starttls://localhost:{port}\", from: a@example.com, ca: {}, timeout: 2s}}",
        ca.display()
    );
    for section in [server.section("smtp+starttls", "wrong"), unknown] {
        let shop = Shop::open_with(setup(&server, "smtp+starttls").section("mail", &section)).await;
        shop.begin(&json!({"method": "qris"})).await;
        shop.gateway.logs("the SMTP server cannot be used").await;
        assert_eq!(shop.count("SELECT count(*) FROM mails WHERE state <> 'waiting'").await, 0);
    }
}
