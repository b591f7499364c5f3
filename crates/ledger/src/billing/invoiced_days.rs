//! The days that an invoice is about.

use access::Day;

use super::StoredInvoice;

impl StoredInvoice {
    /// Returns the first and the last day that the invoice is about. One with the usage of an ended period alone is stored under
    /// the day after it, as a subscription has one invoice for each first day of a period.
    #[must_use]
    pub fn invoiced_days(&self) -> [Day; 2] {
        let is_of_usage = |[_, last]: &[Day; 2]| last.next() == self.first_day && self.first_day == self.last_day;
        self.usage_days.filter(is_of_usage).unwrap_or([self.first_day, self.last_day])
    }
}
