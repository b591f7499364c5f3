//! The codes of enums. A code never changes its meaning.

use access::SubjectKind;
use meter::{Outcome, Source, Unit, UnknownCost};

use super::wire::InvalidPayload;

/// An enum with a code per variant.
pub(super) trait Code: Sized {
    fn code(self) -> u8;

    fn from_code(code: u8) -> Result<Self, InvalidPayload>;
}

macro_rules! codes {
    ($($name:ident { $($variant:ident = $code:literal,)* })*) => {$(
        impl Code for $name {
            fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            fn from_code(code: u8) -> Result<Self, InvalidPayload> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(InvalidPayload),
                }
            }
        }
    )*};
}

codes! {
    Outcome {
        Completed = 0,
        CallerGone = 1,
        UpstreamCut = 2,
        TimedOut = 3,
        Drained = 4,
        Interrupted = 5,
        BudgetCut = 6,
    }
    Source {
        Reported = 0,
        Counted = 1,
        Bounded = 2,
    }
    SubjectKind {
        Key = 0,
        Token = 1,
        Basic = 2,
        Certificate = 3,
        Anonymous = 4,
    }
    Unit {
        Image = 0,
        Millisecond = 1,
        Character = 2,
    }
    UnknownCost {
        NoUsage = 0,
        UnreadableUsage = 1,
        UnpricedTool = 2,
        UnknownTerms = 3,
        NoPrice = 4,
        NoRate = 5,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn check<T: Code + Copy + PartialEq + Debug>(all: &[T]) {
        for (code, &one) in (0..).zip(all) {
            assert_eq!((one.code(), T::from_code(code)), (code, Ok(one)));
        }
        assert_eq!(T::from_code(u8::try_from(all.len()).unwrap()), Err(InvalidPayload));
    }

    /// The lists are written out here, so that a new order of the variants does not change the expected codes.
    #[test]
    fn codes_are_frozen() {
        check(&[
            Outcome::Completed,
            Outcome::CallerGone,
            Outcome::UpstreamCut,
            Outcome::TimedOut,
            Outcome::Drained,
            Outcome::Interrupted,
            Outcome::BudgetCut,
        ]);
        check(&[Source::Reported, Source::Counted, Source::Bounded]);
        check(&[
            SubjectKind::Key,
            SubjectKind::Token,
            SubjectKind::Basic,
            SubjectKind::Certificate,
            SubjectKind::Anonymous,
        ]);
        check(&[Unit::Image, Unit::Millisecond, Unit::Character]);
        check(&[
            UnknownCost::NoUsage,
            UnknownCost::UnreadableUsage,
            UnknownCost::UnpricedTool,
            UnknownCost::UnknownTerms,
            UnknownCost::NoPrice,
            UnknownCost::NoRate,
        ]);
    }
}
