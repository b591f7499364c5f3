//! Time zones without daylight saving, in which times are printed.

use crate::time::clock::Timestamp;

const MICROS_PER_MINUTE: u64 = 60_000_000;

/// A time zone whose offset never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone {
    /// The name in the IANA database.
    pub name: &'static str,
    /// The name beside a printed time.
    pub short: &'static str,
    /// Minutes ahead of UTC.
    minutes: u64,
}

/// Declares a row of the table of zones.
const fn zone(name: &'static str, short: &'static str, minutes: u64) -> (&'static str, TimeZone) {
    (name, TimeZone { name, short, minutes })
}

impl TimeZone {
    /// Coordinated Universal Time, the default.
    pub const UTC: Self = Self { name: "UTC", short: "UTC", minutes: 0 };

    /// Every zone with its name. Zones with daylight saving are left out.
    pub const NAMED: &'static [(&'static str, Self)] = &[
        (Self::UTC.name, Self::UTC),
        zone("Asia/Jakarta", "WIB", 7 * 60),
        zone("Asia/Pontianak", "WIB", 7 * 60),
        zone("Asia/Makassar", "WITA", 8 * 60),
        zone("Asia/Jayapura", "WIT", 9 * 60),
        zone("Asia/Bangkok", "UTC+7", 7 * 60),
        zone("Asia/Ho_Chi_Minh", "UTC+7", 7 * 60),
        zone("Asia/Kuala_Lumpur", "UTC+8", 8 * 60),
        zone("Asia/Manila", "UTC+8", 8 * 60),
        zone("Asia/Shanghai", "UTC+8", 8 * 60),
        zone("Asia/Singapore", "UTC+8", 8 * 60),
        zone("Asia/Dubai", "UTC+4", 4 * 60),
        zone("Asia/Kolkata", "IST", 5 * 60 + 30),
        zone("Asia/Seoul", "KST", 9 * 60),
        zone("Asia/Tokyo", "JST", 9 * 60),
    ];

    /// Returns the time that clocks of the zone show at this instant, as if it were in UTC.
    #[must_use]
    pub const fn local(self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.minutes * MICROS_PER_MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_earlier_in_the_east() {
        let (_, jakarta) = TimeZone::NAMED[1];
        // 2026-12-31T17:30Z.
        let at = Timestamp(1_798_738_200_000_000);
        assert_eq!(at.day().to_string(), "2026-12-31");
        assert_eq!(jakarta.local(at).day().to_string(), "2027-01-01");
        assert_eq!(TimeZone::UTC.local(at), at);
    }
}
