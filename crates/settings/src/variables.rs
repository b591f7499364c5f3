//! Variables of the environment, and files of variables.

pub mod env_file;
pub mod variable;
