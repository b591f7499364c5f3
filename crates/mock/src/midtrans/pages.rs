//! Pages for customers: Snap's choice, and the password of 3-D Secure.

use super::session::SnapSession;
use super::transaction::Transaction;

const STYLE: &str = "body{font-family:sans-serif;max-width:24rem;margin:4rem auto}button{display:block;margin:1rem 0;padding:.6rem 1.2rem}";

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    )
}

/// The page of a Snap session.
pub(super) fn snap(token: &str, session: &SnapSession) -> String {
    let choice = |action: &str, text: &str| format!("<button name=\"action\" value=\"{action}\">{text}</button>");
    let buttons = choice("pay", "Pay")
        + &choice("secure", "Pay with 3-D Secure")
        + &choice("deny", "Deny")
        + &choice("close", "Close");
    let body = format!(
        "<p>Order {}</p><p>Rp {}</p><form method=\"post\" action=\"/snap/v3/redirection/{token}\">{buttons}</form>",
        session.order_id, session.amount
    );
    page("Payment stub", &body)
}

/// The page that asks for the password of 3-D Secure; the right one is 112233.
pub(super) fn three_d_secure(of: &Transaction) -> String {
    let body = format!(
        "<p>Order {}</p><form method=\"post\" action=\"/v2/3ds/{}\"><label>Password <input name=\"otp\"></label>\
         <button>Confirm</button></form>",
        of.order_id, of.id
    );
    page("3-D Secure stub", &body)
}

/// The page after a choice.
pub(super) fn finished(text: &str) -> String {
    page("Payment stub", &format!("<p>{text}</p>"))
}

/// Returns the value of a field of a form. Values of the stub's forms have no escapes.
pub(super) fn field<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
