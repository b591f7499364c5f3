//! Lines of invoices as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification.

use access::{Currency, Day};
use billing::rules::invoice::LineKind;
use billing::rules::invoice_kind::InvoiceKind;
use ledger::billing::{StoredInvoice, StoredInvoiceLine};
use uuid::Uuid;

use crate::message::csv;
use crate::message::moment::date;

/// The names of the columns, in their order.
pub(super) const HEAD: &str = "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodEnd,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ContractedCost,ContractedUnitPrice,EffectiveCost,InvoiceId,InvoiceIssuerName,ListCost,ListUnitPrice,PricingCategory,PricingQuantity,PricingUnit,ProviderName,PublisherName,ServiceCategory,ServiceName,ServiceSubcategory,SkuId,SkuPriceId\r\n";
/// Pico units in one unit of a currency.
const PICO: i128 = 1_000_000_000_000;

/// The values that all rows of an export share.
#[derive(Debug, Clone)]
pub(super) struct FocusMonth {
    /// The name of the seller, which issues the invoices.
    pub(super) seller: String,
    /// The name of the service, which provides and publishes it.
    pub(super) brand: String,
    /// The first day of the month.
    pub(super) first_day: Day,
    /// The first day of the next month.
    pub(super) next: Day,
}

/// The category of a charge, and how often it occurs.
struct ChargeForm {
    category: &'static str,
    frequency: &'static str,
    is_usage: bool,
    is_priced: bool,
}

/// A line of an invoice, or its tax.
struct FocusCharge<'a> {
    text: &'a str,
    quantity: u64,
    unit: &'a str,
    amount: i64,
    /// The version of the plan; `None` if the charge has no price of a plan.
    plan_version: Option<Uuid>,
    /// The first and the last day, counted from 1970-01-01.
    days: [i64; 2],
}

impl<'a> FocusCharge<'a> {
    fn new(line: &'a StoredInvoiceLine) -> Self {
        Self {
            text: &line.text,
            quantity: line.quantity,
            unit: &line.unit,
            amount: line.amount,
            plan_version: line.plan_version_id,
            days: [line.first_day, line.last_day],
        }
    }
}

/// Returns the rows of an invoice. A credit note has negative amounts.
pub(super) fn rows(month: &FocusMonth, invoice: &StoredInvoice, account: &str, lines: &[StoredInvoiceLine]) -> String {
    let is_note = invoice.kind == InvoiceKind::CreditNote;
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.kind != LineKind::Unpriced) {
        let form = if is_note { credit() } else { form_of(line.kind) };
        text.push_str(&row(month, invoice, account, &form, &FocusCharge::new(line)));
    }
    if invoice.tax != 0 {
        let form = ChargeForm { category: "Tax", frequency: "One-Time", is_usage: false, is_priced: false };
        let [first_day, last_day] = invoice.invoiced_days().map(|day| i64::from(day.0));
        let charge = FocusCharge {
            text: &invoice.tax_name,
            quantity: 1,
            unit: "",
            amount: invoice.tax,
            plan_version: None,
            days: [first_day, last_day],
        };
        text.push_str(&row(month, invoice, account, &form, &charge));
    }
    text
}

fn credit() -> ChargeForm {
    ChargeForm { category: "Credit", frequency: "One-Time", is_usage: false, is_priced: false }
}

/// Returns the form of a line by its kind.
fn form_of(kind: LineKind) -> ChargeForm {
    match kind {
        LineKind::Usage | LineKind::Late => {
            ChargeForm { category: "Usage", frequency: "Usage-Based", is_usage: true, is_priced: true }
        }
        LineKind::Credit => credit(),
        LineKind::Plan | LineKind::Proration | LineKind::Unpriced => {
            ChargeForm { category: "Purchase", frequency: "Recurring", is_usage: false, is_priced: true }
        }
    }
}

