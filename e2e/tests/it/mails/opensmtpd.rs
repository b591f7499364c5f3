//! Mails of billing through OpenSMTPD, a server that is written in C.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use e2e::redis::free_port;
use e2e::setup::Folder;
use e2e::tools::tools;
use e2e::{Setup, eventually, sdk, text};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::MailServer;
use crate::billing::Shop;

/// OpenSMTPD, which passes mails on; dropped, it ends.
struct OpenSmtpd {
    port: u16,
    _child: Child,
    _folder: Folder,
}

impl OpenSmtpd {
    /// Starts it without TLS: handshakes of Debian's package failed here, also with Python's client. The cause is unknown.
    async fn start(next: SocketAddr) -> Self {
        let folder = Folder::new();
        let port = free_port().unwrap();
        let smtpd = tools().join("opensmtpd/usr/sbin/smtpd");
        assert!(smtpd.is_file(), "{} is missing: scripts/setup.sh test", smtpd.display());
        let mut command = Command::new(sdk::folder("opensmtpd").join("serve.sh"));
        command.arg(smtpd).arg(folder.path()).arg(port.to_string()).arg(next.port().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap();
        eventually("OpenSMTPD listens: it needs root", async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok().map(drop)
        })
        .await;
        Self { port, _child: child, _folder: folder }
    }
}

#[tokio::test]
async fn opensmtpd_passes_each_mail_on_once() {
    let mut next = MailServer::plain().await;
    let smtpd = OpenSmtpd::start(next.address).await;
    let mail = format!("{{smtp: \"smtp://127.0.0.1:{}\", from: \"PT Contoh <billing@example.com>\"}}", smtpd.port);
    let shop = Shop::open_with(Setup::bare().flag("--demo").section("mail", &mail)).await;
    let (invoice, payment) = shop.begin(&json!({"method": "qris"})).await;
    let shown = shop.get(&format!("/api/invoices/{invoice}")).await.expect(200).json();
    let number = text(&shown["number"]);
    let mail = next.mail().await;
    let headers = &mail["headers"];
    assert!(text(&headers["Received"]).contains("(OpenSMTPD)"), "{mail}");
    assert_eq!(headers["Subject"], format!("Invoice {number}: IDR 150,000").as_str(), "{mail}");
    assert_eq!(mail["envelope"]["from"], "billing@example.com", "{mail}");
    for part in ["text", "html"] {
        let part = text(&mail[part]);
        assert!(part.contains(&number) && part.contains("IDR 150,000"), "{part}");
    }
    shop.play(&format!("/_stub/pay/{}", text(&payment["order_id"]))).await;
    let mail = next.mail().await;
    assert_eq!(mail["headers"]["Subject"], "Payment of IDR 150,000 received", "{mail}");
    eventually("both mails are sent", async || {
        (shop.count("SELECT count(*) FROM mails WHERE state = 'sent' AND attempts = 1").await == 2).then_some(())
    })
    .await;
}
