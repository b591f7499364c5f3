//! The last client of each key: its address and the product that it names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::credentials::api_key;
use crate::id::KeyNo;

/// Maximum number of keys in memory; clients of further keys are not recorded until others are written.
const KEYS_MAX: usize = 20_000;
/// Maximum length of a product's name, in characters.
const CLIENT_CHARS_MAX: usize = 64;

/// A client that used a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClient {
    /// Address of the client.
    pub address: IpAddr,
    /// The first product of its `User-Agent`, such as `openai-python/1.40.0`; `None` without one.
    pub client: Option<String>,
}

impl KeyClient {
    /// Describes a client by its address and its `User-Agent` (RFC 9110, 10.1.5). Of the field, only the first product is
    /// kept; a value that is not visible ASCII counts as missing.
    #[must_use]
    pub fn new(address: IpAddr, user_agent: Option<&[u8]>) -> Self {
        let product = user_agent.and_then(|agent| agent.trim_ascii().split(u8::is_ascii_whitespace).next());
        // A secret in this field would be stored.
        let is_shown =
            |product: &&[u8]| product.iter().all(u8::is_ascii_graphic) && !api_key::contains_key(product, "");
        let product = product.filter(|product| !product.is_empty()).filter(is_shown);
        let client =
            product.map(|product| product.iter().take(CLIENT_CHARS_MAX).map(|byte| char::from(*byte)).collect());
        Self { address: address.to_canonical(), client }
    }
}

/// The last clients of keys that are not in the store yet.
#[derive(Debug, Default)]
pub struct KeyClients(Mutex<HashMap<KeyNo, KeyClient>>);

impl KeyClients {
    /// Records the last client of a key.
    pub fn note(&self, key: KeyNo, client: KeyClient) {
        let mut clients = self.lock();
        if clients.len() < KEYS_MAX || clients.contains_key(&key) {
            clients.insert(key, client);
        }
    }

    /// Returns the recorded client of a key that is not in the store yet.
    #[must_use]
    pub fn get(&self, key: KeyNo) -> Option<KeyClient> {
        self.lock().get(&key).cloned()
    }

    /// Removes and returns all clients, for the store.
    #[must_use]
    pub fn take_new(&self) -> Vec<(KeyNo, KeyClient)> {
        self.lock().drain().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyNo, KeyClient>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_client_is_the_first_product_of_its_user_agent() {
        fn check(agent: Option<&[u8]>, expected: Option<&str>) {
            let client = KeyClient::new(Ipv4Addr::LOCALHOST.into(), agent);
            assert_eq!(client.client.as_deref(), expected, "{agent:?}");
        }
        check(Some(b"OpenAI/Python 1.40.0"), Some("OpenAI/Python"));
        check(Some(b" curl/8.5.0 "), Some("curl/8.5.0"));
        check(Some(b"Mozilla/5.0 (X11; Linux x86_64)"), Some("Mozilla/5.0"));
        check(Some(&[b'x'; 200]), Some(&"x".repeat(CLIENT_CHARS_MAX)));
        check(Some(b""), None);
        check(Some("\u{e9}/1".as_bytes()), None);
        check(Some(b"curl/tollgate_0123456789abcdef0123456789abcdef"), None);
        check(None, None);
    }

    #[test]
    fn the_recorded_clients_are_bounded() {
        let clients = KeyClients::default();
        let client = KeyClient::new(Ipv4Addr::LOCALHOST.into(), None);
        for no in 0..30_000 {
            clients.note(KeyNo(no), client.clone());
        }
        assert_eq!(clients.take_new().len(), KEYS_MAX);
        assert_eq!(clients.get(KeyNo(1)), None);
    }
}
