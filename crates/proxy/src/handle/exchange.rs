//! What passes between a handler of requests and its user.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::account::client_context::ConnectionContext;
use crate::client::RequestBody;
use crate::client::head::Head;
use crate::deadlines::ActiveRequest;
use crate::response::ClientResponse;
use crate::upstream::interim::InterimResponses;

/// A request whose head has arrived.
pub(crate) struct ReceivedRequest {
    pub(crate) at: Rc<ConnectionContext>,
    pub(crate) active: ActiveRequest,
    pub(crate) head: Rc<Head>,
    pub(crate) body: RequestBody,
}

/// The request that a handler is to handle, and then its response.
#[derive(Default)]
pub(crate) struct Exchange {
    received: Cell<Option<ReceivedRequest>>,
    response: Cell<Option<Box<ClientResponse>>>,
    /// The interim responses before the response.
    pub(crate) interim: Rc<InterimResponses>,
}

impl Exchange {
    /// Gives a request to the handler.
    pub(crate) fn give(&self, received: ReceivedRequest) {
        self.received.set(Some(received));
    }

    /// Waits for the next request.
    pub(crate) async fn next_request(&self) -> ReceivedRequest {
        poll_fn(|_| self.received.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Responds to the request.
    pub(crate) fn respond(&self, response: Box<ClientResponse>) {
        self.response.set(Some(response));
    }

    /// Takes the response, once there is one.
    pub(crate) fn take_response(&self) -> Option<Box<ClientResponse>> {
        self.response.take()
    }
}
