//! simic.
pub mod attribution;
pub mod stats;