fn row(
    month: &FocusMonth,
    invoice: &StoredInvoice,
    account: &str,
    form: &ChargeForm,
    charge: &FocusCharge<'_>,
) -> String {
    let day = |stored: i64| Day(u32::try_from(stored).unwrap_or(0));
    let midnight = |day: Day| format!("{}T00:00:00Z", date(day));
    let sign = if invoice.kind == InvoiceKind::CreditNote { -1 } else { 1 };
    let [first_day, last_day] = charge.days;
    let amount = i128::from(charge.amount) * sign;
    let cost = decimal(amount * smallest(invoice.currency));
    let priced = |text: String| if form.is_priced { text } else { String::new() };
    let used = |text: String| if form.is_usage { text } else { String::new() };
    let quantity = format!("{}.0", charge.quantity);
    let price = priced(unit_price(amount, charge.quantity, invoice.currency));
    let sku = priced(charge.plan_version.map(|id: Uuid| id.to_string()).unwrap_or_default());
    let seller = csv::quoted(&month.seller);
    let brand = csv::quoted(&month.brand);
    let cells = [
        cost.clone(),
        invoice.user.0.to_string(),
        csv::quoted(account),
        invoice.currency.code().to_owned(),
        midnight(month.next),
        midnight(month.first_day),
        form.category.to_owned(),
        String::new(),
        csv::quoted(charge.text),
        form.frequency.to_owned(),
        midnight(day(last_day).next()),
        midnight(day(first_day)),
        used(quantity.clone()),
        used(charge.unit.to_owned()),
        cost.clone(),
        price.clone(),
        cost.clone(),
        csv::quoted(invoice.number.as_deref().unwrap_or_default()),
        seller,
        cost,
        price,
        priced("Standard".to_owned()),
        priced(quantity),
        priced(charge.unit.to_owned()),
        brand.clone(),
        brand.clone(),
        "AI and Machine Learning".to_owned(),
        brand,
        "Generative AI".to_owned(),
        sku.clone(),
        sku,
    ];
    format!("{}\r\n", cells.join(","))
}

/// Returns the number of pico units in the smallest unit of a currency.
pub(super) const fn smallest(currency: Currency) -> i128 {
    match currency {
        Currency::Idr => PICO,
        Currency::Usd => PICO / 1_000_000_000,
    }
}

/// Returns the average price of a unit: tiers and packages have no other price per unit.
fn unit_price(amount: i128, quantity: u64, currency: Currency) -> String {
    decimal((amount * smallest(currency)).checked_div(i128::from(quantity)).unwrap_or(0))
}

/// Writes pico units as a decimal number with at least one place: readers of the table infer its type.
pub(super) fn decimal(pico: i128) -> String {
    let sign = if pico < 0 { "-" } else { "" };
    let whole = pico.unsigned_abs() / PICO.unsigned_abs();
    let part = pico.unsigned_abs() % PICO.unsigned_abs();
    let part = format!("{part:012}");
    let part = part.trim_end_matches('0');
    format!("{sign}{whole}.{}", if part.is_empty() { "0" } else { part })
}

#[cfg(test)]
mod tests {
    use access::{Timestamp, UserId};
    use billing::rules::invoice_state::InvoiceState;

    use super::*;

    /// Returns an invoice of 166,500 rupiah with a tax of 16,500.
    fn invoice(kind: InvoiceKind) -> StoredInvoice {
        StoredInvoice {
            id: Uuid::nil(),
            user: UserId(Uuid::nil()),
            subscription: None,
            kind,
            of_invoice: None,
            target_version: None,
            first_day: Day(20_790),
            last_day: Day(20_819),
            state: InvoiceState::Open,
            number: Some("INV-2026-000001".to_owned()),
            currency: Currency::Idr,
            subtotal: 150_000,
            tax_name: "PPN".to_owned(),
            tax_rate: "12/100".to_owned(),
            tax_base: 137_500,
            tax: 16_500,
            total: 166_500,
            remaining: 166_500,
            issued_at: None,
            due_at: None,
            digest: String::new(),
            tax_invoice_number: String::new(),
            reason: String::new(),
            usage_days: None,
            created_at: Timestamp(0),
        }
    }

