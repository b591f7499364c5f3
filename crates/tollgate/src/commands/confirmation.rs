//! Confirmation of operations that cannot be undone: the flag `--yes`, or `yes` typed on a terminal.

use anyhow::bail;

use crate::failure::StartFault;
use crate::terminal;
use crate::terminal::say;

/// Prints the data that a command is about to delete, and returns if the operator agrees. `is_given` is the flag
/// `--yes`.
///
/// # Errors
/// `confirmation_missing` without a terminal, and an error if the operator types anything but `yes`.
pub(crate) async fn require(is_given: bool, deletes: &str) -> anyhow::Result<()> {
    say(deletes);
    if is_given {
        return Ok(());
    }
    if !terminal::is_there() {
        return Err(StartFault::ConfirmationMissing.into());
    }
    if !terminal::agrees("Type yes to continue: ").await? {
        bail!("not confirmed: nothing was changed");
    }
    Ok(())
}
