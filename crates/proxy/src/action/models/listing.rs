//! The lists of models that providers return. They complete the list of Tollgate, if no price list names their models.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::ProviderModels;
use config::snapshot::{Provider, Traffic};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::account::client::Client;
use crate::account::request::RequestContext;
use crate::action::credential::{self, ChosenCredential};
use crate::client::head::Head;
use crate::deadlines::task::spawn;
use crate::upstream::pool::PoolBounds;
use crate::upstream::short_call::ShortCall;
use crate::worker::Worker;

/// Maximum number of providers whose lists one request uses.
const PROVIDERS_MAX: usize = 16;
/// The time for one list, and for a connection.
const LIST_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Maximum size of a list: those of hosts with hundreds of models have about 1 MB.
const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Returns the lists of the providers that have models without prices. Without a list that arrives soon, a provider is left out.
pub(super) async fn of_providers(request: &RequestContext, client: &Client) -> Vec<ProviderModels> {
    let traffic: &Traffic = &request.snapshot.traffic;
    let providers = traffic.unpriced_providers().into_iter().take(PROVIDERS_MAX);
    let lists = join_all(providers.map(|provider| listed(request, client, provider))).await;
    lists.into_iter().flatten().collect()
}

async fn listed(request: &RequestContext, client: &Client, provider: &Arc<Provider>) -> Option<ProviderModels> {
    let credential = credential::choose(provider, &client.principal).ok()?;
    let head = head(provider, credential)?;
    let account = credential::owner(provider, &client.principal);
    let worker = request.at.worker.clone();
    let of_task = provider.clone();
    let request_id = request.id;
    let fetch = || async move {
        let fetched = timeout(LIST_WITHIN, fetched(&worker, &of_task, head)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("it did not respond in time".to_owned()));
        let log = |cause: &String| {
            tracing::warn!(%request_id, provider = &*of_task.name, cause, "the models of a provider cannot be listed");
        };
        fetched.inspect_err(log).ok()
    };
    let lists = &request.worker().shared.provider_lists;
    let models = lists.get(&account, fetch, |task| drop(spawn(task.run()))).await?;
    Some(ProviderModels { provider: provider.name.clone(), models })
}

/// Requests the list of a provider; the cause of a failure is for the log.
async fn fetched(worker: &Rc<Worker>, provider: &Provider, head: Head) -> Result<Vec<Box<str>>, String> {
    let pool = worker.pools.pool_for(&provider.origin, provider.tls.as_ref(), &PoolBounds::UNLIMITED);
    let call = ShortCall { head, body: Bytes::new(), connect_within: CONNECT_WITHIN, body_bytes_max: LIST_BYTES_MAX };
    let response = call.send(&worker.connector, &pool).await.map_err(|error| error.to_string())?;
    if !response.head.is_success() {
        return Err(format!("it responded with {}", response.head.status()));
    }
    let read = tokio::task::spawn_blocking(move || ai::models::listed::read(&response.body)).await;
    read.ok().flatten().ok_or_else(|| "its response is no list of models".to_owned())
}

/// Returns the head of the request for a list; `None` for a provider without a list of the models that calls can name, or whose
/// requests need more than a secret.
fn head(provider: &Provider, credential: Option<ChosenCredential<'_>>) -> Option<Head> {
    let kind = provider.kind;
    if kind.descriptor().has_folders || provider.paths != ai::ProviderPaths::OfKind {
        return None;
    }
    let mut head = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\naccept-encoding: identity\r\nuser-agent: tollgate\r\n",
        provider.paths.models_target(kind),
        provider.origin.authority
    );
    for (name, value) in kind.descriptor().models_headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match credential {
        Some(ChosenCredential::Secret(secret)) => {
            let (name, scheme) = kind.credential_header(kind.dialect());
            let secret = Some(secret.expose()).filter(|text| !text.contains(|c: char| c.is_control()))?;
            head.push_str(&format!("{name}: {scheme}{secret}\r\n"));
        }
        Some(ChosenCredential::Aws(_) | ChosenCredential::ServiceAccount(_)) => return None,
        None => {}
    }
    head.push_str("\r\n");
    Head::written(head.into_bytes())
}
