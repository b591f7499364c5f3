//! SMTP servers that hang before the message, in the message and after it, or that refuse the sender.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::UserId;
use billing::mail::{ConnectionSecurity, MailDelivery, MailParty, MailSettings, SmtpSettings};
use jobs::{Job, JobError, NextRun};
use ledger::billing::mails::{self, StoredMail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::shop::Shop;
use crate::traffic::execute;

/// Time limit of each step. A server that does not hang must respond within it on a busy machine.
const STEP: Duration = Duration::from_secs(2);
/// A run that has not ended after this time hangs.
const HANGS: Duration = Duration::from_secs(120);

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Accepts,
    /// Accepts the connection and sends nothing.
    SaysNothing,
    /// Sends its responses at one byte a second.
    WritesSlowly,
    /// Refuses the sender of each message.
    RefusesTheSender,
    /// Refuses the sender of each message in the response to its recipient.
    RefusesTheSenderLate,
    /// Does not respond to the recipient `ada`.
    IgnoresAda,
    /// Reads 100 bytes of the message, and no more.
    StopsInTheMessage,
    /// Reads the message at one byte a second.
    ReadsSlowly,
    /// Reads the message and does not respond.
    IgnoresTheMessage,
}

/// What arrived at the server.
#[derive(Debug, Default)]
struct Arrived {
    connections: usize,
    /// The recipients of the messages that the server began to read.
    begun: Vec<String>,
    /// The recipients of the messages that the server accepted.
    accepted: Vec<String>,
}

