//! The condition for rows of one label.

use access::LabelId;
use store::DatabaseError;
use store::sql::statements;

use crate::handle::Ledger;

statements! {
    // At most 1,000 sets exist.
    SETS_OF_LABEL = "SELECT label_set_no FROM label_members WHERE label_id = $1 ORDER BY label_set_no";
}

impl Ledger {
    /// Returns the condition for rows of events, counts and totals with a label. Requests of label sets beyond the maximum
    /// number have no label.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn label_condition(&self, label: LabelId) -> Result<String, DatabaseError> {
        let sets: Vec<(i64,)> = self.store.query(SETS_OF_LABEL).bind(label.0).all().await?;
        // No set has the number -2.
        let mut numbers = "-2".to_owned();
        for (no,) in sets {
            numbers.push_str(&format!(", {no}"));
        }
        Ok(format!(" AND label_set_no IN ({numbers})"))
    }
}
