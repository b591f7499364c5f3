//! The channels of Midtrans that customers can pay through, with the limits of each.

/// The method of payments from the wallet, which has no channel.
pub const WALLET: &str = "wallet";

/// A channel of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentChannel {
    /// A QR code of QRIS.
    Qris,
    /// An account number of BCA.
    Bca,
    /// An account number of BNI.
    Bni,
    /// An account number of BRI.
    Bri,
    /// An account number of Permata.
    Permata,
    /// An account number of CIMB Niaga.
    Cimb,
    /// A bill of Mandiri.
    Mandiri,
    /// A card, on Snap's page.
    Card,
}

/// What a customer does to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// The customer scans a QR code.
    Qris,
    /// The customer transfers to an account number.
    VirtualAccount,
    /// The customer enters a card on Snap's page.
    Card,
}

impl PaymentChannel {
    /// All channels, in the order of the pages.
    pub const ALL: [Self; 8] =
        [Self::Qris, Self::Bca, Self::Bni, Self::Bri, Self::Permata, Self::Cimb, Self::Mandiri, Self::Card];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qris => "qris",
            Self::Bca => "bca",
            Self::Bni => "bni",
            Self::Bri => "bri",
            Self::Permata => "permata",
            Self::Cimb => "cimb",
            Self::Mandiri => "mandiri",
            Self::Card => "card",
        }
    }

    /// Returns the channel with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }

    /// Returns the channel of a method and a bank of the API.
    #[must_use]
    pub fn of_method(method: &str, bank: Option<&str>) -> Option<Self> {
        match (method, bank) {
            ("qris", None) => Some(Self::Qris),
            ("card", None) => Some(Self::Card),
            ("va", Some(bank)) => Self::of_name(bank).filter(|channel| channel.kind() == ChannelKind::VirtualAccount),
            _ => None,
        }
    }

    /// Returns what a customer does to pay.
    #[must_use]
    pub const fn kind(self) -> ChannelKind {
        match self {
            Self::Qris => ChannelKind::Qris,
            Self::Bca | Self::Bni | Self::Bri | Self::Permata | Self::Cimb | Self::Mandiri => {
                ChannelKind::VirtualAccount
            }
            Self::Card => ChannelKind::Card,
        }
    }

    /// Returns the bank of an account number; `None` for other methods.
    #[must_use]
    pub const fn bank(self) -> Option<&'static str> {
        match self.kind() {
            ChannelKind::VirtualAccount => Some(self.as_str()),
            ChannelKind::Qris | ChannelKind::Card => None,
        }
    }

    /// Returns the name of the bank of an account number, as customers know it; `None` for other methods.
    #[must_use]
    pub const fn bank_name(self) -> Option<&'static str> {
        match self {
            Self::Bca => Some("BCA"),
            Self::Bni => Some("BNI"),
            Self::Bri => Some("BRI"),
            Self::Permata => Some("Permata"),
            Self::Cimb => Some("CIMB Niaga"),
            Self::Mandiri => Some("Mandiri"),
            Self::Qris | Self::Card => None,
        }
    }

    /// The smallest and the largest amount in rupiah (documents of March 2026).
    #[must_use]
    pub const fn limits(self) -> (i64, i64) {
        match self {
            Self::Qris => (1, 10_000_000),
            Self::Bca => (10_000, 20_000_000_000),
            Self::Bni => (1, i64::MAX),
            Self::Bri => (1, 20_000_000_000),
            Self::Permata => (1, 9_999_999_999),
            Self::Cimb => (1, 250_000_000),
            Self::Mandiri => (1, 50_000_000_000),
            Self::Card => (10_000, 999_999_999),
        }
    }

    /// Whether the amount in rupiah fits the limits.
    #[must_use]
    pub const fn fits(self, amount: i64) -> bool {
        let (min, max) = self.limits();
        min <= amount && amount <= max
    }

    /// Whether Midtrans can return a payment. Of the others, finance transfers the money back.
    #[must_use]
    pub const fn is_refundable(self) -> bool {
        matches!(self, Self::Qris | Self::Card)
    }

    /// Whether the bank can take a payment back within minutes.
    #[must_use]
    pub const fn is_reversible(self) -> bool {
        matches!(self, Self::Permata | Self::Mandiri)
    }
}

impl ChannelKind {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qris => "qris",
            Self::VirtualAccount => "va",
            Self::Card => "card",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_channels_whose_limits_fit_are_offered() {
        let fitting = |amount| PaymentChannel::ALL.into_iter().filter(|channel| channel.fits(amount)).count();
        assert_eq!((fitting(0), fitting(1), fitting(9_999), fitting(10_000)), (0, 6, 6, 8));
        assert!(!PaymentChannel::Qris.fits(10_000_001) && PaymentChannel::Bni.fits(i64::MAX));
        assert_eq!(fitting(i64::MAX), 1);
    }

    #[test]
    fn a_method_of_the_api_names_one_channel() {
        for channel in PaymentChannel::ALL {
            let is_bank = channel.kind() == ChannelKind::VirtualAccount;
            let bank = is_bank.then_some(channel.as_str());
            assert_eq!(PaymentChannel::of_method(channel.kind().as_str(), bank), Some(channel));
            assert_eq!(PaymentChannel::of_name(channel.as_str()), Some(channel));
        }
        for (method, bank) in [("va", None), ("va", Some("qris")), ("qris", Some("bca")), ("gopay", None), ("", None)] {
            assert_eq!(PaymentChannel::of_method(method, bank), None, "{method} {bank:?}");
        }
    }
}
