//! The permissions to see and change the money of all users.

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::extract::FromRequestParts;
use billing::rules::invoice_state::InvoiceState;
use http::request::Parts;
use ledger::billing::{StoredInvoice, invoices};
use store::Store;

use crate::day_insights::roles::HeldRoles;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Payer, Person};

/// A caller, with the users whose invoices the caller may read: all users for finance, otherwise only the own ones.
#[derive(Debug)]
pub(crate) struct InvoiceReader {
    caller: Caller,
    is_finance: bool,
}

impl InvoiceReader {
    /// Returns an invoice that the caller may read. Another user's invoice, a draft and an invalid id get the same response.
    ///
    /// # Errors
    /// `not_found`, and errors of the store.
    pub(crate) async fn invoice(&self, store: &Store, id: &str) -> Result<StoredInvoice, Problem> {
        let missing = || Problem::new(Refusal::NotFound, "you have no invoice with this id");
        let found = invoices::present(store, id.parse().map_err(|_| missing())?).await?;
        found.filter(|invoice| self.reads(invoice.user) && invoice.state != InvoiceState::Draft).ok_or_else(missing)
    }

    fn reads(&self, user: UserId) -> bool {
        self.is_finance || self.caller.user == user
    }
}

impl FromRequestParts<Arc<App>> for InvoiceReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Payer(caller) = Payer::from_request_parts(parts, app).await?;
        let is_finance = Finance::permits(app, &caller).await?;
        Ok(Self { caller, is_finance })
    }
}

/// A person who signed in with a password and is an admin or holds the role `finance`.
#[derive(Debug)]
pub(crate) struct Finance(pub(crate) Caller);

impl Finance {
    /// Whether the caller would be extracted as `Finance`.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) async fn permits(app: &App, caller: &Caller) -> Result<bool, Problem> {
        Ok(caller.key().is_none() && HeldRoles::load(app, caller).await?.sees_all())
    }
}

impl FromRequestParts<Arc<App>> for Finance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Person(caller) = Person::from_request_parts(parts, app).await?;
        HeldRoles::load(app, &caller).await?.require_finance()?;
        Ok(Self(caller))
    }
}
