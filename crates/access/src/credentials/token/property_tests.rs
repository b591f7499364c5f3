use proptest::prelude::*;
use uuid::Uuid;

use super::tests::{NOW, SECRET, claims, signer};
use super::*;

proptest! {
    #[test]
    fn signed_claims_are_read(id: u128, user: u128, session: u128, issued: u32, lives in 1_u64..=1_000_000_000) {
        let issued_at = Timestamp(u64::from(issued) * 1_000_000);
        let claims = Claims {
            id: TokenId(Uuid::from_u128(id)),
            user: UserId(Uuid::from_u128(user)),
            session: SessionId(Uuid::from_u128(session)),
            issued_at,
            expires_at: Timestamp(issued_at.0 + lives * 1_000_000),
        };
        let token = signer(SECRET).sign(&claims);
        prop_assert_eq!(signer(SECRET).read(token.expose(), issued_at), Ok(claims));
        prop_assert_eq!(signer(SECRET).read(token.expose(), claims.expires_at), Err(TokenError::Expired));
    }

    #[test]
    fn any_text_is_malformed(text in "\\PC{0,300}") {
        prop_assert_eq!(signer(SECRET).read(&text, NOW), Err(TokenError::Malformed));
    }

    #[test]
    fn anything_in_three_parts_is_malformed(parts in prop::collection::vec("[A-Za-z0-9_-]{0,120}", 3)) {
        prop_assert_eq!(signer(SECRET).read(&parts.join("."), NOW), Err(TokenError::Malformed));
    }

    #[test]
    fn a_token_with_one_other_character_is_malformed(at: prop::sample::Index, other in "[ -~]") {
        let token = signer(SECRET).sign(&claims());
        let at = at.index(token.expose().len());
        let mut changed = token.expose().to_owned();
        changed.replace_range(at..=at, &other);
        prop_assume!(changed != token.expose());
        prop_assert_eq!(signer(SECRET).read(&changed, NOW), Err(TokenError::Malformed));
    }
}
