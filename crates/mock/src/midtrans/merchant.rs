//! The account of the stub: orders, card tokens, Snap sessions, stored responses, and notifications to send.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::{Clock, Ids, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use super::MidtransOptions;
use super::delivery::Delivery;
use super::fault::StubFault;
use super::session::SnapSession;
use super::transaction::{StubStatus, Transaction};

/// The maximum number of transactions; the oldest are forgotten.
const TRANSACTIONS_MAX: usize = 100_000;
/// The maximum number of other objects of each kind.
const OBJECTS_MAX: usize = 10_000;
/// How long a successful response is stored for its `Idempotency-Key`.
const STORED_FOR: Duration = Duration::from_mins(5);

/// The account of the stub.
#[derive(Debug)]
pub(super) struct Merchant {
    pub(super) server_key: String,
    pub(super) merchant_id: String,
    clock: Clock,
    ids: Mutex<Ids>,
    books: Mutex<Books>,
    /// Wakes the sender of notifications.
    pub(super) wake: Notify,
}

/// The part of the account that changes.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) notification_url: Option<String>,
    /// Whether the HTTP status is that of the body; otherwise it is 200.
    pub(super) has_true_codes: bool,
    /// Microseconds that control endpoints added to the clock.
    pub(super) advanced: u64,
    pub(super) transactions: VecDeque<Transaction>,
    pub(super) cards: HashMap<String, String>,
    pub(super) sessions: HashMap<String, SnapSession>,
    pub(super) responses: HashMap<String, StoredResponse>,
    pub(super) faults: Vec<StubFault>,
    pub(super) deliveries: Vec<Delivery>,
    /// Notifications that were sent, with the status of the response.
    pub(super) sent: VecDeque<Value>,
}

/// A response that is repeated for the same `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(super) struct StoredResponse {
    until: Timestamp,
    /// `None` while the first request is in progress.
    pub(super) body: Option<Value>,
}

impl Merchant {
    pub(super) fn new(options: MidtransOptions) -> Self {
        let books = Books { notification_url: options.notification_url, ..Books::default() };
        Self {
            server_key: options.server_key,
            merchant_id: options.merchant_id,
            ids: Mutex::new(Ids::new(options.clock.clone())),
            clock: options.clock,
            books: Mutex::new(books),
            wake: Notify::new(),
        }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new_id(&self) -> String {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next_uuid().to_string()
    }

    /// Returns the time of the stub: the clock, and what control endpoints added.
    pub(super) fn now(&self, books: &Books) -> Timestamp {
        self.clock.now().after(Duration::from_micros(books.advanced))
    }

    /// Expires what nobody paid in time.
    pub(super) fn expire_overdue(&self, books: &mut Books) {
        let now = self.now(books);
        let overdue: Vec<String> = books
            .transactions
            .iter()
            .filter(|of| of.status == StubStatus::Pending && of.expires.is_some_and(|expires| expires <= now))
            .map(|of| of.id.clone())
            .collect();
        for id in overdue {
            self.set_status(books, &id, StubStatus::Expire);
        }
    }

    /// Changes the status of a transaction and notifies the merchant.
    pub(super) fn set_status(&self, books: &mut Books, id: &str, status: StubStatus) {
        let now = self.now(books);
        let Some(of) = books.transactions.iter_mut().find(|of| of.id == id) else { return };
        of.status = status;
        if matches!(status, StubStatus::Settlement | StubStatus::Capture) {
            of.settled = Some(now);
        }
        let changed = of.clone();
        self.notify(books, &changed);
    }
}

impl Books {
    /// Returns the newest transaction with this order id or transaction id.
    pub(super) fn find(&self, id: &str) -> Option<&Transaction> {
        self.transactions.iter().rev().find(|of| of.order_id == id || of.id == id)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Transaction> {
        self.transactions.iter_mut().rev().find(|of| of.order_id == id || of.id == id)
    }

    pub(super) fn add(&mut self, transaction: Transaction) {
        if self.transactions.len() >= TRANSACTIONS_MAX {
            self.transactions.pop_front();
        }
        self.transactions.push_back(transaction);
    }

    /// Takes the first fault of this kind.
    pub(super) fn take_fault(&mut self, is_fit: impl Fn(StubFault) -> bool) -> Option<StubFault> {
        let at = self.faults.iter().position(|fault| is_fit(*fault))?;
        Some(self.faults.remove(at))
    }

    /// Returns the stored response of a key, or reserves the key.
    pub(super) fn repeated(&mut self, key: &str, now: Timestamp) -> Option<StoredResponse> {
        if self.responses.len() >= OBJECTS_MAX {
            self.responses.retain(|_, stored| stored.until > now);
        }
        let stored = self.responses.get(key).filter(|stored| stored.until > now).cloned();
        if stored.is_none() {
            self.responses.insert(key.to_owned(), StoredResponse { until: now.after(STORED_FOR), body: None });
        }
        stored
    }

    /// Stores a successful response, or frees the key.
    pub(super) fn finish(&mut self, key: &str, body: Option<Value>) {
        match (body, self.responses.get_mut(key)) {
            (Some(body), Some(stored)) => stored.body = Some(body),
            (_, _) => drop(self.responses.remove(key)),
        }
    }

    /// Whether another card token or Snap session fits.
    pub(super) fn has_room(&self) -> bool {
        self.cards.len() < OBJECTS_MAX && self.sessions.len() < OBJECTS_MAX
    }
}