struct Server {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    arrived: Arc<Mutex<Arrived>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behaviour = Arc::new(Mutex::new(behaviour));
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let mut task = JoinSet::new();
        let modes = behaviour.clone();
        let seen = arrived.clone();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.lock().unwrap().connections += 1;
                let behaviour = *modes.lock().unwrap();
                let connection = Connection { behaviour, arrived: seen.clone() };
                // The client resets connections of servers that hang.
                connections.spawn(async move { connection.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { address, behaviour, arrived, _task: task }
    }

    fn behaves(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn connections(&self) -> usize {
        self.arrived.lock().unwrap().connections
    }

    fn begun(&self) -> Vec<String> {
        self.arrived.lock().unwrap().begun.clone()
    }

    fn accepted(&self) -> Vec<String> {
        self.arrived.lock().unwrap().accepted.clone()
    }
}

/// One connection to the server.
struct Connection {
    behaviour: Behaviour,
    arrived: Arc<Mutex<Arrived>>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        if self.behaviour == Behaviour::SaysNothing {
            return hang().await;
        }
        self.respond(&mut stream, "220 localhost").await?;
        let mut line = String::new();
        let mut recipient = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let response = match line.get(..4).unwrap_or_default() {
                "MAIL" if self.behaviour == Behaviour::RefusesTheSender => {
                    "550 the domain of the sender is not verified"
                }
                "RCPT" if self.behaviour == Behaviour::RefusesTheSenderLate => {
                    "550 5.7.1 <billing@example.com>: Sender address rejected: not owned by user x"
                }
                "RCPT" if line.contains("<ada@") && self.behaviour == Behaviour::IgnoresAda => return hang().await,
                "RCPT" => {
                    recipient = line.split(['<', '@']).nth(1).unwrap_or_default().to_owned();
                    "250 ok"
                }
                "DATA" => {
                    self.respond(&mut stream, "354 go on").await?;
                    self.message(&mut stream, &recipient).await?;
                    "250 accepted"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            self.respond(&mut stream, response).await?;
        }
    }

    async fn respond(&self, stream: &mut BufReader<TcpStream>, text: &str) -> std::io::Result<()> {
        let line = format!("{text}\r\n");
        if self.behaviour != Behaviour::WritesSlowly {
            return stream.write_all(line.as_bytes()).await;
        }
        for byte in line.bytes() {
            sleep(Duration::from_secs(1)).await;
            stream.write_all(&[byte]).await?;
        }
        Ok(())
    }

    /// Reads a message up to its last line.
    async fn message(&self, stream: &mut BufReader<TcpStream>, recipient: &str) -> std::io::Result<()> {
        self.arrived.lock().unwrap().begun.push(recipient.to_owned());
        if self.behaviour == Behaviour::StopsInTheMessage {
            stream.read_exact(&mut [0; 100]).await?;
            return hang().await;
        }
        let mut message = Vec::new();
        while !message.ends_with(b"\r\n.\r\n") {
            if self.behaviour == Behaviour::ReadsSlowly {
                sleep(Duration::from_secs(1)).await;
            }
            message.push(stream.read_u8().await?);
        }
        if self.behaviour == Behaviour::IgnoresTheMessage {
            return hang().await;
        }
        self.arrived.lock().unwrap().accepted.push(recipient.to_owned());
        Ok(())
    }
}

async fn hang() -> std::io::Result<()> {
    std::future::pending().await
}

/// A shop whose users each have one mail to send, and the job that sends it.
struct Outbox {
    shop: Shop,
    server: Server,
    job: MailDelivery,
    users: Vec<UserId>,
}

impl Outbox {
    async fn open(behaviour: Behaviour, names: &[&str]) -> Self {
        Self::with_limits(behaviour, names, [STEP, HANGS]).await
    }

    async fn with_limits(behaviour: Behaviour, names: &[&str], [timeout, opening]: [Duration; 2]) -> Self {
        let shop = Shop::open("2026-12-01").await;
        let mut users = Vec::new();
        for name in names {
            let user = shop.user(name).await;
            shop.subscribe(user, "pro").await.unwrap();
            // Mails are sent in the order of their times.
            shop.clock.advance(Duration::from_secs(1));
            users.push(user);
        }
        let server = Server::start(behaviour).await;
        let smtp = SmtpSettings {
            security: ConnectionSecurity::Plain,
            host: "127.0.0.1".to_owned(),
            port: server.address.port(),
            credentials: None,
            ca: None,
            timeout,
            opening,
        };
        let from = MailParty::new("Billing", "billing@example.com").unwrap();
        let settings = MailSettings { smtp, from, pages: None };
        let job = MailDelivery::new(shop.store().clone(), shop.books.clone(), settings).unwrap();
        Self { shop, server, job, users }
    }

    /// Runs the job until no mail is due, or a run fails.
    async fn run(&mut self) -> Result<(), JobError> {
        while self.run_once().await? == NextRun::Now {}
        Ok(())
    }

    async fn run_once(&mut self) -> Result<NextRun, JobError> {
        timeout(HANGS, self.job.run()).await.unwrap_or_else(|_| panic!("the run does not end"))
    }

    async fn mail(&self, user: usize) -> StoredMail {
        mails::of_user(self.shop.store(), self.users[user], 10).await.unwrap().remove(0)
    }

    async fn state(&self, user: usize) -> (String, i64) {
        let mail = self.mail(user).await;
        (mail.state, mail.attempts)
    }

    fn pass(&self, time: Duration) {
        self.shop.clock.advance(time);
    }
}

fn is(state: &str, attempts: i64) -> (String, i64) {
    (state.to_owned(), attempts)
}

#[tokio::test]
async fn a_server_that_hangs_before_the_message_delays_the_mail() {
    for behaviour in [Behaviour::SaysNothing, Behaviour::WritesSlowly, Behaviour::IgnoresAda] {
        let mut outbox = Outbox::open(behaviour, &["ada"]).await;
        let error = outbox.run().await.unwrap_err();
        assert_eq!(error.to_string(), "the SMTP server cannot be used", "{behaviour:?}");
        let mail = outbox.mail(0).await;
        assert_eq!((mail.state.as_str(), mail.attempts), ("waiting", 1), "{behaviour:?}");
        assert_eq!(mail.error, "the server did not respond in time", "{behaviour:?}");
        // The pause is 30 s, of which up to a quarter is left out.
        outbox.server.behaves(Behaviour::Accepts);
        outbox.pass(Duration::from_secs(22));
        outbox.run().await.unwrap();
        assert_eq!(outbox.server.connections(), 1, "{behaviour:?}: the pause is not over");
        outbox.pass(Duration::from_secs(8));
        outbox.run().await.unwrap();
        assert_eq!((outbox.state(0).await, outbox.server.accepted()), (is("sent", 2), vec!["ada".to_owned()]));
    }
}

#[tokio::test]
async fn a_mail_is_given_up_after_four_days_but_not_before_its_first_attempt() {
    let mut outbox = Outbox::open(Behaviour::RefusesTheSender, &["ada", "bob"]).await;
    assert!(outbox.run_once().await.is_err());
    assert_eq!((outbox.state(0).await, outbox.state(1).await), (is("waiting", 1), is("waiting", 0)));
    outbox.server.behaves(Behaviour::Accepts);
    outbox.pass(Duration::from_hours(5 * 24));
    outbox.run().await.unwrap();
    assert_eq!((outbox.state(0).await, outbox.state(1).await), (is("failed", 1), is("sent", 1)));
    assert!(outbox.mail(0).await.error.starts_with("given up: "));
    assert_eq!(outbox.server.accepted(), ["bob"]);
}

#[tokio::test]
async fn a_recipient_for_whom_the_server_hangs_does_not_delay_others() {
    let mut outbox = Outbox::open(Behaviour::IgnoresAda, &["ada", "eve", "bob"]).await;
    assert!(outbox.run().await.is_err());
    outbox.run().await.unwrap();
    assert_eq!(outbox.server.accepted(), ["eve", "bob"]);
    assert_eq!((outbox.state(0).await, outbox.state(2).await), (is("waiting", 1), is("sent", 1)));
}

#[tokio::test]
async fn a_server_that_refuses_the_sender_delays_all_mails() {
    for behaviour in [Behaviour::RefusesTheSender, Behaviour::RefusesTheSenderLate] {
        let mut outbox = Outbox::open(behaviour, &["ada", "bob"]).await;
        let error = outbox.run().await.unwrap_err();
        assert_eq!(error.to_string(), "the SMTP server cannot be used", "{behaviour:?}");
        let mail = outbox.mail(0).await;
        assert_eq!((mail.state.as_str(), mail.attempts), ("waiting", 1), "{}", mail.error);
        assert!(mail.error.contains("550"), "{}", mail.error);
        assert_eq!(outbox.state(1).await, is("waiting", 0), "{behaviour:?}");
        outbox.server.behaves(Behaviour::Accepts);
        outbox.pass(Duration::from_secs(30));
        outbox.run().await.unwrap();
        assert_eq!(outbox.server.accepted(), ["bob", "ada"], "{behaviour:?}");
        assert_eq!((outbox.state(0).await, outbox.state(1).await), (is("sent", 2), is("sent", 1)), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_mail_about_an_unreadable_row_does_not_delay_others() {
    let mut outbox = Outbox::open(Behaviour::Accepts, &["ada", "eve"]).await;
    execute(&outbox.shop, include_str!("unreadable_currency.sql"));
    outbox.run().await.unwrap();
    assert_eq!(outbox.server.accepted(), ["eve"]);
    assert_eq!((outbox.state(0).await, outbox.state(1).await), (is("waiting", 1), is("sent", 1)));
    let error = outbox.mail(0).await.error;
    assert!(error.starts_with("invoices.currency contains a value"), "{error}");
}

#[tokio::test]
async fn a_message_without_a_response_is_not_sent_again_and_the_next_mail_is_sent() {
    for behaviour in [Behaviour::StopsInTheMessage, Behaviour::ReadsSlowly, Behaviour::IgnoresTheMessage] {
        let mut outbox = Outbox::open(behaviour, &["ada", "eve"]).await;
        assert!(outbox.run().await.is_err(), "{behaviour:?}");
        assert_eq!(outbox.state(0).await, is("unknown", 1), "{behaviour:?}");
        assert_eq!(outbox.state(1).await, is("waiting", 0), "{behaviour:?}: the run ends with the first failure");
        outbox.server.behaves(Behaviour::Accepts);
        outbox.run().await.unwrap();
        outbox.pass(Duration::from_hours(24));
        outbox.run().await.unwrap();
        assert_eq!(
            (outbox.server.begun(), outbox.server.accepted()),
            (vec!["ada".into(), "eve".into()], vec!["eve".into()])
        );
        assert_eq!((outbox.state(0).await, outbox.state(1).await), (is("unknown", 1), is("sent", 1)));
    }
}

#[tokio::test]
async fn a_server_that_never_responds_to_messages_does_not_end_all_mails() {
    let mut outbox = Outbox::open(Behaviour::IgnoresTheMessage, &["ada", "bob", "eve", "joe"]).await;
    for _ in 0..2 {
        assert!(outbox.run().await.is_err());
    }
    for _ in 0..3 {
        let error = outbox.run().await.unwrap_err().to_string();
        assert!(error.contains("did not respond to 2 messages in a row"), "{error}");
    }
    assert_eq!(outbox.server.begun(), ["ada", "bob"]);
    outbox.pass(Duration::from_secs(30));
    assert!(outbox.run().await.is_err());
    assert!(outbox.run().await.unwrap_err().to_string().contains("3 messages"));
    outbox.server.behaves(Behaviour::Accepts);
    outbox.pass(Duration::from_secs(60));
    outbox.run().await.unwrap();
    assert_eq!((outbox.server.accepted(), outbox.state(3).await), (vec!["joe".to_owned()], is("sent", 1)));
    outbox.run().await.unwrap();
}

#[tokio::test]
async fn the_steps_before_the_message_have_one_time_limit_together() {
    let limits = [2 * HANGS, Duration::from_secs(1)];
    let mut outbox = Outbox::with_limits(Behaviour::WritesSlowly, &["ada"], limits).await;
    assert!(outbox.run().await.is_err());
    assert_eq!(outbox.mail(0).await.error, "the server did not respond in time");
}

#[tokio::test]
async fn a_run_sends_one_mail_so_that_a_process_that_stops_begins_no_further_one() {
    let mut outbox = Outbox::open(Behaviour::Accepts, &["ada", "bob"]).await;
    for sent in [&["ada"][..], &["ada", "bob"]] {
        assert_eq!(outbox.run_once().await.unwrap(), NextRun::Now);
        assert_eq!(outbox.server.accepted(), sent);
    }
    assert_eq!(outbox.run_once().await.unwrap(), NextRun::Period);
}
