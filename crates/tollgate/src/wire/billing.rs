//! Billing: the books under the configuration in force, and their jobs, which begin once billing is on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::Vault;
use anyhow::Context;
use billing::books::{RECEIPTS, ReceiptListing};
use billing::close::{self, BillingClose};
use billing::collect::{self, Dunning, NotificationHandling, PaymentReconciliation};
use billing::mail::{self, ConnectionSecurity, MailDelivery, MailParty, MailSettings, SmtpSettings};
use billing::webhook::{self, DeliveryBounds, ReceiverTrust, WebhookDelivery};
use billing::{Books, LiveBooks, PriceBook, SignoffRoles};
use config::snapshot::{self, Process, Webhooks};
use config::{Live, Snapshot};
use control::configuration::BillingRole;
use jobs::Runner;
use store::Store;

use super::ServeOptions;
use super::parts::ServerContext;
use super::payments::PaymentProvider;
use crate::cli::Role;
use crate::demo;

/// While billing is off, the configuration is looked at this often.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

/// Returns what the process has to do with billing. A demo without an account at Midtrans sells plans with the stub.
pub(super) fn role(process: &Process, options: &ServeOptions) -> BillingRole {
    match options.role {
        Role::Proxy => BillingRole::Elsewhere,
        Role::All | Role::Control if options.demo && process.midtrans.server_key.is_none() => {
            BillingRole::Demo(demo::billing())
        }
        Role::All | Role::Control => BillingRole::Served,
    }
}

/// Returns the books, and adds their jobs, if this process serves the admin API. The prices of the configuration are for
/// sale from then on, if billing is on.
pub(super) async fn start(
    base: &ServerContext,
    provider: PaymentProvider,
    runner: &mut Runner,
) -> anyhow::Result<LiveBooks> {
    if base.role == Role::Proxy {
        return Ok(LiveBooks::default());
    }
    let snapshot = base.live.load_full();
    let is_on = snapshot.traffic.billing.is_enabled;
    if is_on {
        let added = ledger::billing::plan_versions::apply(&base.store, &snapshot.traffic.plan_prices).await?;
        if added > 0 {
            tracing::info!(added, "new versions of plan prices are for sale; subscribers keep their versions");
        }
    }
    let books = live_books(base, provider);
    // No reload turns billing on if it needs a file.
    if is_on || !needs_files(&snapshot) {
        add_jobs(runner, &base.live, &books);
        let webhooks = webhook_delivery(&snapshot, &base.store, &base.keys.vault)?;
        runner.add_when(webhook::SPEC, turned_on(base.live.clone()), move || webhooks.clone());
        if let Some(delivery) = delivery(&snapshot, &base.store, &books)? {
            runner.add_when(mail::SPEC, turned_on(base.live.clone()), move || delivery.clone());
        }
    }
    Ok(books)
}

/// Returns the source of the books under the configuration that is in force.
fn live_books(base: &ServerContext, provider: PaymentProvider) -> LiveBooks {
    let live = base.live.clone();
    let store = base.store.clone();
    let prices = price_book(live.clone());
    let roles = signoff_roles(live.clone());
    LiveBooks::new(move || {
        let snapshot = live.load_full();
        let billing = &snapshot.traffic.billing;
        if !billing.is_enabled {
            return None;
        }
        let settings = control::billing_settings(billing, snapshot.process.mail.is_some());
        let books = Books::new(store.clone(), settings, provider.client(billing));
        Some(books.with_prices(prices.clone()).with_signoff_roles(roles.clone()))
    })
}

/// Whether billing needs a file that is read at the start.
fn needs_files(snapshot: &Snapshot) -> bool {
    let has_mail_file = snapshot.process.mail.as_ref().is_some_and(|mail| mail.ca.is_some());
    has_mail_file || snapshot.traffic.billing.webhooks_ca.is_some()
}

/// Ends once billing is on.
async fn turned_on(live: Arc<Live>) {
    while !live.load().traffic.billing.is_enabled {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
    }
}