    fn line(kind: LineKind, quantity: u64, amount: i64) -> StoredInvoiceLine {
        StoredInvoiceLine {
            no: 1,
            kind,
            text: "Requests, \"all\"".to_owned(),
            quantity,
            unit: "requests".to_owned(),
            unit_price_pico: None,
            amount,
            plan_version_id: None,
            first_day: 20_790,
            last_day: 20_819,
        }
    }

    /// Returns the values of columns of each row.
    fn values(kind: InvoiceKind, lines: &[StoredInvoiceLine], columns: [&str; 5]) -> Vec<[String; 5]> {
        let seller = "PT Contoh".to_owned();
        let brand = "Contoh AI".to_owned();
        let month = FocusMonth { seller, brand, first_day: Day(20_790), next: Day(20_820) };
        let text = rows(&month, &invoice(kind), "Ada", lines).replace("\"Requests, \"\"all\"\"\"", "quoted");
        let value = |row: &str, column: &str| {
            let nth = HEAD.trim_end().split(',').position(|name| name == column).unwrap();
            row.split(',').nth(nth).unwrap().to_owned()
        };
        text.lines().map(|row| columns.map(|column| value(row, column))).collect()
    }

    #[test]
    fn lines_are_purchases_usage_credits_and_tax() {
        let lines = [
            line(LineKind::Plan, 1, 150_000),
            line(LineKind::Usage, 3, 500),
            line(LineKind::Credit, 1, -50),
            line(LineKind::Unpriced, 7, 0),
        ];
        let columns = ["ChargeCategory", "BilledCost", "ConsumedQuantity", "ListUnitPrice", "ChargeDescription"];
        let expected = [
            ["Purchase", "150000.0", "", "150000.0", "quoted"],
            ["Usage", "500.0", "3.0", "166.666666666666", "quoted"],
            ["Credit", "-50.0", "", "", "quoted"],
            ["Tax", "16500.0", "", "", "PPN"],
        ];
        assert_eq!(values(InvoiceKind::Period, &lines, columns), expected);
        let columns = ["ChargeCategory", "BilledCost", "ChargePeriodStart", "ChargePeriodEnd", "InvoiceId"];
        let expected = [
            ["Credit", "-150000.0", "2026-12-03T00:00:00Z", "2027-01-02T00:00:00Z", "INV-2026-000001"],
            ["Tax", "-16500.0", "2026-12-03T00:00:00Z", "2027-01-02T00:00:00Z", "INV-2026-000001"],
        ];
        assert_eq!(values(InvoiceKind::CreditNote, &lines[..1], columns), expected);
    }

    #[test]
    fn the_seller_issues_the_invoice_and_the_brand_provides_the_service() {
        let columns = ["InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceName", "InvoiceId"];
        let expected = [["PT Contoh", "Contoh AI", "Contoh AI", "Contoh AI", "INV-2026-000001"]; 2];
        assert_eq!(values(InvoiceKind::Period, &[line(LineKind::Plan, 1, 150_000)], columns), expected);
    }

    #[test]
    fn amounts_are_decimal_numbers() {
        for (pico, text) in
            [(0, "0.0"), (PICO, "1.0"), (-PICO / 2, "-0.5"), (1, "0.000000000001"), (PICO * 150_000, "150000.0")]
        {
            assert_eq!(decimal(pico), text);
        }
        assert_eq!(unit_price(500, 3, Currency::Idr), "166.666666666666");
        assert_eq!(unit_price(500, 0, Currency::Idr), "0.0");
        assert_eq!(decimal(1_500_000_000 * smallest(Currency::Usd)), "1.5");
        assert_eq!(HEAD.split(',').count(), 31);
    }
}
