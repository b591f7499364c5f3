//! Billing: the books, their jobs, and in a demo the stub of the payment provider.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use access::{Clock, Day, PlanPrice, Secret, Vault};
use anyhow::Context;
use billing::books::{RECEIPTS, ReceiptListing};
use billing::channel::PaymentChannel;
use billing::close::{self, BillingClose};
use billing::collect::{self, Dunning, NotificationHandling, PaymentReconciliation};
use billing::mail::{self, ConnectionSecurity, MailDelivery, MailParty, MailSettings, SmtpSettings};
use billing::midtrans::{MidtransClient, MidtransSettings, ProviderEndpoint};
use billing::rules::exchange::{ExchangeRate, ExchangeRates};
use billing::rules::tax::{Fraction, TaxRule};
use billing::webhook::{self, DeliveryBounds, ReceiverTrust, WebhookDelivery};
use billing::{BillingSettings, Books, InvoiceReview, PriceBook, SignoffRoles};
use config::snapshot::{self, BillingReview, MidtransAccount, Origin, Process, Scheme, Seller, TaxFraction, Webhooks};
use config::{Live, Snapshot};
use jobs::Runner;
use ledger::billing::InvoiceParty;
use mock::MidtransOptions;
use store::Store;
use tokio::net::TcpListener;

use crate::cli::Role;
use crate::demo;

/// The key of the stub. Only the stub accepts it.
const STUB_KEY: &str = "SB-Mid-server-stub";
/// The merchant of the stub.
const STUB_MERCHANT: &str = "M000001";

/// The listener of a stub of Midtrans that is not served yet.
pub(super) struct MidtransStub {
    listener: TcpListener,
    /// The address of the listener.
    pub(super) address: SocketAddr,
}

impl MidtransStub {
    /// Opens a free loopback port, and makes the snapshot use the stub, with prices and an exchange rate if it has none.
    pub(super) async fn open(snapshot: &mut Snapshot, origin: fn(SocketAddr) -> Origin) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the stub of Midtrans cannot listen")?;
        let address = listener.local_addr()?;
        let origin = origin(address);
        let account = &mut snapshot.process.midtrans;
        account.server_key = Some(Secret::new(STUB_KEY.to_owned()));
        STUB_MERCHANT.clone_into(&mut account.merchant_id);
        account.core = origin.clone();
        account.snap = Origin { path: "/snap/v1".to_owned(), ..origin };
        snapshot.process.billing.is_enabled = true;
        if snapshot.process.billing.exchange.is_empty() {
            snapshot.process.billing.exchange = vec![demo::EXCHANGE];
        }
        if snapshot.traffic.plan_prices.is_empty() {
            let plans = &snapshot.traffic.plans;
            let prices = demo::prices().into_iter().filter(|(name, _)| plans.iter().any(|plan| plan.name == *name));
            snapshot.traffic.plan_prices = prices.collect();
        }
        Ok(Self { listener, address })
    }

    /// Serves the stub until `shutdown` is ready. It notifies the admin API at `control`, unless that is a Unix socket.
    pub(super) async fn serve(self, control: Option<SocketAddr>, shutdown: impl Future) {
        let options = MidtransOptions {
            server_key: STUB_KEY.to_owned(),
            merchant_id: STUB_MERCHANT.to_owned(),
            notification_url: control.map(|control| format!("http://{control}/midtrans/notification")),
            clock: Clock::system(),
        };
        mock::serve_midtrans(self.listener, options, shutdown).await;
    }
}

/// Opens the books and adds their jobs, if billing is enabled and this process serves the admin API.
pub(super) async fn start(
    live: &Arc<Live>,
    store: &Store,
    vault: &Arc<Vault>,
    role: Role,
    runner: &mut Runner,
) -> anyhow::Result<Option<Books>> {
    if role == Role::Proxy {
        return Ok(None);
    }
    let snapshot = live.load_full();
    let roles = signoff_roles(live.clone());
    let books = open_books(&snapshot, store).await?;
    let books = books.map(|books| books.with_prices(price_book(live.clone())).with_signoff_roles(roles));
    if let Some(books) = &books {
        add_jobs(runner, books);
        let webhooks = webhook_delivery(&snapshot.process, store, vault)?;
        runner.add(webhook::SPEC, move || webhooks.clone());
        if let Some(delivery) = delivery(&snapshot.process, store)? {
            runner.add(mail::SPEC, move || delivery.clone());
        }
    }
    Ok(books)
}

