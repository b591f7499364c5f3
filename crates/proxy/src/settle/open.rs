//! Open records: a request whose cost is known only at its end is recorded in the spool before its first byte is sent
//! upstream.

use std::sync::Arc;

use access::{Credits, Refusal, Subject};
use meter::Charge;
use spool::{DurableFuture, OpenRequest, Record, SpoolError};

use crate::account::RequestAccount;
use crate::account::permits::BudgetHold;
use crate::limits::budget;
use crate::refusal::problem::Problem;
use crate::worker::aggregation::PrelogRequest;

impl RequestAccount {
    /// Appends an open record to the spool, and waits until it is as durable as the spool guarantees. The end of the
    /// request closes the record.
    pub(crate) async fn open_record(&mut self, reserved: Charge) -> Result<(), Problem> {
        let record = Record::Open(self.as_opened(reserved));
        let durable = {
            let mut spool = self.request.worker().recorder.spool.borrow_mut();
            spool.append(&record).map_err(|error| unrecorded(&error))?;
            spool.durable()
        };
        self.permits.has_open_record = true;
        synced(self, durable).await
    }

    /// Records a plain request that costs `credits` of a quota, and waits like [`RequestAccount::open_record`]. Several requests
    /// share one record.
    pub(crate) async fn prelog(&mut self, credits: Credits) -> Result<(), Problem> {
        let BudgetHold::Reserved(reservation) = &self.permits.budgets else { return Ok(()) };
        let subject = &self.identity.subject;
        if matches!(subject, Subject::Anonymous { .. }) {
            return Ok(());
        }
        let durable = {
            let worker = self.request.worker();
            let day = self.day();
            let route = &self.policy().name;
            let started_at = self.request.started_at;
            let now = self.request.mono();
            let labels = self.labels();
            let ask = PrelogRequest { subject, day, route, labels: &labels, started_at, credits, reservation, now };
            self.permits.prelogged =
                Some(worker.aggregation.prelog(&worker.recorder, ask).map_err(|error| unrecorded(&error))?);
            worker.recorder.spool.borrow_mut().durable()
        };
        synced(self, durable).await
    }

    fn as_opened(&self, reserved: Charge) -> OpenRequest {
        // Each attempt needs the trace too.
        self.request.trace();
        let call = self.call();
        let price = call.and_then(|call| {
            self.request.snapshot.traffic.price(&call.provider, (&call.model, None), self.request.started_at)
        });
        OpenRequest {
            id: self.request.id,
            subject: self.identity.subject.recorded(),
            started_at: self.request.started_at,
            day: self.day(),
            windows: self.permits.budgets.windows(),
            reserved,
            route: self.policy().name.clone(),
            format: call.map(|call| self.request.worker().handles.format(call.format)),
            model: self.counted_model(),
            price_version: price.map(|price| Arc::clone(&price.version)),
            origin: self.origin(),
        }
    }
}

async fn synced(account: &RequestAccount, durable: DurableFuture) -> Result<(), Problem> {
    if durable.is_synced() {
        return Ok(());
    }
    let synced = durable.await;
    account.request.read_clock();
    synced.map_err(|error| unrecorded(&error))
}

fn unrecorded(error: &SpoolError) -> Problem {
    if matches!(error, SpoolError::Full { .. }) {
        return budget::unrecordable().because(error);
    }
    Problem::new(Refusal::Internal, "the request cannot be recorded").because(error)
}
