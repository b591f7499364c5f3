//! Compiles the sections `billing`, `midtrans` and `mail`.

use super::upstream_tls::check_authorities;
use crate::schema::process::{
    BillingInput, ExchangeInput, MailInput, MidtransInput, ProcessInput, SellerInput, TaxInput,
};
use crate::snapshot::{Billing, BillingTax, Mail, MidtransAccount, Seller};
use access::Day;
use settings::error::{Code, Problem};
use settings::input::Input;
use settings::section::SettingsReader;

pub(super) fn billing(reader: &SettingsReader<'_>, input: &BillingInput, brand: &str) -> Billing {
    Billing {
        is_enabled: input.enabled.value,
        is_stub: input.stub.value,
        seller: seller(&input.seller, brand),
        number: input.number.value.clone(),
        zone: input.timezone.value,
        close_after: input.close_after.value,
        review: input.review.value,
        due: input.due.value,
        grace: input.grace.value,
        last: input.r#final.value,
        fallback_plan: input.fallback_plan.value.clone(),
        webhooks_ca: input.webhooks_ca.as_ref().map(|file| file.value.clone()),
        tax: input.tax.as_ref().and_then(tax),
        exchange: exchange(reader, &input.exchange.list),
    }
}

pub(super) fn midtrans(input: &MidtransInput) -> MidtransAccount {
    MidtransAccount {
        server_key: input.server_key.as_ref().map(|key| key.value.clone()),
        client_key: input.client_key.as_ref().map(|key| key.value.clone()),
        merchant_id: written(input.merchant_id.as_ref()),
        core: input.core.value.clone(),
        snap: input.snap.value.clone(),
        methods: input.methods.list.iter().map(|method| method.value).collect(),
        qris_expiry: input.expiry.qris.value,
        va_expiry: input.expiry.va.value,
        card_expiry: input.expiry.card.value,
    }
}

/// Reports files of billing that cannot be used, which a process reads only if billing is enabled, and a stub beside a
/// real account.
pub(super) fn check(reader: &SettingsReader<'_>, process: &ProcessInput, billing: &BillingInput) {
    if billing.enabled.value {
        if let Some(file) = billing.webhooks_ca.as_ref() {
            check_authorities(reader, "billing.webhooks_ca", file);
        }
        if let Some(file) = process.mail.as_ref().and_then(|mail| mail.ca.as_ref()) {
            check_authorities(reader, "mail.ca", file);
        }
    }
    let ruled_out = if process.production.value {
        Some(("`production: true`", "`billing.stub: false`, or no `production`"))
    } else if process.midtrans.server_key.is_some() {
        Some(("`midtrans.server_key`", "one of them"))
    } else {
        None
    };
    if billing.stub.value
        && let Some((other, expected)) = ruled_out
    {
        let message = format!("`billing.stub` and {other} exclude each other: the stub takes no money");
        reader.report(Problem::new(Code::BadValue, billing.stub.value_origin(), message).expected(expected));
    }
}

/// Returns the settings of mails. The section requires its server and its sender.
pub(super) fn mail(input: &MailInput) -> Option<Mail> {
    Some(Mail {
        smtp: input.smtp.as_ref()?.value.clone(),
        from: input.from.as_ref()?.value.clone(),
        ca: input.ca.as_ref().map(|file| file.value.clone()),
        timeout: input.timeout.value,
    })
}

fn written(input: Option<&Input<String>>) -> String {
    input.map(|text| text.value.clone()).unwrap_or_default()
}

fn seller(input: &SellerInput, brand: &str) -> Seller {
    Seller {
        name: input.name.as_ref().map_or(brand, |name| &name.value).to_owned(),
        address: written(input.address.as_ref()),
        tax_number: written(input.tax_number.as_ref()),
        email: written(input.email.as_ref()),
    }
}

fn tax(input: &TaxInput) -> Option<BillingTax> {
    let name = input.name.as_ref()?;
    let rate = input.rate.as_ref()?;
    let from = input.from.as_ref()?;
    Some(BillingTax { name: name.value.clone(), rate: rate.value, base: input.base.value, from: from.value })
}

/// Two rates of one day would give its usage two amounts.
fn exchange(reader: &SettingsReader<'_>, entries: &[ExchangeInput]) -> Vec<(Day, u64)> {
    let mut rates: Vec<(Day, u64)> = Vec::new();
    for entry in entries {
        let Some(from) = &entry.from else { continue };
        let Some(rate) = &entry.usd_idr else { continue };
        if rates.iter().any(|(day, _)| *day == from.value) {
            let message = format!("`{}` is the second rate of {}", entry.location.path, from.value);
            reader.report(Problem::new(Code::BadValue, entry.location.at, message).expected("one rate per day"));
            continue;
        }
        rates.push((from.value, rate.value));
    }
    rates.sort_unstable();
    rates
}
