use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use super::*;

fn granted(text: &str, seconds: u64) -> Result<GrantedToken, TokenError> {
    Ok(GrantedToken { text: Secret::new(text.to_owned()), valid: Duration::from_secs(seconds) })
}

/// Begins and ends an exchange at `now`, which must be due.
fn exchange(
    account: &Account,
    now: Instant,
    result: Result<GrantedToken, TokenError>,
) -> Result<Arc<Secret>, Arc<TokenError>> {
    let Step::Exchange(exchange) = account.step(now) else { panic!("no exchange is due") };
    account.settle(exchange, result, now)
}

/// Returns the token that is sent at `now` without an exchange.
fn sent(account: &Account, now: Instant) -> Option<String> {
    match account.step(now) {
        Step::Send(token) => Some(token.expose().to_owned()),
        Step::Fail(_) | Step::Wait(_) | Step::Exchange(_) => None,
    }
}

#[test]
fn a_token_is_renewed_early_and_sent_until_its_end_if_that_fails() {
    let account = Account::default();
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    assert!(exchange(&account, begun, granted("first", 3_600)).is_ok());
    assert_eq!(sent(&account, at(3_299)).as_deref(), Some("first"));
    let Step::Exchange(renewal) = account.step(at(3_300)) else { panic!("it is not renewed") };
    assert_eq!(sent(&account, at(3_300)).as_deref(), Some("first"), "others use it meanwhile");
    let kept = account.settle(renewal, Err(TokenError::Late), at(3_303)).unwrap();
    assert_eq!(kept.expose(), "first");
    assert_eq!(sent(&account, at(3_332)).as_deref(), Some("first"), "the next renewal has a pause before it");
    let renewed = exchange(&account, at(3_333), granted("second", 3_600)).unwrap();
    assert_eq!(renewed.expose(), "second");
    assert!(exchange(&account, at(6_700), Err(TokenError::Late)).is_ok());
    assert!(exchange(&account, at(6_930), Err(TokenError::Late)).is_err(), "it has expired");
}

#[test]
fn a_failure_is_that_of_all_requests_for_two_seconds() {
    let account = Account::default();
    let begun = Instant::now();
    let refused = || Err(TokenError::Refused { status: 400, code: "invalid_grant".into() });
    assert!(exchange(&account, begun, refused()).unwrap_err().is_of_account());
    let Step::Fail(error) = account.step(begun + Duration::from_millis(1_999)) else { panic!("it is forgotten") };
    assert!(error.to_string().contains("invalid_grant"));
    assert!(exchange(&account, begun + FAILED_FOR, granted("t", 60)).is_ok());
}

#[test]
fn a_refused_token_is_replaced_unless_it_is_new() {
    let tokens = AccessTokens::default();
    let begun = Instant::now();
    let digest = TokenDigest::from_token(b"a");
    let token = exchange(&tokens.account(digest), begun, granted("t", 3_600)).unwrap();
    tokens.refused(digest, &token, begun + Duration::from_secs(59));
    assert!(sent(&tokens.account(digest), begun).is_some());
    tokens.refused(digest, &Arc::new(Secret::new("t".to_owned())), begun + REPLACED_FROM);
    assert!(sent(&tokens.account(digest), begun).is_some(), "it is another token");
    tokens.refused(digest, &token, begun + REPLACED_FROM);
    assert!(sent(&tokens.account(digest), begun).is_none());
}

#[tokio::test]
async fn one_exchange_serves_all_requests_and_a_cancelled_one_is_repeated() {
    let tokens = AccessTokens::default();
    let digest = TokenDigest::from_token(b"a");
    let exchanges = Cell::new(0);
    let mut context = Context::from_waker(Waker::noop());
    let (reply, response) = oneshot::channel::<()>();
    let response = Cell::new(Some(response));
    let exchange = || {
        exchanges.set(exchanges.get() + 1);
        let response = response.take();
        async move {
            if let Some(response) = response {
                response.await.unwrap();
            }
            granted("t", 3_600)
        }
    };
    let mut first = Box::pin(tokens.get(digest, exchange));
    let mut second = pin!(tokens.get(digest, exchange));
    assert!(first.as_mut().poll(&mut context).is_pending() && second.as_mut().poll(&mut context).is_pending());
    assert_eq!(exchanges.get(), 1);
    drop(first);
    let Poll::Ready(Ok(token)) = second.as_mut().poll(&mut context) else {
        panic!("it waits for a cancelled exchange")
    };
    assert_eq!((token.expose(), exchanges.get()), ("t", 2));
    assert!(reply.send(()).is_err());
    assert!(tokens.get(digest, exchange).await.is_ok());
    assert_eq!(exchanges.get(), 2);
}

#[test]
fn the_tokens_of_accounts_are_bounded_and_those_of_many_do_not_remove_one_in_use() {
    let tokens = AccessTokens::default();
    let used = tokens.account(TokenDigest::from_token(b"used"));
    for number in 0..2 * ACCOUNTS_MAX {
        tokens.account(TokenDigest::from_token(&number.to_be_bytes()));
        assert!(tokens.0.lock().unwrap().len() <= ACCOUNTS_MAX);
    }
    assert!(Arc::ptr_eq(&used, &tokens.account(TokenDigest::from_token(b"used"))));
}
