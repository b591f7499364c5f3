//! The keys of `billing` and `midtrans`.

use std::path::PathBuf;
use std::time::Duration;

use crate::snapshot::{BillingReview, MailSender, Origin, PaymentMethod, Scheme, TaxFraction};
use access::amounts::usd;
use access::{Day, Plan, Secret, SeriesForm, TimeZone, text};
use settings::field::{
    Entries, ValueList, default, list, maybe_nested, nested, optional, or_empty, required, sections,
};
use settings::form::{Boolean, DurationForm, FILE, FormRefusal, Scalar, TextForm, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::RestartKeys;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// The maximum number of exchange rates.
const RATES_MAX: usize = 1_000;

section! {
    BillingInput {
        /// Whether users can subscribe, and are [billed](billing.md).
        enabled: Input<bool> = default(Boolean, || false);
        /// Whether the [stub](billing.md#the-stub-of-midtrans) takes payments, so that no money moves. Not with `production` or `midtrans.server_key`.
        stub: Input<bool> = default(Boolean, || false);
        /// The seller on invoices.
        seller: SellerInput = nested::<SellerInput>();
        /// The number of an invoice, in one series per year.
        number: Input<SeriesForm> = default(NUMBER, SeriesForm::usual);
        /// The zone of printed times, such as `Asia/Jakarta`; zones with daylight saving are refused. Usage is by UTC day.
        timezone: Input<TimeZone> = default(TIMEZONE, || TimeZone::UTC);
        /// Time from the end of a period to its invoice.
        close_after: Input<Duration> = default(DurationForm::new(Duration::ZERO, DAY.saturating_mul(7)), || HOUR);
        /// What an invoice waits for: nothing, finance's approval, or the [sign-off](billing.md#sign-off) of its period's days.
        review: Input<BillingReview> = default(REVIEW, || BillingReview::None);
        /// Time within which an invoice must be paid.
        due: Input<Duration> = default(DAYS, || DAY * 7);
        /// Time after `due` with the whole plan.
        grace: Input<Duration> = default(DAYS, || DAY * 7);
        /// Time after `grace` with the fallback plan.
        r#final: Input<Duration> = default(DAYS, || DAY * 30);
        /// The plan of users with a pending, limited or cancelled subscription.
        fallback_plan: Input<String> = default(FALLBACK_PLAN, || "starter".to_owned());
        /// Authorities that sign certificates of receivers of [webhooks](billing.md#webhooks), in PEM, in addition to Mozilla's.
        webhooks_ca: Option<Input<PathBuf>> = optional(FILE, "none");
        /// A tax on every invoice. Only registered entrepreneurs may charge PPN.
        tax: Option<TaxInput> = maybe_nested::<TaxInput>();
        /// Rupiah per dollar from a day on.
        exchange: Entries<ExchangeInput> = sections::<ExchangeInput>("none").at_most(RATES_MAX);
        restart: RestartKeys::Only(&["webhooks_ca"]);
    }
}

section! {
    SellerInput {
        /// The name of the seller.
        name: Option<Input<String>> = or_empty(LINE, "the brand's");
        /// Shown on each invoice.
        address: Option<Input<String>> = or_empty(LINE, "none");
        /// Shown on each invoice.
        tax_number: Option<Input<String>> = or_empty(LINE, "none");
        /// Shown on each invoice. It receives the [mails](billing.md#mails) to finance.
        email: Option<Input<String>> = or_empty(EMAIL, "none");
    }
}

section! {
    TaxInput {
        /// The name of the tax on invoices.
        name: Option<Input<String>> = required(LINE);
        /// The rate, of the base.
        rate: Option<Input<TaxFraction>> = required(RATE);
        /// The share of the subtotal that is taxed.
        base: Input<TaxFraction> = default(BASE, || TaxFraction { numerator: 1, denominator: 1 });
        /// The first day in UTC.
        from: Option<Input<Day>> = required(FIRST_DAY);
    }
}

section! {
    ExchangeInput {
        /// The first day in UTC.
        from: Option<Input<Day>> = required(FIRST_DAY);
        /// Rupiah per dollar, with at most six decimals.
        usd_idr: Option<Input<u64>> = required(USD_IDR);
    }
}

section! {
    MidtransInput {
        /// The server key: `${MIDTRANS_SERVER_KEY:-}`. With `--demo`, a [stub](billing.md#the-stub-of-midtrans) replaces a missing one.
        server_key: Option<Input<Secret>> = or_empty(KEY, "none");
        /// The client key: `${MIDTRANS_CLIENT_KEY:-}`.
        client_key: Option<Input<Secret>> = or_empty(KEY, "none");
        /// The id of the merchant; notifications of others are refused.
        merchant_id: Option<Input<String>> = or_empty(LINE, "not compared");
        /// The URL of the Core API.
        core: Input<Origin> = default(ENDPOINT, core);
        /// The URL of the Snap API.
        snap: Input<Origin> = default(ENDPOINT, snap);
        /// The methods on the pages.
        methods: ValueList<PaymentMethod> = list(METHOD, PaymentMethod::ALL.len(), "all").or(methods);
        /// The time in which a payment can be made.
        expiry: ExpiryInput = nested::<ExpiryInput>();
    }
}

section! {
    ExpiryInput {
        /// Of a QR code.
        qris: Input<Duration> = default(EXPIRY, || Duration::from_secs(15 * 60));
        /// Of an account number.
        va: Input<Duration> = default(EXPIRY, || DAY);
        /// Of the page for cards.
        card: Input<Duration> = default(EXPIRY, || HOUR);
    }
}

/// Midtrans's sandbox: production is a decision of the operator.
fn core() -> Origin {
    origin("https://api.sandbox.midtrans.com")
}

fn snap() -> Origin {
    origin("https://app.sandbox.midtrans.com/snap/v1")
}

#[expect(clippy::expect_used, reason = "both defaults are constants, and a test parses them")]
fn origin(url: &str) -> Origin {
    Origin::parse(url).expect("the default is a URL")
}

fn methods() -> Vec<PaymentMethod> {
    PaymentMethod::ALL.to_vec()
}

/// The longest time of a payment: account numbers of banks last at most 180 days.
const EXPIRY: DurationForm = DurationForm::new(Duration::from_secs(60), DAY.saturating_mul(180));
const DAYS: DurationForm = DurationForm::new(Duration::from_secs(60), DAY.saturating_mul(366));
const TIMEZONE: Words<TimeZone> = Words::new(TimeZone::NAMED);
const REVIEW: Words<BillingReview> = Words::new(&[
    ("none", BillingReview::None),
    ("finance", BillingReview::Finance),
    ("signoff", BillingReview::Signoff),
]);
const METHOD: Words<PaymentMethod> = Words::new(PaymentMethod::NAMED);
const FALLBACK_PLAN: TextForm<String> = TextForm {
    parse: |name| accept(name, Plan::is_name(name), "the name of a plan"),
    shown: |name| Value::text(name),
    cell: "plan",
    pattern: "^[a-z0-9._-]{1,64}$",
    scalar: Scalar::Any,
};
/// The longest text of the seller.
const LINE_CHARS_MAX: usize = 200;
const LINE: TextForm<String> = TextForm {
    parse: |line| {
        let has_length = (1..=LINE_CHARS_MAX).contains(&line.chars().count());
        accept(line, has_length && text::is_plain(line), "1 to 200 visible characters in one line")
    },
    shown: |line| Value::text(line),
    cell: "1 to 200 characters",
    pattern: "^.{1,200}$",
    scalar: Scalar::Any,
};
/// The address without a name, which mails to finance need.
const EMAIL: TextForm<String> = TextForm {
    parse: |address| {
        let is_bare = MailSender::parse(address).is_some_and(|sender| sender.address == address);
        let has_length = address.chars().count() <= LINE_CHARS_MAX;
        accept(address, is_bare && has_length, "an address: billing@example.com")
    },
    shown: |address| Value::text(address),
    cell: "e-mail address",
    pattern: "^[^@ <]+@[^@ >]+$",
    scalar: Scalar::Text,
};
const NUMBER: TextForm<SeriesForm> = TextForm {
    parse: |text| {
        let expected = "up to 40 letters, digits, `-` and `/` with `{year}` and, at the end, `{seq:1}` to `{seq:9}`";
        SeriesForm::parse(text).ok_or_else(|| bad(expected))
    },
    shown: |form| Value::text(form),
    cell: "text with `{year}` and `{seq:N}`",
    pattern: r"^[A-Za-z0-9/-]*\{year\}[A-Za-z0-9/-]*\{seq:[1-9]\}$",
    scalar: Scalar::Text,
};
/// The largest number of a fraction.
const FRACTION_MAX: u32 = 1_000_000;
const RATE: TextForm<TaxFraction> = TextForm {
    parse: |text| {
        let ppm = text.strip_suffix('%').and_then(|number| usd::parse(number, 4).ok());
        let ppm = ppm.and_then(|ppm| u32::try_from(ppm).ok()).filter(|ppm| *ppm <= FRACTION_MAX);
        let rate = ppm.map(|numerator| TaxFraction { numerator, denominator: FRACTION_MAX });
        rate.ok_or_else(|| FormRefusal::Bad("a percentage from 0% to 100%".to_owned()))
    },
    shown: |rate| Value::Text(format!("{}%", usd::written(u64::from(rate.numerator), 4))),
    cell: "`0%` to `100%`",
    pattern: r"^[0-9]+(\.[0-9]+)?%$",
    scalar: Scalar::Text,
};
const BASE: TextForm<TaxFraction> = TextForm {
    parse: |text| {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let part = |part: &str| part.parse::<u32>().ok().filter(|part| (1..=FRACTION_MAX).contains(part));
        let base = part(numerator).zip(part(denominator)).filter(|(numerator, denominator)| numerator <= denominator);
        let base = base.map(|(numerator, denominator)| TaxFraction { numerator, denominator });
        base.ok_or_else(|| FormRefusal::Bad("a fraction of at most 1, such as 11/12".to_owned()))
    },
    shown: |base| Value::Text(format!("{}/{}", base.numerator, base.denominator)),
    cell: "fraction, `11/12`",
    pattern: "^[0-9]+(/[0-9]+)?$",
    scalar: Scalar::Number,
};
const FIRST_DAY: TextForm<Day> = TextForm {
    parse: |text| Day::parse(text).ok_or_else(|| bad("a day from 1970 on: 2026-12-31")),
    shown: |day| Value::text(day),
    cell: "day, `2026-11-22`",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    scalar: Scalar::Text,
};
/// Decimal places of a rate.
const RATE_PLACES: usize = 6;
/// The highest rate: a billion rupiah per dollar.
const RATE_MAX: u64 = 1_000_000_000_000_000;
const USD_IDR: TextForm<u64> = TextForm {
    parse: |text| {
        let rate = usd::parse(text, RATE_PLACES).ok().filter(|rate| (1..=RATE_MAX).contains(rate));
        rate.ok_or_else(|| FormRefusal::Bad("rupiah per dollar, with at most six decimal places: 16500".to_owned()))
    },
    shown: |rate| Value::Text(usd::written(*rate, RATE_PLACES)),
    cell: "rate, `16500`",
    pattern: r"^[0-9]+(\.[0-9]+)?$",
    scalar: Scalar::Number,
};
const KEY: TextForm<Secret> = TextForm {
    parse: |key| {
        let is_fit = key.len() <= 200 && key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_fit { Ok(Secret::new(key.to_owned())) } else { Err(bad("at most 200 visible ASCII characters")) }
    },
    shown: |key| Value::secret(key),
    cell: "secret",
    pattern: "^[!-~]{1,200}$",
    scalar: Scalar::Any,
};
const ENDPOINT: TextForm<Origin> = TextForm {
    parse: |url| {
        let origin = Origin::parse(url).ok().filter(|origin| origin.scheme != Scheme::H2c);
        origin.ok_or_else(|| bad("http://HOST[:PORT][/PATH] or https://…"))
    },
    shown: |origin| Value::text(origin),
    cell: "URL",
    pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$",
    scalar: Scalar::Text,
};
