//! Mails about changes, as rows that are added with them.

use std::time::Duration;

use access::UserId;
use ledger::billing::mails::{self, NewMail, OverdueInvoices};
use ledger::billing::{BooksTransaction, StoredInvoice};
use uuid::Uuid;

use super::{BillingError, Books};
use crate::rules::mail_kind::MailKind;

/// Number of invoices that are read at a time.
const PAGE: u32 = 100;
const DAY: Duration = Duration::from_hours(24);

impl Books {
    /// Adds a mail to a transaction, unless no server for mails is configured.
    pub(crate) async fn mail(
        &self,
        tx: &mut BooksTransaction,
        kind: MailKind,
        object: Uuid,
        user: UserId,
    ) -> Result<(), BillingError> {
        if self.settings.has_mail {
            let is_for_finance = kind.is_for_finance();
            let may_repeat = kind.may_repeat();
            let new = NewMail { kind: kind.as_str(), object, user, is_for_finance, may_repeat };
            mails::add(&self.store, tx, new).await?;
        }
        Ok(())
    }

    /// Adds a mail about the invoice that is past its due time for the longest time.
    pub(crate) async fn mail_of_oldest(
        &self,
        tx: &mut BooksTransaction,
        kind: MailKind,
        open: &[StoredInvoice],
    ) -> Result<(), BillingError> {
        match open.iter().min_by_key(|invoice| (invoice.due_at, invoice.id)) {
            Some(invoice) => self.mail(tx, kind, invoice.id, invoice.user).await,
            None => Ok(()),
        }
    }

    /// Adds the reminders of invoices that are past their due time.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(crate) async fn remind(&self) -> Result<(), BillingError> {
        if !self.settings.has_mail {
            return Ok(());
        }
        let now = self.store.clock().now();
        for (stage, (kind, days)) in MailKind::REMINDERS.into_iter().enumerate().rev() {
            let later = |ahead: usize| MailKind::REMINDERS.get(stage + ahead).map_or(kind, |(kind, _)| *kind).as_str();
            let of = OverdueInvoices {
                due_until: now.before(DAY * u32::try_from(days).unwrap_or(0)),
                today: now.day(),
                kinds: [kind.as_str(), later(1), later(2)],
            };
            let mut after = Uuid::nil();
            loop {
                let overdue = mails::overdue(&self.store, of, after, PAGE).await?;
                let Some((last, _)) = overdue.last() else { break };
                after = *last;
                for (invoice, user) in overdue {
                    let mut tx = self.store.begin().await?;
                    self.mail(&mut tx, kind, invoice, user).await?;
                    tx.commit().await?;
                }
            }
        }
        Ok(())
    }
}
