//! Models by their hub name: found in the Hugging Face cache, or downloaded into it.
//!
//! The cache is laid out as `huggingface_hub` and hf-hub have it, so what one of them has downloaded the others find.

pub mod cache;
mod choose;
mod digest;
mod error;
mod exchange;
mod fetch;
mod lock;
mod meter;
mod name;
mod remote;
mod settings;
mod transfer;
pub mod verify;

pub use error::HubError;
pub use fetch::fetch;
pub use name::HubName;
pub use settings::Settings;
