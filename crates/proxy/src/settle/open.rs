//! Open records: a request whose cost is known only at its end is recorded in the spool before its first byte is sent
//! upstream.

use std::sync::Arc;

use access::{Credits, Refusal};
use meter::Charge;
use spool::{DurableFuture, OpenRequest, Record, SpoolError};

use crate::aggregation::PrelogRequest;
use crate::answer::Problem;
use crate::budget;
use crate::exchange::{BudgetHold, Exchange};

impl Exchange {
    /// Appends an open record to the spool, and waits until it is as durable as the spool guarantees. The end of the
    /// request closes the record.
    pub(crate) async fn open(&mut self, reserved: Charge) -> Result<(), Problem> {
        let record = Record::Open(self.as_opened(reserved));
        let durable = {
            let mut spool = self.at.worker.recorder.spool.borrow_mut();
            spool.append(&record).map_err(|error| unrecorded(&error))?;
            spool.durable()
        };
        self.opened = true;
        synced(self, durable).await
    }

    /// Records a plain request that costs `credits` of a quota, and waits like [`Exchange::open`]. Several requests
    /// share one record.
    pub(crate) async fn prelog(&mut self, credits: Credits) -> Result<(), Problem> {
        let (Some(caller), BudgetHold::Reserved(reservation)) = (self.subject.caller(), &self.hold) else {
            return Ok(());
        };
        let durable = {
            let worker = &self.at.worker;
            let (day, route, started_at) = (self.day(), &self.route, self.started_at);
            let now = worker.shared.clock.mono_at(self.read_at().into_std());
            let ask = PrelogRequest { caller, day, route, started_at, credits, reservation, now };
            self.prelogged =
                Some(worker.aggregation.prelog(&worker.recorder, ask).map_err(|error| unrecorded(&error))?);
            worker.recorder.spool.borrow_mut().durable()
        };
        synced(self, durable).await
    }

    fn as_opened(&self, reserved: Charge) -> OpenRequest {
        let call = self.call.as_ref();
        let price =
            call.and_then(|call| self.snapshot.traffic.price(&call.provider, (&call.model, None), self.started_at));
        OpenRequest {
            id: self.id,
            subject: self.subject.recorded(),
            started_at: self.started_at,
            day: self.day(),
            reserved,
            route: self.route.clone(),
            format: call.map(|call| self.at.worker.handles.format(call.format)),
            model: call.map(|call| call.asked_model.clone()),
            price_version: price.map(|price| Arc::clone(&price.version)),
        }
    }
}

async fn synced(exchange: &Exchange, durable: DurableFuture) -> Result<(), Problem> {
    if durable.is_synced() {
        return Ok(());
    }
    let synced = durable.await;
    exchange.read_clock();
    synced.map_err(|error| unrecorded(&error))
}

fn unrecorded(error: &SpoolError) -> Problem {
    if matches!(error, SpoolError::Full { .. }) {
        return budget::unrecordable().because(error);
    }
    Problem::new(Refusal::Internal, "the request cannot be recorded").because(error)
}