/// Ends once billing is on and payments can be made.
async fn takes_payments(books: LiveBooks) {
    while books.current().is_none_or(|books| books.provider().is_none()) {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
    }
}

/// Returns the prices of the configuration that is in force.
fn price_book(live: Arc<Live>) -> PriceBook {
    PriceBook::new(move |of| {
        let snapshot = live.load_full();
        let models = (of.sent_model.as_str(), of.answered_model.as_deref());
        let price = snapshot.traffic.price_of_version(&of.provider, models, &of.version)?;
        Some(price.card())
    })
}

/// Returns the roles that sign off days, of the configuration that is in force.
fn signoff_roles(live: Arc<Live>) -> SignoffRoles {
    SignoffRoles::new(move || live.load().traffic.insights.signoff.roles.clone())
}

/// Adds the jobs of the books.
fn add_jobs(runner: &mut Runner, live: &Arc<Live>, books: &LiveBooks) {
    let of = books.clone();
    runner.add_when(RECEIPTS, turned_on(live.clone()), move || ReceiptListing::new(of.clone()));
    let of = books.clone();
    runner.add_when(close::SPEC, turned_on(live.clone()), move || BillingClose::new(of.clone()));
    let of = books.clone();
    runner.add_when(collect::DUNNING, turned_on(live.clone()), move || Dunning::new(of.clone()));
    let of = books.clone();
    runner.add_when(collect::NOTIFICATIONS, takes_payments(of.clone()), move || NotificationHandling::new(of.clone()));
    let of = books.clone();
    runner.add_when(collect::RECONCILE, takes_payments(of.clone()), move || PaymentReconciliation::new(of.clone()));
}

/// Returns the job that delivers webhooks.
///
/// # Errors
/// A file of certificates that cannot be used.
fn webhook_delivery(snapshot: &Snapshot, store: &Store, vault: &Arc<Vault>) -> anyhow::Result<WebhookDelivery> {
    let Webhooks { timeout, retry_for } = snapshot.process.webhooks;
    let bounds = DeliveryBounds { timeout, retry_for };
    let ca = match &snapshot.traffic.billing.webhooks_ca {
        None => Vec::new(),
        Some(file) => {
            std::fs::read(file).with_context(|| format!("billing.webhooks_ca: cannot read {}", file.display()))?
        }
    };
    let trust = ReceiverTrust { ca: &ca, rules: snapshot.process.outbound_rules() };
    WebhookDelivery::new(store.clone(), vault.clone(), trust, bounds).context("billing.webhooks_ca")
}

/// Returns the job that sends mails; `None` without a server.
///
/// # Errors
/// An address or a file of certificates that cannot be used.
fn delivery(snapshot: &Snapshot, store: &Store, books: &LiveBooks) -> anyhow::Result<Option<MailDelivery>> {
    let Some(of) = &snapshot.process.mail else { return Ok(None) };
    let security = match of.smtp.security {
        snapshot::SmtpSecurity::Tls => ConnectionSecurity::Tls,
        snapshot::SmtpSecurity::StartTls => ConnectionSecurity::StartTls,
        snapshot::SmtpSecurity::Plain => ConnectionSecurity::Plain,
    };
    let read = |file: &PathBuf| std::fs::read(file).with_context(|| format!("mail.ca: cannot read {}", file.display()));
    let smtp = SmtpSettings {
        security,
        host: of.smtp.host.clone(),
        port: of.smtp.port,
        credentials: of.smtp.credentials.clone(),
        ca: of.ca.as_ref().map(read).transpose()?,
        timeout: of.timeout,
        opening: mail::OPENING_MAX,
    };
    let from = MailParty::new(&of.from.name, &of.from.address).context("mail.from")?;
    let settings = MailSettings { smtp, from, pages: snapshot.process.public_url.control.clone() };
    Ok(Some(MailDelivery::new(store.clone(), books.clone(), settings)?))
}
