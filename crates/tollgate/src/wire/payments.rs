//! The payment provider of a process: the account at Midtrans, or the stub, which begins with the first configuration that
//! uses it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Clock, Secret};
use billing::channel::PaymentChannel;
use billing::midtrans::{MidtransClient, MidtransSettings, ProviderEndpoint};
use config::snapshot::{Billing, MidtransAccount, Origin, Scheme};
use mock::MidtransOptions;
use tokio::sync::oneshot;

/// The key of the stub. Only the stub accepts it.
const STUB_KEY: &str = "SB-Mid-server-stub";
/// The merchant of the stub.
const STUB_MERCHANT: &str = "M000001";

/// The payment provider of a process. Clones share it.
#[derive(Debug, Clone)]
pub(super) enum PaymentProvider {
    /// The account at Midtrans.
    Account(Arc<MidtransClient>),
    /// The stub, if `billing.stub` is true; otherwise no payments can be made.
    Stub(Arc<StubSlot>),
}

/// The place of the stub.
#[derive(Debug)]
pub(super) struct StubSlot {
    account: MidtransAccount,
    state: Mutex<StubState>,
}

#[derive(Debug)]
enum StubState {
    /// No configuration has used the stub yet. Its task waits for the listener.
    Unused(oneshot::Sender<TcpListener>),
    Running {
        address: SocketAddr,
        client: Arc<MidtransClient>,
    },
    /// No port could be opened. The log has the reason.
    Failed,
}

/// The task of the stub before its listener exists.
pub(super) struct StubTask(oneshot::Receiver<TcpListener>);

impl PaymentProvider {
    /// Returns the provider of an account. Without a server key, that is the stub, whose task must be served.
    pub(super) fn new(account: &MidtransAccount) -> (Self, Option<StubTask>) {
        if let Some(key) = account.server_key.clone() {
            let settings = settings(account, key, account.merchant_id.clone());
            return (Self::Account(Arc::new(MidtransClient::new(settings))), None);
        }
        let (sender, listener) = oneshot::channel();
        let slot = StubSlot { account: account.clone(), state: Mutex::new(StubState::Unused(sender)) };
        (Self::Stub(Arc::new(slot)), Some(StubTask(listener)))
    }

    /// Returns the client for these settings of billing; `None` if no payments can be made.
    pub(super) fn client(&self, billing: &Billing) -> Option<Arc<MidtransClient>> {
        match self {
            Self::Account(client) => Some(client.clone()),
            Self::Stub(slot) if billing.is_enabled && billing.is_stub => slot.running().map(|(_, client)| client),
            Self::Stub(_) => None,
        }
    }

    /// Returns the address of the stub if these settings of billing use it.
    pub(super) fn stub_address(&self, billing: &Billing) -> Option<SocketAddr> {
        match self {
            Self::Stub(slot) if billing.is_enabled && billing.is_stub => slot.running().map(|(address, _)| address),
            Self::Account(_) | Self::Stub(_) => None,
        }
    }
}

impl StubSlot {
    /// Returns the stub's address and client. The first call opens its port.
    fn running(&self) -> Option<(SocketAddr, Arc<MidtransClient>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, StubState::Unused(_)) {
            let before = std::mem::replace(&mut *state, StubState::Failed);
            if let StubState::Unused(task) = before {
                *state = self.begin(task).unwrap_or_else(|error| {
                    tracing::error!(%error, "the stub of Midtrans cannot listen on loopback; restart to try again");
                    StubState::Failed
                });
            }
        }
        match &*state {
            StubState::Running { address, client } => Some((*address, client.clone())),
            StubState::Unused(_) | StubState::Failed => None,
        }
    }

    fn begin(&self, task: oneshot::Sender<TcpListener>) -> std::io::Result<StubState> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let origin = super::parts::origin(address);
        let snap = Origin { path: "/snap/v1".to_owned(), ..origin.clone() };
        let account = MidtransAccount { core: origin, snap, ..self.account.clone() };
        let settings = settings(&account, Secret::new(STUB_KEY.to_owned()), STUB_MERCHANT.to_owned());
        // Without its task, the process ends.
        let _ = task.send(listener);
        Ok(StubState::Running { address, client: Arc::new(MidtransClient::of_stub(settings)) })
    }
}

impl StubTask {
    /// Serves the stub from its first use until `stopped` is ready. It notifies the admin API at `control`, unless that is a
    /// Unix socket.
    pub(super) async fn serve(self, control: Option<SocketAddr>, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        let listener = tokio::select! {
            () = &mut stopped => return,
            listener = self.0 => listener,
        };
        let Ok(listener) = listener else { return };
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the stub of Midtrans cannot be served; restart to try again");
                return;
            }
        };
        let options = MidtransOptions {
            server_key: STUB_KEY.to_owned(),
            merchant_id: STUB_MERCHANT.to_owned(),
            notification_url: control.map(|control| format!("http://{control}/midtrans/notification")),
            clock: Clock::system(),
        };
        mock::serve_midtrans(listener, options, stopped).await;
    }
}

fn settings(of: &MidtransAccount, server_key: Secret, merchant_id: String) -> MidtransSettings {
    let channels = of.methods.iter().filter_map(|method| PaymentChannel::of_name(method.as_str()));
    MidtransSettings {
        core: endpoint(&of.core),
        snap: endpoint(&of.snap),
        server_key,
        merchant_id,
        channels: channels.collect(),
        qris_expiry: of.qris_expiry,
        va_expiry: of.va_expiry,
        card_expiry: of.card_expiry,
    }
}

fn endpoint(of: &Origin) -> ProviderEndpoint {
    ProviderEndpoint {
        has_tls: of.scheme == Scheme::Https,
        host: of.host.clone(),
        port: of.port,
        authority: of.authority.clone(),
        path: of.path.clone(),
    }
}