/// Returns the books if billing is enabled, after the prices of the configuration are those that are for sale.
///
/// # Errors
/// Errors of the store.
async fn open_books(snapshot: &Snapshot, store: &Store) -> anyhow::Result<Option<Books>> {
    let settings = &snapshot.process.billing;
    if !settings.is_enabled {
        return Ok(None);
    }
    let prices: &[(String, PlanPrice)] = &snapshot.traffic.plan_prices;
    let added = ledger::billing::plan_versions::apply(store, prices).await?;
    if added > 0 {
        tracing::info!(added, "new versions of plan prices are for sale; subscribers keep their versions");
    }
    let provider = provider(&snapshot.process.midtrans).map(|settings| Arc::new(MidtransClient::new(settings)));
    Ok(Some(Books::new(store.clone(), settings_of(&snapshot.process), provider)))
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

/// Adds the jobs of billing.
fn add_jobs(runner: &mut Runner, books: &Books) {
    let of = books.clone();
    runner.add(RECEIPTS, move || ReceiptListing::new(of.clone()));
    let of = books.clone();
    runner.add(close::SPEC, move || BillingClose::new(of.clone()));
    let of = books.clone();
    runner.add(collect::DUNNING, move || Dunning::new(of.clone()));
    if books.provider().is_some() {
        let of = books.clone();
        runner.add(collect::NOTIFICATIONS, move || NotificationHandling::new(of.clone()));
        let of = books.clone();
        runner.add(collect::RECONCILE, move || PaymentReconciliation::new(of.clone()));
    }
}

/// Returns the settings of billing as plain data.
pub(crate) fn settings_of(process: &Process) -> BillingSettings {
    let of = &process.billing;
    let fraction = |of: TaxFraction| Fraction { numerator: of.numerator, denominator: of.denominator };
    let rate = |(from, micro_idr): &(Day, u64)| ExchangeRate { from: *from, micro_idr: *micro_idr };
    let Seller { name, address, tax_number, email } = of.seller.clone();
    BillingSettings {
        number: of.number.clone(),
        zone: of.zone,
        close_after: of.close_after,
        review: match of.review {
            BillingReview::None => InvoiceReview::None,
            BillingReview::Finance => InvoiceReview::Finance,
            BillingReview::Signoff => InvoiceReview::Signoff,
        },
        due: of.due,
        grace: of.grace,
        last: of.last,
        fallback_plan: of.fallback_plan.clone(),
        seller: InvoiceParty { name, address, tax_number, email },
        tax: of.tax.as_ref().map(|tax| TaxRule {
            name: tax.name.clone(),
            rate: fraction(tax.rate),
            base: fraction(tax.base),
            from: tax.from,
        }),
        has_mail: process.mail.is_some(),
        exchange: ExchangeRates::new(of.exchange.iter().map(rate).collect()),
    }
}

/// Returns the job that delivers webhooks.
///
/// # Errors
/// A file of certificates that cannot be used.
fn webhook_delivery(process: &Process, store: &Store, vault: &Arc<Vault>) -> anyhow::Result<WebhookDelivery> {
    let Webhooks { timeout, retry_for } = process.webhooks;
    let bounds = DeliveryBounds { timeout, retry_for };
    let ca = match &process.billing.webhooks_ca {
        None => Vec::new(),
        Some(file) => {
            std::fs::read(file).with_context(|| format!("billing.webhooks_ca: cannot read {}", file.display()))?
        }
    };
    let trust = ReceiverTrust { ca: &ca, rules: process.outbound_rules() };
    WebhookDelivery::new(store.clone(), vault.clone(), trust, bounds).context("billing.webhooks_ca")
}

/// Returns the job that sends mails; `None` without a server.
///
/// # Errors
/// An address or a file of certificates that cannot be used.
fn delivery(process: &Process, store: &Store) -> anyhow::Result<Option<MailDelivery>> {
    let Some(of) = &process.mail else { return Ok(None) };
    let seller = &process.billing.seller;
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
    let finance = (!seller.email.is_empty()).then(|| MailParty::new(&seller.name, &seller.email));
    let settings = MailSettings {
        smtp,
        from: MailParty::new(&of.from.name, &of.from.address).context("mail.from")?,
        finance: finance.transpose().context("billing.seller.email")?,
        seller: seller.name.clone(),
        pages: process.public_url.control.clone(),
        zone: process.billing.zone,
    };
    Ok(Some(MailDelivery::new(store.clone(), settings)?))
}

/// Returns the account at the provider; `None` without a server key.
fn provider(of: &MidtransAccount) -> Option<MidtransSettings> {
    let channels = of.methods.iter().filter_map(|method| PaymentChannel::of_name(method.as_str()));
    Some(MidtransSettings {
        core: endpoint(&of.core),
        snap: endpoint(&of.snap),
        server_key: of.server_key.clone()?,
        merchant_id: of.merchant_id.clone(),
        channels: channels.collect(),
        qris_expiry: of.qris_expiry,
        va_expiry: of.va_expiry,
        card_expiry: of.card_expiry,
    })
}

fn endpoint(of: &Origin) -> ProviderEndpoint {
    ProviderEndpoint {
        has_tls: of.scheme == Scheme::Https,
        host: of.host.clone(),
        port: of.port,
        authority: of.authority.clone(),
        path: of.path.clone(),
    }
}
