use std::time::Duration;

use access::{KeyHash, MasterKey};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use super::*;
use crate::fixture::Place;

fn decrypted_credentials() -> Arc<DecryptedCredentials> {
    let master = MasterKey::parse(&format!("{}A", "B".repeat(42))).unwrap();
    Arc::new(DecryptedCredentials::new(Arc::new(Vault::new(&master, None)), Arc::default()))
}

#[tokio::test]
async fn look_ups_are_answered_while_every_other_reader_is_busy() {
    for place in Place::both().await {
        let store = place.open().await;
        let decrypted_credentials = decrypted_credentials();
        let mut busy = Vec::new();
        while let Ok(Ok(reading)) = timeout(Duration::from_millis(300), store.begin_read()).await {
            busy.push(reading);
        }
        assert!((4..=16).contains(&busy.len()), "{}", busy.len());
        let asked = async {
            assert!(store.identities(&[KeyHash([1; 32])]).await.unwrap().is_empty());
            assert!(decrypted_credentials.of_users(&store, &[UserId(Uuid::nil())]).await.unwrap().own.is_empty());
            store.revision().await.unwrap()
        };
        assert!(timeout(Duration::from_secs(1), asked).await.is_ok());
    }
}

#[tokio::test]
async fn on_postgres_what_takes_longer_than_anybody_waits_is_known_in_the_end() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let decrypted_credentials = decrypted_credentials();
    let mut other = PgConnection::connect(place.url.as_ref().unwrap().expose()).await.unwrap();
    let mut tell = async |sql: &str| {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut other).await.unwrap();
    };
    let ask = async || timeout(Duration::from_millis(200), decrypted_credentials.of_users(&store, &[])).await;
    tell("BEGIN; LOCK TABLE provider_keys IN ACCESS EXCLUSIVE MODE").await;
    assert!(ask().await.is_err(), "nobody waits so long");
    tell("COMMIT").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tell("BEGIN; LOCK TABLE provider_keys IN ACCESS EXCLUSIVE MODE").await;
    assert!(ask().await.is_ok_and(|known| known.is_ok()), "it was read meanwhile");
}
