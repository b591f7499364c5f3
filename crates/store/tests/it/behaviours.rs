//! The macro that runs behaviours on both databases. Tests of `ledger` and `cluster` include this file.

/// Runs every behaviour on each database. A behaviour that is not listed is dead code, and so a warning.
macro_rules! behaviours {
    ($($subject:ident { $($claim:ident,)+ })+) => {
        mod sqlite {
            $(mod $subject {
                $(#[tokio::test]
                async fn $claim() {
                    crate::$subject::$claim(&crate::world::World::sqlite()).await;
                })+
            })+
        }

        mod postgres_too {
            $(mod $subject {
                $(#[tokio::test]
                async fn $claim() {
                    crate::$subject::$claim(&crate::world::World::postgres().await).await;
                })+
            })+
        }
    };
}
